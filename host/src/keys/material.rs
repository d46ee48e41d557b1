//! What a key is made of.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::EncodePrivateKey;
use policy_core::keys::{Algorithm, HmacSecret, KeyId, WeakSecret};
use policy_core::token::VerifyingKey;
use zeroize::Zeroizing;

use crate::error::HostError;
use crate::exit::Exit;

/// How many bytes of the system's random source a key is made of.
const RANDOM_BYTES: usize = 32;

/// The secret part of a key. Wiped from memory when dropped, and never shown.
#[derive(Clone)]
pub enum KeyMaterial {
    /// The secret of HMAC with SHA-256.
    Hs256(HmacSecret),
    /// The seed of an Ed25519 key (RFC 8032 section 5.1.5).
    EdDsa(Zeroizing<[u8; RANDOM_BYTES]>),
    /// The scalar of a P-256 key, big-endian.
    Es256(Zeroizing<[u8; RANDOM_BYTES]>),
}

impl KeyMaterial {
    /// A new key from the system's random source.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn generate(algorithm: Algorithm) -> Result<Self, MaterialError> {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
        loop {
            getrandom::fill(bytes.as_mut_slice()).map_err(|_| MaterialError::NoRandomness)?;
            match algorithm {
                // As Python's `secrets.token_urlsafe(32)` writes it: a text that every loader of `.env` files reads alike.
                Algorithm::Hs256 => {
                    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
                    return Self::from_text(algorithm, &text);
                }
                Algorithm::EdDsa => return Ok(Self::EdDsa(bytes)),
                // Of 2^32 random numbers one is too large to be a scalar.
                Algorithm::Es256 if p256::SecretKey::from_slice(bytes.as_slice()).is_ok() => {
                    return Ok(Self::Es256(bytes));
                }
                Algorithm::Es256 => {}
            }
        }
    }

    /// A new, random name for a key.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn new_id() -> Result<KeyId, MaterialError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| MaterialError::NoRandomness)?;
        Ok(KeyId::from_random(bytes))
    }

    /// Reads the text form: for HS256 the secret itself, else 32 bytes as base64url without padding.
    ///
    /// # Errors
    ///
    /// When the secret is weak, or the text is no key.
    pub fn from_text(algorithm: Algorithm, text: &str) -> Result<Self, MaterialError> {
        if algorithm == Algorithm::Hs256 {
            return Self::from_bytes(algorithm, text.as_bytes());
        }
        let mut bytes = Zeroizing::new(vec![0; text.len()]);
        let length =
            URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| MaterialError::NoKey(algorithm))?;
        Self::from_bytes(algorithm, bytes.get(..length).unwrap_or_default())
    }

    /// Reads the bytes that [`KeyMaterial::bytes`] gives.
    ///
    /// # Errors
    ///
    /// When the secret is weak, or the bytes are no key.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, MaterialError> {
        if algorithm == Algorithm::Hs256 {
            return Ok(Self::Hs256(HmacSecret::new(bytes)?));
        }
        let fixed = <[u8; RANDOM_BYTES]>::try_from(bytes).map_err(|_| MaterialError::NoKey(algorithm))?;
        let fixed = Zeroizing::new(fixed);
        match algorithm {
            Algorithm::Es256 if p256::SecretKey::from_slice(fixed.as_slice()).is_err() => {
                Err(MaterialError::NoKey(algorithm))
            }
            Algorithm::Es256 => Ok(Self::Es256(fixed)),
            _ => Ok(Self::EdDsa(fixed)),
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// The bytes to store. For whoever seals or writes them; nothing else has a use for them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Hs256(secret) => secret.expose(),
            Self::EdDsa(bytes) | Self::Es256(bytes) => bytes.as_slice(),
        }
    }

    /// The text form that [`KeyMaterial::from_text`] reads.
    ///
    /// # Errors
    ///
    /// When the secret is no text.
    pub fn text(&self) -> Result<Zeroizing<String>, MaterialError> {
        match self {
            Self::Hs256(secret) => std::str::from_utf8(secret.expose())
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|_| MaterialError::NoText),
            Self::EdDsa(bytes) | Self::Es256(bytes) => {
                Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
            }
        }
    }

    /// What verifies its signatures. For HS256 that is the secret, too.
    ///
    /// # Errors
    ///
    /// When it is no key, which the way it was made excludes.
    pub fn verifying_key(&self) -> Result<VerifyingKey, MaterialError> {
        match self {
            Self::Hs256(secret) => Ok(VerifyingKey::Hs256(secret.clone())),
            Self::EdDsa(seed) => Ok(VerifyingKey::EdDsa(
                ed25519_dalek::SigningKey::from_bytes(seed).verifying_key().to_bytes(),
            )),
            Self::Es256(_) => {
                let point = self.es256()?.public_key().to_sec1_point(false);
                let point = <[u8; 65]>::try_from(point.as_bytes());
                point.map(VerifyingKey::Es256).map_err(|_| MaterialError::NoKey(Algorithm::Es256))
            }
        }
    }

    /// What jsonwebtoken signs with.
    ///
    /// # Errors
    ///
    /// As [`KeyMaterial::verifying_key`].
    pub(crate) fn encoding_key(&self) -> Result<jsonwebtoken::EncodingKey, MaterialError> {
        match self {
            Self::Hs256(secret) => Ok(jsonwebtoken::EncodingKey::from_secret(secret.expose())),
            Self::EdDsa(seed) => {
                // PKCS #8 of RFC 8410 section 7: all but the seed is the same for every key.
                let prefix = [
                    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
                    0x20,
                ];
                let der = Zeroizing::new([prefix.as_slice(), seed.as_slice()].concat());
                Ok(jsonwebtoken::EncodingKey::from_ed_der(&der))
            }
            Self::Es256(_) => {
                let der = self.es256()?.to_pkcs8_der();
                let der = der.map_err(|_| MaterialError::NoKey(Algorithm::Es256))?;
                Ok(jsonwebtoken::EncodingKey::from_ec_der(der.as_bytes()))
            }
        }
    }

    fn es256(&self) -> Result<p256::SecretKey, MaterialError> {
        p256::SecretKey::from_slice(self.bytes()).map_err(|_| MaterialError::NoKey(Algorithm::Es256))
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({}, hidden)", self.algorithm())
    }
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// The system's random source failed.
    #[error("the system's random source gives nothing")]
    NoRandomness,
    /// A secret that is not good enough.
    #[error("the secret {0}")]
    Weak(#[from] WeakSecret),
    /// Bytes that are no key of this algorithm.
    #[error("what is stored is no {0} key")]
    NoKey(Algorithm),
    /// A secret that is no text cannot be kept as one.
    #[error("the secret is no text")]
    NoText,
}

impl From<MaterialError> for HostError {
    fn from(error: MaterialError) -> Self {
        let help = match error {
            MaterialError::NoRandomness => "check that the system has /dev/urandom or getrandom",
            MaterialError::Weak(_) => "let `pbac keys rotate` make one",
            MaterialError::NoKey(_) => "check that the store holds what pbac wrote into it",
            MaterialError::NoText => "keep it in the other store",
        };
        Self::new(Exit::Failed, error).help(help)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn each_key_comes_back_from_its_text_and_its_bytes() {
        for algorithm in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
            let key = KeyMaterial::generate(algorithm).unwrap();
            let text = key.text().unwrap();
            assert_eq!(text.len(), 43);
            assert_eq!(KeyMaterial::from_text(algorithm, &text).unwrap().bytes(), key.bytes());
            assert_eq!(KeyMaterial::from_bytes(algorithm, key.bytes()).unwrap().bytes(), key.bytes());
            assert_eq!(key.verifying_key().unwrap().algorithm(), algorithm);
            assert_ne!(KeyMaterial::generate(algorithm).unwrap().bytes(), key.bytes());
            assert!(!format!("{key:?}").contains(text.get(..6).unwrap()));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
            assert_eq!(
                KeyMaterial::from_text(algorithm, "AAAA").unwrap_err(),
                MaterialError::NoKey(algorithm)
            );
            assert_eq!(KeyMaterial::from_text(algorithm, "+").unwrap_err(), MaterialError::NoKey(algorithm));
        }
        assert!(KeyMaterial::from_bytes(Algorithm::Es256, &[0; 32]).is_err());
        assert!(KeyMaterial::from_bytes(Algorithm::Es256, &[0xff; 32]).is_err());
    }
}

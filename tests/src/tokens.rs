//! Makes tokens: whatever header and claims are asked for, signed by a key that is made up. The signatures are RustCrypto's;
//! the suite `tokens` compares them with jsonwebtoken's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use policy_core::keys::{Algorithm, HmacSecret};
use policy_core::token::VerifyingKey;
use sha2::{Digest, Sha256};

/// A key with everything that signs and verifies.
#[derive(Clone, Debug)]
pub enum Signer {
    /// Any secret, also one that no key may have.
    Hs256(Vec<u8>),
    /// Its seed is the private key of RFC 8032.
    EdDsa(Box<ed25519_dalek::SigningKey>),
    /// Its number is the `d` of a JWK.
    Es256(Box<p256::ecdsa::SigningKey>),
}

impl Signer {
    /// The key of these private bytes.
    ///
    /// # Panics
    /// When they are none.
    pub fn new(algorithm: Algorithm, private: &[u8]) -> Self {
        match algorithm {
            Algorithm::Hs256 => Self::Hs256(private.to_vec()),
            Algorithm::EdDsa => {
                let seed = private.try_into().expect("a seed of 32 bytes");
                Self::EdDsa(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
            }
            Algorithm::Es256 => Self::Es256(Box::new(
                p256::ecdsa::SigningKey::from_slice(private).expect("a number of P-256"),
            )),
        }
    }

    /// A key that is the same each time for the same name.
    pub fn made_up(algorithm: Algorithm, name: &str) -> Self {
        Self::new(algorithm, &Sha256::digest(format!("{algorithm} {name}")))
    }

    /// What it is for.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// The signature of these bytes.
    pub fn signature(&self, signed: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
                mac.update(signed);
                mac.finalize().into_bytes().to_vec()
            }
            Self::EdDsa(key) => key.sign(signed).to_bytes().to_vec(),
            Self::Es256(key) => {
                let signature: p256::ecdsa::Signature = p256::ecdsa::signature::Signer::sign(&**key, signed);
                signature.to_bytes().to_vec()
            }
        }
    }

    /// The two parts with their signature.
    pub fn sign(&self, parts: &str) -> String {
        format!("{parts}.{}", base64(&self.signature(parts.as_bytes())))
    }

    /// A token of this header and these claims, whatever they are.
    pub fn token(&self, header: &str, claims: &str) -> String {
        self.sign(&format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes())))
    }

    /// What verifies: the secret, or the public key.
    pub fn public(&self) -> Vec<u8> {
        match self {
            Self::Hs256(secret) => secret.clone(),
            Self::EdDsa(key) => key.verifying_key().to_bytes().to_vec(),
            Self::Es256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// The same as policy-core takes it.
    ///
    /// # Panics
    /// When it is a secret that no key may have.
    pub fn verifying(&self) -> VerifyingKey {
        let public = self.public();
        match self {
            Self::Hs256(_) => {
                VerifyingKey::Hs256(HmacSecret::new(&public).expect("a secret that is good enough"))
            }
            Self::EdDsa(_) => VerifyingKey::EdDsa(public.try_into().expect("32 bytes")),
            Self::Es256(_) => VerifyingKey::Es256(public.try_into().expect("65 bytes")),
        }
    }
}

/// Base64url without padding.
pub fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads it.
///
/// # Panics
/// When it is something else.
pub fn from_base64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

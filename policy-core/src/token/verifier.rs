//! A key made ready to verify with.

use crate::keys::{Algorithm, HmacSecret};
use alloc::boxed::Box;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a key verifies with.
#[derive(Clone)]
pub enum VerifyingKey {
    /// A secret, which could also sign.
    Hs256(HmacSecret),
    /// An Ed25519 public key: 32 bytes (RFC 8032 section 5.1.2).
    EdDsa([u8; 32]),
    /// A P-256 public key: an uncompressed point of 65 bytes (SEC 1 section 2.3.3).
    Es256([u8; 65]),
}

impl VerifyingKey {
    /// What it is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Es256(_) => Algorithm::Es256,
        }
    }
}

/// Whether this build can verify with keys of the algorithm.
pub(super) const fn is_built(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Hs256 => true,
        Algorithm::EdDsa => cfg!(feature = "eddsa"),
        Algorithm::Es256 => cfg!(feature = "es256"),
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, hidden)", self.algorithm())
    }
}

/// A key with everything computed that does not depend on a token.
#[derive(Clone)]
pub(super) enum Verifier {
    /// Keyed once: each token costs the hash of itself and one block.
    Hs256(Box<Hmac<Sha256>>),
    #[cfg(feature = "eddsa")]
    EdDsa(Box<ed25519_dalek::VerifyingKey>),
    #[cfg(feature = "es256")]
    Es256(Box<p256::ecdsa::VerifyingKey>),
}

impl Verifier {
    /// None where the bytes are no key, or this build has not its algorithm.
    pub(super) fn new(key: &VerifyingKey) -> Option<Self> {
        match key {
            VerifyingKey::Hs256(secret) => {
                Hmac::new_from_slice(secret.expose()).ok().map(Box::new).map(Self::Hs256)
            }
            #[cfg(feature = "eddsa")]
            VerifyingKey::EdDsa(bytes) => {
                ed25519_dalek::VerifyingKey::from_bytes(bytes).ok().map(Box::new).map(Self::EdDsa)
            }
            #[cfg(feature = "es256")]
            VerifyingKey::Es256(bytes) => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Box::new).map(Self::Es256)
            }
            #[cfg(not(all(feature = "eddsa", feature = "es256")))]
            _ => None,
        }
    }

    /// Whether the key made this signature. The comparison of an HMAC takes the same time wherever the two differ.
    pub(super) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(keyed) => {
                let mut mac = Hmac::clone(keyed);
                mac.update(signed);
                mac.verify_slice(signature).is_ok()
            }
            #[cfg(feature = "eddsa")]
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(signed, &signature).is_ok()),
            #[cfg(feature = "es256")]
            Self::Es256(key) => {
                use p256::ecdsa::signature::Verifier as _;
                p256::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(signed, &signature).is_ok())
            }
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(hidden)")
    }
}

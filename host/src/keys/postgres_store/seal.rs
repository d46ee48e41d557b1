//! Sealing: what the database holds of a secret, so that whoever has a copy of the database has no key.
//!
//! XChaCha20-Poly1305 with a random nonce of 24 bytes, which no number of keys exhausts. The row's identity is authenticated
//! with the secret: a sealed secret that was moved to another row, schema or algorithm does not open.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use policy_core::keys::{Algorithm, KeyId};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::keys::MaterialError;
use crate::postgres::Identifier;

/// How many bytes a key-encryption key has.
pub(super) const KEY_BYTES: usize = 32;
/// How many bytes of a sealed secret are the nonce.
const NONCE_BYTES: usize = 24;
/// How many bytes a block of SHA-256 has.
const BLOCK_BYTES: usize = 64;
/// How many bytes of a digest make a label.
const LABEL_BYTES: usize = 8;

/// The first of the authenticated fields: what this is, and in which form.
const PURPOSE: &str = "pbac signing key 1";

/// A key-encryption key. Wiped from memory when dropped, and never shown.
#[derive(Clone)]
pub(super) struct SealingKey {
    key: Zeroizing<[u8; KEY_BYTES]>,
    label: String,
}

impl SealingKey {
    pub(super) fn new(bytes: &Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let label = derive(bytes, "pbac key-encryption key: label");
        let label = label.iter().take(LABEL_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { key: derive(bytes, "pbac key-encryption key: seal"), label }
    }

    /// What tells it from others, and says nothing about it: the beginning of a keyed hash.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Seals a secret for one row.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give, or the secret is absurdly long.
    pub(super) fn seal(&self, row: &RowIdentity<'_>, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| MaterialError::NoRandomness)?;
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: &row.authenticated() })
            .map_err(|_| SealError::TooLong { kid: row.kid.clone() })?;
        Ok([nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// Opens what [`SealingKey::seal`] made for the same row.
    ///
    /// # Errors
    ///
    /// When it was sealed with another key, for another row, or was changed since.
    pub(super) fn open(&self, row: &RowIdentity<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let changed = || SealError::Changed { kid: row.kid.clone() };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(changed)?;
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &row.authenticated() })
            .map(Zeroizing::new)
            .map_err(|_| changed())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.label)
    }
}

/// Which row a secret is sealed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowIdentity<'a> {
    pub(super) schema: &'a Identifier,
    pub(super) kid: &'a KeyId,
    pub(super) algorithm: Algorithm,
}

impl RowIdentity<'_> {
    /// Each field after its length, so that the end of one cannot be read as the beginning of the next.
    fn authenticated(&self) -> Vec<u8> {
        let fields = [PURPOSE, self.schema.as_str(), self.kid.as_str(), self.algorithm.name()];
        let field = |field: &str| {
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            [length.to_be_bytes().as_slice(), field.as_bytes()].concat()
        };
        fields.into_iter().flat_map(field).collect()
    }
}

/// Why a secret cannot be sealed or opened. It never holds any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    /// None of the keys at hand has the label of the row.
    #[error("key `{kid}` is sealed with the key-encryption key {wanted}, and this process has {at_hand}")]
    OtherKey {
        kid: KeyId,
        /// The label in the row.
        wanted: String,
        /// The labels of the keys at hand.
        at_hand: String,
    },
    /// The label is right, and the seal is broken.
    #[error(
        "key `{kid}` does not open: its row was changed, or what is sealed in it belongs to another row or schema"
    )]
    Changed { kid: KeyId },
    /// More than the cipher takes.
    #[error("key `{kid}` is too long to be sealed")]
    TooLong { kid: KeyId },
    /// What was sealed is no key, or there is no randomness.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

/// One use of the key-encryption key never meets another: each has a key of its own.
fn derive(key: &Zeroizing<[u8; KEY_BYTES]>, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
    // As HMAC itself fills up a key that is shorter than a block of the hash.
    let mut block = Zeroizing::new([0; BLOCK_BYTES]);
    for (place, byte) in block.iter_mut().zip(key.iter()) {
        *place = *byte;
    }
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new((&*block).into());
    mac.update(purpose.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk";

    fn key(seed: u8) -> SealingKey {
        let mut bytes = [0; KEY_BYTES];
        for (place, byte) in (0_u8..).zip(&mut bytes) {
            *byte = place.wrapping_mul(37) ^ seed;
        }
        SealingKey::new(&Zeroizing::new(bytes))
    }

    fn row<'a>(schema: &'a Identifier, kid: &'a KeyId) -> RowIdentity<'a> {
        RowIdentity { schema, kid, algorithm: Algorithm::Hs256 }
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_row_only() {
        let (schema, other) = (Identifier::new("pbac").unwrap(), Identifier::new("pba").unwrap());
        let (kid, longer) = (KeyId::parse("k1").unwrap(), KeyId::parse("ck1").unwrap());
        let sealed = key(1).seal(&row(&schema, &kid), SECRET).unwrap();
        assert_eq!(key(1).open(&row(&schema, &kid), &sealed).unwrap().as_slice(), SECRET);
        // The same letters, divided in another way.
        let moved = row(&other, &longer);
        let algorithm = RowIdentity { algorithm: Algorithm::EdDsa, ..row(&schema, &kid) };
        for row in [row(&schema, &longer), row(&other, &kid), moved, algorithm] {
            let error = key(1).open(&row, &sealed).unwrap_err();
            assert_eq!(error, SealError::Changed { kid: row.kid.clone() });
        }
        assert!(key(2).open(&row(&schema, &kid), &sealed).is_err());
    }

    #[test]
    fn no_byte_can_be_changed_or_left_out() {
        let (schema, kid) = (Identifier::new("pbac").unwrap(), KeyId::parse("k1").unwrap());
        let sealed = key(1).seal(&row(&schema, &kid), SECRET).unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            if let Some(byte) = changed.get_mut(place) {
                *byte ^= 1;
            }
            assert!(key(1).open(&row(&schema, &kid), &changed).is_err(), "byte {place}");
            let shorter = sealed.get(..place).unwrap();
            assert!(key(1).open(&row(&schema, &kid), shorter).is_err(), "{place} bytes");
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike_and_never_shown() {
        let (schema, kid) = (Identifier::new("pbac").unwrap(), KeyId::parse("k1").unwrap());
        let sealed = || key(1).seal(&row(&schema, &kid), SECRET).unwrap();
        let (one, two) = (sealed(), sealed());
        assert_ne!(one, two);
        assert!(!one.windows(6).any(|window| SECRET.starts_with(window)));
        let shown = format!("{:?}", key(1));
        assert_eq!(shown, format!("SealingKey({})", key(1).label()));
        assert_ne!(key(1).label(), key(2).label());
        assert_eq!(key(1).label().len(), 16);
    }
}

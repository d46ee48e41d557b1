//! The bytes of a signature.

use super::{Release, SignatureError};
use crate::bundle::ContentHash;
use crate::time::Timestamp;
use alloc::vec::Vec;

/// The longest signature, in bytes: with a key's name of 64.
pub const MAX_SIGNATURE_BYTES: usize = FIXED_BYTES + 64 + SIGNATURE_BYTES;

const MAGIC: [u8; 4] = *b"PBSG";
const VERSION: u16 = 1;
/// What stands before the key's name.
const FIXED_BYTES: usize = 55;
const SIGNATURE_BYTES: usize = 64;

/// What is signed.
pub(super) struct Statement<'a> {
    pub(super) release: Release,
    pub(super) expires_at: Timestamp,
    pub(super) key: &'a str,
}

/// A signature, taken apart. Nothing of it is verified.
pub(super) struct Form<'a> {
    pub(super) statement: Statement<'a>,
    /// What the signature is over.
    pub(super) signed: &'a [u8],
    pub(super) signature: &'a [u8; SIGNATURE_BYTES],
}

impl Statement<'_> {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAX_SIGNATURE_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.release.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.expires_at.micros().to_le_bytes());
        bytes.extend_from_slice(&self.release.hash.0);
        // A key's name has 64 bytes at most.
        bytes.push(u8::try_from(self.key.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(self.key.as_bytes());
        bytes
    }
}

impl<'a> Form<'a> {
    /// Takes apart what must be one signature and nothing else.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, SignatureError> {
        match Self::read_first(bytes)? {
            (form, []) => Ok(form),
            _ => Err(SignatureError::Malformed("something follows it")),
        }
    }

    /// Takes apart the signature with which the bytes begin, and gives what follows it.
    fn read_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), SignatureError> {
        const SHORT: SignatureError = SignatureError::Malformed("it ends too early");
        let rest =
            bytes.strip_prefix(&MAGIC).ok_or(SignatureError::Malformed("it does not begin with `PBSG`"))?;
        let (version, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        match u16::from_le_bytes(*version) {
            VERSION => {}
            other => return Err(SignatureError::UnknownVersion(other)),
        }
        let (sequence, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let (expires_at, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let (hash, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let (length, rest) = rest.split_first().ok_or(SHORT)?;
        let (key, rest) = rest.split_at_checked(usize::from(*length)).ok_or(SHORT)?;
        let (signature, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let key = core::str::from_utf8(key);
        let key = key.map_err(|_| SignatureError::Malformed("the name of its key is no text"))?;
        let signed = bytes.get(..FIXED_BYTES.saturating_add(key.len())).ok_or(SHORT)?;
        let release = Release { sequence: u64::from_le_bytes(*sequence), hash: ContentHash(*hash) };
        let expires_at = Timestamp::from_micros(i64::from_le_bytes(*expires_at));
        Ok((Self { statement: Statement { release, expires_at, key }, signed, signature }, rest))
    }
}

/// A signature and the bundle that it signs as one file, which is replaced whole or not at all.
#[must_use]
pub fn attach(signature: &[u8], bundle: &[u8]) -> Vec<u8> {
    [signature, bundle].concat()
}

/// The signature and the bundle of one file, in this order. Neither is verified.
///
/// # Errors
///
/// When the bytes do not begin with a signature.
pub fn detach(bytes: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    let (_, bundle) = Form::read_first(bytes)?;
    let length = bytes.len().saturating_sub(bundle.len());
    bytes.split_at_checked(length).ok_or(SignatureError::Malformed("it ends too early"))
}

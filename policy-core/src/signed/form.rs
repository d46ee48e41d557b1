//! The bytes of a signature.

use super::{Release, SignatureError};
use crate::bundle::ContentHash;
use crate::time::Timestamp;
use alloc::vec::Vec;

/// The longest signature, in bytes: with a key's name of 64.
pub const MAX_SIGNATURE_BYTES: usize = FIXED_BYTES + 64 + SIGNATURE_BYTES;

/// What a signature is for. One of one kind is none of the other: they begin otherwise, and the beginning is signed too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Bundle,
    Settings,
}

impl Kind {
    const fn magic(self) -> [u8; 4] {
        match self {
            Self::Bundle => *b"PBSG",
            Self::Settings => *b"PBSS",
        }
    }
}

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
    pub(super) fn to_bytes(&self, kind: Kind) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MAX_SIGNATURE_BYTES);
        bytes.extend_from_slice(&kind.magic());
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
    pub(super) fn read(kind: Kind, bytes: &'a [u8]) -> Result<Self, SignatureError> {
        match Self::read_first(kind, bytes)? {
            (form, []) => Ok(form),
            _ => Err(SignatureError::Malformed("something follows it")),
        }
    }

    /// Takes apart the signature with which the bytes begin, and gives what follows it.
    fn read_first(kind: Kind, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), SignatureError> {
        const SHORT: SignatureError = SignatureError::Malformed("it ends too early");
        let rest = bytes.strip_prefix(&kind.magic()).ok_or(SignatureError::Malformed(match kind {
            Kind::Bundle => "it does not begin with `PBSG`",
            Kind::Settings => "it does not begin with `PBSS`",
        }))?;
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

/// A signature and what it signs as one file, which is replaced whole or not at all.
#[must_use]
pub fn attach(signature: &[u8], signed: &[u8]) -> Vec<u8> {
    [signature, signed].concat()
}

/// The signature and the bundle of one file, in this order. Neither is verified.
///
/// # Errors
///
/// When the bytes do not begin with the signature of a bundle.
pub fn detach(bytes: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    detach_as(Kind::Bundle, bytes)
}

/// The signature and the settings of one file, likewise.
///
/// # Errors
///
/// When the bytes do not begin with the signature of settings.
pub fn detach_settings(bytes: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    detach_as(Kind::Settings, bytes)
}

fn detach_as(kind: Kind, bytes: &[u8]) -> Result<(&[u8], &[u8]), SignatureError> {
    let (_, signed) = Form::read_first(kind, bytes)?;
    let length = bytes.len().saturating_sub(signed.len());
    bytes.split_at_checked(length).ok_or(SignatureError::Malformed("it ends too early"))
}

//! The bundle: a policy as bytes that travel, with a hash of their content.
//!
//! ```text
//! offset  bytes  what
//! 0       4      "PBAC"
//! 4       2      format version, little-endian
//! 6       32     SHA-256 over bytes 0 to 5 and the payload: the content hash
//! 38      …      payload, see `wire`
//! ```
//!
//! One policy has one byte string: a bundle that is not written the one way is refused, so equal hashes mean equal
//! policies and the other way round. The hash finds damage and names a version; it is no signature.

pub(crate) mod wire;

use crate::error::{LimitError, PolicyError};
use crate::name::NameError;
use crate::pattern::PatternError;
use crate::policy::Policy;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The version of the format that this code writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"PBAC";
const HEADER_BYTES: usize = 38;

/// SHA-256 over the format version and the payload of a policy's bundle. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of what the policy says: equal for policies that say the same.
    ///
    /// # Errors
    /// When the policy is too large to be written.
    pub fn of(policy: &Policy) -> Result<Self, LimitError> {
        Ok(Self::of_payload(&wire::write(policy)))
    }

    fn of_payload(payload: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(MAGIC);
        hasher.update(FORMAT_VERSION.to_le_bytes());
        hasher.update(payload);
        Self(hasher.finalize().into())
    }

    /// Eight bytes of the hash, to seed hash tables with.
    pub(crate) fn seed(&self) -> u64 {
        self.0.iter().take(8).fold(0, |seed, &byte| (seed << 8) | u64::from(byte))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why bytes are not a bundle.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Too few bytes for a header.
    #[error("not a bundle: {0} bytes, and the header alone has {HEADER_BYTES}")]
    TooShort(usize),
    /// The first four bytes are not `PBAC`.
    #[error("not a bundle: it does not begin with `PBAC`")]
    NotABundle,
    /// A version of the format that this code does not read.
    #[error(
        "bundle format {0} is not known here, only format {FORMAT_VERSION} is; update pbac or build the bundle again"
    )]
    UnknownVersion(u16),
    /// The content hash does not fit the content.
    #[error("the bundle is damaged: its content hash is {found}, the header says {expected}")]
    HashMismatch {
        /// What the header says.
        expected: ContentHash,
        /// What the content gives.
        found: ContentHash,
    },
    /// The payload ends early, or a number or text in it is not one.
    #[error("the bundle's payload cannot be read: {0}")]
    Malformed(String),
    /// Something follows the payload.
    #[error("{0} bytes follow the bundle's payload")]
    TrailingBytes(usize),
    /// The payload refers to an entry that does not exist.
    #[error("the bundle refers to {what} number {number} of {count}")]
    UnknownNumber {
        /// What is referred to: `module`, `role`, `role spelling`.
        what: &'static str,
        /// The number.
        number: u32,
        /// How many there are.
        count: usize,
    },
    /// A text is not a permission or pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A text is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The parts do not make a policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The same policy is written another way.
    #[error("the bundle is not written in the one canonical way; build it again")]
    NotCanonical,
}

impl From<LimitError> for BundleError {
    fn from(error: LimitError) -> Self {
        Self::Policy(PolicyError::Limit(error))
    }
}

/// The content hash of a policy, and the size of its payload in bytes.
pub(crate) fn measure(policy: &Policy) -> (ContentHash, usize) {
    let payload = wire::write(policy);
    (ContentHash::of_payload(&payload), payload.len())
}

/// Writes a policy as a bundle.
///
/// # Errors
/// When the policy is too large to be written.
pub fn encode(policy: &Policy) -> Result<Vec<u8>, BundleError> {
    let payload = wire::write(policy);
    let hash = ContentHash::of_payload(&payload);
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(HEADER_BYTES));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&hash.0);
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// Reads a bundle. Any byte string gives a policy or a named error, in time and memory proportional to its length.
///
/// # Errors
/// Says what is wrong with the header, the payload, a name in it, or the policy as a whole.
pub fn decode(bytes: &[u8]) -> Result<Policy, BundleError> {
    let (_, payload) = checked(bytes)?;
    let policy = wire::read(payload)?;
    if wire::write(&policy) != payload {
        return Err(BundleError::NotCanonical);
    }
    Ok(policy)
}

/// The content hash and the payload of a bundle, when they belong together. The payload has not been read.
pub(crate) fn checked(bytes: &[u8]) -> Result<(ContentHash, &[u8]), BundleError> {
    let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(BundleError::TooShort(bytes.len()));
    };
    let Some(rest) = header.strip_prefix(&MAGIC) else {
        return Err(BundleError::NotABundle);
    };
    let Some((version, hash)) = rest.split_first_chunk::<2>() else {
        return Err(BundleError::TooShort(bytes.len()));
    };
    let version = u16::from_le_bytes(*version);
    if version != FORMAT_VERSION {
        return Err(BundleError::UnknownVersion(version));
    }
    let expected = ContentHash(hash.try_into().map_err(|_| BundleError::TooShort(bytes.len()))?);
    let found = ContentHash::of_payload(payload);
    if expected != found {
        return Err(BundleError::HashMismatch { expected, found });
    }
    Ok((found, payload))
}

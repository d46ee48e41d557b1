//! Signed bundles: who published a policy, which one of theirs it is, and until when it may be used. And signed settings: the keys and
//! routes of gateways, any bytes to us, published in the same way.
//!
//! The signature is kept apart from the bundle, which stays what it is:
//!
//! ```text
//! offset  bytes  what
//! 0       4      "PBSG"; of settings, "PBSS"
//! 4       2      version of this form, little-endian: 1
//! 6       8      sequence number, little-endian: each policy that is published has a larger one
//! 14      8      expiry, microseconds since 1970, little-endian, signed
//! 22      32     content hash of the bundle; of settings, SHA-256 of their bytes
//! 54      1      length of the key's name
//! 55      n      the key's name
//! 55 + n  64     Ed25519 signature (RFC 8032) over all that stands before it
//! ```
//!
//! Where one file has to carry both, the signature comes first and the bundle follows ([`attach`], [`detach`]).
//!
//! A signature is verified before the bundle is read, and a [`VerifiedBundle`] comes from nowhere else. An older sequence
//! number than the last one accepted is refused, so that nobody can bring a policy back that is superseded; and an expired
//! one, so that nobody can hold a newer one back for ever.

mod form;

use crate::bundle::{self, BundleError, ContentHash};
use crate::index::Index;
use crate::keys::KeyId;
use crate::policy::Policy;
use crate::time::Timestamp;
use alloc::vec::Vec;
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use form::{Form, Kind, Statement};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use form::{MAX_SIGNATURE_BYTES, attach, detach, detach_settings};

/// A public key that may publish policies.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    id: KeyId,
    key: VerifyingKey,
}

/// The bytes are no public key of Ed25519, or one of the few that anybody could sign for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("these 32 bytes are no public key of Ed25519")]
pub struct BadPublicKey;

impl TrustedKey {
    /// Takes a public key of 32 bytes (RFC 8032 section 5.1.2) and its name.
    ///
    /// # Errors
    ///
    /// When the bytes are no such key.
    pub fn new(id: KeyId, public: &[u8; 32]) -> Result<Self, BadPublicKey> {
        match VerifyingKey::from_bytes(public) {
            Ok(key) if !key.is_weak() => Ok(Self { id, key }),
            _ => Err(BadPublicKey),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }
}

/// What publishes: a private key, wiped from memory when dropped, and its name.
pub struct BundleSigner {
    id: KeyId,
    key: SigningKey,
}

impl fmt::Debug for BundleSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleSigner({}, hidden)", self.id)
    }
}

impl BundleSigner {
    /// Takes a private key: the 32 bytes of its seed (RFC 8032 section 5.1.5), from the system's random source.
    #[must_use]
    pub fn new(id: KeyId, seed: &[u8; 32]) -> Self {
        Self { id, key: SigningKey::from_bytes(seed) }
    }

    /// What others verify with: 32 bytes.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs a bundle. `sequence` must be larger than that of every bundle published before, and the bundle is not
    /// accepted from `expires_at` on.
    ///
    /// # Errors
    ///
    /// When the bytes are no undamaged bundle. Its payload is not read: whoever built it did.
    pub fn sign(&self, bundle: &[u8], sequence: u64, expires_at: Timestamp) -> Result<Vec<u8>, BundleError> {
        let (hash, _) = bundle::checked(bundle)?;
        Ok(self.sign_as(Kind::Bundle, Release { sequence, hash }, expires_at))
    }

    /// Signs settings, which count for themselves: `sequence` must be larger than that of all settings published before, and they are
    /// not accepted from `expires_at` on.
    #[must_use]
    pub fn sign_settings(&self, settings: &[u8], sequence: u64, expires_at: Timestamp) -> Vec<u8> {
        self.sign_as(Kind::Settings, Release { sequence, hash: hash_of(settings) }, expires_at)
    }

    fn sign_as(&self, kind: Kind, release: Release, expires_at: Timestamp) -> Vec<u8> {
        let mut bytes = Statement { release, expires_at, key: self.id.as_str() }.to_bytes(kind);
        let signature = self.key.sign(&bytes);
        bytes.extend_from_slice(&signature.to_bytes());
        bytes
    }
}

/// Which policy of a publisher's one is, or which settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Release {
    /// The later it was published, the larger.
    pub sequence: u64,
    /// What it says.
    pub hash: ContentHash,
}

/// Settings whose signature holds. Only [`verify_settings`] makes them.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedSettings<'s> {
    settings: &'s [u8],
    release: Release,
    expires_at: Timestamp,
}

impl<'s> VerifiedSettings<'s> {
    /// The settings.
    #[must_use]
    pub const fn bytes(&self) -> &'s [u8] {
        self.settings
    }

    /// Which ones they are: what the next ones must not be older than.
    #[must_use]
    pub const fn release(&self) -> Release {
        self.release
    }

    /// From when on they must not be used any more.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// A bundle whose signature holds. Only [`verify`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedBundle<'b> {
    bundle: &'b [u8],
    release: Release,
    expires_at: Timestamp,
}

impl VerifiedBundle<'_> {
    /// Which one it is: what the next one must not be older than.
    #[must_use]
    pub const fn release(&self) -> Release {
        self.release
    }

    /// From when on it must not be used any more.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Reads the policy.
    ///
    /// # Errors
    ///
    /// When it is signed and yet no bundle.
    pub fn decode(&self) -> Result<Policy, BundleError> {
        bundle::decode(self.bundle)
    }

    /// Reads the policy and compiles it at once ([`Index::from_bundle`]).
    ///
    /// # Errors
    ///
    /// When it is signed and yet no bundle, or too large to be compiled.
    pub fn index(&self) -> Result<Index, BundleError> {
        Index::from_bundle(self.bundle)
    }
}

/// Why a bundle is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes are no signature of ours.
    #[error("not a signature of the kind that is asked for: {0}")]
    Malformed(&'static str),
    /// A version of the form that this code does not read.
    #[error("version {0} of the signature's form is not known here, only version 1 is; update pbac")]
    UnknownVersion(u16),
    /// No trusted key has the name.
    #[error("it is signed with a key that is not trusted here")]
    UnknownKey,
    /// The key did not make it.
    #[error("its signature is wrong")]
    BadSignature,
    /// The bundle is damaged, or none.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It is the signature of something else.
    #[error("its signature is that of the content {signed}, and this is {found}")]
    OtherContent {
        /// The content hash that was signed.
        signed: ContentHash,
        /// What there is.
        found: ContentHash,
    },
    /// It is too late.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// It was published before the one that was accepted last.
    #[error("its sequence number is {found}, and {last} was accepted before: it is superseded")]
    Older {
        /// Its sequence number.
        found: u64,
        /// That of the last one.
        last: u64,
    },
    /// Two have one number.
    #[error("its sequence number {0} belongs to another one already; publish it with a larger one")]
    ReusedSequence(u64),
}

impl SignatureError {
    /// The word for it, which never changes: for logs, counters and other languages.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_signature",
            Self::UnknownVersion(_) => "unknown_version",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::Bundle(_) => "bad_bundle",
            Self::OtherContent { .. } => "other_content",
            Self::Expired(_) => "expired",
            Self::Older { .. } => "older_sequence",
            Self::ReusedSequence(_) => "reused_sequence",
        }
    }
}

/// Verifies the signature of a bundle at `now`. `last` is the release that was accepted last, if any: the same one again is
/// accepted again, an older one never.
///
/// # Errors
///
/// The one reason why not, looked for in the order in which a signature stands to be trusted: its form, its key, itself, its
/// time, its number, and then whether it belongs to the bundle.
pub fn verify<'b>(
    bundle: &'b [u8],
    signature: &[u8],
    trusted: &[TrustedKey],
    now: Timestamp,
    last: Option<Release>,
) -> Result<VerifiedBundle<'b>, SignatureError> {
    let (release, expires_at) = verify_as(Kind::Bundle, signature, trusted, now, last)?;
    let (found, _) = bundle::checked(bundle)?;
    if found != release.hash {
        return Err(SignatureError::OtherContent { signed: release.hash, found });
    }
    Ok(VerifiedBundle { bundle, release, expires_at })
}

/// Verifies the signature of settings at `now`, as [`verify`] does that of a bundle.
///
/// # Errors
///
/// The one reason why not, looked for in the same order.
pub fn verify_settings<'s>(
    settings: &'s [u8],
    signature: &[u8],
    trusted: &[TrustedKey],
    now: Timestamp,
    last: Option<Release>,
) -> Result<VerifiedSettings<'s>, SignatureError> {
    let (release, expires_at) = verify_as(Kind::Settings, signature, trusted, now, last)?;
    let found = hash_of(settings);
    if found != release.hash {
        return Err(SignatureError::OtherContent { signed: release.hash, found });
    }
    Ok(VerifiedSettings { settings, release, expires_at })
}

fn hash_of(settings: &[u8]) -> ContentHash {
    ContentHash(Sha256::digest(settings).into())
}

/// What a signature says that holds, whatever it is of.
fn verify_as(
    kind: Kind,
    signature: &[u8],
    trusted: &[TrustedKey],
    now: Timestamp,
    last: Option<Release>,
) -> Result<(Release, Timestamp), SignatureError> {
    let Form { statement, signed, signature } = Form::read(kind, signature)?;
    let key = trusted.iter().find(|key| key.id.as_str() == statement.key);
    let key = key.ok_or(SignatureError::UnknownKey)?;
    let signature = Signature::from_bytes(signature);
    key.key.verify_strict(signed, &signature).map_err(|_| SignatureError::BadSignature)?;
    let Statement { release, expires_at, .. } = statement;
    if now >= expires_at {
        return Err(SignatureError::Expired(expires_at));
    }
    if let Some(last) = last {
        if release.sequence < last.sequence {
            return Err(SignatureError::Older { found: release.sequence, last: last.sequence });
        }
        if release.sequence == last.sequence && release.hash != last.hash {
            return Err(SignatureError::ReusedSequence(release.sequence));
        }
    }
    Ok((release, expires_at))
}

#[cfg(test)]
mod tests;

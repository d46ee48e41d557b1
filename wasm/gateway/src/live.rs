//! The policy that decides now, and how another one takes its place.

use policy_core::signed::{self, Release, SignatureError, TrustedKey};
use policy_core::{BundleError, ContentHash, Index, LimitError, Timestamp};
use thiserror::Error;

/// A policy that is ready to answer.
#[derive(Debug)]
pub struct LivePolicy {
    index: Index,
    /// Which one of its publisher's it is, and until when it may be used; an unsigned one has neither.
    signed: Option<(Release, Timestamp)>,
    /// When it was last known to be the newest.
    confirmed_at: Timestamp,
}

/// Why bytes do not become the policy that decides. The one that did before stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It cannot be made ready.
    #[error("the policy cannot be compiled: {0}")]
    Compile(#[from] LimitError),
}

impl LoadError {
    /// The word for it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.reason(),
            Self::Bundle(_) => "bad_bundle",
            Self::Compile(_) => "over_limit",
        }
    }
}

impl LivePolicy {
    /// Makes a bundle ready. Where somebody is trusted, it has to come with a signature of theirs before it, and not to be
    /// older than `last`.
    ///
    /// # Errors
    ///
    /// When the signature does not hold, or what is signed is no bundle, or too large to be compiled.
    pub fn load(
        bytes: &[u8],
        trusted: &[TrustedKey],
        last: Option<Release>,
        now: Timestamp,
    ) -> Result<Self, LoadError> {
        let (policy, signed) = if trusted.is_empty() {
            (policy_core::decode(bytes)?, None)
        } else {
            let (signature, bundle) = signed::detach(bytes)?;
            let verified = signed::verify(bundle, signature, trusted, now, last)?;
            (verified.decode()?, Some((verified.release(), verified.expires_at())))
        };
        Ok(Self { index: Index::compile(&policy)?, signed, confirmed_at: now })
    }

    /// What answers.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// Which one of its publisher's it is, if it is signed.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        self.signed.map(|(release, _)| release)
    }

    /// What it says.
    #[must_use]
    pub const fn hash(&self) -> ContentHash {
        self.index.content_hash()
    }

    /// Whether its publisher no longer wants it used.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.signed.is_some_and(|(_, expires_at)| now >= expires_at)
    }

    /// Notes that its source still has it as the newest.
    pub const fn confirm(&mut self, now: Timestamp) {
        self.confirmed_at = now;
    }

    /// For how long nobody has said that it is the newest, in whole seconds.
    #[must_use]
    pub const fn age_seconds(&self, now: Timestamp) -> u64 {
        now.since(self.confirmed_at).as_secs()
    }
}

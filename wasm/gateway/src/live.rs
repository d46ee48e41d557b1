//! The policy that decides now, and how another one takes its place.

use crate::config::ConfigError;
use crate::published::Freshness;
use crate::settings::MAX_SETTINGS_BYTES;
use policy_core::signed::{self, Release, SignatureError, TrustedKey};
use policy_core::{BundleError, ContentHash, Index, PolicyError, Timestamp};
use thiserror::Error;

/// A policy that is ready to answer.
#[derive(Debug)]
pub struct LivePolicy {
    index: Index,
    pub(crate) freshness: Freshness,
}

/// Why bytes do not become the policy that decides, or the settings. What was before stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Its signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is no bundle, or cannot be made ready.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// They are no settings.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// There are too many bytes of settings.
    #[error("they have more than {MAX_SETTINGS_BYTES} bytes")]
    TooLarge,
}

impl LoadError {
    /// The word for it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.reason(),
            Self::Bundle(BundleError::Policy(PolicyError::Limit(_))) | Self::TooLarge => "over_limit",
            Self::Bundle(_) => "bad_bundle",
            Self::Settings(_) => "bad_settings",
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
        let (index, signed) = if trusted.is_empty() {
            (Index::from_bundle(bytes)?, None)
        } else {
            let (signature, bundle) = signed::detach(bytes)?;
            let verified = signed::verify(bundle, signature, trusted, now, last)?;
            (verified.index()?, Some((verified.release(), verified.expires_at())))
        };
        Ok(Self { index, freshness: Freshness::new(signed, now) })
    }

    /// What answers.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// How fresh it is.
    #[must_use]
    pub const fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// What it says.
    #[must_use]
    pub const fn hash(&self) -> ContentHash {
        self.index.content_hash()
    }
}

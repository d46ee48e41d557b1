//! The keys that may verify, made ready.

use super::verifier::{Verifier, VerifyingKey};
use crate::keys::{KeyHistory, KeyId, KeyRecord};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use thiserror::Error;

/// What a token has to say beside its signature (SPEC section 5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TokenRules {
    /// How far clocks may be apart when `exp` and `nbf` are looked at.
    pub leeway: Duration,
    /// The longest life of a token, where it is known. It bounds what a stolen, retired key can still forge.
    pub token_life: Option<Duration>,
    /// The issuers that are accepted (`iss`); empty: any, and none.
    pub issuers: Vec<String>,
    /// The audiences that we are (`aud`); empty: any, and none.
    pub audiences: Vec<String>,
}

/// A history of keys with what they verify with. It does not change: a process that is given another one swaps it whole.
#[derive(Clone, Debug)]
pub struct KeyRing {
    history: KeyHistory,
    /// One for each key of the history, in its order.
    pub(super) verifiers: Vec<Verifier>,
    pub(super) rules: TokenRules,
}

/// Why there is no ring.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RingError {
    /// A key of the history came without anything to verify with.
    #[error("key `{0}` is known by name only")]
    Missing(KeyId),
    /// What came is for another algorithm, is no key, or needs a feature that this build has not.
    #[error("key `{0}` cannot be used for its algorithm")]
    Unusable(KeyId),
}

impl KeyRing {
    /// Makes a history ready. Keys that it does not name are left out, those that were revoked among them.
    ///
    /// # Errors
    ///
    /// When a key of the history is missing or is of no use.
    pub fn new(
        history: &KeyHistory,
        keys: impl IntoIterator<Item = (KeyId, VerifyingKey)>,
        rules: TokenRules,
    ) -> Result<Self, RingError> {
        let keys: Vec<(KeyId, VerifyingKey)> = keys.into_iter().collect();
        let verifier = |record: &KeyRecord| {
            let (_, key) = keys
                .iter()
                .find(|(id, _)| *id == record.id)
                .ok_or_else(|| RingError::Missing(record.id.clone()))?;
            let usable = if key.algorithm() == record.algorithm { Verifier::new(key) } else { None };
            usable.ok_or_else(|| RingError::Unusable(record.id.clone()))
        };
        let verifiers = history.keys().iter().map(verifier).collect::<Result<_, _>>()?;
        Ok(Self { history: history.clone(), verifiers, rules })
    }

    /// The names and times of its keys.
    #[must_use]
    pub const fn history(&self) -> &KeyHistory {
        &self.history
    }

    /// What a token has to say beside its signature.
    #[must_use]
    pub const fn rules(&self) -> &TokenRules {
        &self.rules
    }
}

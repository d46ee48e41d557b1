//! The keys that may verify, made ready.

use super::TokenError;
use super::base64url;
use super::header::{Header, header};
use super::verifier::{Verifier, VerifyingKey};
use crate::keys::{Algorithm, KeyHistory, KeyId, KeyRecord};
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
    /// What common issuers write for the first part of a token, with what reading it comes to: nearly every token has one of
    /// these, and need not be decoded and read twice. By byte order: a ring has a few, and a hash table is much code.
    known_headers: Vec<(String, Tried)>,
}

/// The keys that may have signed a token, as its header has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tried {
    /// The one at this place, which it names.
    One(usize),
    /// All of an algorithm, in the history's order: it names none.
    All(Algorithm),
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
        let known_headers = Vec::new();
        let mut ring = Self { history: history.clone(), verifiers, rules, known_headers };
        for json in history.keys().iter().flat_map(common_headers) {
            if let Ok(tried) = header(json.as_bytes()).and_then(|header| ring.tried(&header)) {
                let part = base64url::encode(json.as_bytes());
                if let Err(place) = ring.known_header(&part) {
                    ring.known_headers.insert(place, (part, tried));
                }
            }
        }
        Ok(ring)
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

    /// Where the first part of a token is among the known ones, or where it would be.
    fn known_header(&self, part: &str) -> Result<usize, usize> {
        self.known_headers.binary_search_by(|(known, _)| known.as_str().cmp(part))
    }

    /// Which keys may have signed a token with this first part, where it is one of the known ones.
    pub(super) fn known(&self, part: &str) -> Option<Tried> {
        let place = self.known_header(part).ok()?;
        self.known_headers.get(place).map(|&(_, tried)| tried)
    }

    /// Which keys may have signed a token with this header, whatever the time.
    pub(super) fn tried(&self, header: &Header<'_>) -> Result<Tried, TokenError> {
        let keys = self.history.keys();
        let algorithm = Algorithm::from_name(&header.algorithm);
        let Some(kid) = header.kid.as_deref() else {
            let fits = |key: &KeyRecord| Some(key.algorithm) == algorithm;
            return match algorithm {
                _ if keys.is_empty() => Err(TokenError::NoKey),
                Some(algorithm) if keys.iter().any(fits) => Ok(Tried::All(algorithm)),
                _ => Err(TokenError::AlgorithmMismatch),
            };
        };
        if self.history.revocation(kid).is_some() {
            return Err(TokenError::RevokedKey);
        }
        let place = keys.iter().position(|key| key.id.as_str() == kid).ok_or(TokenError::UnknownKey)?;
        match keys.get(place) {
            Some(key) if Some(key.algorithm) == algorithm => Ok(Tried::One(place)),
            _ => Err(TokenError::AlgorithmMismatch),
        }
    }
}

/// The headers of tokens by this key, with and without its name, as jsonwebtoken and as PyJWT and python-jose write them.
fn common_headers(key: &KeyRecord) -> [String; 4] {
    // Neither has a character that JSON would escape.
    let (id, algorithm) = (key.id.as_str(), key.algorithm.name());
    [
        [r#"{"typ":"JWT","alg":""#, algorithm, r#"","kid":""#, id, r#""}"#].concat(),
        [r#"{"alg":""#, algorithm, r#"","kid":""#, id, r#"","typ":"JWT"}"#].concat(),
        [r#"{"typ":"JWT","alg":""#, algorithm, r#""}"#].concat(),
        [r#"{"alg":""#, algorithm, r#"","typ":"JWT"}"#].concat(),
    ]
}

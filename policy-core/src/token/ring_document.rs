//! A key ring as JSON text, for verifiers that have no key store: a module in another runtime, a gateway.
//!
//! It is a JWK Set (RFC 7517) with members of our own, since a plain one says neither which key signs nor until when a
//! retired one verifies. Times are microseconds since 1970, spans are seconds:
//!
//! ```json
//! {"keys":[{"kty":"oct","kid":"k1","alg":"HS256","k":"<base64url>","state":"active","since":null},
//!          {"kty":"OKP","crv":"Ed25519","kid":"k0","alg":"EdDSA","x":"<base64url>","state":"retired","since":0,"not_after":null}],
//!  "revoked":[{"kid":"k9","at":0}],
//!  "rules":{"leeway":0,"token_life":3600,"issuers":[],"audiences":[]}}
//! ```
//!
//! What would weaken a ring if it were misspelt has to be there: `state`, `revoked` and `rules`, and `since` and `not_after`
//! of a retired key, `null` where the time is not known. Members of a key that are not named here mean nothing to us, as
//! RFC 7517 section 4 has it; in `rules` and beside `keys` they are refused.

mod read;
mod write;

use super::{KeyRing, RingError};
use crate::keys::{Algorithm, KeyHistoryError, WeakSecret};
use thiserror::Error;

pub use write::write_document;

impl KeyRing {
    /// Reads a ring document (see [`write_document`] for the other way).
    ///
    /// # Errors
    ///
    /// What is wrong with it and where. No error holds anything of a key but its name.
    pub fn from_document(json: &str) -> Result<Self, RingDocumentError> {
        let read = read::read(json)?;
        Ok(Self::new(&read.history, read.keys, read.rules)?)
    }
}

/// Why a text is no key ring.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RingDocumentError {
    /// It is no JSON.
    #[error("the key ring is no JSON: see line {line}, column {column}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON of another form.
    #[error(
        "the key ring has another form than expected: at line {line}, column {column} a member is there twice, is not known, or is no list or object where there has to be one"
    )]
    Form {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A part is missing.
    #[error(
        "the key ring has no `{0}`: it needs `keys`, `revoked` (a list, empty when no key is revoked) and `rules` (an object)"
    )]
    Missing(&'static str),
    /// One of its keys is none.
    #[error("key number {place} of the key ring: {problem}")]
    Key {
        /// Its place in `keys`, from 1.
        place: usize,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// A revocation is none.
    #[error("revocation number {place} of the key ring needs a `kid` and, as `at`, microseconds since 1970")]
    Revocation {
        /// Its place in `revoked`, from 1.
        place: usize,
    },
    /// A rule is none.
    #[error(
        "the rule `{0}` of the key ring is neither whole seconds from 0 nor, as it should be, a list of texts"
    )]
    Rule(&'static str),
    /// The keys contradict each other.
    #[error("the key ring contradicts itself: {0}")]
    History(#[from] KeyHistoryError),
    /// A key is of no use.
    #[error("the key ring cannot be used: {0}")]
    Ring(#[from] RingError),
}

/// What is wrong with one key of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// It has no name, or one that is none.
    #[error("its `kid` is missing or no name of 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `_` and `-`")]
    Id,
    /// No algorithm of that name is known.
    #[error("its `alg` is none of `HS256`, `EdDSA` and `ES256`")]
    Algorithm,
    /// The algorithm is known, and left out here.
    #[error("this build verifies no `{0}`: take one with that algorithm, or leave the key out")]
    NotBuilt(Algorithm),
    /// `kty` or `crv` belong to another algorithm.
    #[error("its `kty` or `crv` does not belong to its `alg`")]
    Type,
    /// There is nothing to verify with.
    #[error("its `{0}` is missing, or no base64url without padding of the right length")]
    Material(&'static str),
    /// A secret can be guessed.
    #[error("its secret {0}")]
    Weak(WeakSecret),
    /// It does not say where it stands.
    #[error(
        "its `state` is none of `staged`, `active` and `retired`; a plain JWK Set does not say it: add it to each key, and to each retired one `since` and `not_after`"
    )]
    State,
    /// A time is missing or is none.
    #[error("its `{0}` is missing, or neither microseconds since 1970 nor, where that may be, `null`")]
    Time(&'static str),
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::string_slice, reason = "a failed unwrap is a failed test")]
mod tests;

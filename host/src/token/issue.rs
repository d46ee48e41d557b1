//! Signing tokens.

use std::time::Duration;

use jsonwebtoken::Header;
use policy_core::Timestamp;
use policy_core::keys::Algorithm;
use serde::Serialize;

use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{KeyMaterial, KeySet, MaterialError};

/// What a new token says: the claims of the source document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NewToken {
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// Their name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Where to write to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their roles, as the policy or an alias in it spells them.
    pub roles: Vec<String>,
    /// Who issues it.
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Whom it is for.
    #[serde(rename = "aud", skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// The id of a user, in the JSON type in which the application writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UserId {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// The claims of a token, with its times in whole seconds (RFC 7519 section 2).
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(flatten)]
    token: &'a NewToken,
    exp: i64,
    iat: i64,
}

/// Signs a token with the active key of `keys`. Its `iat` is `now`, and its `exp` is `life` later, in whole seconds.
///
/// The header names the key, unless it began to sign before it had a name ([`KeySet::is_nameless`]).
///
/// # Errors
///
/// When no key signs, or the token would be longer than one may be.
pub fn issue(keys: &KeySet, token: &NewToken, now: Timestamp, life: Duration) -> Result<String, IssueError> {
    let (record, material) = keys.signing().ok_or(IssueError::NoKey)?;
    let kid = (!keys.is_nameless(&record.id)).then(|| record.id.to_string());
    let iat = now.micros().div_euclid(1_000_000);
    let exp = iat.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    sign(material, kid, &Claims { token, exp, iat })
}

/// Signs claims with a key.
pub(super) fn sign(
    material: &KeyMaterial,
    kid: Option<String>,
    claims: &impl Serialize,
) -> Result<String, IssueError> {
    let header = Header { kid, ..Header::new(algorithm(material.algorithm())) };
    let text = jsonwebtoken::encode(&header, claims, &material.encoding_key()?)
        .map_err(|error| IssueError::Library(error.to_string()))?;
    if text.len() > policy_core::token::MAX_TOKEN_BYTES {
        return Err(IssueError::TooLong { bytes: text.len() });
    }
    Ok(text)
}

const fn algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
    }
}

/// Why no token was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// No key signs.
    #[error("no key signs")]
    NoKey,
    /// Verifiers refuse what is so long (SPEC section 6).
    #[error("the token would have {bytes} bytes, and {} is the most", policy_core::token::MAX_TOKEN_BYTES)]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// The key is none.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The library cannot sign.
    #[error("cannot sign: {0}")]
    Library(String),
}

impl From<IssueError> for HostError {
    fn from(error: IssueError) -> Self {
        let help = match &error {
            IssueError::NoKey => "let `pbac keys rotate` make one",
            IssueError::TooLong { .. } => "name fewer roles in it",
            IssueError::Material(error) => return (*error).into(),
            IssueError::Library(_) => "check the key with `pbac keys verify`",
        };
        Self::new(Exit::Failed, error).help(help)
    }
}

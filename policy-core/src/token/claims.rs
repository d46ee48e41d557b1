//! The second part of a token: what it says about whom.

use super::TokenError;
use super::json::object;
use super::value::Value;
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// The claims of the source document. Texts are borrowed from the token where it has no escapes in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims<'a> {
    /// Whom it is about.
    pub user_id: Option<UserClaim<'a>>,
    /// Their name for people.
    pub username: Option<Cow<'a, str>>,
    /// Where to write to them.
    pub email: Option<Cow<'a, str>>,
    /// The spellings of their roles; none where the token names none.
    pub roles: Vec<Cow<'a, str>>,
    /// From then on the token is worth nothing (RFC 7519 section 4.1.4).
    pub exp: Timestamp,
    /// When it was issued, as it says (RFC 7519 section 4.1.6).
    pub iat: Option<Timestamp>,
}

/// The id of a user as a token has it. User ids are opaque to us; applications write numbers as well as texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserClaim<'a> {
    /// A JSON number.
    Number(i64),
    /// A JSON string.
    Text(Cow<'a, str>),
}

impl fmt::Display for UserClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// The claims that mean something to us.
const NAMES: [&str; 9] = ["user_id", "username", "email", "roles", "exp", "iat", "nbf", "iss", "aud"];

/// Claims whose types are right, whatever the time.
pub(super) struct Read<'a> {
    pub(super) claims: Claims<'a>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) issuer: Option<Cow<'a, str>>,
    /// A text, a list of texts, or nothing.
    pub(super) audience: Value<'a>,
}

/// Reads claims from their JSON.
pub(super) fn read(json: &[u8]) -> Result<Read<'_>, TokenError> {
    // A claim that is not there is as one that is `null`, as applications write what they do not know.
    let [user_id, username, email, roles, exp, iat, nbf, iss, aud] =
        object(json, &NAMES).ok_or(TokenError::MalformedClaims)?;
    Ok(Read {
        claims: Claims {
            user_id: user(user_id)?,
            username: text(username, "username")?,
            email: text(email, "email")?,
            roles: texts(roles, "roles")?,
            exp: date(&exp, "exp")?.ok_or(TokenError::MissingExpiry)?,
            iat: date(&iat, "iat")?,
        },
        not_before: date(&nbf, "nbf")?,
        issuer: text(iss, "iss")?,
        audience: match aud {
            aud @ (Value::Absent | Value::Null | Value::Text(_) | Value::Texts(_)) => aud,
            _ => return Err(TokenError::InvalidClaim("aud")),
        },
    })
}

fn user(value: Value<'_>) -> Result<Option<UserClaim<'_>>, TokenError> {
    const WRONG: TokenError = TokenError::InvalidClaim("user_id");
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(UserClaim::Number(number))),
        Value::Text(text) => Ok(Some(UserClaim::Text(text))),
        _ => Err(WRONG),
    }
}

fn text<'a>(value: Value<'a>, claim: &'static str) -> Result<Option<Cow<'a, str>>, TokenError> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        _ => Err(TokenError::InvalidClaim(claim)),
    }
}

fn texts<'a>(value: Value<'a>, claim: &'static str) -> Result<Vec<Cow<'a, str>>, TokenError> {
    match value {
        Value::Absent | Value::Null => Ok(Vec::new()),
        Value::Texts(texts) => Ok(texts),
        _ => Err(TokenError::InvalidClaim(claim)),
    }
}

/// A moment in seconds since 1970, whole or with a fraction (RFC 7519 section 2, NumericDate). What microseconds in 64 bits
/// cannot hold, 292,000 years from now, is no date.
fn date(value: &Value<'_>, claim: &'static str) -> Result<Option<Timestamp>, TokenError> {
    let micros = match value {
        Value::Absent | Value::Null => return Ok(None),
        Value::Integer(seconds) => seconds.checked_mul(1_000_000),
        Value::Decimal(seconds) => seconds.millionths(),
        _ => None,
    };
    micros.map(Timestamp::from_micros).map(Some).ok_or(TokenError::InvalidClaim(claim))
}

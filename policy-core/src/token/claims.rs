//! The second part of a token: what it says about whom.

use super::TokenError;
use super::value::{Value, object};
use crate::time::Timestamp;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use serde::Deserialize;

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

/// Claims as JSON has them. One that is there twice is refused by the reader; others mean nothing to us.
#[derive(Deserialize)]
pub(super) struct Members<'a> {
    #[serde(borrow, default = "null")]
    user_id: Value<'a>,
    #[serde(borrow, default = "null")]
    username: Value<'a>,
    #[serde(borrow, default = "null")]
    email: Value<'a>,
    #[serde(borrow, default = "null")]
    roles: Value<'a>,
    #[serde(borrow, default = "null")]
    exp: Value<'a>,
    #[serde(borrow, default = "null")]
    iat: Value<'a>,
    #[serde(borrow, default = "null")]
    nbf: Value<'a>,
    #[serde(borrow, default = "null")]
    iss: Value<'a>,
    #[serde(borrow, default = "null")]
    aud: Value<'a>,
}

/// A claim that is not there, or is `null`, as applications write what they do not know.
const fn null<'a>() -> Value<'a> {
    Value::Null
}

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
    let members: Option<Members<'_>> = object(json).and_then(|text| serde_json::from_str(text).ok());
    let members = members.ok_or(TokenError::MalformedClaims)?;
    Ok(Read {
        claims: Claims {
            user_id: user(members.user_id)?,
            username: text(members.username, "username")?,
            email: text(members.email, "email")?,
            roles: texts(members.roles, "roles")?,
            exp: date(&members.exp, "exp")?.ok_or(TokenError::MissingExpiry)?,
            iat: date(&members.iat, "iat")?,
        },
        not_before: date(&members.nbf, "nbf")?,
        issuer: text(members.iss, "iss")?,
        audience: match members.aud {
            aud @ (Value::Null | Value::Text(_) | Value::Texts(_)) => aud,
            _ => return Err(TokenError::InvalidClaim("aud")),
        },
    })
}

fn user(value: Value<'_>) -> Result<Option<UserClaim<'_>>, TokenError> {
    const WRONG: TokenError = TokenError::InvalidClaim("user_id");
    match value {
        Value::Null => Ok(None),
        Value::Signed(number) => Ok(Some(UserClaim::Number(number))),
        Value::Unsigned(number) => i64::try_from(number).map(UserClaim::Number).map(Some).map_err(|_| WRONG),
        Value::Text(text) => Ok(Some(UserClaim::Text(text))),
        _ => Err(WRONG),
    }
}

fn text<'a>(value: Value<'a>, claim: &'static str) -> Result<Option<Cow<'a, str>>, TokenError> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        _ => Err(TokenError::InvalidClaim(claim)),
    }
}

fn texts<'a>(value: Value<'a>, claim: &'static str) -> Result<Vec<Cow<'a, str>>, TokenError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Texts(texts) => Ok(texts),
        _ => Err(TokenError::InvalidClaim(claim)),
    }
}

/// A moment in seconds since 1970, whole or with a fraction (RFC 7519 section 2, NumericDate). What microseconds in 64 bits
/// cannot hold, 292,000 years from now, is no date.
fn date(value: &Value<'_>, claim: &'static str) -> Result<Option<Timestamp>, TokenError> {
    const MICROS: f64 = 1_000_000.0;
    // The largest power of two below the limit: up to it a float is a whole number of microseconds that fits.
    const MOST: f64 = 9.0e18;
    let micros = match *value {
        Value::Null => return Ok(None),
        Value::Signed(seconds) => seconds.checked_mul(1_000_000),
        Value::Unsigned(seconds) => i64::try_from(seconds).ok().and_then(|s| s.checked_mul(1_000_000)),
        Value::Float(seconds) if (seconds * MICROS).abs() < MOST => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is within the range, and less than a microsecond is cut"
            )]
            let micros = (seconds * MICROS) as i64;
            Some(micros)
        }
        _ => None,
    };
    micros.map(Timestamp::from_micros).map(Some).ok_or(TokenError::InvalidClaim(claim))
}

//! The first part of a token: which key it says it is from.

use super::TokenError;
use super::value::Value;
use alloc::borrow::Cow;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a token says of itself before anything is verified (RFC 7515 section 4). Good for finding the key, and for nothing
/// else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The algorithm that it claims. The key decides, and a token that says otherwise is refused.
    pub algorithm: Cow<'a, str>,
    /// The name of its key; none in tokens from before there were names.
    pub kid: Option<Cow<'a, str>>,
}

/// A header as JSON has it. Members that are not named here mean nothing to us: keys and addresses of keys in a token
/// (`jwk`, `jku`, `x5u`) least of all.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    alg: Value<'a>,
    #[serde(borrow, default)]
    kid: Option<Given<'a>>,
    #[serde(default)]
    crit: Option<Present>,
}

/// A value that is there: also `null`, which an `Option` alone would take for none.
struct Given<'a>(Value<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

/// As [`Given`], whatever the value.
struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Reads a header from its JSON.
///
/// # Errors
///
/// [`TokenError::MalformedHeader`] when it is no object with a text `alg` and, if any, a text `kid`, each once;
/// [`TokenError::UnsupportedExtension`] when it has a `crit`.
pub fn header(json: &[u8]) -> Result<Header<'_>, TokenError> {
    let members: Members<'_> = serde_json::from_slice(json).map_err(|_| TokenError::MalformedHeader)?;
    if members.crit.is_some() {
        return Err(TokenError::UnsupportedExtension);
    }
    let Value::Text(algorithm) = members.alg else { return Err(TokenError::MalformedHeader) };
    let kid = match members.kid {
        None => None,
        Some(Given(Value::Text(kid))) => Some(kid),
        Some(_) => return Err(TokenError::MalformedHeader),
    };
    Ok(Header { algorithm, kid })
}

//! The first part of a token: which key it says it is from.

use super::TokenError;
use super::value::{Value, object};
use alloc::borrow::Cow;
use serde::Deserialize;

/// What a token says of itself before anything is verified (RFC 7515 section 4). Good for finding the key, and for nothing
/// else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The algorithm that it claims. The key decides, and a token that says otherwise is refused.
    pub algorithm: Cow<'a, str>,
    /// The name of its key; none in tokens from before there were names.
    pub kid: Option<Cow<'a, str>>,
}

/// A header as JSON has it. One of these members that is there twice is refused by the reader. Members that are not named here mean nothing to us: keys and addresses of keys in a token
/// (`jwk`, `jku`, `x5u`) least of all.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    alg: Value<'a>,
    #[serde(borrow, default = "absent")]
    kid: Value<'a>,
    #[serde(borrow, default = "absent")]
    crit: Value<'a>,
}

/// A member that is not there. One that is `null` is there: a token does not get every key tried by a `kid` that says nothing.
const fn absent<'a>() -> Value<'a> {
    Value::Absent
}

/// Reads a header from its JSON.
///
/// # Errors
///
/// [`TokenError::MalformedHeader`] when it is no object with a text `alg` and, if any, a text `kid`, each once;
/// [`TokenError::UnsupportedExtension`] when it has a `crit`.
pub fn header(json: &[u8]) -> Result<Header<'_>, TokenError> {
    let members: Option<Members<'_>> = object(json).and_then(|text| serde_json::from_str(text).ok());
    let members = members.ok_or(TokenError::MalformedHeader)?;
    if members.crit != Value::Absent {
        return Err(TokenError::UnsupportedExtension);
    }
    let Value::Text(algorithm) = members.alg else { return Err(TokenError::MalformedHeader) };
    let kid = match members.kid {
        Value::Absent => None,
        Value::Text(kid) => Some(kid),
        _ => return Err(TokenError::MalformedHeader),
    };
    Ok(Header { algorithm, kid })
}

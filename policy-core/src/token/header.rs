//! The first part of a token: which key it says it is from.

use super::TokenError;
use super::json::object;
use super::value::Value;
use alloc::borrow::Cow;

/// What a token says of itself before anything is verified (RFC 7515 section 4). Good for finding the key, and for nothing
/// else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header<'a> {
    /// The algorithm that it claims. The key decides, and a token that says otherwise is refused.
    pub algorithm: Cow<'a, str>,
    /// The name of its key; none in tokens from before there were names.
    pub kid: Option<Cow<'a, str>>,
}

/// Reads a header from its JSON.
///
/// # Errors
///
/// [`TokenError::MalformedHeader`] when it is no object with a text `alg` and, if any, a text `kid`, each once;
/// [`TokenError::UnsupportedExtension`] when it has a `crit`.
pub fn header(json: &[u8]) -> Result<Header<'_>, TokenError> {
    // Other members mean nothing to us: keys and addresses of keys in a token (`jwk`, `jku`, `x5u`) least of all. And a token does not
    // get every key tried by a `kid` that is there and says nothing: `null` is no absence.
    let [alg, kid, crit] = object(json, &["alg", "kid", "crit"]).ok_or(TokenError::MalformedHeader)?;
    if crit != Value::Absent {
        return Err(TokenError::UnsupportedExtension);
    }
    let Value::Text(algorithm) = alg else { return Err(TokenError::MalformedHeader) };
    let kid = match kid {
        Value::Absent => None,
        Value::Text(kid) => Some(kid),
        _ => return Err(TokenError::MalformedHeader),
    };
    Ok(Header { algorithm, kid })
}

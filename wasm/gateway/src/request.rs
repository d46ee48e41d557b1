//! What of a request counts.

use crate::identity::{is_ours, reads_as};
use thiserror::Error;

/// Headers that make some frameworks serve another method or path than the request line has. With one of them the
/// permission of one request would open another.
const OVERRIDES: [&str; 6] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

/// A request, as far as it counts.
#[derive(PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The token; none where the request has no `Authorization: Bearer`.
    pub token: Option<&'a str>,
}

/// Why a request is not even looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Unusable {
    /// It lacks a method or a path, has two, or one that is not text.
    #[error("the request line is malformed")]
    RequestLine,
    /// It asks to be taken for another one.
    #[error("a header asks for another method or path than the request's own")]
    Override,
    /// It has several `Authorization`, and the gateway and the application could each go by another.
    #[error("there is more than one `Authorization`")]
    SeveralTokens,
}

impl Unusable {
    /// The word for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "malformed_request",
            Self::Override => "override_header",
            Self::SeveralTokens => "several_tokens",
        }
    }
}

impl<'a> Request<'a> {
    /// Reads the headers, the pseudo-headers of HTTP/2 among them, as a proxy has them for every version of HTTP.
    ///
    /// # Errors
    ///
    /// When what would be decided about could be another request to the application.
    pub fn read(headers: &'a [(String, Vec<u8>)]) -> Result<Self, Unusable> {
        if headers.iter().any(|(name, _)| OVERRIDES.iter().any(|other| reads_as(name, other))) {
            return Err(Unusable::Override);
        }
        let method = only(headers, ":method")?;
        let target = only(headers, ":path")?;
        let mut authorizations = headers.iter().filter(|(name, _)| reads_as(name, "authorization"));
        let token = match (authorizations.next(), authorizations.next()) {
            (None, _) => None,
            (Some((_, value)), None) => bearer(value),
            (Some(_), Some(_)) => return Err(Unusable::SeveralTokens),
        };
        // Envoy joins headers of one name so, and no token has a comma.
        if token.is_some_and(|token| token.contains(',')) {
            return Err(Unusable::SeveralTokens);
        }
        Ok(Self { method, target, token })
    }
}

/// The names of the headers that only the gateway may set and this request brings along, as they are spelled.
#[must_use]
pub fn spoofed(headers: &[(String, Vec<u8>)]) -> Vec<&str> {
    let mut names: Vec<&str> =
        headers.iter().map(|(name, _)| name.as_str()).filter(|name| is_ours(name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn only<'a>(headers: &'a [(String, Vec<u8>)], wanted: &str) -> Result<&'a str, Unusable> {
    let mut values = headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => core::str::from_utf8(value).map_err(|_| Unusable::RequestLine),
        _ => Err(Unusable::RequestLine),
    }
}

/// The token of `Bearer` (RFC 6750 section 2.1), whose name is read in any case (RFC 9110 section 11.1). None for another
/// scheme. What is no text is an empty token, which is refused as malformed.
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| core::str::from_utf8(token).unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn headers(more: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let line = [(":method", "GET"), (":path", "/a?b"), (":authority", "h")];
        line.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn takes_one_bearer_token() {
        let token = |value: &str| {
            let headers = headers(&[("authorization", value)]);
            Request::read(&headers).unwrap().token.map(str::to_owned)
        };
        assert_eq!(token("Bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("Bearer  a.b.c").as_deref(), Some(" a.b.c"), "which is no token");
        for other in ["Basic YTpi", "Bearer", "Bearertoken", "", "Token a.b.c"] {
            assert_eq!(token(other), None, "{other}");
        }
        let joined = headers(&[("authorization", "Bearer a.b.c,Bearer a.b.c")]);
        assert_eq!(Request::read(&joined), Err(Unusable::SeveralTokens));
        let two = headers(&[("authorization", "Bearer a"), ("Authorization", "Bearer a")]);
        assert_eq!(Request::read(&two), Err(Unusable::SeveralTokens));
    }

    #[test]
    fn refuses_to_be_taken_for_another_request() {
        for name in [
            "x-http-method-override",
            "X-HTTP-Method",
            "x_method_override",
            "X-Original-URL",
            "x-rewrite-url",
        ] {
            assert_eq!(Request::read(&headers(&[(name, "DELETE")])), Err(Unusable::Override), "{name}");
        }
        assert_eq!(Request::read(&headers(&[(":path", "/b")])), Err(Unusable::RequestLine), "two paths");
        let mut no_method = headers(&[]);
        no_method.remove(0);
        assert_eq!(Request::read(&no_method), Err(Unusable::RequestLine));
        let mut no_text = headers(&[]);
        no_text.get_mut(1).unwrap().1 = vec![b'/', 0xff];
        assert_eq!(Request::read(&no_text), Err(Unusable::RequestLine));
    }

    #[test]
    fn finds_every_spelling_of_the_headers_that_are_ours() {
        let headers = headers(&[
            ("x-user-id", "1"),
            ("X-User-ID", "1"),
            ("x_user_id", "1"),
            ("x-user_permissions", "po.approve"),
            ("x-user-id", "2"),
            ("x.user.id", "3"),
            ("x-user-agent", "grpc"),
        ]);
        assert_eq!(
            spoofed(&headers),
            ["X-User-ID", "x-user-id", "x-user_permissions", "x.user.id", "x_user_id"]
        );
    }
}

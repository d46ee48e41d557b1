//! The answer to a request that does not pass.

use crate::judge::{Denial, Kind};
use policy_core::route::Route;
use serde::Serialize;

/// A whole answer.
#[derive(PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The value of `WWW-Authenticate` (RFC 6750 section 3), with status 401.
    pub challenge: Option<String>,
    /// A problem document (RFC 9457), `application/problem+json`.
    pub body: String,
}

/// The problem document. Its type is `about:blank`, so the title is that of the status.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<&'a str>,
    reason: &'static str,
}

impl Answer {
    /// The answer to this denial.
    #[must_use]
    pub fn to(denial: &Denial<'_>, realm: &str) -> Self {
        let permission = denial.route.and_then(|route: &Route| route.access().name());
        let (title, detail) = words(denial.kind);
        let needs = permission.map(|name| format!("the permission {name} is needed"));
        let problem = Problem {
            r#type: "about:blank",
            title,
            status: denial.kind.status(),
            detail: needs.as_deref().unwrap_or(detail),
            permission,
            reason: denial.reason,
        };
        Self {
            status: denial.kind.status(),
            challenge: challenge(denial, realm),
            // Texts and a number: there is nothing that could not be written.
            body: serde_json::to_string(&problem).unwrap_or_default(),
        }
    }
}

const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::BadRequest => ("Bad Request", "this request could mean more than one thing"),
        Kind::NoToken => ("Unauthorized", "a bearer token is needed"),
        Kind::BadToken => ("Unauthorized", "the token is not accepted"),
        Kind::Forbidden => ("Forbidden", "this is not allowed"),
        Kind::Unavailable => ("Service Unavailable", "there is no policy to decide by"),
    }
}

/// Without a token no error is named (RFC 6750 section 3.1). Reasons are single words, so they need no escapes.
fn challenge(denial: &Denial<'_>, realm: &str) -> Option<String> {
    match denial.kind {
        Kind::NoToken => Some(format!(r#"Bearer realm="{realm}""#)),
        Kind::BadToken => Some(format!(
            r#"Bearer realm="{realm}", error="invalid_token", error_description="{}""#,
            denial.reason
        )),
        Kind::BadRequest | Kind::Forbidden | Kind::Unavailable => None,
    }
}

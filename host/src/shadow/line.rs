//! One line of a log: a request as the legacy application answered it.

use std::borrow::Cow;
use std::fmt;

use policy_core::{Timestamp, UserId};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::report::time::parse_time;

/// A request and the legacy verdict on it.
#[derive(Debug)]
pub(super) struct Line<'l> {
    pub(super) user: Cow<'l, str>,
    /// The roles that the request came with; without them the stored ones count.
    pub(super) roles: Option<Vec<Cow<'l, str>>>,
    pub(super) target: Target<'l>,
    /// Whether the legacy application let it through.
    pub(super) allowed: bool,
    pub(super) at: Option<Timestamp>,
}

/// What was asked for.
#[derive(Debug)]
pub(super) enum Target<'l> {
    /// Method and path.
    Endpoint(Cow<'l, str>),
    Permission(Cow<'l, str>),
}

#[derive(Deserialize)]
struct Fields<'l> {
    #[serde(borrow)]
    user: Text<'l>,
    #[serde(borrow, default)]
    roles: Option<Vec<Text<'l>>>,
    #[serde(borrow, default)]
    endpoint: Option<Text<'l>>,
    #[serde(borrow, default)]
    permission: Option<Text<'l>>,
    legacy: Verdict,
    #[serde(borrow, default)]
    at: Option<Text<'l>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Allow,
    Deny,
}

impl<'l> Line<'l> {
    /// Reads the line; the error says what is wrong with it.
    pub(super) fn parse(bytes: &'l [u8]) -> Result<Self, String> {
        let fields: Fields<'l> = serde_json::from_slice(bytes).map_err(|error| describe(&error))?;
        let target = match (fields.endpoint, fields.permission) {
            (Some(endpoint), None) => Target::Endpoint(endpoint.0),
            (None, Some(permission)) => Target::Permission(permission.0),
            (None, None) => return Err("it names neither `endpoint` nor `permission`".to_owned()),
            (Some(_), Some(_)) => return Err("it names `endpoint` and `permission`; one of them".to_owned()),
        };
        UserId::parse(&fields.user.0).map_err(|error| format!("`user`: {error}"))?;
        let at = fields.at.map(|text| parse_time(&text.0)).transpose()?;
        let roles = fields.roles.map(|roles| roles.into_iter().map(|role| role.0).collect());
        Ok(Self { user: fields.user.0, roles, target, allowed: matches!(fields.legacy, Verdict::Allow), at })
    }
}

/// serde's words with the column, and without the line, which is always the first.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("{text} (column {})", error.column())
}

/// A string, or the digits of a whole number: ids are logged as both.
struct Text<'l>(Cow<'l, str>);

impl<'de: 'l, 'l> Deserialize<'de> for Text<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a whole number")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Line<'_>, String> {
        Line::parse(text.as_bytes())
    }

    #[test]
    fn reads_ids_as_strings_and_as_numbers() {
        let line =
            read(r#"{"user": 7, "roles": ["A\u0041"], "permission": "a.b", "legacy": "allow", "ms": 3}"#)
                .unwrap();
        assert_eq!((line.user.as_ref(), line.allowed), ("7", true));
        assert_eq!(line.roles.unwrap(), ["AA"]);
        let line =
            read(r#"{"user":"7","endpoint":"GET /x","legacy":"deny","at":"2026-01-31T12:00:00Z"}"#).unwrap();
        assert!(matches!(line.target, Target::Endpoint(text) if text == "GET /x"));
        assert!(line.roles.is_none() && !line.allowed && line.at.is_some());
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("x", "expected value (column 1)"),
            ("[]", "invalid length 0, expected struct Fields with 6 elements (column 2)"),
            (r#"{"permission":"a.b","legacy":"allow"}"#, "missing field `user` (column 37)"),
            (r#"{"user":"1","permission":"a.b"}"#, "missing field `legacy` (column 31)"),
            (r#"{"user":"1","legacy":"allow"}"#, "it names neither `endpoint` nor `permission`"),
            (
                r#"{"user":"1","legacy":"allow","permission":"a.b","endpoint":"GET /"}"#,
                "it names `endpoint` and `permission`; one of them",
            ),
            (
                r#"{"user":"1","legacy":"maybe","permission":"a.b"}"#,
                "unknown variant `maybe`, expected `allow` or `deny` (column 28)",
            ),
            (r#"{"user":"","legacy":"deny","permission":"a.b"}"#, "`user`: "),
            (
                r#"{"user":true,"legacy":"deny","permission":"a.b"}"#,
                "invalid type: boolean `true`, expected a string or",
            ),
            (r#"{"user":"1","user":"2","legacy":"deny","permission":"a.b"}"#, "duplicate field `user`"),
            (r#"{"user":"1","legacy":"deny","permission":"a.b","at":"noon"}"#, "`noon` is no time"),
            (r#"{"user":"1","roles":"A","legacy":"deny","permission":"a.b"}"#, "invalid type: string \"A\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}

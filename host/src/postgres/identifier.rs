//! Names of schemas, tables and columns: what PostgreSQL can hold, and the one place where they are quoted.
//!
//! Values always travel as bound parameters. A name cannot be bound, so the few statements that need one take it
//! from [`Identifier::quoted`] or [`QualifiedName::quoted`]; nothing else may put a name into SQL text.

use std::fmt;
use std::str::{Chars, FromStr};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::HostError;

/// The most bytes PostgreSQL keeps of a name (`NAMEDATALEN - 1`); it cuts longer ones short in silence.
pub const MAX_IDENTIFIER_BYTES: usize = 63;

/// The name of a schema, table or column, exactly as the catalog stores it: 1 to 63 bytes of UTF-8 without NUL.
///
/// ```
/// use pbac::postgres::Identifier;
///
/// let name = Identifier::new("user role").unwrap();
/// assert_eq!(name.as_str(), "user role");
/// assert_eq!(name.quoted(), r#""user role""#);
/// assert!(Identifier::new("").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(String);

impl Identifier {
    /// Takes `name` literally: nothing is folded, trimmed or unquoted.
    ///
    /// # Errors
    ///
    /// When `name` is empty, holds a NUL, or is longer than [`MAX_IDENTIFIER_BYTES`].
    pub fn new(name: impl Into<String>) -> Result<Self, IdentifierError> {
        let name = name.into();
        let kind = if name.is_empty() {
            IdentifierErrorKind::Empty
        } else if name.contains('\0') {
            IdentifierErrorKind::Nul
        } else if name.len() > MAX_IDENTIFIER_BYTES {
            IdentifierErrorKind::TooLong { bytes: name.len() }
        } else {
            return Ok(Self(name));
        };
        Err(IdentifierError { input: name, kind })
    }

    /// The name without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in double quotes, ready to stand in SQL text.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }

    /// Whether PostgreSQL reads the bare name as this same name (keywords aside).
    fn is_plain(&self) -> bool {
        let mut chars = self.0.chars();
        chars.next().is_some_and(|first| first == '_' || first.is_ascii_lowercase())
            && chars.all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    }
}

impl fmt::Display for Identifier {
    /// As a person would write it: quoted only where it must be. Use [`Identifier::quoted`] for SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain() { f.write_str(&self.0) } else { f.write_str(&self.quoted()) }
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A table together with its schema, such as `public.users`.
///
/// ```
/// use pbac::postgres::QualifiedName;
///
/// let name: QualifiedName = r#"public."User Table""#.parse().unwrap();
/// assert_eq!(name.table.as_str(), "User Table");
/// assert_eq!(name.quoted(), r#""public"."User Table""#);
/// assert_eq!(name.to_string(), r#"public."User Table""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema that holds the table.
    pub schema: Identifier,
    /// The table within it.
    pub table: Identifier,
}

impl QualifiedName {
    /// Joins the two literal names.
    #[must_use]
    pub fn new(schema: Identifier, table: Identifier) -> Self {
        Self { schema, table }
    }

    /// Reads `schema.table`. A part in double quotes is literal (`""` is one quote); a bare part is lower-case
    /// letters, digits, `_` and `$`, not beginning with a digit or `$`.
    ///
    /// # Errors
    ///
    /// When a part is missing, is no name, or has upper-case letters outside quotes: PostgreSQL would fold them,
    /// and which table was meant is not guessed.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let fail = |kind| IdentifierError { input: text.to_owned(), kind };
        let mut chars = text.chars();
        let (schema, more) = parse_part(&mut chars).map_err(fail)?;
        if !more {
            return Err(fail(IdentifierErrorKind::NoSchema));
        }
        let (table, more) = parse_part(&mut chars).map_err(fail)?;
        if more {
            return Err(fail(IdentifierErrorKind::TooManyParts));
        }
        Ok(Self { schema: Identifier::new(schema)?, table: Identifier::new(table)? })
    }

    /// Both names in double quotes, ready to stand in SQL text.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.table.quoted())
    }
}

impl fmt::Display for QualifiedName {
    /// As a person would write it; [`QualifiedName::parse`] reads it back. Use [`QualifiedName::quoted`] for SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl FromStr for QualifiedName {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for QualifiedName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QualifiedName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Reads one part and the dot after it; says whether there was one.
fn parse_part(chars: &mut Chars<'_>) -> Result<(String, bool), IdentifierErrorKind> {
    let mut part = String::new();
    if chars.as_str().starts_with('"') {
        chars.next();
        loop {
            match chars.next() {
                None => return Err(IdentifierErrorKind::OpenQuote),
                Some('"') => match chars.next() {
                    Some('"') => part.push('"'),
                    Some('.') => return Ok((part, true)),
                    None => return Ok((part, false)),
                    Some(found) => return Err(IdentifierErrorKind::Unexpected { found }),
                },
                Some(c) => part.push(c),
            }
        }
    }
    for c in chars.by_ref() {
        match c {
            '.' => return Ok((part, true)),
            'A'..='Z' => return Err(IdentifierErrorKind::UpperCase { found: c }),
            'a'..='z' | '_' => part.push(c),
            '0'..='9' | '$' if !part.is_empty() => part.push(c),
            found => return Err(IdentifierErrorKind::Unexpected { found }),
        }
    }
    Ok((part, false))
}

/// Why a text names no schema, table or column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a name PostgreSQL can hold: {kind}", .input.escape_debug())]
pub struct IdentifierError {
    /// The text as it was given.
    pub input: String,
    /// What is wrong with it.
    pub kind: IdentifierErrorKind,
}

impl From<IdentifierError> for HostError {
    fn from(error: IdentifierError) -> Self {
        Self::usage(error)
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierErrorKind {
    /// No characters at all.
    #[error("it is empty; a name has 1 to 63 bytes")]
    Empty,
    /// A NUL byte, which no PostgreSQL text can hold.
    #[error("it holds a NUL byte; remove it")]
    Nul,
    /// More bytes than PostgreSQL keeps.
    #[error("it has {bytes} bytes, and PostgreSQL keeps only the first 63; choose a shorter name")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// A table without its schema.
    #[error("it names no schema; write `schema.table`, such as `public.users`")]
    NoSchema,
    /// More than a schema and a table.
    #[error("it has more than two parts; write `schema.table`, and a dot inside a name in double quotes")]
    TooManyParts,
    /// A double quote that is never closed.
    #[error("a double quote is not closed; write `\"\"` for a quote inside a quoted name")]
    OpenQuote,
    /// An upper-case letter outside quotes.
    #[error(
        "PostgreSQL reads a bare `{found}` in lower case; put the name in double quotes or write it in lower case"
    )]
    UpperCase {
        /// The first one.
        found: char,
    },
    /// A character that cannot stand where it does.
    #[error("`{}` cannot stand there; put the name in double quotes", .found.escape_debug())]
    Unexpected {
        /// The character.
        found: char,
    },
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn kind(text: &str) -> IdentifierErrorKind {
        QualifiedName::parse(text).unwrap_err().kind
    }

    #[test]
    fn accepts_what_the_catalog_can_hold() {
        for name in ["a", " ", "a\"b", "Ünïcode", "; drop table users --", &"x".repeat(63), &"é".repeat(31)]
        {
            assert_eq!(Identifier::new(name).unwrap().as_str(), name);
        }
        assert_eq!(Identifier::new("").unwrap_err().kind, IdentifierErrorKind::Empty);
        assert_eq!(Identifier::new("a\0b").unwrap_err().kind, IdentifierErrorKind::Nul);
        assert_eq!(
            Identifier::new("é".repeat(32)).unwrap_err().kind,
            IdentifierErrorKind::TooLong { bytes: 64 }
        );
    }

    #[test]
    fn quotes_double() {
        assert_eq!(Identifier::new(r#"a"b""#).unwrap().quoted(), r#""a""b""""#);
    }

    #[test]
    fn reads_bare_and_quoted_parts() {
        for (text, schema, table) in [
            ("public.users", "public", "users"),
            (r#""public"."users""#, "public", "users"),
            (r#"public."a.b""#, "public", "a.b"),
            (r#""a""b".t$1"#, "a\"b", "t$1"),
        ] {
            let name = QualifiedName::parse(text).unwrap();
            assert_eq!((name.schema.as_str(), name.table.as_str()), (schema, table), "{text}");
            assert_eq!(QualifiedName::parse(&name.to_string()).unwrap(), name, "{text}");
            assert_eq!(QualifiedName::parse(&name.quoted()).unwrap(), name, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(kind("users"), IdentifierErrorKind::NoSchema);
        assert_eq!(kind("a.b.c"), IdentifierErrorKind::TooManyParts);
        assert_eq!(kind("a."), IdentifierErrorKind::Empty);
        assert_eq!(kind(".a"), IdentifierErrorKind::Empty);
        assert_eq!(kind("public.Users"), IdentifierErrorKind::UpperCase { found: 'U' });
        assert_eq!(kind("public.\"users"), IdentifierErrorKind::OpenQuote);
        assert_eq!(kind("public.\"users\"x"), IdentifierErrorKind::Unexpected { found: 'x' });
        assert_eq!(kind("public.users; drop"), IdentifierErrorKind::Unexpected { found: ';' });
        assert_eq!(kind("public.1a"), IdentifierErrorKind::Unexpected { found: '1' });
        assert_eq!(
            QualifiedName::parse("users").unwrap_err().to_string(),
            "`users` is not a name PostgreSQL can hold: it names no schema; write `schema.table`, such as `public.users`"
        );
    }
}

//! The names a policy uses (SPEC sections 1 and 2). A value of these types has been checked.

use crate::limits::{MAX_ROLE_NAME_BYTES, MAX_USER_ID_BYTES};
use crate::pattern::{self, Escaped, Kind, PatternError, shown};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// Declares a checked text: ordered and compared by bytes, shown as it is, serialised as a string.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(crate) fn from_checked(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use text_type;

text_type! {
    /// A permission: 2 to 8 segments joined by `.`, 100 bytes at most (SPEC section 1), for instance `po.approve`.
    PermissionName
}

text_type! {
    /// The name or an alias of a role: exact, case-sensitive UTF-8, 1 to 128 bytes, no control characters
    /// (SPEC section 2). "Purchasing Head" is a real one.
    RoleName
}

text_type! {
    /// A label for people: the module of a permission, the name of a conflict. 1 to 128 bytes, no control characters.
    Label
}

text_type! {
    /// A user's id: opaque UTF-8 of 1 to 256 bytes without U+0000, which PostgreSQL cannot hold (SPEC section 2).
    UserId
}

impl PermissionName {
    /// Reads a permission. Nothing is trimmed or lower-cased.
    ///
    /// # Errors
    /// Names the first byte, left to right, that cannot stand where it stands; a `*` is one.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::check(text)?;
        Ok(Self::from_checked(text))
    }

    /// As [`Self::parse`], without making one.
    pub(crate) fn check(text: &str) -> Result<(), PatternError> {
        pattern::check(text, Kind::Permission)
    }

    /// Whether `text` is a permission, without making one.
    pub(crate) fn is_valid(text: &str) -> bool {
        pattern::scan(text, Kind::Permission).is_ok()
    }

    /// The segments, left to right.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.as_str().split('.')
    }
}

impl RoleName {
    /// Reads a role name or alias.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self::from_checked(text))
    }

    /// As [`Self::parse`], without making one.
    pub(crate) fn check(text: &str) -> Result<(), NameError> {
        check(text, "role name", MAX_ROLE_NAME_BYTES, char::is_control)
    }
}

impl Label {
    /// Reads a label.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self::from_checked(text))
    }

    /// As [`Self::parse`], without making one.
    pub(crate) fn check(text: &str) -> Result<(), NameError> {
        check(text, "label", MAX_ROLE_NAME_BYTES, char::is_control)
    }
}

impl UserId {
    /// Reads a user id.
    ///
    /// # Errors
    /// When it is empty, longer than 256 bytes, or holds U+0000.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::check(text)?;
        Ok(Self::from_checked(text))
    }

    /// As [`Self::parse`], without making one.
    pub(crate) fn check(text: &str) -> Result<(), NameError> {
        check(text, "user id", MAX_USER_ID_BYTES, |c| c == '\0')
    }

    /// Whether `text` is a user id, without making one.
    pub(crate) fn is_valid(text: &str) -> bool {
        !text.is_empty() && text.len() <= MAX_USER_ID_BYTES && !text.bytes().any(|byte| byte == 0)
    }
}

/// Why a text is not a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameError {
    /// The text, cut after its first 120 bytes or so.
    pub text: String,
    /// Which kind of name was expected: `role name`, `label`, `user id`.
    pub expected: &'static str,
    /// What is wrong with it.
    pub kind: NameErrorKind,
}

/// What is wrong with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NameErrorKind {
    /// There is no text at all.
    Empty,
    /// More bytes than allowed.
    TooLong {
        /// The most bytes allowed.
        max: usize,
        /// The bytes there are.
        value: usize,
    },
    /// A character that may not occur.
    Character {
        /// Its offset in bytes.
        byte: usize,
        /// The character.
        found: char,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a {}: ", Escaped(&self.text), self.expected)?;
        match self.kind {
            NameErrorKind::Empty => f.write_str("it is empty"),
            NameErrorKind::TooLong { max, value } => write!(f, "it has {value} bytes, the limit is {max}"),
            NameErrorKind::Character { byte, found } => {
                write!(f, "byte {byte} is the control character U+{:04X}", u32::from(found))
            }
        }
    }
}

impl core::error::Error for NameError {}

#[inline(never)]
fn check(
    text: &str,
    expected: &'static str,
    max: usize,
    forbidden: fn(char) -> bool,
) -> Result<(), NameError> {
    let kind = if text.is_empty() {
        NameErrorKind::Empty
    } else if text.len() > max {
        NameErrorKind::TooLong { max, value: text.len() }
    } else if let Some((byte, found)) = text.char_indices().find(|&(_, c)| forbidden(c)) {
        NameErrorKind::Character { byte, found }
    } else {
        return Ok(());
    };
    Err(NameError { text: shown(text), expected, kind })
}

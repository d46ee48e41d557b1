//! Permissions and the patterns that match them (SPEC section 1).

use crate::limits::{MAX_NAME_BYTES, MAX_SEGMENT_BYTES, MAX_SEGMENTS};
use crate::name::{PermissionName, text_type};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Write};

text_type! {
    /// A permission in which `*` may stand as the last character of a segment (SPEC section 1), for instance
    /// `warehouse.*`, `reports.view_*`, `*.view` or `*`. Ordered by bytes.
    Pattern
}

impl Pattern {
    /// Reads a pattern. Nothing is trimmed or lower-cased.
    ///
    /// ```
    /// use policy_core::Pattern;
    /// assert!(Pattern::parse("reports.view_*").is_ok());
    /// assert_eq!(Pattern::parse("a*b.c").map_err(|e| e.byte), Err(2));
    /// ```
    ///
    /// # Errors
    /// Names the first byte, left to right, that cannot stand where it stands.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::check(text)?;
        Ok(Self::from_checked(text))
    }

    /// As [`Self::parse`], without making one.
    pub(crate) fn check(text: &str) -> Result<(), PatternError> {
        check(text, Kind::Pattern)
    }

    /// Whether the pattern matches `permission`, segment by segment (SPEC section 1).
    #[must_use]
    pub fn matches(&self, permission: &PermissionName) -> bool {
        matches(self.as_str(), permission.as_str())
    }

    /// Whether the pattern has no `*`, and so can match one permission only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.as_str().contains('*')
    }
}

/// Why a text is not a permission or not a pattern, and at which byte.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternError {
    /// The text, cut after its first 120 bytes or so.
    pub text: String,
    /// Offset of the first byte that cannot stand where it stands; the text's length when it ends too early.
    pub byte: usize,
    /// What is wrong there.
    pub kind: PatternErrorKind,
    expected: Kind,
}

/// What is wrong at the byte that a [`PatternError`] names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// There is no text at all.
    Empty,
    /// A segment has no characters.
    EmptySegment,
    /// A segment begins with `_` or `-`.
    SegmentStart,
    /// A character outside `a-z`, `0-9`, `_`, `-`.
    Character,
    /// Something follows a `*` in its segment.
    AfterStar,
    /// A `*` where a permission is asked for.
    StarInPermission,
    /// Only one segment, and not the pattern `*`.
    OneSegment,
    /// A segment of more than 63 bytes.
    SegmentTooLong,
    /// More than 8 segments.
    TooManySegments,
    /// More than 100 bytes.
    TooLong,
}

/// Which of the two a text is read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Permission,
    Pattern,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = match self.expected {
            Kind::Permission => "permission",
            Kind::Pattern => "pattern",
        };
        write!(f, "`{}` is not a {expected}: byte {} ", Escaped(&self.text), self.byte)?;
        match self.text.get(self.byte..).and_then(|rest| rest.chars().next()) {
            Some(found) => {
                f.write_str("(`")?;
                escape(f, found)?;
                f.write_str("`): ")?;
            }
            None => f.write_str("(the end): ")?,
        }
        f.write_str(match self.kind {
            PatternErrorKind::Empty => "there is nothing here",
            PatternErrorKind::EmptySegment => "a segment is empty",
            PatternErrorKind::SegmentStart => "a segment begins with `a` to `z` or `0` to `9`",
            PatternErrorKind::Character => {
                "only `a` to `z`, `0` to `9`, `_`, `-` and the `.` between segments may stand here"
            }
            PatternErrorKind::AfterStar => "`*` may stand only as the last character of a segment",
            PatternErrorKind::StarInPermission => "a permission has no `*`; only a pattern does",
            PatternErrorKind::OneSegment => "a `.` and a second segment are missing",
            PatternErrorKind::SegmentTooLong => "a segment has 63 bytes at most",
            PatternErrorKind::TooManySegments => "there are 8 segments at most",
            PatternErrorKind::TooLong => "there are 100 bytes at most",
        })
    }
}

impl core::error::Error for PatternError {}

/// Checks `text`, and says what is wrong with it in words that can be shown.
pub(crate) fn check(text: &str, expected: Kind) -> Result<(), PatternError> {
    scan(text, expected).map_err(|(byte, kind)| PatternError { text: shown(text), byte, kind, expected })
}

/// Checks `text` left to right and stops at the first byte that cannot stand where it stands. Allocates nothing, since
/// a request with a malformed permission is answered through it.
pub(crate) fn scan(text: &str, expected: Kind) -> Result<(), (usize, PatternErrorKind)> {
    let fail = |byte: usize, kind| Err((byte, kind));
    if text.is_empty() {
        return fail(0, PatternErrorKind::Empty);
    }
    let mut segments = 1_usize;
    let mut length = 0_usize;
    let mut star = false;
    for (at, byte) in text.bytes().enumerate() {
        if at >= MAX_NAME_BYTES {
            return fail(at, PatternErrorKind::TooLong);
        }
        if byte == b'.' {
            if length == 0 {
                return fail(at, PatternErrorKind::EmptySegment);
            }
            if segments >= MAX_SEGMENTS {
                return fail(at, PatternErrorKind::TooManySegments);
            }
            segments = segments.saturating_add(1);
            length = 0;
            star = false;
            continue;
        }
        if star {
            return fail(at, PatternErrorKind::AfterStar);
        }
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'_' | b'-' if length > 0 => {}
            b'_' | b'-' => return fail(at, PatternErrorKind::SegmentStart),
            b'*' if expected == Kind::Pattern => star = true,
            b'*' => return fail(at, PatternErrorKind::StarInPermission),
            _ => return fail(at, PatternErrorKind::Character),
        }
        if length >= MAX_SEGMENT_BYTES {
            return fail(at, PatternErrorKind::SegmentTooLong);
        }
        length = length.saturating_add(1);
    }
    if length == 0 {
        return fail(text.len(), PatternErrorKind::EmptySegment);
    }
    if segments == 1 && text != "*" {
        return fail(text.len(), PatternErrorKind::OneSegment);
    }
    Ok(())
}

/// SPEC section 1, on a valid pattern and a valid permission.
pub(crate) fn matches(pattern: &str, permission: &str) -> bool {
    let mut wanted = pattern.split('.');
    let mut found = permission.split('.');
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) => {
                let last = wanted.clone().next().is_none();
                if last && want == "*" {
                    return true;
                }
                let same = match want.strip_suffix('*') {
                    Some(prefix) => have.starts_with(prefix),
                    None => have == want,
                };
                if !same {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// The text as far as an error message shows it: a hostile megabyte is not repeated.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_BYTES: usize = 120;
    let mut end = text.len().min(SHOWN_BYTES);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A text that is not trusted, shown so that it cannot pass for anything else: as `str::escape_debug` does, but without its tables
/// of what Unicode holds for printable, which every WebAssembly module would carry. What hides or turns text around is escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| escape(f, character))
    }
}

fn escape(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    let short = match character {
        '\0' => '0',
        '\t' => 't',
        '\r' => 'r',
        '\n' => 'n',
        '\\' | '"' | '\'' => character,
        // Spaces that are none, marks of direction, joiners, and what is nobody's.
        '\u{a0}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{1680}'
        | '\u{180e}'
        | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}'
        | '\u{3000}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'.. => return unicode(f, character),
        _ if character.is_control() => return unicode(f, character),
        _ => return f.write_char(character),
    };
    f.write_char('\\')?;
    f.write_char(short)
}

fn unicode(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    write!(f, "\\u{{{:x}}}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_names_its_byte() {
        for (text, byte) in [
            ("", 0),
            ("a**", 2),
            ("a.**", 3),
            ("**", 1),
            ("a*b.c", 2),
            ("*a.b", 1),
            ("a..b", 2),
            (".a", 0),
            ("a.", 2),
            ("Po.view", 0),
            ("po.vIew", 4),
            ("po. view", 3),
            ("po.é", 3),
            ("po", 2),
            ("po*", 3),
            ("a._b", 2),
            ("a.b.c.d.e.f.g.h.i", 15),
        ] {
            assert_eq!(Pattern::parse(text).map_err(|e| e.byte), Err(byte), "{text}");
        }
        let long = "a".repeat(64);
        assert_eq!(Pattern::parse(&long).map_err(|e| e.byte), Err(63));
    }

    #[test]
    fn a_permission_has_no_star() {
        let error = PermissionName::parse("po.*").map_err(|error| (error.byte, alloc::format!("{error}")));
        let message =
            "`po.*` is not a permission: byte 3 (`*`): a permission has no `*`; only a pattern does";
        assert_eq!(error, Err((3, String::from(message))));
    }
}

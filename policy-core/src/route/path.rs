//! The path of a request, and why it is refused.

use thiserror::Error;

/// The longest path, in bytes, without its query.
pub const MAX_PATH_BYTES: usize = 8 * 1024;

/// Why a path is refused. Each is something that servers are known to read in more than one way, so that the gateway could
/// ask for the permission of one resource while the application serves another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum PathFault {
    /// It does not begin with a slash: `*`, a whole URL, nothing.
    #[error("it does not begin with `/`")]
    NotAbsolute,
    /// It is longer than [`MAX_PATH_BYTES`].
    #[error("it has more than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// `//`: some servers merge the slashes, others see an empty segment or a host.
    #[error("it has an empty segment, `//`")]
    EmptySegment,
    /// A segment `.` or `..`, spelled out or encoded: some servers resolve it (RFC 3986 section 5.2.4), others do not.
    #[error("it has a segment `.` or `..`")]
    DotSegment,
    /// `\`, which some servers take for a slash.
    #[error("it has a `\\`")]
    Backslash,
    /// `;`, from which on some servers cut a segment (RFC 3986 section 3.3).
    #[error("it has a `;`")]
    PathParameter,
    /// A control character, NUL among them, spelled out or encoded.
    #[error("it has a control character")]
    ControlCharacter,
    /// A character that no path may have (RFC 3986 section 3.3), such as a space, `"`, `<` or a byte that is not ASCII.
    #[error("it has a character that must be percent-encoded")]
    InvalidCharacter,
    /// A `%` without two hexadecimal digits after it.
    #[error("it has a `%` without two hexadecimal digits")]
    InvalidEncoding,
    /// `%2F`, `%5C`, `%3B`, `%25`, `%3F` or `%23`: what is decoded once more, or before it is split, becomes another path.
    #[error("it has an encoded `/`, `\\`, `;`, `%`, `?` or `#`")]
    EncodedDelimiter,
    /// A letter, digit, `-`, `.`, `_` or `~` that is encoded and need not be (RFC 3986 section 6.2.2.2).
    #[error("it has an encoded character that needs no encoding")]
    EncodedUnreserved,
    /// What its encoding stands for is not UTF-8, such as the overlong `%C0%AF`.
    #[error("its decoded bytes are not UTF-8")]
    NotUtf8,
    /// A segment is a literal one of the table but for its case, and some servers ignore case.
    #[error("a segment of it differs from a known one in case only")]
    OtherCase,
}

impl PathFault {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::NotAbsolute,
        Self::TooLong,
        Self::EmptySegment,
        Self::DotSegment,
        Self::Backslash,
        Self::PathParameter,
        Self::ControlCharacter,
        Self::InvalidCharacter,
        Self::InvalidEncoding,
        Self::EncodedDelimiter,
        Self::EncodedUnreserved,
        Self::NotUtf8,
        Self::OtherCase,
    ];

    /// The word for it, which never changes.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path_not_absolute",
            Self::TooLong => "path_too_long",
            Self::EmptySegment => "path_empty_segment",
            Self::DotSegment => "path_dot_segment",
            Self::Backslash => "path_backslash",
            Self::PathParameter => "path_parameter",
            Self::ControlCharacter => "path_control_character",
            Self::InvalidCharacter => "path_invalid_character",
            Self::InvalidEncoding => "path_invalid_encoding",
            Self::EncodedDelimiter => "path_encoded_delimiter",
            Self::EncodedUnreserved => "path_encoded_unreserved",
            Self::NotUtf8 => "path_not_utf8",
            Self::OtherCase => "path_other_case",
        }
    }
}

/// The path of a request's target, when every server reads it the same way.
pub(super) fn of(target: &str) -> Result<&str, PathFault> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let segments = path.strip_prefix('/').ok_or(PathFault::NotAbsolute)?;
    if path.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    let mut rest = Some(segments);
    while let Some(here) = rest {
        let (segment, after) = match here.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (here, None),
        };
        if segment.is_empty() && after.is_some() {
            return Err(PathFault::EmptySegment);
        }
        check_segment(segment)?;
        rest = after;
    }
    Ok(path)
}

/// Whether every server reads this segment the same way.
pub(super) fn check_segment(segment: &str) -> Result<(), PathFault> {
    let dots = decoded(segment).take(3).filter(|byte| *byte == b'.').count();
    if decoded(segment).take(3).count() == dots && (dots == 1 || dots == 2) {
        return Err(PathFault::DotSegment);
    }
    let mut text = Utf8::default();
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or(PathFault::InvalidEncoding)?;
            rest = after;
            let byte = hexadecimal(digits).ok_or(PathFault::InvalidEncoding)?;
            check_encoded(byte)?;
            text.push(byte)?;
        } else {
            check_raw(byte)?;
            text.push(byte)?;
        }
    }
    text.end()
}

/// The bytes that a well-formed segment stands for.
pub(super) fn decoded(segment: &str) -> impl Iterator<Item = u8> {
    let mut rest = segment.as_bytes();
    core::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        if byte != b'%' {
            return Some(byte);
        }
        match after.split_at_checked(2).and_then(|(digits, after)| Some((hexadecimal(digits)?, after))) {
            Some((byte, after)) => {
                rest = after;
                Some(byte)
            }
            None => Some(byte),
        }
    })
}

fn check_raw(byte: u8) -> Result<(), PathFault> {
    match byte {
        b'\\' => Err(PathFault::Backslash),
        b';' => Err(PathFault::PathParameter),
        _ if byte.is_ascii_control() => Err(PathFault::ControlCharacter),
        // RFC 3986 section 3.3: unreserved, sub-delims without `;`, `:` and `@`.
        _ if is_unreserved(byte) || b"!$&'()*+,=:@".contains(&byte) => Ok(()),
        _ => Err(PathFault::InvalidCharacter),
    }
}

fn check_encoded(byte: u8) -> Result<(), PathFault> {
    match byte {
        b'/' | b'\\' | b';' | b'%' | b'?' | b'#' => Err(PathFault::EncodedDelimiter),
        _ if byte.is_ascii_control() => Err(PathFault::ControlCharacter),
        _ if is_unreserved(byte) => Err(PathFault::EncodedUnreserved),
        _ => Ok(()),
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let [high, low] = digits else { return None };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Reads bytes as UTF-8, one character at a time, with nowhere to keep the others.
#[derive(Default)]
struct Utf8 {
    /// What has come of a character, and how much of it.
    character: [u8; 4],
    length: usize,
}

impl Utf8 {
    fn push(&mut self, byte: u8) -> Result<(), PathFault> {
        *self.character.get_mut(self.length).ok_or(PathFault::NotUtf8)? = byte;
        self.length = self.length.saturating_add(1);
        match core::str::from_utf8(self.character.get(..self.length).unwrap_or_default()) {
            Ok(text) => {
                self.length = 0;
                // C1 controls are two bytes long.
                if text.chars().any(char::is_control) { Err(PathFault::ControlCharacter) } else { Ok(()) }
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(PathFault::NotUtf8),
        }
    }

    const fn end(&self) -> Result<(), PathFault> {
        if self.length == 0 { Ok(()) } else { Err(PathFault::NotUtf8) }
    }
}

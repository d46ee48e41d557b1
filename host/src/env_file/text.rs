//! The text of a `.env` file.

use std::fmt;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::edit;
use super::entry::{Entry, entries};
use super::lookup::find;
use super::text_error::EnvTextError;

/// The longest text that is read: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;

/// The text of a `.env` file, byte for byte. It holds secrets: it is never shown, and is overwritten when it goes.
///
/// ```
/// use pbac::env_file::EnvText;
/// use secrecy::ExposeSecret;
///
/// let text = EnvText::parse(b"export KEY='old' # ours\r\nOTHER=1").unwrap();
/// assert_eq!(text.value("KEY").unwrap().unwrap().expose_secret(), "old");
/// let text = text.with_values(&[("KEY", "new"), ("MORE", "2")], Some("KEY")).unwrap();
/// assert_eq!(text.bytes(), b"export KEY='new' # ours\r\nexport MORE=2\r\nOTHER=1");
/// ```
#[derive(Clone)]
pub struct EnvText {
    bytes: Zeroizing<Vec<u8>>,
    entries: Vec<Entry>,
}

impl EnvText {
    /// Keeps a copy of the bytes, whatever they say; what is no assignment is kept as it is.
    ///
    /// # Errors
    ///
    /// When it is longer than [`MAX_BYTES`], or has a zero byte and so is no text.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvTextError> {
        Self::new(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, EnvTextError> {
        if bytes.len() > MAX_BYTES {
            return Err(EnvTextError::TooLong);
        }
        if let Some(place) = bytes.iter().position(|byte| *byte == 0) {
            let newlines = bytes.iter().take(place).filter(|byte| **byte == b'\n').count();
            return Err(EnvTextError::ZeroByte { line: newlines.saturating_add(1) });
        }
        let entries = entries(&bytes);
        Ok(Self { bytes, entries })
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value of a variable; none where no line sets it.
    ///
    /// # Errors
    ///
    /// When it is set twice, when loaders would read different values, or when `name` is no name.
    pub fn value(&self, name: &str) -> Result<Option<SecretString>, EnvTextError> {
        let found = find(&self.bytes, &self.entries, name)?;
        Ok(found.map(|found| SecretString::from(found.value)))
    }

    /// The text with these values (name, value) in place of those that are there. Nothing else changes: quotes,
    /// `export`, comments, line ends and a missing last newline stay. What is not there yet is added in the lines after
    /// that of the variable `anchor`, with `export` where that one has it, or at the end where there is no such variable.
    ///
    /// An empty value with a comment behind it gets quotes, and so does one with characters other than
    /// `A-Z a-z 0-9 _ . , : + = / -`: single ones, in which every loader reads it alike.
    ///
    /// # Errors
    ///
    /// When a variable is there that [`EnvText::value`] would refuse; when loaders would read a value differently even in
    /// single quotes; when a name comes twice or is none; when the last line would swallow what is added; when it gets longer than [`MAX_BYTES`].
    pub fn with_values(&self, values: &[(&str, &str)], anchor: Option<&str>) -> Result<Self, EnvTextError> {
        Self::new(edit::with_values(&self.bytes, &self.entries, values, anchor)?)
    }
}

impl fmt::Debug for EnvText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvText").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(EnvText::parse(b"A=1\nB=\0").unwrap_err(), EnvTextError::ZeroByte { line: 2 });
        assert!(EnvText::parse(&vec![b'#'; MAX_BYTES]).is_ok());
        assert_eq!(EnvText::parse(&vec![b'#'; MAX_BYTES + 1]).unwrap_err(), EnvTextError::TooLong);
    }

    #[test]
    fn is_never_shown() {
        let text = EnvText::parse(b"KEY=hunter2").unwrap();
        assert_eq!(format!("{text:?}"), "EnvText { .. }");
    }
}

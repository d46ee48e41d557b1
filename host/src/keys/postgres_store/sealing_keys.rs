//! The key-encryption keys of a process: where they come from, and which of them seals.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use zeroize::Zeroizing;

use super::seal::{KEY_BYTES, RowIdentity, SealError, SealingKey};
use crate::error::HostError;
use crate::exit::Exit;

/// The variable that holds the key-encryption keys where no file is named.
pub const KEY_ENCRYPTION_KEY: &str = "PBAC_KEY_ENCRYPTION_KEY";

/// The most bytes that are read of a file or a variable.
const MAX_BYTES: usize = 1024;
/// The most keys at a time: the one that seals, and those that it replaces.
const MAX_KEYS: usize = 4;
/// Of fewer different bytes no random source makes 32.
const MIN_DIFFERENT_BYTES: usize = 8;

/// Keys that seal the secrets in the database: the first one seals, each of them opens. Several at a time let a fleet
/// change from one to the next: give every process both, seal anew, take the old one away.
///
/// Each is 32 bytes from a random source, as base64, base64url or hexadecimal digits, with white space between them.
#[derive(Clone)]
pub struct SealingKeys {
    first: SealingKey,
    others: Vec<SealingKey>,
}

impl SealingKeys {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// When it is no list of keys; nothing of the text is in the message.
    pub fn parse(text: &str) -> Result<Self, SealingKeysError> {
        let mut keys = text.split_ascii_whitespace().map(parse_key).collect::<Result<Vec<_>, _>>()?;
        if keys.len() > MAX_KEYS {
            return Err(SealingKeysError::Many);
        }
        if keys.is_empty() {
            return Err(SealingKeysError::None);
        }
        let first = keys.remove(0);
        Ok(Self { first, others: keys })
    }

    /// Reads a file, and says what is odd about it without being wrong.
    ///
    /// # Errors
    ///
    /// When it cannot be read, everybody may read or change it, or it holds no keys.
    pub fn read_file(path: &Path) -> Result<(Self, Option<String>), HostError> {
        let fail = |error: std::io::Error| HostError::file("read the key-encryption key from", path, &error);
        let file = std::fs::File::open(path).map_err(fail)?;
        // Of the open file: the name may lead elsewhere by now.
        let data = file.metadata().map_err(fail)?;
        let mode = data.permissions().mode() & 0o777;
        if data.is_file() && mode & 0o026 != 0 {
            return Err(HostError::refused(format_args!(
                "`{}` holds the key-encryption key, and others may read or change it (mode {mode:o})",
                path.display()
            ))
            .help("run `chmod 600` on it; as a secret of Kubernetes give it `defaultMode: 0400`"));
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES.saturating_add(1)));
        let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_string(&mut text).map_err(fail)?;
        let keys =
            Self::parse_bounded(&text).map_err(|error| error.from(&format!("`{}`", path.display())))?;
        let warning = (data.is_file() && mode & 0o040 != 0).then(|| {
            format!(
                "`{}` holds the key-encryption key, and its group may read it (mode {mode:o})",
                path.display()
            )
        });
        Ok((keys, warning))
    }

    /// Reads [`KEY_ENCRYPTION_KEY`] out of the environment of this process.
    ///
    /// # Errors
    ///
    /// When it is not set, or holds no keys.
    pub fn from_environment() -> Result<Self, HostError> {
        let text = std::env::var_os(KEY_ENCRYPTION_KEY).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| {
            HostError::usage("keys in the database are sealed, and no key-encryption key is named").help(format_args!(
                "set {KEY_ENCRYPTION_KEY}, or `keys.key_encryption_key_file` in pbac.toml; `openssl rand -base64 32` makes one"
            ))
        })?;
        let text = Zeroizing::new(text.into_string().unwrap_or_default());
        Self::parse_bounded(&text).map_err(|error| error.from(KEY_ENCRYPTION_KEY))
    }

    /// What tells the key that seals from others; it says nothing about it.
    #[must_use]
    pub fn label(&self) -> &str {
        self.first.label()
    }

    pub(super) const fn sealing(&self) -> &SealingKey {
        &self.first
    }

    /// Opens what is sealed with whichever of them.
    pub(super) fn open(
        &self,
        row: &RowIdentity<'_>,
        label: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.all().find(|key| key.label() == label).ok_or_else(|| SealError::OtherKey {
            kid: row.kid.clone(),
            wanted: label.to_owned(),
            at_hand: self.all().map(SealingKey::label).collect::<Vec<_>>().join(", "),
        })?;
        key.open(row, sealed)
    }

    /// These and then those of `other`.
    pub(super) fn and(&self, other: &Self) -> Self {
        let others = self.others.iter().chain(other.all()).cloned().collect();
        Self { first: self.first.clone(), others }
    }

    fn all(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn parse_bounded(text: &str) -> Result<Self, SealingKeysError> {
        if text.len() > MAX_BYTES { Err(SealingKeysError::Many) } else { Self::parse(text) }
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}

/// Why a text is no list of key-encryption keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealingKeysError {
    /// There is nothing in it.
    #[error("there is no key-encryption key")]
    None,
    /// More than a change from one to the next needs.
    #[error("that is more than {MAX_KEYS} key-encryption keys")]
    Many,
    /// Not 32 bytes in a form that is known.
    #[error("a key-encryption key is not 32 bytes as base64, base64url or hexadecimal digits")]
    Malformed,
    /// Anybody could guess it.
    #[error("a key-encryption key repeats a few bytes, and came from no random source")]
    Repetitive,
}

impl SealingKeysError {
    fn from(self, place: &str) -> HostError {
        HostError::new(Exit::Usage, format_args!("{place}: {self}"))
            .help("`openssl rand -base64 32` makes one")
    }
}

impl From<SealingKeysError> for HostError {
    fn from(error: SealingKeysError) -> Self {
        Self::new(Exit::Usage, error).help("`openssl rand -base64 32` makes one")
    }
}

fn parse_key(text: &str) -> Result<SealingKey, SealingKeysError> {
    let bytes = decode(text).ok_or(SealingKeysError::Malformed)?;
    let mut different = Zeroizing::new(bytes.to_vec());
    different.sort_unstable();
    different.dedup();
    if different.len() < MIN_DIFFERENT_BYTES {
        return Err(SealingKeysError::Repetitive);
    }
    Ok(SealingKey::new(&bytes))
}

/// Which form it is, its length says: 64 hexadecimal digits, or 43 characters of base64 with or without `=`.
fn decode(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if text.len() == KEY_BYTES.saturating_mul(2) {
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |digit: Option<&u8>| {
                char::from(*digit?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
            };
            *byte = digit(digits.first())?.checked_mul(16)?.checked_add(digit(digits.get(1))?)?;
        }
        return Some(bytes);
    }
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    // The library may need more room than it fills.
    let mut room = Zeroizing::new([0; KEY_BYTES + 16]);
    let length = GeneralPurpose::new(alphabet, config).decode_slice(text, room.as_mut_slice()).ok()?;
    bytes.copy_from_slice(room.get(..length).filter(|found| found.len() == KEY_BYTES)?);
    Some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const STANDARD: &str = "+/Tc3Z0kq1v7m9QeYb2sJ4hX6uLw8nRtPaVgCiDoKfE=";

    #[test]
    fn reads_every_form_of_the_same_key() {
        let url = STANDARD.replace('+', "-").replace('/', "_");
        let bytes = decode(STANDARD).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let label = SealingKeys::parse(STANDARD).unwrap().label().to_owned();
        let forms = [
            url.as_str(),
            url.trim_end_matches('='),
            STANDARD.trim_end_matches('='),
            &hex,
            &hex.to_uppercase(),
        ];
        for form in forms {
            assert_eq!(SealingKeys::parse(&format!("\n {form} \r\n")).unwrap().label(), label, "{form}");
        }
        let two = SealingKeys::parse(&format!("{hex}\n{}", "0123456789abcdef".repeat(4))).unwrap();
        assert_eq!((two.label(), two.others.len()), (label.as_str(), 1));
    }

    #[test]
    fn refuses_what_is_no_key_without_showing_it() {
        let refused = |text: &str| {
            let error = SealingKeys::parse(text).unwrap_err();
            assert!(
                text.len() < 6 || !format!("{error} {error:?}").contains(text.get(..6).unwrap()),
                "{error}"
            );
            error
        };
        assert_eq!(refused(""), SealingKeysError::None);
        assert_eq!(refused(" \n"), SealingKeysError::None);
        let short = STANDARD.trim_end_matches("fE=");
        for text in
            ["hunter2-hunter2-hunter2-hunter2", &"z".repeat(64), short, &format!("{STANDARD}{STANDARD}")]
        {
            assert_eq!(refused(text), SealingKeysError::Malformed, "{text}");
        }
        // Both alphabets in one text: one of the two characters was changed on the way.
        assert_eq!(refused(&STANDARD.replace('/', "_")), SealingKeysError::Malformed);
        assert_eq!(refused(&"0".repeat(64)), SealingKeysError::Repetitive);
        let many = "0123456789abcdef".repeat(4);
        assert_eq!(refused(&[many.as_str(); 5].join("\n")), SealingKeysError::Many);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek");
        std::fs::write(&path, STANDARD).unwrap();
        let read = |mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            SealingKeys::read_file(&path)
        };
        for mode in [0o600, 0o400] {
            assert_eq!(read(mode).unwrap().1, None);
        }
        assert!(read(0o440).unwrap().1.unwrap().contains("(mode 440)"));
        for mode in [0o604, 0o644, 0o666, 0o620, 0o602] {
            let error = read(mode).unwrap_err();
            assert_eq!(error.exit(), Exit::Refused);
            assert!(error.to_string().contains(&format!("(mode {mode:o})")), "{error}");
        }
        std::fs::write(&path, "SENTINEL").unwrap();
        let error = read(0o600).unwrap_err();
        assert!(error.to_string().ends_with(
            "kek`: a key-encryption key is not 32 bytes as base64, base64url or hexadecimal digits"
        ));
        assert!(!format!("{error:?}").contains("SENTINEL"));
    }
}

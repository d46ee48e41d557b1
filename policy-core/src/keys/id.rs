//! The public name of a key.

use crate::name::text_type;
use alloc::boxed::Box;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// The longest `kid`, in bytes.
const MAX_BYTES: usize = 64;
/// How many characters 16 bytes are in base64.
const RANDOM_CHARACTERS: usize = 22;

text_type! {
    /// The public name of a key, its `kid`: 1 to 64 of `A-Z a-z 0-9 _ -`. It is random and says nothing about the key: a
    /// hash of an old, weak secret would help to guess it (SPEC section 5).
    KeyId
}

/// Why a text is no [`KeyId`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a key's name has 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `_` and `-`; byte {byte} is wrong")]
pub struct KeyIdError {
    /// The first byte that cannot stand where it stands, from 0; the length when the text ends too early.
    pub byte: usize,
}

impl KeyId {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// When it is empty, too long, or has a character that a name may not have.
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        let wrong =
            text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'));
        match wrong {
            Some(byte) => Err(KeyIdError { byte: byte.min(MAX_BYTES) }),
            None if text.is_empty() => Err(KeyIdError { byte: 0 }),
            None if text.len() > MAX_BYTES => Err(KeyIdError { byte: MAX_BYTES }),
            None => Ok(Self::from_checked(text)),
        }
    }

    /// A new name from 16 bytes of the system's random source, as 22 characters.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let mut text = [0; RANDOM_CHARACTERS];
        // 16 bytes always fit; a name that could not be written would be refused as taken, twice.
        let length = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap_or(0);
        let text = text.get(..length).and_then(|text| core::str::from_utf8(text).ok());
        Self::from_checked(text.unwrap_or("_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_byte_is_wrong() {
        let byte = |text: &str| KeyId::parse(text).err().map(|error| error.byte);
        assert_eq!(byte("k-1_A"), None);
        assert_eq!(byte(""), Some(0));
        assert_eq!(byte("../../etc/passwd"), Some(0));
        assert_eq!(byte("a' OR 1=1"), Some(1));
        assert_eq!(byte(&"a".repeat(64)), None);
        assert_eq!(byte(&"a".repeat(65)), Some(64));
    }

    #[test]
    fn random_bytes_make_a_name() {
        assert_eq!(KeyId::from_random([0xff; 16]).as_str(), "_____________________w");
        assert_eq!(KeyId::from_random([0; 16]).as_str(), "A".repeat(22));
    }
}

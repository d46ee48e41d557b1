//! What an HMAC key is made of, once it is good enough to be one.

use alloc::vec::Vec;
use core::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// The shortest secret that may sign or verify, in bytes (SPEC section 5, RFC 7518 section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// The longest that is taken: longer ones gain nothing, since HMAC hashes them first.
const MAX_SECRET_BYTES: usize = 4096;

/// Of fewer different bytes no random source makes 32.
const MIN_DIFFERENT_BYTES: usize = 8;

/// Parts of the secrets that come with tutorials and templates, in lower case. Each is so long that no random secret of
/// any length that is taken is likely to hold it.
const PLACEHOLDERS: [&str; 16] = [
    "your-secret",
    "your_secret",
    "yoursecret",
    "your-256-bit",
    "change-in-production",
    "change_in_production",
    "change-this",
    "changethis",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "secret-at-least-256-bits",
    "insecure-",
    "supersecret",
    // FastAPI's tutorial.
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
];

/// The secret of an HMAC key: 32 to 4,096 bytes, no placeholder. Wiped from memory when dropped, and never shown.
#[derive(Clone)]
pub struct HmacSecret(Zeroizing<Vec<u8>>);

impl HmacSecret {
    /// Takes a secret that is long enough and no known placeholder. The bytes are what the HMAC is keyed with: for a secret
    /// that is kept as text, the text's own, as PyJWT and python-jose take them.
    ///
    /// # Errors
    ///
    /// Why it is refused (SPEC section 5).
    pub fn new(bytes: &[u8]) -> Result<Self, WeakSecret> {
        let mut seen = [false; 256];
        for byte in bytes {
            if let Some(seen) = seen.get_mut(usize::from(*byte)) {
                *seen = true;
            }
        }
        let different = seen.iter().filter(|seen| **seen).count();
        if bytes.is_empty() {
            Err(WeakSecret::Empty)
        } else if PLACEHOLDERS.iter().any(|known| contains(bytes, known.as_bytes())) {
            Err(WeakSecret::Placeholder)
        } else if bytes.len() < MIN_SECRET_BYTES {
            Err(WeakSecret::Short { bytes: bytes.len() })
        } else if bytes.len() > MAX_SECRET_BYTES {
            Err(WeakSecret::Long { bytes: bytes.len() })
        } else if different < MIN_DIFFERENT_BYTES {
            Err(WeakSecret::Repetitive)
        } else {
            Ok(Self(Zeroizing::new(bytes.to_vec())))
        }
    }

    /// The bytes that the HMAC is keyed with. For whoever signs or stores; nothing else has a use for them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for HmacSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacSecret(hidden)")
    }
}

/// Why a secret may not be a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum WeakSecret {
    /// There is none: anybody could sign.
    #[error("is empty")]
    Empty,
    /// It can be guessed.
    #[error("has {bytes} bytes, and {MIN_SECRET_BYTES} is the least")]
    Short {
        /// How many it has.
        bytes: usize,
    },
    /// It is no secret but something else.
    #[error("has {bytes} bytes, and {MAX_SECRET_BYTES} is the most")]
    Long {
        /// How many it has.
        bytes: usize,
    },
    /// It came with a tutorial or a template, and everybody knows it.
    #[error("is a known placeholder")]
    Placeholder,
    /// It is one of a few characters over and over.
    #[error("repeats a few characters, and came from no random source")]
    Repetitive,
}

/// Whether `part`, which is in lower case, is in `bytes` in any case.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const GOOD: &[u8] = b"q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk";

    #[test]
    fn refuses_what_can_be_guessed() {
        let refused = |text: &[u8]| HmacSecret::new(text).err();
        assert_eq!(refused(GOOD), None);
        assert_eq!(refused(b""), Some(WeakSecret::Empty));
        assert_eq!(refused(GOOD.get(..31).unwrap_or_default()), Some(WeakSecret::Short { bytes: 31 }));
        assert_eq!(refused(GOOD.get(..32).unwrap_or_default()), None);
        assert_eq!(refused(b"Your-Secret-Key-Change-In-Production"), Some(WeakSecret::Placeholder));
        assert_eq!(refused(b"changeme"), Some(WeakSecret::Placeholder));
        assert_eq!(refused(&[b'a'; 64]), Some(WeakSecret::Repetitive));
        assert_eq!(refused(&[b'a'; 5000]), Some(WeakSecret::Long { bytes: 5000 }));
    }

    #[test]
    fn is_never_shown() {
        assert_eq!(format!("{:?}", HmacSecret::new(GOOD)), "Ok(HmacSecret(hidden))");
    }
}

//! The algorithms a key may be for.

use core::fmt;

/// What a key signs and verifies with. It belongs to the key and is never taken from a token (SPEC section 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 7518 section 3.2): one secret, which signs and verifies.
    Hs256,
    /// Ed25519 (RFC 8037 section 3.1): verifiers hold no secret.
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 7518 section 3.4): verifiers hold no secret.
    Es256,
}

impl Algorithm {
    /// Its name in a token's header (RFC 7518 section 3.1, RFC 8037 section 3.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of this exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Hs256, Self::EdDsa, Self::Es256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether whoever verifies holds what signs.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Algorithm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

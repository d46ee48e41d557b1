//! Why a token is refused.

use thiserror::Error;

/// The one reason for which a token is refused. Nothing of the token or of a key is in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is longer than a token may be (SPEC section 6).
    #[error("the token is too long")]
    TooLong,
    /// It is not three texts with a dot in between.
    #[error("the token does not have three parts")]
    MalformedToken,
    /// Its first part is no base64url of a JSON object with a fitting `alg` and `kid`, or names one of them twice.
    #[error("the token's header is malformed")]
    MalformedHeader,
    /// Its header asks for something that is not understood (`crit`, RFC 7515 section 4.1.11).
    #[error("the token's header asks for an extension that is not supported")]
    UnsupportedExtension,
    /// Its `alg` is not that of the key, which decides (SPEC section 5).
    #[error("the token's algorithm is not that of the key")]
    AlgorithmMismatch,
    /// No key has its `kid`.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Its key was revoked.
    #[error("the token's key is revoked")]
    RevokedKey,
    /// Its key is retired, and the time is over.
    #[error("the token's key verifies no more")]
    ExpiredKey,
    /// There is no key at all.
    #[error("there is no key to verify with")]
    NoKey,
    /// No key that may verify it made its signature.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// It is signed by a retired key, and says that it was issued after that key's retirement.
    #[error("the token was issued after its key was retired")]
    IssuedAfterRetirement,
    /// It is signed by a retired key, and lives longer than tokens do.
    #[error("the token of a retired key lives longer than tokens do")]
    LivesTooLong,
    /// Its second part is no base64url of a JSON object, or names a claim twice.
    #[error("the token's claims are malformed")]
    MalformedClaims,
    /// A claim has a type or a size that it may not have.
    #[error("the token's claim `{0}` is malformed")]
    InvalidClaim(&'static str),
    /// It does not say when it expires.
    #[error("the token has no `exp`")]
    MissingExpiry,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come (`nbf`).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is from somebody else (`iss`).
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// It is for somebody else (`aud`).
    #[error("the token is for another audience")]
    WrongAudience,
}

impl TokenError {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::TooLong,
        Self::MalformedToken,
        Self::MalformedHeader,
        Self::UnsupportedExtension,
        Self::AlgorithmMismatch,
        Self::UnknownKey,
        Self::RevokedKey,
        Self::ExpiredKey,
        Self::NoKey,
        Self::BadSignature,
        Self::IssuedAfterRetirement,
        Self::LivesTooLong,
        Self::MalformedClaims,
        Self::InvalidClaim(""),
        Self::MissingExpiry,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIssuer,
        Self::WrongAudience,
    ];

    /// The word for it, which never changes: for logs, counters and other languages.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::MalformedToken => "malformed_token",
            Self::MalformedHeader => "malformed_header",
            Self::UnsupportedExtension => "unsupported_extension",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::UnknownKey => "unknown_key",
            Self::RevokedKey => "revoked_key",
            Self::ExpiredKey => "expired_key",
            Self::NoKey => "no_key",
            Self::BadSignature => "bad_signature",
            Self::IssuedAfterRetirement => "issued_after_retirement",
            Self::LivesTooLong => "lives_too_long",
            Self::MalformedClaims => "malformed_claims",
            Self::InvalidClaim(_) => "invalid_claim",
            Self::MissingExpiry => "missing_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
        }
    }
}

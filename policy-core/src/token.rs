//! Verifying tokens (JWS compact serialisation, RFC 7515) with a ring of keys: SPEC section 5.
//!
//! ```
//! use policy_core::Timestamp;
//! use policy_core::keys::{Algorithm, HmacSecret, KeyHistory, KeyId, KeyPhase, KeyRecord};
//! use policy_core::token::{KeyRing, TokenBuffer, TokenError, TokenRules, VerifyingKey};
//!
//! let id = KeyId::parse("k1")?;
//! let history = KeyHistory::new(
//!     [KeyRecord { id: id.clone(), algorithm: Algorithm::Hs256, phase: KeyPhase::Active { since: None } }],
//!     [],
//! )?;
//! let secret = HmacSecret::new(b"q3J9tq7pV0m2Zx8sLw4nB6yR1cK5dF-hGjT_uEoAiXk")?;
//! let ring = KeyRing::new(&history, [(id, VerifyingKey::Hs256(secret))], TokenRules::default())?;
//! let mut buffer = TokenBuffer::default();
//! let answer = ring.verify("not.a.token", Timestamp::from_seconds(0), &mut buffer);
//! assert_eq!(answer.err().map(TokenError::reason), Some("malformed_header"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base64url;
mod claims;
mod decimal;
mod error;
mod header;
pub(crate) mod json;
mod ring;
mod ring_document;
pub(crate) mod value;
mod verifier;
mod verify;

pub use claims::{Claims, UserClaim};
pub use error::TokenError;
pub use header::{Header, header};
pub use ring::{KeyRing, RingError, TokenRules};
pub use ring_document::{KeyProblem, RingDocumentError, write_document};
pub use verifier::VerifyingKey;
pub use verify::{MAX_TOKEN_BYTES, SKEW, TokenBuffer, Verified};

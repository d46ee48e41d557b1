//! The history of signing keys (SPEC section 5): which key signs, which verify and until when, and what a rotation does
//! to that.
//!
//! All of it is about names and times. What a key is made of stays with whoever stores it; [`HmacSecret`] is how it
//! comes to a [`KeyRing`](crate::token::KeyRing), which verifies. New names and the time are inputs.

mod algorithm;
mod history;
mod id;
mod record;
mod revoke;
mod rotate;
mod rules;
mod secret;

pub use algorithm::Algorithm;
pub use history::{DueStep, KeyHistory, KeyHistoryError};
pub use id::{KeyId, KeyIdError};
pub use record::{KeyPhase, KeyRecord, Revocation};
pub use rotate::{Change, Fresh, KeyEvent, RotationError};
pub use rules::RotationRules;
pub use secret::{HmacSecret, MIN_SECRET_BYTES, WeakSecret};

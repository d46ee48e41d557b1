//! One key of a history.

use super::{Algorithm, KeyId};
use crate::time::Timestamp;
use serde::Serialize;

/// What is known of a key, but for what it is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KeyRecord {
    /// Its public name.
    pub id: KeyId,
    /// What it signs and verifies with.
    pub algorithm: Algorithm,
    /// Where it stands, and since when.
    #[serde(flatten)]
    pub phase: KeyPhase,
}

/// Where a key stands (SPEC section 5). It is said, never read off a place in a list. A time is `None` where the key
/// comes from a store that did not keep it, as the source document's two variables do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum KeyPhase {
    /// Verifies and does not sign yet, so that every node knows it before the first token it signs.
    Staged {
        /// When it was staged.
        since: Timestamp,
    },
    /// Signs.
    Active {
        /// When it began to sign.
        since: Option<Timestamp>,
    },
    /// Verifies what it signed before.
    Retired {
        /// When it ceased to sign, or a time after which it surely did not.
        since: Option<Timestamp>,
        /// From then on it verifies nothing. `None`: until a rotation writes it down.
        not_after: Option<Timestamp>,
    },
}

impl KeyPhase {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged { .. } => "staged",
            Self::Active { .. } => "active",
            Self::Retired { .. } => "retired",
        }
    }

    /// Since when, where that is known.
    #[must_use]
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Staged { since } => Some(since),
            Self::Active { since } | Self::Retired { since, .. } => since,
        }
    }
}

impl KeyRecord {
    /// Whether it may verify anything at `now`: a retired key may, while `now < not_after`.
    #[must_use]
    pub fn verifies_at(&self, now: Timestamp) -> bool {
        match self.phase {
            KeyPhase::Staged { .. } | KeyPhase::Active { .. } => true,
            KeyPhase::Retired { not_after, .. } => not_after.is_none_or(|end| now < end),
        }
    }

    /// From when on it verifies nothing more, where that is settled.
    #[must_use]
    pub const fn not_after(&self) -> Option<Timestamp> {
        match self.phase {
            KeyPhase::Retired { not_after, .. } => not_after,
            KeyPhase::Staged { .. } | KeyPhase::Active { .. } => None,
        }
    }
}

/// A key that must never verify again, wherever it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Revocation {
    /// The key's public name.
    pub id: KeyId,
    /// When it was revoked.
    pub at: Timestamp,
}

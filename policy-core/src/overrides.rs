//! What one user may or may not do beyond the roles (SPEC section 2).

use crate::name::UserId;
use crate::pattern::Pattern;
use crate::time::Timestamp;
use alloc::string::String;
use serde::Serialize;

/// Whether an override gives or takes.
///
/// Ordered as decisions look at them: a deny comes first, since it beats every allow (SPEC section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Takes away, whatever else is granted.
    Deny,
    /// Gives.
    Allow,
}

impl Effect {
    /// `deny` or `allow`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

impl core::fmt::Display for Effect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One pattern allowed or denied to one user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Override {
    /// Whom it concerns.
    pub user: UserId,
    /// Whether it gives or takes.
    pub effect: Effect,
    /// What it gives or takes.
    pub pattern: Pattern,
    /// The first moment at which it is no longer active; `None` lasts for ever.
    pub expires_at: Option<Timestamp>,
    /// Why it was made, for people.
    pub reason: String,
}

impl Override {
    /// Whether it counts at `now`: `now < expires_at` (SPEC section 2).
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it outlasts `other`: no expiry outlasts every expiry.
    pub(crate) fn outlasts(&self, other: &Self) -> bool {
        match (self.expires_at, other.expires_at) {
            (None, Some(_)) => true,
            (Some(mine), Some(theirs)) => mine > theirs,
            (_, None) => false,
        }
    }
}

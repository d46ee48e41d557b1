//! What the module answers in a number.

/// A policy that is loaded in an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy(pub(super) i32);

/// A key ring that is loaded in an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ring(pub(super) i32);

/// A decision without the names in its reason (`wasm/ABI.md`, "Answers").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Allowed by a role.
    Role,
    /// Allowed by an override of the user.
    Override,
    /// Denied: nothing grants it.
    NoGrant,
    /// Denied by an override of the user.
    ExplicitDeny,
    /// Denied: the permission is not in the catalog.
    UnknownPermission,
    /// Denied: this is no permission, or no user id.
    InvalidRequest,
}

impl Answer {
    /// Whether the user may.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Role | Self::Override)
    }

    /// The word for the reason: that of [`policy_core::Decision::reason`].
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Override => "override",
            Self::NoGrant => "no_grant",
            Self::ExplicitDeny => "explicit_deny",
            Self::UnknownPermission => "unknown_permission",
            Self::InvalidRequest => "invalid_request",
        }
    }

    /// The answer of a number; none where it is an error.
    pub(super) const fn of(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Role,
            2 => Self::Override,
            0 => Self::NoGrant,
            -1 => Self::ExplicitDeny,
            -2 => Self::UnknownPermission,
            -3 => Self::InvalidRequest,
            _ => return None,
        })
    }
}

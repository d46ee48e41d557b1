//! The closed catalog of permissions (SPEC section 2).

use crate::name::{Label, PermissionName};
use alloc::string::String;
use serde::Serialize;

/// One entry of the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Permission {
    /// The permission's name.
    pub name: PermissionName,
    /// The module it is grouped under; a label, never parsed out of the name.
    pub module: Label,
    /// What it allows, for people.
    pub description: String,
}

/// A permission's place in the catalog of one compiled policy: 0 for the least name in byte order. It means nothing
/// to another policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct PermissionId(pub(crate) u16);

impl PermissionId {
    /// The id of a place, for whoever kept [`PermissionId::index`]. Whether a policy has such a place is for the caller to know.
    #[must_use]
    pub fn from_index(place: usize) -> Option<Self> {
        u16::try_from(place).ok().map(Self)
    }

    /// The place as a number.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

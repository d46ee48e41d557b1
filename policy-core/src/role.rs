//! Roles (SPEC section 2).

use crate::name::RoleName;
use crate::pattern::Pattern;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// A role: the patterns it holds itself, the roles it inherits, and its other spellings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Role {
    /// Exact and case-sensitive.
    pub name: RoleName,
    /// What the role is for, for people.
    pub description: String,
    /// What it holds, as patterns: a permission added to the catalog later is covered by the wildcard that names it.
    pub grants: Vec<Pattern>,
    /// The roles whose patterns it holds too. Names, not aliases.
    pub inherits: Vec<RoleName>,
    /// Other spellings of the same role: enum label, display value, token claim.
    pub aliases: Vec<RoleName>,
}

impl Role {
    /// A role that holds nothing yet.
    #[must_use]
    pub const fn named(name: RoleName) -> Self {
        Self {
            name,
            description: String::new(),
            grants: Vec::new(),
            inherits: Vec::new(),
            aliases: Vec::new(),
        }
    }
}

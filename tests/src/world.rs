//! A policy in plain strings, and a question about it: what the oracle reads, what the generator makes and what a case file holds.
//!
//! Nothing here is checked or sorted. [`crate::convert`] turns a world into the policy of policy-core, which checks it.

use serde::Deserialize;

/// A policy in plain strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// The catalog.
    pub permissions: Vec<String>,
    /// Every role.
    pub roles: Vec<Role>,
    /// The overrides of all users.
    pub overrides: Vec<Override>,
    /// The roles each user holds.
    pub users: Vec<User>,
    /// Patterns that one user must not both hold.
    pub conflicts: Vec<Conflict>,
}

/// A role: its own patterns, the roles it inherits and its other spellings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its own patterns.
    #[serde(default)]
    pub grants: Vec<String>,
    /// The names of the roles it inherits.
    #[serde(default)]
    pub inherits: Vec<String>,
    /// Other spellings of its name.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// Whether an override gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It gives.
    Allow,
    /// It takes, and beats whatever gives.
    Deny,
}

/// One pattern allowed or denied for one user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Whom it concerns.
    pub user: String,
    /// Whether it gives or takes.
    pub effect: Effect,
    /// What it gives or takes.
    pub pattern: String,
    /// The microsecond since 1970 at which it stops; without one it never does.
    pub expires_at: Option<i64>,
    /// Why it is there.
    #[serde(default)]
    pub reason: String,
}

/// The roles of one user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Who.
    pub user: String,
    /// The names or aliases of the roles, known to the policy or not.
    pub roles: Vec<String>,
}

/// Two patterns that one user must not both hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// Its name.
    pub name: String,
    /// One side.
    pub left: String,
    /// The other side.
    pub right: String,
}

/// A question: may this user do this now?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who.
    pub user: String,
    /// The roles that a token or a caller names; without them, those the policy holds for the user.
    pub roles: Option<Vec<String>>,
    /// What.
    pub permission: String,
    /// When, in microseconds since 1970.
    pub now: i64,
}

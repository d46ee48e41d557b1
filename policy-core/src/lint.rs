//! What in a policy is probably not meant.

use crate::error::LimitError;
use crate::index::Index;
use crate::pattern::{self, Pattern};
use crate::policy::{Policy, find};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::Serialize;

/// Something to look at; none of it changes a decision.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lint {
    /// A role's pattern matches nothing in the catalog (SPEC section 2).
    DeadGrant {
        /// The role.
        role: String,
        /// Its pattern.
        pattern: String,
    },
    /// An override's pattern matches nothing in the catalog.
    DeadOverride {
        /// The user.
        user: String,
        /// Its pattern.
        pattern: String,
    },
    /// One side of a conflict matches nothing in the catalog, so that nobody can break it.
    DeadConflict {
        /// The conflict.
        conflict: String,
        /// The pattern.
        pattern: String,
    },
    /// One pattern gives more than half of the catalog, or something in more than half of its modules.
    OverBroad {
        /// The role.
        role: String,
        /// Its pattern.
        pattern: String,
        /// How many permissions it gives.
        permissions: usize,
        /// In how many modules.
        modules: usize,
    },
    /// Users have a role that the policy does not know; it grants nothing (SPEC section 3).
    UnknownUserRole {
        /// The spelling.
        role: String,
        /// How many users have it.
        users: usize,
    },
}

impl Lint {
    /// The code under which reports list it: `dead_grant`, `dead_override`, `dead_conflict`, `over_broad`,
    /// `unknown_user_role`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DeadGrant { .. } => "dead_grant",
            Self::DeadOverride { .. } => "dead_override",
            Self::DeadConflict { .. } => "dead_conflict",
            Self::OverBroad { .. } => "over_broad",
            Self::UnknownUserRole { .. } => "unknown_user_role",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeadGrant { role, pattern } => {
                write!(f, "role `{role}`: `{pattern}` matches nothing in the catalog")
            }
            Self::DeadOverride { user, pattern } => {
                write!(f, "override of user `{user}`: `{pattern}` matches nothing in the catalog")
            }
            Self::DeadConflict { conflict, pattern } => {
                write!(
                    f,
                    "conflict `{conflict}`: `{pattern}` matches nothing in the catalog, so nobody can break it"
                )
            }
            Self::OverBroad { role, pattern, permissions, modules } => write!(
                f,
                "role `{role}`: `{pattern}` alone gives {permissions} permissions in {modules} modules"
            ),
            Self::UnknownUserRole { role, users } => {
                write!(f, "role `{role}` of {users} user(s) is not in the policy and grants nothing")
            }
        }
    }
}

/// Everything that is probably not meant, by code, then by name.
#[must_use]
pub fn lint(policy: &Policy) -> Vec<Lint> {
    let all_modules = modules(policy, |_| true).len();
    let mut found = Vec::new();
    for role in policy.roles() {
        for grant in &role.grants {
            let (role, pattern) = (role.name.to_string(), grant.to_string());
            let permissions = matched(policy, grant);
            let modules = modules(policy, |name| pattern::matches(grant.as_str(), name)).len();
            let broad = |part: usize, whole: usize| part > 1 && part.saturating_mul(2) > whole;
            if permissions == 0 {
                found.push(Lint::DeadGrant { role, pattern });
            } else if broad(permissions, policy.permissions().len()) || broad(modules, all_modules) {
                found.push(Lint::OverBroad { role, pattern, permissions, modules });
            }
        }
    }
    for entry in policy.overrides().iter().filter(|entry| matched(policy, &entry.pattern) == 0) {
        found.push(Lint::DeadOverride { user: entry.user.to_string(), pattern: entry.pattern.to_string() });
    }
    for conflict in policy.conflicts() {
        for side in [&conflict.left, &conflict.right] {
            if matched(policy, side) == 0 {
                found.push(Lint::DeadConflict {
                    conflict: conflict.name.to_string(),
                    pattern: side.to_string(),
                });
            }
        }
    }
    found.extend(unknown_user_roles(policy));
    found.sort();
    found
}

/// A permission that a policy's new catalog gives away at once, through a pattern that stood already.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct NewlyGranted {
    /// The permission that is new in the catalog.
    pub permission: String,
    /// The role whose pattern covers it.
    pub role: String,
    /// The pattern, which the role held before.
    pub pattern: String,
}

/// What the new entries of a catalog give to roles through patterns that stand already, by permission and role.
///
/// # Errors
/// When one of the policies cannot be compiled.
pub fn newly_granted(old: &Policy, new: &Policy) -> Result<Vec<NewlyGranted>, LimitError> {
    let old_index = Index::compile(old)?;
    let mut found = Vec::new();
    let added =
        new.permissions().iter().filter(|entry| old_index.permission_id(entry.name.as_str()).is_none());
    for entry in added {
        for role in new.roles() {
            let Some(before) = find(old.roles(), role.name.as_str(), |role| role.name.as_str()) else {
                continue;
            };
            let standing = role.grants.iter().filter(|grant| before.grants.contains(grant));
            found.extend(standing.filter(|grant| grant.matches(&entry.name)).map(|grant| NewlyGranted {
                permission: entry.name.to_string(),
                role: role.name.to_string(),
                pattern: grant.to_string(),
            }));
        }
    }
    Ok(found)
}

fn matched(policy: &Policy, pattern: &Pattern) -> usize {
    policy.permissions().iter().filter(|entry| pattern.matches(&entry.name)).count()
}

fn modules(policy: &Policy, wanted: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    let entries = policy.permissions().iter().filter(|entry| wanted(entry.name.as_str()));
    entries.map(|entry| entry.module.as_str()).collect()
}

fn unknown_user_roles(policy: &Policy) -> impl Iterator<Item = Lint> {
    let mut users: BTreeMap<&str, usize> = BTreeMap::new();
    for role in policy.users().iter().flat_map(|entry| &entry.roles) {
        let count = users.entry(role.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    let unknown = users.into_iter().filter(|(role, _)| policy.role(role).is_none());
    unknown.map(|(role, users)| Lint::UnknownUserRole { role: role.to_string(), users })
}

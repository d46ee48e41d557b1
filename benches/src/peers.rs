//! What an application without a library would write, done well: strings in, a fast hash, nothing rebuilt per check.

use policy_core::{Effect, Index, Policy, Roles, Timestamp};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// One set of permission names a user, worked out beforehand: right until anything changes or expires.
#[derive(Debug)]
pub struct NameSets<S> {
    users: HashMap<String, HashSet<String, S>, S>,
}

impl<S: BuildHasher + Default> NameSets<S> {
    /// Works out every user's set.
    #[must_use]
    pub fn new(policy: &Policy, index: &Index, now: Timestamp) -> Self {
        let set = |user: &str| {
            index.permissions_of(user, Roles::Stored, now).into_iter().map(String::from).collect()
        };
        let users = policy.users().iter().map(|entry| (entry.user.to_string(), set(entry.user.as_str())));
        Self { users: users.collect() }
    }

    /// Two look-ups.
    #[must_use]
    pub fn allows(&self, user: &str, permission: &str) -> bool {
        self.users.get(user).is_some_and(|names| names.contains(permission))
    }
}

/// Users to roles to patterns, matched at each check; overrides beside them.
#[derive(Debug)]
pub struct RolePatterns {
    roles: HashMap<String, Vec<String>, foldhash::fast::FixedState>,
    users: HashMap<String, User, foldhash::fast::FixedState>,
}

#[derive(Debug, Default)]
struct User {
    roles: Vec<String>,
    overrides: Vec<(Effect, String, Option<Timestamp>)>,
}

impl RolePatterns {
    /// Takes the policy apart. It must have no inheritance and no aliases.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let texts = |patterns: &[policy_core::Pattern]| patterns.iter().map(ToString::to_string).collect();
        let roles = policy.roles().iter().map(|role| (role.name.to_string(), texts(&role.grants))).collect();
        let mut users: HashMap<String, User, _> = HashMap::default();
        for entry in policy.users() {
            users.entry(entry.user.to_string()).or_default().roles =
                entry.roles.iter().map(ToString::to_string).collect();
        }
        for entry in policy.overrides() {
            users.entry(entry.user.to_string()).or_default().overrides.push((
                entry.effect,
                entry.pattern.to_string(),
                entry.expires_at,
            ));
        }
        Self { roles, users }
    }

    /// Denies first, then allows, then the patterns of each role.
    #[must_use]
    pub fn allows(&self, user: &str, permission: &str, now: Timestamp) -> bool {
        let Some(user) = self.users.get(user) else { return false };
        let overridden = |wanted: Effect| {
            user.overrides.iter().any(|(effect, pattern, expires_at)| {
                *effect == wanted && expires_at.is_none_or(|end| now < end) && matches(pattern, permission)
            })
        };
        if overridden(Effect::Deny) {
            return false;
        }
        overridden(Effect::Allow)
            || user
                .roles
                .iter()
                .filter_map(|role| self.roles.get(role))
                .flatten()
                .any(|pattern| matches(pattern, permission))
    }
}

/// SPEC section 1 for the patterns of the workload: `*`, `module.*` and exact names.
fn matches(pattern: &str, permission: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => permission.starts_with(prefix),
        None => pattern == permission,
    }
}

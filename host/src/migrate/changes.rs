//! What a policy changes of what is stored, thing by thing.

use std::collections::BTreeMap;

use policy_core::Policy;
use serde::Serialize;

/// What is there, what is to be there, and what lies between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The catalog.
    pub permissions: Delta,
    /// The roles, by name and description.
    pub roles: Delta,
    /// `ROLE: pattern`.
    pub grants: Delta,
    /// `ROLE: inherited role`.
    pub inherits: Delta,
    /// `alias: ROLE`.
    pub aliases: Delta,
    /// The conflicts.
    pub conflicts: Delta,
}

/// What changes of one kind of thing, by name, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// Only the new policy has these.
    pub added: Vec<String>,
    /// Both have these, and they say something else.
    pub changed: Vec<String>,
    /// Only what is stored has these.
    pub removed: Vec<String>,
}

impl Changes {
    /// Compares what is stored with a policy; overrides and users are left out.
    #[must_use]
    pub fn between(stored: Option<&Policy>, policy: &Policy) -> Self {
        let (old, new) = (stored.map(Rows::of).unwrap_or_default(), Rows::of(policy));
        Self {
            permissions: Delta::between(&old.permissions, &new.permissions),
            roles: Delta::between(&old.roles, &new.roles),
            grants: Delta::between(&old.grants, &new.grants),
            inherits: Delta::between(&old.inherits, &new.inherits),
            aliases: Delta::between(&old.aliases, &new.aliases),
            conflicts: Delta::between(&old.conflicts, &new.conflicts),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named().iter().all(|(_, delta)| delta.is_empty())
    }

    /// Each kind with its name.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, &Delta); 6] {
        [
            ("permissions", &self.permissions),
            ("roles", &self.roles),
            ("grants", &self.grants),
            ("inherits", &self.inherits),
            ("aliases", &self.aliases),
            ("conflicts", &self.conflicts),
        ]
    }
}

impl Delta {
    fn between(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Self {
        let only = |of: &BTreeMap<String, String>, not_in: &BTreeMap<String, String>| {
            of.keys().filter(|name| !not_in.contains_key(*name)).cloned().collect()
        };
        let differs = |(name, value): &(&String, &String)| old.get(*name).is_some_and(|old| old != *value);
        Self {
            added: only(new, old),
            changed: new.iter().filter(differs).map(|(name, _)| name.clone()).collect(),
            removed: only(old, new),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// Each kind of thing by its name, with all else that it says.
#[derive(Default)]
struct Rows {
    permissions: BTreeMap<String, String>,
    roles: BTreeMap<String, String>,
    grants: BTreeMap<String, String>,
    inherits: BTreeMap<String, String>,
    aliases: BTreeMap<String, String>,
    conflicts: BTreeMap<String, String>,
}

impl Rows {
    fn of(policy: &Policy) -> Self {
        let mut rows = Self::default();
        for entry in policy.permissions() {
            rows.permissions
                .insert(entry.name.to_string(), format!("{}\0{}", entry.module, entry.description));
        }
        for role in policy.roles() {
            let name = &role.name;
            rows.roles.insert(name.to_string(), role.description.clone());
            rows.grants.extend(role.grants.iter().map(|grant| (format!("{name}: {grant}"), String::new())));
            rows.inherits
                .extend(role.inherits.iter().map(|other| (format!("{name}: {other}"), String::new())));
            rows.aliases.extend(role.aliases.iter().map(|alias| (alias.to_string(), name.to_string())));
        }
        for conflict in policy.conflicts() {
            let says = format!("{}\0{}\0{}", conflict.left, conflict.right, conflict.reason);
            rows.conflicts.insert(conflict.name.to_string(), says);
        }
        rows
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::policy_file::parse;

    fn policy(text: &str) -> Policy {
        let head = "[policy]\nname = 'x'\nversion = 1\n";
        parse(&format!("{head}{text}"), "x.toml").unwrap().policy
    }

    #[test]
    fn names_what_differs_and_nothing_else() {
        let old = policy(
            "[modules.m.permissions]\n'a.a' = ''\n'a.b' = 'old'\n[roles.R]\ngrants = ['a.a']\naliases = ['r']\n[roles.S]",
        );
        let new = policy(
            "[modules.m.permissions]\n'a.b' = 'new'\n'a.c' = ''\n[roles.R]\ngrants = ['a.*']\ninherits = ['S']\n[roles.S]\naliases = ['r']",
        );
        let delta = |added: &[&str], changed: &[&str], removed: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Delta { added: owned(added), changed: owned(changed), removed: owned(removed) }
        };
        assert_eq!(
            Changes::between(Some(&old), &new),
            Changes {
                permissions: delta(&["a.c"], &["a.b"], &["a.a"]),
                roles: Delta::default(),
                grants: delta(&["R: a.*"], &[], &["R: a.a"]),
                inherits: delta(&["R: S"], &[], &[]),
                aliases: delta(&[], &["r"], &[]),
                conflicts: Delta::default(),
            }
        );
        assert!(Changes::between(Some(&new), &new).is_empty());
        assert_eq!(Changes::between(None, &new).roles, delta(&["R", "S"], &[], &[]));
    }
}

//! What reports must say, in the manner of [`crate::oracle`]: which rules match, what changes between two policies, who breaks
//! a conflict.

use crate::cases::ask_user;
use crate::oracle::{self, matches};
use crate::world::{Ask, Effect, Override, World};
use std::collections::BTreeSet;

/// A rule that matches: its effect for an override, its role for a role, and its pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An override that denies.
    Deny(String),
    /// An override that allows.
    Allow(String),
    /// A role, and the pattern it holds.
    Role(String, String),
}

/// The rules that match the question, in the order in which they would decide.
pub fn matching_rules(world: &World, ask: &Ask) -> Vec<Rule> {
    let active =
        matching_overrides(world, ask).filter(|over| over.expires_at.is_none_or(|end| ask.now < end));
    let held = oracle::with_inherited(world, &oracle::asked_roles(world, ask));
    let by_role = held.iter().flat_map(|role| {
        let patterns = role.grants.iter().filter(|pattern| matches(pattern, &ask.permission));
        patterns.map(|pattern| Rule::Role(role.name.clone(), pattern.clone()))
    });
    let rules: BTreeSet<Rule> = active.map(override_rule).chain(by_role).collect();
    rules.into_iter().collect()
}

/// The overrides that matched the question before they expired, none of the same kind being left.
pub fn expired_rules(world: &World, ask: &Ask) -> Vec<Rule> {
    let active = matching_rules(world, ask);
    let all: BTreeSet<Rule> = matching_overrides(world, ask).map(override_rule).collect();
    all.into_iter().filter(|rule| !active.contains(rule)).collect()
}

fn matching_overrides<'w>(world: &'w World, ask: &Ask) -> impl Iterator<Item = &'w Override> {
    world.overrides.iter().filter(|over| over.user == ask.user && matches(&over.pattern, &ask.permission))
}

fn override_rule(over: &Override) -> Rule {
    match over.effect {
        Effect::Deny => Rule::Deny(over.pattern.clone()),
        Effect::Allow => Rule::Allow(over.pattern.clone()),
    }
}

/// Who gains and loses which permissions: name, gained, lost.
pub type Changes = Vec<(String, Vec<String>, Vec<String>)>;

/// What changes for every user of either policy.
pub fn user_changes(old: &World, new: &World, now: i64) -> Changes {
    let users: BTreeSet<String> = oracle::all_users(old).into_iter().chain(oracle::all_users(new)).collect();
    let held = |world: &World, user: &str| oracle::permissions_of(world, &ask_user(user, &None, now));
    changes(users, |user| held(old, user), |user| held(new, user))
}

/// What changes for every role that has its name in both policies or in one alone.
pub fn role_changes(old: &World, new: &World) -> Changes {
    let roles: BTreeSet<String> = old.roles.iter().chain(&new.roles).map(|role| role.name.clone()).collect();
    let held = |world: &World, role: &str| oracle::permissions_of_role(world, role);
    changes(roles, |role| held(old, role), |role| held(new, role))
}

fn changes(
    names: BTreeSet<String>,
    before: impl Fn(&str) -> Vec<String>,
    after: impl Fn(&str) -> Vec<String>,
) -> Changes {
    let change = |name: String| {
        let (before, after) = (before(&name), after(&name));
        let gained: Vec<String> = after.iter().filter(|held| !before.contains(held)).cloned().collect();
        let lost: Vec<String> = before.iter().filter(|held| !after.contains(held)).cloned().collect();
        (!gained.is_empty() || !lost.is_empty()).then_some((name, gained, lost))
    };
    names.into_iter().filter_map(change).collect()
}

/// Who breaks a conflict.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    /// The conflict.
    pub conflict: String,
    /// The roles, in byte order.
    pub roles: Vec<String>,
    /// The users, in byte order.
    pub users: Vec<String>,
}

/// SPEC section 4: who holds something of the one pattern and something else of the other, by conflict. Conflicts that nobody
/// breaks are left out.
pub fn breaches(world: &World, now: i64) -> Vec<Breach> {
    let mut found = Vec::new();
    for conflict in &world.conflicts {
        let both = |held: Vec<String>| {
            let of = |pattern: &str| held.iter().filter(|name| matches(pattern, name)).collect::<Vec<_>>();
            let (left, right) = (of(&conflict.left), of(&conflict.right));
            left.iter().any(|one| right.iter().any(|other| one != other))
        };
        let roles = world.roles.iter().map(|role| role.name.clone());
        let roles: BTreeSet<String> =
            roles.filter(|role| both(oracle::permissions_of_role(world, role))).collect();
        let mut users = oracle::all_users(world);
        users.retain(|user| both(oracle::permissions_of(world, &ask_user(user, &None, now))));
        if !roles.is_empty() || !users.is_empty() {
            found.push(Breach { conflict: conflict.name.clone(), roles: roles.into_iter().collect(), users });
        }
    }
    found.sort_by(|one, other| one.conflict.cmp(&other.conflict));
    found
}

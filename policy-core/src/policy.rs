//! A whole policy, checked once and then immutable (SPEC section 2).

pub(crate) mod inheritance;

use crate::catalog::Permission;
use crate::conflict::Conflict;
use crate::error::{LimitError, PolicyError};
use crate::index::RoleId;
use crate::limits::{MAX_OVERRIDES, MAX_PERMISSIONS, MAX_ROLES, MAX_USERS};
use crate::name::{RoleName, UserId};
use crate::overrides::Override;
use crate::role::Role;
use alloc::vec::Vec;
use serde::Serialize;

/// The roles that a policy itself gives to a user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UserRoles {
    /// The user.
    pub user: UserId,
    /// Names or aliases of roles. One that the policy does not know grants nothing and is reported (SPEC section 3).
    pub roles: Vec<RoleName>,
}

/// What a policy is made of, before it is checked. The order of the lists means nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyParts {
    /// The catalog.
    pub permissions: Vec<Permission>,
    /// The roles.
    pub roles: Vec<Role>,
    /// Pairs of duties that one user must not hold both.
    pub conflicts: Vec<Conflict>,
    /// What single users may or may not do beyond their roles.
    pub overrides: Vec<Override>,
    /// The roles of users, where the policy carries them.
    pub users: Vec<UserRoles>,
}

/// A checked policy: every list sorted by bytes, no name twice, inheritance without a cycle, all limits kept.
///
/// Two policies that say the same are equal, and have the same content hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    parts: PolicyParts,
}

impl Policy {
    /// Checks the parts and puts them in order. Of overrides with the same user, pattern and effect, the one with the
    /// later expiry remains (SPEC section 3).
    ///
    /// # Errors
    /// Names what is there twice, missing, circular or over a limit (SPEC sections 2 and 6).
    pub fn new(mut parts: PolicyParts) -> Result<Self, PolicyError> {
        LimitError::check("permissions", MAX_PERMISSIONS, parts.permissions.len())?;
        LimitError::check("roles", MAX_ROLES, parts.roles.len())?;
        LimitError::check("overrides", MAX_OVERRIDES, parts.overrides.len())?;
        LimitError::check("users", MAX_USERS, parts.users.len())?;

        parts.permissions.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(name) = repeated(&parts.permissions, |entry| &entry.name) {
            return Err(PolicyError::DuplicatePermission(name.clone()));
        }
        order_roles(&mut parts.roles)?;
        check_inheritance(&parts.roles)?;

        parts.conflicts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(name) = repeated(&parts.conflicts, |conflict| &conflict.name) {
            return Err(PolicyError::DuplicateConflict(name.clone()));
        }
        merge_overrides(&mut parts.overrides);

        parts.users.sort_unstable_by(|a, b| a.user.cmp(&b.user));
        if let Some(user) = repeated(&parts.users, |entry| &entry.user) {
            return Err(PolicyError::DuplicateUser(user.clone()));
        }
        for entry in &mut parts.users {
            sort_set(&mut entry.roles);
        }
        Ok(Self { parts })
    }

    /// The catalog, by name.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.parts.permissions
    }

    /// The roles, by name.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.parts.roles
    }

    /// The role of this name or alias.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        find(&self.parts.roles, name, |role| role.name.as_str()).or_else(|| {
            let mut roles = self.parts.roles.iter();
            roles.find(|role| role.aliases.iter().any(|alias| alias.as_str() == name))
        })
    }

    /// The conflicts, by name.
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict] {
        &self.parts.conflicts
    }

    /// The overrides, by user, denies before allows, then by pattern.
    #[must_use]
    pub fn overrides(&self) -> &[Override] {
        &self.parts.overrides
    }

    /// The users whose roles the policy carries, by id.
    #[must_use]
    pub fn users(&self) -> &[UserRoles] {
        &self.parts.users
    }

    /// The parts, in the order of the accessors, to change them and check again.
    #[must_use]
    pub fn into_parts(self) -> PolicyParts {
        self.parts
    }
}

/// The entry of a list sorted by `key` that has this key.
pub(crate) fn find<'a, T>(sorted: &'a [T], wanted: &str, key: impl Fn(&T) -> &str) -> Option<&'a T> {
    position(sorted, wanted, key).and_then(|at| sorted.get(at))
}

/// Where the entry with this key is in a list sorted by `key`.
pub(crate) fn position<T>(sorted: &[T], wanted: &str, key: impl Fn(&T) -> &str) -> Option<usize> {
    sorted.binary_search_by(|entry| key(entry).cmp(wanted)).ok()
}

/// The first key that occurs twice in a list sorted by it.
fn repeated<T, K: PartialEq>(sorted: &[T], key: impl Fn(&T) -> &K) -> Option<&K> {
    let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
    pairs.find(|&(a, b)| key(a) == key(b)).map(|(_, again)| key(again)).map(|key| key as &K)
}

fn sort_set<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

fn order_roles(roles: &mut [Role]) -> Result<(), PolicyError> {
    roles.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(name) = repeated(roles, |role| &role.name) {
        return Err(PolicyError::DuplicateRole(name.clone()));
    }
    for role in &mut *roles {
        sort_set(&mut role.grants);
        sort_set(&mut role.inherits);
        sort_set(&mut role.aliases);
    }
    let names = roles.iter().map(|role| (role.name.as_str(), role.name.as_str()));
    let aliases =
        roles.iter().flat_map(|role| role.aliases.iter().map(|alias| (alias.as_str(), role.name.as_str())));
    alias_clash(&mut names.chain(aliases))
}

/// Whether a spelling stands for two roles. They come with the name of the role: first all names, and then the aliases of role after
/// role, and a clash is told of the first spelling that was there before.
pub(crate) fn alias_clash<'a>(
    spellings: &mut dyn Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), PolicyError> {
    let mut sorted: Vec<(&str, usize, &str)> = Vec::new();
    for (place, (spelling, role)) in spellings.enumerate() {
        sorted.push((spelling, place, role));
    }
    sorted.sort_unstable();
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    let clashes = pairs.filter(|((a, ..), (b, ..))| a == b);
    match clashes.min_by_key(|(_, (_, place, _))| *place) {
        None => Ok(()),
        Some(((alias, _, first), (_, _, second))) => Err(PolicyError::AliasClash {
            alias: RoleName::from_checked(alias),
            first: RoleName::from_checked(first),
            second: RoleName::from_checked(second),
        }),
    }
}

fn check_inheritance(roles: &[Role]) -> Result<(), PolicyError> {
    let mut parents = Vec::with_capacity(roles.len());
    for role in roles {
        let mut ids = Vec::with_capacity(role.inherits.len());
        for inherited in &role.inherits {
            let Some(id) = position(roles, inherited.as_str(), |role| role.name.as_str()) else {
                return Err(PolicyError::UnknownInherited {
                    role: role.name.clone(),
                    inherits: inherited.clone(),
                });
            };
            ids.push(RoleId::of(Some(id)));
        }
        parents.push(ids);
    }
    let parents = |role: usize| parents.get(role).map(Vec::as_slice).unwrap_or_default();
    let name = |role: usize| roles.get(role).map(|role| role.name.as_str()).unwrap_or_default();
    inheritance::check(roles.len(), &parents, &name)
}

fn merge_overrides(overrides: &mut Vec<Override>) {
    overrides.sort_unstable_by(|a, b| {
        (&a.user, a.effect, &a.pattern, &a.reason).cmp(&(&b.user, b.effect, &b.pattern, &b.reason))
    });
    overrides.dedup_by(|next, kept| {
        let same = next.user == kept.user && next.effect == kept.effect && next.pattern == kept.pattern;
        if same && next.outlasts(kept) {
            core::mem::swap(next, kept);
        }
        same
    });
}

//! The compiled form of a policy, on which all questions are answered.
//!
//! ```text
//! permission name ─Finder─► id (place in the byte-ordered catalog) ────────────┐
//! role spelling   ─Finder─► role id ─► set of the role and all it inherits ─┐  │
//! user id         ─Finder─► user ─► role ids ───────────────────────────────┤  │
//!                                 └► overrides: denies, then allows,        ▼  ▼
//!                                    each by pattern ─► cover ────► SetPool: bit `id`
//! ```
//! Patterns are matched here once, against the whole catalog; a check only tests bits. Numbers follow byte order
//! (permissions, roles, patterns), so "the least in byte order" (SPEC section 3) is the least number.

mod compile;
pub(crate) mod source;

use crate::bundle::ContentHash;
use crate::catalog::PermissionId;
use crate::decide::Spelling;
use crate::overrides::Effect;
use crate::set::{self, SetId, SetPool};
use crate::table::{Finder, Texts};
use crate::time::Timestamp;
use alloc::vec::Vec;

/// A policy made ready to answer: owned, immutable, shared between threads at will.
#[derive(Clone, Debug)]
pub struct Index {
    pub(crate) hash: ContentHash,
    pub(crate) permissions: Texts,
    permission_finder: Finder,
    pub(crate) role_names: Texts,
    pub(crate) roles: Vec<CompiledRole>,
    /// Every name and alias of a role, and the role it stands for.
    spellings: Texts,
    spelling_finder: Finder,
    spelling_roles: Vec<RoleId>,
    pub(crate) patterns: Texts,
    pub(crate) covers: Vec<Cover>,
    /// The patterns of all roles, role after role, each role's in byte order.
    grants: Vec<PatternId>,
    /// The roles that each role holds patterns of, itself among them, role after role, least first.
    closures: Vec<RoleId>,
    pub(crate) sets: SetPool,
    pub(crate) users: Texts,
    user_finder: Finder,
    user_entries: Vec<UserEntry>,
    /// Numbers of `stored_spellings`, user after user.
    user_roles: Vec<u32>,
    /// Every spelling by which stored roles of users are named, and the role it stands for, if any.
    stored_spellings: Texts,
    stored_roles: Vec<Option<RoleId>>,
    /// The overrides of all users, user after user, each user's as `CompiledOverride` says.
    overrides: Vec<CompiledOverride>,
    pub(crate) reasons: Texts,
}

/// A role's place in the byte-ordered list of roles of one compiled policy. It means nothing to another policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RoleId(pub(crate) u16);

impl RoleId {
    /// The role at a place in that list.
    pub(crate) fn of(place: Option<usize>) -> Self {
        Self(place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX))
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The number of a pattern in `Index::patterns`.
pub(crate) type PatternId = u32;

/// Part of a list that holds the entries of many owners one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From one place to before another.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: number(Some(start)), end: number(Some(end)) }
    }

    #[inline(always)]
    fn of<'l, T>(&self, list: &'l [T]) -> &'l [T] {
        list.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A place in a list of names, which together have fewer bytes than 32 bits count.
pub(crate) fn number(position: Option<usize>) -> u32 {
    position.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
}

#[derive(Clone, Debug)]
pub(crate) struct CompiledRole {
    /// What the role's own patterns cover.
    pub(crate) own: SetId,
    /// That and what it inherits.
    pub(crate) all: SetId,
    grants: Span,
    closure: Span,
}

/// A user's overrides lie denies first, then allows, each in byte order of the pattern: the order of SPEC section 3.
#[derive(Clone, Debug)]
pub(crate) struct CompiledOverride {
    pub(crate) pattern: PatternId,
    pub(crate) reason: u32,
    pub(crate) effect: Effect,
    pub(crate) expires_at: Option<Timestamp>,
}

impl CompiledOverride {
    pub(crate) fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct UserEntry {
    roles: Span,
    overrides: Span,
}

/// The permissions that a pattern matches. Most patterns match one, or a run of neighbours in byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cover {
    /// From the first number to before the second.
    Run(u16, u16),
    Set(SetId),
}

impl Index {
    /// The hash of the policy that was compiled.
    #[must_use]
    pub const fn content_hash(&self) -> ContentHash {
        self.hash
    }

    /// The id of a permission of the catalog.
    #[must_use]
    #[inline(always)]
    pub fn permission_id(&self, name: &str) -> Option<PermissionId> {
        let number = self.permission_finder.find(&self.permissions, name)?;
        u16::try_from(number).ok().map(PermissionId)
    }

    /// The name of a permission. Empty for an id of another policy that is too large for this one.
    #[must_use]
    pub fn permission(&self, id: PermissionId) -> &str {
        self.permissions.get(u32::from(id.0))
    }

    /// The names of the catalog, in byte order, which is the order of their ids.
    pub fn permissions(&self) -> impl ExactSizeIterator<Item = &str> {
        self.permissions.iter()
    }

    /// The role that a name or alias stands for.
    #[must_use]
    pub fn role_id(&self, spelling: &str) -> Option<RoleId> {
        let number = self.spelling_finder.find(&self.spellings, spelling)?;
        self.spelling_roles.get(number as usize).copied()
    }

    /// A role's own name. Empty for an id of another policy that is too large for this one.
    #[must_use]
    pub fn role(&self, id: RoleId) -> &str {
        self.role_names.get(u32::from(id.0))
    }

    /// How many bytes the bit sets of all roles and wildcards take together.
    #[must_use]
    pub fn set_bytes(&self) -> usize {
        self.sets.bytes()
    }

    #[inline(always)]
    pub(crate) fn compiled_role(&self, id: RoleId) -> Option<&CompiledRole> {
        self.roles.get(usize::from(id.0))
    }

    pub(crate) fn role_ids(&self) -> impl Iterator<Item = RoleId> {
        (0..self.roles.len()).filter_map(|at| u16::try_from(at).ok().map(RoleId))
    }

    /// What the role holds, inherited patterns too.
    #[inline(always)]
    pub(crate) fn role_set(&self, id: RoleId) -> &[u64] {
        match self.compiled_role(id) {
            Some(role) => self.sets.get(role.all),
            None => &[],
        }
    }

    /// The roles whose patterns the role holds, itself among them, least first.
    pub(crate) fn closure(&self, id: RoleId) -> &[RoleId] {
        self.compiled_role(id).map(|role| role.closure.of(&self.closures)).unwrap_or_default()
    }

    /// The role's own patterns, least first.
    pub(crate) fn grants(&self, id: RoleId) -> &[PatternId] {
        self.compiled_role(id).map(|role| role.grants.of(&self.grants)).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn user(&self, id: &str) -> Option<&UserEntry> {
        let number = self.user_finder.find(&self.users, id)?;
        self.user_entries.get(number as usize)
    }

    pub(crate) fn user_entries(&self) -> impl Iterator<Item = (&str, &UserEntry)> {
        self.users.iter().zip(&self.user_entries)
    }

    #[inline(always)]
    pub(crate) fn overrides_of(&self, user: Option<&UserEntry>) -> &[CompiledOverride] {
        match user {
            Some(entry) => entry.overrides.of(&self.overrides),
            None => &[],
        }
    }

    /// The numbers of the spellings of a user's stored roles.
    #[inline(always)]
    pub(crate) fn stored_roles_of(&self, user: Option<&UserEntry>) -> &[u32] {
        match user {
            Some(entry) => entry.roles.of(&self.user_roles),
            None => &[],
        }
    }

    /// The role that a spelling stands for.
    #[inline(always)]
    pub(crate) fn role_spelled(&self, spelling: Spelling<'_>) -> Option<RoleId> {
        match spelling {
            Spelling::Stored(number) => self.stored_roles.get(number as usize).copied().flatten(),
            Spelling::Named(name) => self.role_id(name),
        }
    }

    /// A spelling as a text.
    pub(crate) fn spelling<'s>(&'s self, spelling: Spelling<'s>) -> &'s str {
        match spelling {
            Spelling::Stored(number) => self.stored_spellings.get(number),
            Spelling::Named(name) => name,
        }
    }

    pub(crate) fn covers(&self, pattern: PatternId, permission: PermissionId) -> bool {
        match self.covers.get(pattern as usize) {
            Some(&Cover::Run(start, end)) => (start..end).contains(&permission.0),
            Some(&Cover::Set(id)) => set::contains(self.sets.get(id), permission),
            None => false,
        }
    }

    /// The set of what the pattern covers, in `scratch` when it is not kept as a set.
    pub(crate) fn cover_set<'s>(&'s self, pattern: PatternId, scratch: &'s mut Vec<u64>) -> &'s [u64] {
        match self.covers.get(pattern as usize) {
            Some(&Cover::Set(id)) => self.sets.get(id),
            Some(&Cover::Run(start, end)) => {
                scratch.clear();
                scratch.resize(self.sets.width(), 0);
                set::insert_run(scratch, start, end);
                scratch
            }
            None => &[],
        }
    }
}

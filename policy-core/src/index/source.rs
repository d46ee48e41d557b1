//! What is compiled: the lists of a policy that has been checked, as texts and numbers.

use super::{RoleId, Span};
use crate::bundle::wire;
use crate::name::RoleName;
use crate::overrides::Effect;
use crate::pattern::Pattern;
use crate::policy::{Policy, position};
use crate::time::Timestamp;
use alloc::vec::Vec;

/// All lists are in byte order of their first column.
#[derive(Default)]
pub(crate) struct Source<'p> {
    pub(crate) permissions: Vec<&'p str>,
    pub(crate) roles: Vec<SourceRole<'p>>,
    /// By user, then by effect, then by pattern.
    pub(crate) overrides: Vec<SourceOverride<'p>>,
    /// Every spelling by which a user's roles are named.
    pub(crate) spellings: Vec<&'p str>,
    pub(crate) users: Vec<SourceUser<'p>>,
    /// Numbers of spellings, user after user.
    pub(crate) user_roles: Vec<u32>,
}

pub(crate) struct SourceRole<'p> {
    pub(crate) name: &'p str,
    pub(crate) grants: Vec<&'p str>,
    /// The roles it inherits.
    pub(crate) parents: Vec<RoleId>,
    pub(crate) aliases: Vec<&'p str>,
}

pub(crate) struct SourceOverride<'p> {
    pub(crate) user: &'p str,
    pub(crate) effect: Effect,
    pub(crate) pattern: &'p str,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) reason: &'p str,
}

impl<'p> SourceOverride<'p> {
    /// What they are in order of, and what is there once.
    pub(crate) const fn key(&self) -> (&'p str, Effect, &'p str) {
        (self.user, self.effect, self.pattern)
    }
}

pub(crate) struct SourceUser<'p> {
    pub(crate) id: &'p str,
    /// Of `user_roles`.
    pub(crate) roles: Span,
}

impl<'p> Source<'p> {
    pub(crate) fn of(policy: &'p Policy) -> Self {
        let role_id =
            |name: &RoleName| RoleId::of(position(policy.roles(), name.as_str(), |role| role.name.as_str()));
        let mut source = Self {
            permissions: policy.permissions().iter().map(|entry| entry.name.as_str()).collect(),
            spellings: wire::spellings(policy),
            ..Self::default()
        };
        for role in policy.roles() {
            source.roles.push(SourceRole {
                name: role.name.as_str(),
                grants: role.grants.iter().map(Pattern::as_str).collect(),
                parents: role.inherits.iter().map(role_id).collect(),
                aliases: role.aliases.iter().map(RoleName::as_str).collect(),
            });
        }
        for entry in policy.overrides() {
            source.overrides.push(SourceOverride {
                user: entry.user.as_str(),
                effect: entry.effect,
                pattern: entry.pattern.as_str(),
                expires_at: entry.expires_at,
                reason: &entry.reason,
            });
        }
        for entry in policy.users() {
            let start = source.user_roles.len();
            let spellings = &source.spellings;
            let number = |role: &RoleName| super::number(position(spellings, role.as_str(), |text| text));
            source.user_roles.extend(entry.roles.iter().map(number));
            let roles = Span::new(start, source.user_roles.len());
            source.users.push(SourceUser { id: entry.user.as_str(), roles });
        }
        source
    }

    /// An upper bound for the bytes that the compiled form takes while it is made, but for its sets. `text` is how many bytes all
    /// texts have together.
    pub(crate) fn memory(&self, text: usize) -> u64 {
        let of_roles =
            |list: fn(&SourceRole<'p>) -> usize| self.roles.iter().map(list).fold(0, usize::saturating_add);
        let counts = [
            (self.permissions.len(), bytes::TEXT),
            (self.roles.len(), bytes::ROLE),
            (of_roles(|role| role.grants.len()), bytes::PATTERN),
            (of_roles(|role| role.aliases.len()), bytes::TEXT),
            (self.overrides.len(), bytes::OVERRIDE),
            (self.spellings.len(), bytes::TEXT),
            (self.users.len(), bytes::USER),
            (self.user_roles.len(), bytes::NUMBER),
        ];
        // A text is in one table, which may be half empty and is being copied.
        let text = text.saturating_mul(3);
        let all = counts.iter().map(|&(count, each)| count.saturating_mul(each));
        all.fold(text, usize::saturating_add) as u64
    }
}

/// What an entry may take: in its list, which may be half empty and is being copied, and in those that are made on the way.
mod bytes {
    use super::super::{CompiledOverride, CompiledRole, Cover, UserEntry};

    /// In a list and in a table of texts, and found by hash.
    pub(super) const TEXT: usize = LIST * (size_of::<&str>() + 4) + 24;
    /// As a text, as a number in the list of its role, and with a set to find.
    pub(super) const PATTERN: usize = TEXT + SET + LIST * (4 + size_of::<Cover>());
    pub(super) const ROLE: usize =
        2 * (TEXT + SET) + LIST * (size_of::<CompiledRole>() + 16 * size_of::<usize>());
    /// Who has overrides may be a user of whom nothing else is known.
    pub(super) const OVERRIDE: usize = PATTERN + TEXT + USER + LIST * size_of::<CompiledOverride>();
    pub(super) const USER: usize = TEXT + LIST * size_of::<UserEntry>();
    pub(super) const NUMBER: usize = LIST * 4;

    /// A set is found by hash while others are added; what is in it is asked for as it is made.
    const SET: usize = 40;
    /// A list that doubles is there twice while it is copied.
    const LIST: usize = 3;
}

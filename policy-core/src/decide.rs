//! The decision (SPEC section 3).

use crate::catalog::PermissionId;
use crate::index::{Index, PatternId, RoleId, UserEntry};
use crate::name::{PermissionName, UserId};
use crate::overrides::Effect;
use crate::set;
use crate::time::Timestamp;
use core::fmt;
use core::slice::Iter;
use serde::Serialize;

/// One question: may this user do this now?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The user's id, whose overrides count.
    pub user: &'a str,
    /// Where the user's roles come from.
    pub roles: Roles<'a>,
    /// The permission asked for.
    pub permission: &'a str,
    /// The moment of the question; the core reads no clock.
    pub now: Timestamp,
}

/// Where the roles of the user in question come from.
#[derive(Clone, Copy, Debug)]
pub enum Roles<'a> {
    /// The policy itself, which says the roles of its users.
    Stored,
    /// The caller, as a token carries them: names or aliases. Unknown ones grant nothing.
    Named(&'a [&'a str]),
}

/// The answer, with its reason. The text borrows from the compiled policy.
///
/// Serialised as `{"decision":"allow","reason":"role","role":"…","pattern":"…"}`,
/// `{"decision":"allow","reason":"override","pattern":"…"}`, `{"decision":"deny","reason":"explicit_deny","pattern":"…"}`
/// or `{"decision":"deny","reason":"no_grant"}` and likewise `unknown_permission`, `invalid_request`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision<'p> {
    /// The user may.
    Allow(Grant<'p>),
    /// The user may not.
    Deny(Denial<'p>),
}

/// What allowed it. Among several, an override before a role; of each kind the least in byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Grant<'p> {
    /// An active override of the user.
    Override {
        /// Its pattern.
        pattern: &'p str,
    },
    /// A role of the user, or one that it inherits.
    Role {
        /// The role that holds the pattern, by its own name; not the one that inherited it.
        role: &'p str,
        /// The pattern.
        pattern: &'p str,
    },
}

/// Why it was denied, in the order in which the reasons are looked for, but for allows, which come before `NoGrant`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Denial<'p> {
    /// The permission is not a permission (a pattern, say), or the user id is not one.
    InvalidRequest,
    /// The permission is not in the catalog.
    UnknownPermission,
    /// An active override of the user takes it away.
    ExplicitDeny {
        /// Its pattern.
        pattern: &'p str,
    },
    /// Nothing grants it.
    NoGrant,
}

impl Decision<'_> {
    /// Whether the user may.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// The reason's code: `override`, `role`, `explicit_deny`, `no_grant`, `unknown_permission` or `invalid_request`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Allow(Grant::Override { .. }) => "override",
            Self::Allow(Grant::Role { .. }) => "role",
            Self::Deny(Denial::InvalidRequest) => "invalid_request",
            Self::Deny(Denial::UnknownPermission) => "unknown_permission",
            Self::Deny(Denial::ExplicitDeny { .. }) => "explicit_deny",
            Self::Deny(Denial::NoGrant) => "no_grant",
        }
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(Grant::Override { pattern }) => write!(f, "allow: an override allows `{pattern}`"),
            Self::Allow(Grant::Role { role, pattern }) => write!(f, "allow: role `{role}` holds `{pattern}`"),
            Self::Deny(Denial::InvalidRequest) => {
                f.write_str("deny: invalid request, this is not a permission or not a user id")
            }
            Self::Deny(Denial::UnknownPermission) => {
                f.write_str("deny: the permission is not in the catalog")
            }
            Self::Deny(Denial::ExplicitDeny { pattern }) => write!(f, "deny: an override denies `{pattern}`"),
            Self::Deny(Denial::NoGrant) => f.write_str("deny: nothing grants it"),
        }
    }
}

/// The answer without the names in its reason.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// A role of the user, or one that it inherits, allows it.
    AllowedByRole,
    /// An active override of the user allows it.
    AllowedByOverride,
    /// An active override of the user takes it away.
    ExplicitDeny,
    /// Nothing grants it.
    NoGrant,
    /// The permission is not in the catalog.
    UnknownPermission,
    /// The permission is not a permission, or the user id is not one.
    InvalidRequest,
}

impl Answer {
    /// Whether the user may.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::AllowedByRole | Self::AllowedByOverride)
    }
}

impl From<&Decision<'_>> for Answer {
    fn from(decision: &Decision<'_>) -> Self {
        match decision {
            Decision::Allow(Grant::Role { .. }) => Self::AllowedByRole,
            Decision::Allow(Grant::Override { .. }) => Self::AllowedByOverride,
            Decision::Deny(denial) => Self::from(*denial),
        }
    }
}

impl From<Denial<'_>> for Answer {
    fn from(denial: Denial<'_>) -> Self {
        match denial {
            Denial::ExplicitDeny { .. } => Self::ExplicitDeny,
            Denial::NoGrant => Self::NoGrant,
            Denial::UnknownPermission => Self::UnknownPermission,
            Denial::InvalidRequest => Self::InvalidRequest,
        }
    }
}

impl Index {
    /// Answers with the reason (SPEC section 3). Allocates nothing.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision<'_> {
        let (user, permission) = match self.subject(request) {
            Ok(found) => found,
            Err(denial) => return Decision::Deny(denial),
        };
        match self.verdict(user, request.roles, permission, request.now) {
            Verdict::Denied(pattern) => {
                Decision::Deny(Denial::ExplicitDeny { pattern: self.patterns.get(pattern) })
            }
            Verdict::AllowedByOverride(pattern) => {
                Decision::Allow(Grant::Override { pattern: self.patterns.get(pattern) })
            }
            Verdict::AllowedByRole => match self.least_grant(user, request.roles, permission) {
                Some((role, pattern)) => Decision::Allow(Grant::Role {
                    role: self.role(role),
                    pattern: self.patterns.get(pattern),
                }),
                None => Decision::Deny(Denial::NoGrant),
            },
            Verdict::NoGrant => Decision::Deny(Denial::NoGrant),
        }
    }

    /// Answers without looking for the name of the reason. Allocates nothing.
    #[must_use]
    pub fn allows(&self, request: &Request<'_>) -> bool {
        self.answer(request).is_allowed()
    }

    /// Answers with the kind of the reason. Allocates nothing.
    #[must_use]
    pub fn answer(&self, request: &Request<'_>) -> Answer {
        match self.find_subject(request) {
            Ok((user, permission)) => self.verdict(user, request.roles, permission, request.now).into(),
            Err(denial) => denial.into(),
        }
    }

    /// [`Index::answer`] for a permission of this policy that was looked up before.
    #[must_use]
    pub fn answer_by_id(
        &self,
        user: &str,
        roles: Roles<'_>,
        permission: PermissionId,
        now: Timestamp,
    ) -> Answer {
        let entry = self.user(user);
        if entry.is_none() && !UserId::is_valid(user) {
            return Answer::InvalidRequest;
        }
        self.verdict(entry, roles, permission, now).into()
    }

    /// The user and the permission that a request is about, or why it is about none.
    pub(crate) fn subject(
        &self,
        request: &Request<'_>,
    ) -> Result<(Option<&UserEntry>, PermissionId), Denial<'static>> {
        self.find_subject(request)
    }

    #[inline(always)]
    fn find_subject(
        &self,
        request: &Request<'_>,
    ) -> Result<(Option<&UserEntry>, PermissionId), Denial<'static>> {
        let user = self.user(request.user);
        if user.is_none() && !UserId::is_valid(request.user) {
            return Err(Denial::InvalidRequest);
        }
        match self.permission_id(request.permission) {
            Some(permission) => Ok((user, permission)),
            None if PermissionName::is_valid(request.permission) => Err(Denial::UnknownPermission),
            None => Err(Denial::InvalidRequest),
        }
    }

    #[inline(always)]
    fn verdict(
        &self,
        user: Option<&UserEntry>,
        roles: Roles<'_>,
        permission: PermissionId,
        now: Timestamp,
    ) -> Verdict {
        // Denies lie before allows, each in byte order, so the first that applies is the one to name.
        for entry in self.overrides_of(user) {
            if entry.is_active(now) && self.covers(entry.pattern, permission) {
                return match entry.effect {
                    Effect::Deny => Verdict::Denied(entry.pattern),
                    Effect::Allow => Verdict::AllowedByOverride(entry.pattern),
                };
            }
        }
        for spelling in self.spelled_roles_of(user, roles) {
            if let Some(role) = self.role_spelled(spelling)
                && set::contains(self.role_set(role), permission)
            {
                return Verdict::AllowedByRole;
            }
        }
        Verdict::NoGrant
    }

    /// The least role in byte order that holds a pattern that covers the permission, and its least such pattern.
    fn least_grant(
        &self,
        user: Option<&UserEntry>,
        roles: Roles<'_>,
        permission: PermissionId,
    ) -> Option<(RoleId, PatternId)> {
        let holder = self
            .roles_of(user, roles)
            .filter_map(|role| {
                let mut holders = self.closure(role).iter().copied();
                holders.find(|&holder| self.holds_itself(holder, permission))
            })
            .min()?;
        let pattern = self.grants(holder).iter().find(|&&pattern| self.covers(pattern, permission))?;
        Some((holder, *pattern))
    }

    pub(crate) fn holds_itself(&self, role: RoleId, permission: PermissionId) -> bool {
        self.compiled_role(role).is_some_and(|role| set::contains(self.sets.get(role.own), permission))
    }

    /// The known roles of a user, in the order given; one may come twice.
    #[inline(always)]
    pub(crate) fn roles_of<'s>(
        &'s self,
        user: Option<&'s UserEntry>,
        roles: Roles<'s>,
    ) -> impl Iterator<Item = RoleId> + 's {
        self.spelled_roles_of(user, roles).filter_map(|spelling| self.role_spelled(spelling))
    }

    /// The roles of a user as they are spelled.
    #[inline(always)]
    pub(crate) fn spelled_roles_of<'s>(
        &'s self,
        user: Option<&'s UserEntry>,
        roles: Roles<'s>,
    ) -> SpelledRoles<'s> {
        let (stored, named) = match roles {
            Roles::Stored => (user, [].as_slice()),
            Roles::Named(names) => (None, names),
        };
        SpelledRoles { stored: self.stored_roles_of(stored).iter(), named: named.iter() }
    }
}

/// How a role of a user is spelled.
#[derive(Clone, Copy)]
pub(crate) enum Spelling<'s> {
    /// As the stored spelling with this number.
    Stored(u32),
    /// As a request does.
    Named(&'s str),
}

/// The roles of a user: stored ones, or those that a request names. A type of its own, since adapters that are chained are made anew
/// for each use.
pub(crate) struct SpelledRoles<'s> {
    stored: Iter<'s, u32>,
    named: Iter<'s, &'s str>,
}

impl<'s> Iterator for SpelledRoles<'s> {
    type Item = Spelling<'s>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        match self.stored.next() {
            Some(&number) => Some(Spelling::Stored(number)),
            None => self.named.next().map(|&name| Spelling::Named(name)),
        }
    }
}

enum Verdict {
    Denied(PatternId),
    AllowedByOverride(PatternId),
    AllowedByRole,
    NoGrant,
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Denied(_) => Self::ExplicitDeny,
            Verdict::AllowedByOverride(_) => Self::AllowedByOverride,
            Verdict::AllowedByRole => Self::AllowedByRole,
            Verdict::NoGrant => Self::NoGrant,
        }
    }
}

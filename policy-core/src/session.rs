//! One user's effective set, resolved once, so that each later check is one bit test.

use crate::catalog::PermissionId;
use crate::decide::Roles;
use crate::index::{Index, UserEntry};
use crate::overrides::Effect;
use crate::set;
use crate::time::Timestamp;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What a user may do from the moment of resolving until [`Session::valid_until`].
///
/// It belongs to the [`Index`] that made it: ids of another policy mean something else to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    bits: Box<[u64]>,
    resolved_at: Timestamp,
    valid_until: Option<Timestamp>,
}

impl Session {
    /// Whether the user may, while the session is valid. One bit test; allocates nothing.
    #[inline]
    #[must_use]
    pub fn allows(&self, permission: PermissionId) -> bool {
        set::contains(&self.bits, permission)
    }

    /// The moment at which it was resolved, and the first at which it is valid.
    #[must_use]
    pub const fn resolved_at(&self) -> Timestamp {
        self.resolved_at
    }

    /// The first moment at which an override of the user expires and the session must be resolved again; `None` when
    /// none that is active will.
    #[must_use]
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// Whether the session still says what [`Index::decide`] says at `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.resolved_at <= now && self.valid_until.is_none_or(|end| now < end)
    }

    /// The permissions of the set, in byte order of their names.
    pub fn permissions(&self) -> impl Iterator<Item = PermissionId> {
        set::members(&self.bits)
    }

    /// The set as words: bit `id % 64` of word `id / 64` stands for the permission `id`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.bits
    }
}

impl Index {
    /// Resolves a user's effective set at `now`. A user id that is not one gets an empty set.
    #[must_use]
    pub fn session(&self, user: &str, roles: Roles<'_>, now: Timestamp) -> Session {
        let entry = self.user(user);
        let bits = if entry.is_none() && !crate::name::UserId::is_valid(user) {
            self.sets.empty()
        } else {
            self.effective_set(entry, roles, now)
        };
        let ends = self.overrides_of(entry).iter().filter_map(|entry| entry.expires_at);
        Session {
            bits: bits.into_boxed_slice(),
            resolved_at: now,
            valid_until: ends.filter(|&end| now < end).min(),
        }
    }

    /// `(roles' patterns ∪ active allows) − active denies`, over the catalog (SPEC section 3).
    pub(crate) fn effective_set(
        &self,
        user: Option<&UserEntry>,
        roles: Roles<'_>,
        now: Timestamp,
    ) -> Vec<u64> {
        let mut bits = self.sets.empty();
        for role in self.roles_of(user, roles) {
            set::unite(&mut bits, self.role_set(role));
        }
        let mut scratch = Vec::new();
        // Allows lie behind denies, and a deny beats every allow: from the back, denies come last.
        for entry in self.overrides_of(user).iter().rev().filter(|entry| entry.is_active(now)) {
            let cover = self.cover_set(entry.pattern, &mut scratch);
            match entry.effect {
                Effect::Allow => set::unite(&mut bits, cover),
                Effect::Deny => set::subtract(&mut bits, cover),
            }
        }
        bits
    }
}

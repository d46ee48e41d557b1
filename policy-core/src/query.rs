//! Every permission of a user, and every holder of a permission (SPEC section 3).

use crate::catalog::PermissionId;
use crate::decide::{Denial, Request, Roles};
use crate::index::Index;
use crate::set;
use crate::time::Timestamp;
use alloc::vec::Vec;
use serde::Serialize;

/// Who holds one permission.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Holders<'p> {
    /// The roles that hold it, inherited or not, in byte order.
    pub roles: Vec<&'p str>,
    /// The users of the policy that hold it by stored roles or override, denies and expiry counted, in byte order.
    pub users: Vec<&'p str>,
}

impl Index {
    /// Every permission that the user holds at `now`, in byte order.
    #[must_use]
    pub fn permissions_of(&self, user: &str, roles: Roles<'_>, now: Timestamp) -> Vec<&str> {
        self.session(user, roles, now).permissions().map(|id| self.permission(id)).collect()
    }

    /// Every permission that a role holds, inherited ones too, in byte order; none for a role that does not exist.
    pub fn permissions_of_role(&self, role: &str) -> impl Iterator<Item = &str> {
        let bits = self.role_id(role).map(|id| self.role_set(id)).unwrap_or_default();
        set::members(bits).map(|id| self.permission(id))
    }

    /// Who holds `permission` at `now`: roles, and the users whose roles or overrides the policy carries.
    ///
    /// # Errors
    /// `invalid_request` when it is not a permission, `unknown_permission` when it is not in the catalog.
    pub fn who_can(&self, permission: &str, now: Timestamp) -> Result<Holders<'_>, Denial<'static>> {
        // Any valid user id will do: what is asked for here is the permission.
        let request = Request { user: "-", roles: Roles::Stored, permission, now };
        let (_, id) = self.subject(&request)?;
        let holds = |role: &_| set::contains(self.role_set(*role), id);
        let users = self.users.iter().filter(|&user| self.allows(&Request { user, ..request }));
        Ok(Holders {
            roles: self.role_ids().filter(holds).map(|role| self.role(role)).collect(),
            users: users.collect(),
        })
    }

    /// The spellings among a user's roles that stand for no role of the policy, in the order given and as often; they
    /// grant nothing (SPEC section 3).
    pub fn unknown_roles<'s>(&'s self, user: &str, roles: Roles<'s>) -> impl Iterator<Item = &'s str> + 's {
        let spelled = self.spelled_roles_of(self.user(user), roles);
        let unknown = spelled.filter(|spelling| self.role_spelled(*spelling).is_none());
        unknown.map(|spelling| self.spelling(spelling))
    }

    /// The ids of the users whose stored roles or overrides the policy carries, in byte order.
    pub fn user_ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.users.iter()
    }

    /// The names of the roles, in byte order.
    pub fn role_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.role_names.iter()
    }

    /// The permissions that a pattern matches, in byte order; the pattern need not be one of the policy's.
    pub fn matching<'s>(&'s self, pattern: &'s crate::Pattern) -> impl Iterator<Item = PermissionId> + 's {
        // The list first: a catalog of the largest size ends before the count would overflow.
        let ids = self.permissions().zip(0_u16..);
        ids.filter_map(|(name, id)| {
            crate::pattern::matches(pattern.as_str(), name).then_some(PermissionId(id))
        })
    }
}

//! Why a policy is refused.

use crate::name::{Label, PermissionName, RoleName, UserId};
use alloc::vec::Vec;
use core::fmt;
use thiserror::Error;

/// A limit of SPEC section 6 was passed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{limit}: {value} is over the limit of {max}")]
pub struct LimitError {
    /// What is limited, in the plural and with its unit: `permissions`, `levels of inheritance of role `X``.
    pub limit: &'static str,
    /// The limit.
    pub max: u64,
    /// What there was; for work that was stopped half-way, how far it had come.
    pub value: u64,
}

impl LimitError {
    /// `Ok` while `value` is within `max`.
    pub(crate) fn check(limit: &'static str, max: usize, value: usize) -> Result<(), Self> {
        if value <= max {
            return Ok(());
        }
        Err(Self { limit, max: max as u64, value: value as u64 })
    }
}

/// Why parts do not make a policy (SPEC section 2).
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The catalog names a permission twice.
    #[error("permission `{0}` is in the catalog twice")]
    DuplicatePermission(PermissionName),
    /// Two roles have one name.
    #[error("role `{0}` is defined twice")]
    DuplicateRole(RoleName),
    /// One spelling stands for two roles.
    #[error(
        "`{alias}` names both role `{first}` and role `{second}`; a spelling may stand for one role only"
    )]
    AliasClash {
        /// The spelling.
        alias: RoleName,
        /// The role that has it by name or alias.
        first: RoleName,
        /// The other role that claims it.
        second: RoleName,
    },
    /// A role inherits one that does not exist.
    #[error(
        "role `{role}` inherits `{inherits}`, which is not the name of a role (aliases do not count here)"
    )]
    UnknownInherited {
        /// The role.
        role: RoleName,
        /// What it names.
        inherits: RoleName,
    },
    /// Roles inherit each other in a circle.
    #[error("roles inherit each other in a circle: {0}")]
    InheritanceCycle(Cycle),
    /// The roles of one user are given twice.
    #[error("the roles of user `{0}` are given twice")]
    DuplicateUser(UserId),
    /// Two conflicts have one name.
    #[error("conflict `{0}` is defined twice")]
    DuplicateConflict(Label),
    /// A limit was passed.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

/// The roles of a cycle, in the order in which each inherits the next; the last inherits the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle(pub Vec<RoleName>);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for role in self.0.iter().chain(self.0.first()).enumerate() {
            let separator = if role.0 == 0 { "" } else { " > " };
            write!(f, "{separator}{}", role.1)?;
        }
        Ok(())
    }
}

//! Separation of duties (SPEC section 4).

use crate::catalog::PermissionId;
use crate::decide::Roles;
use crate::error::LimitError;
use crate::index::Index;
use crate::name::Label;
use crate::pattern::Pattern;
use crate::policy::Policy;
use crate::set;
use crate::time::Timestamp;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Serialize;

/// Two patterns that one user must not both hold. It denies nothing by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Conflict {
    /// What it is called in reports.
    pub name: Label,
    /// One duty.
    pub left: Pattern,
    /// The other duty.
    pub right: Pattern,
    /// Why the two must be apart, for people.
    pub reason: String,
}

/// Who breaks one conflict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ConflictBreach {
    /// The conflict's name.
    pub conflict: String,
    /// Roles that hold both duties by themselves or by inheritance, in byte order.
    pub roles: Vec<String>,
    /// Users of the policy that hold both duties, in byte order.
    pub users: Vec<String>,
}

/// The conflicts that roles or users of the policy break at `now`, by name.
///
/// A holder breaks a conflict when it holds a permission that the one pattern matches and another permission that the
/// other matches: one permission that both match is one duty, not two.
///
/// # Errors
/// When the policy cannot be compiled.
pub fn breaches(policy: &Policy, now: Timestamp) -> Result<Vec<ConflictBreach>, LimitError> {
    let index = Index::compile(policy)?;
    let duties: Vec<(&Conflict, Duties)> =
        policy.conflicts().iter().map(|conflict| (conflict, Duties::of(conflict, &index))).collect();
    let mut found: Vec<ConflictBreach> = duties
        .iter()
        .map(|(conflict, _)| ConflictBreach {
            conflict: conflict.name.to_string(),
            roles: Vec::new(),
            users: Vec::new(),
        })
        .collect();
    for role in index.role_ids() {
        let held = index.role_set(role);
        for ((_, duties), breach) in duties.iter().zip(&mut found) {
            if duties.both_in(held) {
                breach.roles.push(index.role(role).to_string());
            }
        }
    }
    for (id, user) in index.user_entries() {
        let held = index.effective_set(Some(user), Roles::Stored, now);
        for ((_, duties), breach) in duties.iter().zip(&mut found) {
            if duties.both_in(&held) {
                breach.users.push(id.to_string());
            }
        }
    }
    found.retain(|breach| !breach.roles.is_empty() || !breach.users.is_empty());
    Ok(found)
}

/// The permissions of the two sides of a conflict.
struct Duties {
    left: Vec<PermissionId>,
    right: Vec<PermissionId>,
}

impl Duties {
    fn of(conflict: &Conflict, index: &Index) -> Self {
        Self {
            left: index.matching(&conflict.left).collect(),
            right: index.matching(&conflict.right).collect(),
        }
    }

    fn both_in(&self, held: &[u64]) -> bool {
        let of = |side: &[PermissionId]| -> Vec<PermissionId> {
            side.iter().copied().filter(|&id| set::contains(held, id)).collect()
        };
        let (left, right) = (of(&self.left), of(&self.right));
        left.iter().any(|one| right.iter().any(|other| one != other))
    }
}

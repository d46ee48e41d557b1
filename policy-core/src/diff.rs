//! What changes for whom between two policies (SPEC section 3).

use crate::decide::Roles;
use crate::error::LimitError;
use crate::index::Index;
use crate::policy::Policy;
use crate::time::Timestamp;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use serde::Serialize;

/// Everything that differs in what roles and users hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct PolicyDiff {
    /// What entered and left the catalog.
    pub catalog: CatalogDiff,
    /// Roles that hold something else than before, by name. A role that was renamed keeps its old name as an alias,
    /// and is compared with itself.
    pub roles: Vec<HolderDiff>,
    /// Users of either policy that hold something else than before, by id, at the moment asked about.
    pub users: Vec<HolderDiff>,
}

/// What entered and left the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CatalogDiff {
    /// Permissions only the new policy has.
    pub added: Vec<String>,
    /// Permissions only the old policy has.
    pub removed: Vec<String>,
}

/// What one role or user gains and loses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HolderDiff {
    /// The role's name or the user's id.
    pub name: String,
    /// Permissions held only under the new policy.
    pub gained: Vec<String>,
    /// Permissions held only under the old policy.
    pub lost: Vec<String>,
}

impl PolicyDiff {
    /// Whether nobody gains or loses anything and the catalog is the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares what every role and every user of either policy holds, users at `now`.
///
/// # Errors
/// When one of the policies cannot be compiled.
pub fn diff(old: &Policy, new: &Policy, now: Timestamp) -> Result<PolicyDiff, LimitError> {
    let (old, new) = (Index::compile(old)?, Index::compile(new)?);
    let (added, removed) = changes(old.permissions(), new.permissions());
    let role_names: BTreeSet<&str> = old.role_names().chain(unmatched_roles(&old, &new)).collect();
    let user_ids: BTreeSet<&str> = old.user_ids().chain(new.user_ids()).collect();
    Ok(PolicyDiff {
        catalog: CatalogDiff { added, removed },
        roles: role_names
            .into_iter()
            .filter_map(|role| holder(role, old.permissions_of_role(role), new.permissions_of_role(role)))
            .collect(),
        users: user_ids
            .into_iter()
            .filter_map(|user| {
                let (before, after) =
                    (old.session(user, Roles::Stored, now), new.session(user, Roles::Stored, now));
                holder(
                    user,
                    before.permissions().map(|id| old.permission(id)),
                    after.permissions().map(|id| new.permission(id)),
                )
            })
            .collect(),
    })
}

/// The roles of the new policy that no role name of the old one stands for.
fn unmatched_roles<'n>(old: &Index, new: &'n Index) -> impl Iterator<Item = &'n str> {
    let matched: BTreeSet<_> = old.role_names().filter_map(|name| new.role_id(name)).collect();
    new.role_ids().filter(move |id| !matched.contains(id)).map(|id| new.role(id))
}

fn holder<'a>(
    name: &str,
    before: impl Iterator<Item = &'a str>,
    after: impl Iterator<Item = &'a str>,
) -> Option<HolderDiff> {
    let (gained, lost) = changes(before, after);
    (!gained.is_empty() || !lost.is_empty()).then(|| HolderDiff { name: name.to_string(), gained, lost })
}

/// What only the second and what only the first of two lists in byte order has.
fn changes<'a>(
    before: impl Iterator<Item = &'a str>,
    after: impl Iterator<Item = &'a str>,
) -> (Vec<String>, Vec<String>) {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return (added, removed),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.cmp(new),
        };
        if order.is_le() {
            let gone = before.next().filter(|_| order.is_lt());
            removed.extend(gone.map(ToString::to_string));
        }
        if order.is_ge() {
            let come = after.next().filter(|_| order.is_gt());
            added.extend(come.map(ToString::to_string));
        }
    }
}

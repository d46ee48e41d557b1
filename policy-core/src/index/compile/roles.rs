//! The roles of a policy as sets, own and inherited.

use super::{Budget, pattern_id};
use crate::error::LimitError;
use crate::index::source::SourceRole;
use crate::index::{CompiledRole, Cover, PatternId, RoleId, Span};
use crate::set::{self, SetId, SetInterner};
use alloc::vec;
use alloc::vec::Vec;

/// The compiled roles and the lists they point into.
pub(super) struct RoleTables {
    pub(super) compiled: Vec<CompiledRole>,
    pub(super) grants: Vec<PatternId>,
    pub(super) closures: Vec<RoleId>,
}

impl RoleTables {
    pub(super) fn compile(
        roles: &[SourceRole<'_>],
        patterns: &[&str],
        covers: &[Cover],
        sets: &mut SetInterner,
        budget: &mut Budget<'_>,
    ) -> Result<Self, LimitError> {
        let mut grants = Vec::new();
        let mut own = Vec::with_capacity(roles.len());
        for role in roles {
            let start = grants.len();
            grants.extend(role.grants.iter().map(|grant| pattern_id(patterns, grant)));
            let set = own_set(grants.get(start..).unwrap_or_default(), covers, sets, budget)?;
            own.push((set, Span::new(start, grants.len())));
        }

        let mut closures: Vec<Option<Vec<RoleId>>> = vec![None; roles.len()];
        for role in 0..roles.len() {
            close(role, roles, &mut closures, budget)?;
        }
        let mut compiled = Vec::with_capacity(roles.len());
        let mut flat = Vec::new();
        for (closure, &(own_id, grants)) in closures.iter().zip(&own) {
            let members = closure.as_deref().unwrap_or_default();
            budget.take_steps(members.len().saturating_mul(sets.pool().width()))?;
            let mut bits = sets.pool().empty();
            for member in members {
                if let Some(&(id, _)) = own.get(usize::from(member.0)) {
                    set::unite(&mut bits, sets.pool().get(id));
                }
            }
            let all = budget.intern(&bits, sets)?;
            let start = flat.len();
            flat.extend_from_slice(members);
            compiled.push(CompiledRole { own: own_id, all, grants, closure: Span::new(start, flat.len()) });
        }
        Ok(Self { compiled, grants, closures: flat })
    }
}

/// What a role's own patterns cover.
fn own_set(
    grants: &[PatternId],
    covers: &[Cover],
    sets: &mut SetInterner,
    budget: &mut Budget<'_>,
) -> Result<SetId, LimitError> {
    let mut bits = sets.pool().empty();
    for id in grants {
        match covers.get(*id as usize) {
            Some(&Cover::Run(first, end)) => {
                budget.take_steps(set::run_words(first, end))?;
                set::insert_run(&mut bits, first, end);
            }
            Some(&Cover::Set(id)) => {
                budget.take_steps(bits.len())?;
                set::unite(&mut bits, sets.pool().get(id));
            }
            None => {}
        }
    }
    budget.intern(&bits, sets)
}

/// Fills in the closure of `role` and of all it inherits. A policy has been checked to have no circle and 16 levels
/// at most, so the recursion is that deep at most.
fn close(
    role: usize,
    roles: &[SourceRole<'_>],
    closures: &mut [Option<Vec<RoleId>>],
    budget: &mut Budget<'_>,
) -> Result<(), LimitError> {
    if closures.get(role).is_none_or(Option::is_some) {
        return Ok(());
    }
    let mut members = vec![RoleId::of(Some(role))];
    let inherited = roles.get(role).map(|role| role.parents.as_slice()).unwrap_or_default();
    for parent in inherited.iter().map(|parent| parent.index()) {
        close(parent, roles, closures, budget)?;
        let of_parent = closures.get(parent).and_then(Option::as_deref).unwrap_or_default();
        budget.take_steps(of_parent.len())?;
        // In a list that grows, and in those that stay.
        let all = members.len().saturating_add(of_parent.len());
        budget.find_room(all.saturating_mul(size_of::<[RoleId; 4]>()))?;
        members.extend_from_slice(of_parent);
    }
    members.sort_unstable();
    members.dedup();
    members.shrink_to_fit();
    // Once here and once in the flat list.
    budget.take_bytes(size_of_val(members.as_slice()).saturating_mul(2))?;
    if let Some(place) = closures.get_mut(role) {
        *place = Some(members);
    }
    Ok(())
}

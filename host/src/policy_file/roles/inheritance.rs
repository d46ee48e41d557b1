//! Whether roles inherit what exists, without a circle, and not too deep.

use std::collections::HashMap;

use policy_core::{Cycle, LimitError, MAX_INHERITANCE, Policy, PolicyError, PolicyParts, Role, RoleName};

use super::RoleEntry;
use crate::toml_file::Reader;

/// How many circles are looked for: each one costs a check of all roles.
const MAX_CYCLES: usize = 10;

/// `spellings` are names and aliases with the place of their role in `roles`.
pub(super) fn check(reader: &mut Reader<'_>, roles: &[RoleEntry], spellings: &HashMap<&RoleName, usize>) {
    let mut known = known_edges(reader, roles, spellings);
    for _ in 0..MAX_CYCLES {
        let permissionless = known.iter().zip(roles).map(|(inherits, entry)| Role {
            inherits: inherits.iter().filter_map(|&id| name(roles, id)).cloned().collect(),
            ..Role::named(entry.role.name.clone())
        });
        let parts = PolicyParts { roles: permissionless.collect(), ..PolicyParts::default() };
        match Policy::new(parts) {
            Err(PolicyError::InheritanceCycle(cycle)) => {
                let Some((index, inherited)) = report_cycle(reader, roles, spellings, &cycle) else { return };
                // Without this step the next circle can be found.
                if let Some(inherits) = known.get_mut(index) {
                    inherits.retain(|&id| id != inherited);
                }
            }
            Err(PolicyError::Limit(limit)) => return report_depth(reader, roles, &known, &limit),
            _ => return,
        }
    }
}

/// For each role the places of the roles it inherits; reports the names that are not names of roles.
fn known_edges(
    reader: &mut Reader<'_>,
    roles: &[RoleEntry],
    spellings: &HashMap<&RoleName, usize>,
) -> Vec<Vec<usize>> {
    let mut edges = Vec::with_capacity(roles.len());
    for entry in roles {
        let mut known = Vec::new();
        for (inherited, place) in &entry.inherits {
            let id = spellings.get(inherited).copied();
            match id.and_then(|id| name(roles, id)) {
                Some(name) if name == inherited => known.extend(id),
                role => {
                    let hint = match role {
                        Some(name) => Some(format!("; it is an alias of `{name}`, write that")),
                        None => reader.did_you_mean(
                            inherited.as_str(),
                            roles.iter().map(|entry| entry.role.name.as_str()),
                        ),
                    };
                    let error = PolicyError::UnknownInherited {
                        role: entry.role.name.clone(),
                        inherits: inherited.clone(),
                    };
                    reader.fault(
                        place.clone(),
                        format_args!(
                            "{error}{}",
                            hint.unwrap_or_else(|| "; define it, or take it out".to_owned())
                        ),
                    );
                }
            }
        }
        edges.push(known);
    }
    edges
}

fn name(roles: &[RoleEntry], id: usize) -> Option<&RoleName> {
    roles.get(id).map(|entry| &entry.role.name)
}

/// Reports the circle at the step that closes it in the order of the file; that step, as two places in `roles`.
fn report_cycle(
    reader: &mut Reader<'_>,
    roles: &[RoleEntry],
    spellings: &HashMap<&RoleName, usize>,
    cycle: &Cycle,
) -> Option<(usize, usize)> {
    let ids: Vec<usize> = cycle.0.iter().filter_map(|name| spellings.get(name).copied()).collect();
    let next = ids.iter().skip(1).chain(ids.first());
    let (&from, &to) = ids.iter().zip(next).max_by_key(|&(&from, _)| from)?;
    let entry = roles.get(from)?;
    let (_, place) = entry.inherits.iter().find(|(inherited, _)| Some(inherited) == name(roles, to))?;
    // The circle is told from the role whose entry is marked.
    let start = cycle.0.iter().position(|name| *name == entry.role.name).unwrap_or_default();
    let mut told = cycle.clone();
    told.0.rotate_left(start);
    let error = PolicyError::InheritanceCycle(told);
    reader.fault(place.clone(), format_args!("{error}; take one of these steps out"));
    Some((from, to))
}

/// Reports the first role whose chain of `inherits` is too long. The edges have no circle.
fn report_depth(reader: &mut Reader<'_>, roles: &[RoleEntry], edges: &[Vec<usize>], limit: &LimitError) {
    let mut depths = vec![0_usize; roles.len()];
    // After n rounds every chain of up to n steps has reached its top.
    for _ in 0..=MAX_INHERITANCE {
        let deepest = |inherits: &Vec<usize>| {
            let below = inherits.iter().filter_map(|&id| depths.get(id));
            below.max().map_or(0, |depth| depth.saturating_add(1))
        };
        depths = edges.iter().map(deepest).collect();
    }
    let too_deep = depths.iter().position(|&depth| depth > MAX_INHERITANCE);
    let Some(entry) = too_deep.and_then(|index| roles.get(index)) else { return };
    let place = entry.inherits.first().map_or(entry.key.clone(), |(_, place)| place.clone());
    reader.fault(
        place,
        format_args!("{limit}: role `{}` is at the top of too long a chain; shorten it", entry.role.name),
    );
}

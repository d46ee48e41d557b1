//! Checks that roles inherit what exists, without a circle, and not too deep (SPEC sections 2 and 6).

use super::position;
use crate::error::{Cycle, LimitError, PolicyError};
use crate::limits::MAX_INHERITANCE;
use crate::role::Role;
use alloc::vec;
use alloc::vec::Vec;

/// How far the walk has come with a role.
#[derive(Clone, Copy)]
enum Mark {
    New,
    /// On the path from the root of the walk.
    Open,
    /// Done; the longest chain of `inherits` below it.
    Done(usize),
}

/// Checks roles that are sorted by name.
pub(super) fn check(roles: &[Role]) -> Result<(), PolicyError> {
    let mut parents = Vec::with_capacity(roles.len());
    for role in roles {
        let mut ids = Vec::with_capacity(role.inherits.len());
        for inherited in &role.inherits {
            let Some(id) = position(roles, inherited.as_str(), |role| role.name.as_str()) else {
                return Err(PolicyError::UnknownInherited {
                    role: role.name.clone(),
                    inherits: inherited.clone(),
                });
            };
            ids.push(id);
        }
        parents.push(ids);
    }
    let mut marks = vec![Mark::New; roles.len()];
    for root in 0..roles.len() {
        walk(root, roles, &parents, &mut marks)?;
    }
    Ok(())
}

/// One step of the walk: a role, its parents that are still to visit, and the longest chain found below it.
struct Step<'a> {
    role: usize,
    rest: core::slice::Iter<'a, usize>,
    depth: usize,
}

/// Walks depth first with a stack of its own, since recursion on hostile input could exhaust the thread's.
fn walk(root: usize, roles: &[Role], parents: &[Vec<usize>], marks: &mut [Mark]) -> Result<(), PolicyError> {
    let mut path: Vec<Step<'_>> = Vec::new();
    let mut entering = Some(root);
    loop {
        if let Some(role) = entering.take() {
            match marks.get(role).copied() {
                Some(Mark::New) => {
                    set(marks, role, Mark::Open);
                    let rest = parents.get(role).map(|list| list.iter()).unwrap_or_default();
                    path.push(Step { role, rest, depth: 0 });
                }
                Some(Mark::Open) => return Err(PolicyError::InheritanceCycle(cycle(&path, role, roles))),
                Some(Mark::Done(depth)) => deepen(&mut path, depth),
                None => {}
            }
        }
        let Some(step) = path.last_mut() else { return Ok(()) };
        if let Some(&parent) = step.rest.next() {
            entering = Some(parent);
            continue;
        }
        let (role, depth) = (step.role, step.depth);
        LimitError::check("levels of inheritance", MAX_INHERITANCE, depth)?;
        set(marks, role, Mark::Done(depth));
        path.pop();
        deepen(&mut path, depth);
    }
}

fn set(marks: &mut [Mark], role: usize, mark: Mark) {
    if let Some(place) = marks.get_mut(role) {
        *place = mark;
    }
}

/// The role at the end of the path inherits one with a chain of `depth` below it.
fn deepen(path: &mut [Step<'_>], depth: usize) {
    if let Some(step) = path.last_mut() {
        step.depth = step.depth.max(depth.saturating_add(1));
    }
}

fn cycle(path: &[Step<'_>], again: usize, roles: &[Role]) -> Cycle {
    let circle = path.iter().map(|step| step.role).skip_while(|&role| role != again);
    Cycle(circle.filter_map(|role| roles.get(role)).map(|role| role.name.clone()).collect())
}

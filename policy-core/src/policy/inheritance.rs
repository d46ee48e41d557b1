//! Checks that roles inherit what exists, without a circle, and not too deep (SPEC sections 2 and 6).

use crate::error::{Cycle, LimitError, PolicyError};
use crate::index::RoleId;
use crate::limits::MAX_INHERITANCE;
use crate::name::RoleName;
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

/// Checks so many roles; `name` says what they are called.
pub(crate) fn check<'p>(
    count: usize,
    parents: &dyn Fn(usize) -> &'p [RoleId],
    name: &dyn Fn(usize) -> &'p str,
) -> Result<(), PolicyError> {
    let mut marks = vec![Mark::New; count];
    for root in 0..count {
        walk(root, parents, name, &mut marks)?;
    }
    Ok(())
}

/// One step of the walk: a role, its parents that are still to visit, and the longest chain found below it.
struct Step<'a> {
    role: usize,
    rest: core::slice::Iter<'a, RoleId>,
    depth: usize,
}

/// Walks depth first with a stack of its own, since recursion on hostile input could exhaust the thread's.
fn walk<'p>(
    root: usize,
    parents: &dyn Fn(usize) -> &'p [RoleId],
    name: &dyn Fn(usize) -> &'p str,
    marks: &mut [Mark],
) -> Result<(), PolicyError> {
    let mut path: Vec<Step<'_>> = Vec::new();
    let mut entering = Some(root);
    loop {
        if let Some(role) = entering.take() {
            match marks.get(role).copied() {
                Some(Mark::New) => {
                    set(marks, role, Mark::Open);
                    path.push(Step { role, rest: parents(role).iter(), depth: 0 });
                }
                Some(Mark::Open) => return Err(PolicyError::InheritanceCycle(cycle(&path, role, name))),
                Some(Mark::Done(depth)) => deepen(&mut path, depth),
                None => {}
            }
        }
        let Some(step) = path.last_mut() else { return Ok(()) };
        if let Some(&parent) = step.rest.next() {
            entering = Some(parent.index());
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

fn cycle<'p>(path: &[Step<'_>], again: usize, name: &dyn Fn(usize) -> &'p str) -> Cycle {
    let circle = path.iter().map(|step| step.role).skip_while(|&role| role != again);
    Cycle(circle.map(|role| RoleName::from_checked(name(role))).collect())
}

//! The users of a policy: those it gives roles to and those with overrides, as one list.

use super::pattern_id;
use crate::bundle::wire::distinct;
use crate::index::source::Source;
use crate::index::{CompiledOverride, Span, UserEntry, number};
use crate::policy::position;
use crate::table::Texts;
use alloc::vec::Vec;

/// The compiled users and the lists they point into.
pub(super) struct UserTables {
    pub(super) ids: Texts,
    pub(super) entries: Vec<UserEntry>,
    pub(super) overrides: Vec<CompiledOverride>,
    pub(super) reasons: Texts,
}

impl UserTables {
    pub(super) fn compile(source: &Source<'_>, patterns: &[&str]) -> Self {
        let reasons = distinct(source.overrides.iter().map(|entry| entry.reason).collect());

        let mut stored = source.users.iter().peekable();
        let mut special = source.overrides.iter().peekable();
        let (mut ids, mut entries) = (Vec::new(), Vec::new());
        let mut overrides = Vec::with_capacity(source.overrides.len());
        // The least user that either list still has.
        while let Some(id) = match (stored.peek(), special.peek()) {
            (Some(one), Some(other)) => Some(one.id.min(other.user)),
            (one, other) => one.map(|one| one.id).or(other.map(|other| other.user)),
        } {
            let roles = stored.next_if(|entry| entry.id == id);
            let start = overrides.len();
            while let Some(entry) = special.next_if(|entry| entry.user == id) {
                overrides.push(CompiledOverride {
                    pattern: pattern_id(patterns, entry.pattern),
                    reason: number(position(&reasons, entry.reason, |text| text)),
                    effect: entry.effect,
                    expires_at: entry.expires_at,
                });
            }
            ids.push(id);
            entries.push(UserEntry {
                roles: roles.map_or(Span::new(0, 0), |user| user.roles),
                overrides: Span::new(start, overrides.len()),
            });
        }
        Self {
            ids: Texts::collect(ids.into_iter()),
            entries,
            overrides,
            reasons: Texts::collect(reasons.into_iter()),
        }
    }
}

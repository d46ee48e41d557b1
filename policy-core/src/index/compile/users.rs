//! The users of a policy: those it gives roles to and those with overrides, as one list.

use super::{number, pattern_id, span};
use crate::bundle::wire::distinct;
use crate::error::LimitError;
use crate::index::{CompiledOverride, UserEntry};
use crate::name::{RoleName, UserId};
use crate::overrides::Override;
use crate::policy::{Policy, UserRoles, position};
use crate::table::Texts;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::slice::Iter;

/// The compiled users and the lists they point into.
pub(super) struct UserTables {
    pub(super) ids: Texts,
    pub(super) entries: Vec<UserEntry>,
    pub(super) roles: Vec<u32>,
    pub(super) spellings: Texts,
    pub(super) overrides: Vec<CompiledOverride>,
    pub(super) reasons: Texts,
}

impl UserTables {
    pub(super) fn compile(policy: &Policy, patterns: &[&str]) -> Result<Self, LimitError> {
        let spellings = distinct(policy.users().iter().flat_map(|entry| &entry.roles).map(RoleName::as_str));
        let reasons = distinct(policy.overrides().iter().map(|entry| entry.reason.as_str()));

        let mut stored = policy.users().iter().peekable();
        let mut special = policy.overrides().iter().peekable();
        let (mut ids, mut entries, mut roles, mut overrides) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some(id) = next_user(&mut stored, &mut special) {
            let (role_start, override_start) = (roles.len(), overrides.len());
            if let Some(entry) = stored.next_if(|entry| entry.user == *id) {
                let place = |role: &RoleName| number(position(&spellings, role.as_str(), |text| text));
                roles.extend(entry.roles.iter().map(place));
            }
            while let Some(entry) = special.next_if(|entry| entry.user == *id) {
                overrides.push(CompiledOverride {
                    pattern: pattern_id(patterns, &entry.pattern),
                    reason: number(position(&reasons, &entry.reason, |text| text)),
                    effect: entry.effect,
                    expires_at: entry.expires_at,
                });
            }
            ids.push(id.as_str());
            entries.push(UserEntry {
                roles: span(role_start, roles.len()),
                overrides: span(override_start, overrides.len()),
            });
        }
        LimitError::check("roles of all users together", u32::MAX as usize, roles.len())?;
        Ok(Self {
            ids: Texts::collect(ids.into_iter())?,
            entries,
            roles,
            spellings: Texts::collect(spellings.into_iter())?,
            overrides,
            reasons: Texts::collect(reasons.into_iter())?,
        })
    }
}

/// The least user id that either list still has.
fn next_user<'p>(
    stored: &mut Peekable<Iter<'p, UserRoles>>,
    special: &mut Peekable<Iter<'p, Override>>,
) -> Option<&'p UserId> {
    match (stored.peek().map(|entry| &entry.user), special.peek().map(|entry| &entry.user)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

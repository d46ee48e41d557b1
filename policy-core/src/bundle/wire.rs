//! The payload of a bundle: lists in byte order, texts written once, references as numbers.

use super::{BundleError, malformed};
use crate::catalog::Permission;
use crate::conflict::Conflict;
use crate::error::LimitError;
use crate::name::{Label, PermissionName, RoleName, UserId};
use crate::overrides::{Effect, Override};
use crate::pattern::Pattern;
use crate::policy::{Policy, PolicyParts, UserRoles, position};
use crate::role::Role;
use crate::room::Room;
use crate::time::Timestamp;
use alloc::string::ToString;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    modules: Vec<&'a str>,
    #[serde(borrow)]
    permissions: Vec<WirePermission<'a>>,
    #[serde(borrow)]
    roles: Vec<WireRole<'a>>,
    #[serde(borrow)]
    conflicts: Vec<WireConflict<'a>>,
    #[serde(borrow)]
    overrides: Vec<WireOverride<'a>>,
    /// Every spelling by which a user's roles are named, known to the policy or not.
    #[serde(borrow)]
    spellings: Vec<&'a str>,
    #[serde(borrow)]
    users: Vec<WireUser<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WirePermission<'a> {
    name: &'a str,
    module: u32,
    description: &'a str,
}

#[derive(Serialize, Deserialize)]
struct WireRole<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(borrow)]
    grants: Vec<&'a str>,
    inherits: Vec<u32>,
    #[serde(borrow)]
    aliases: Vec<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct WireConflict<'a> {
    name: &'a str,
    left: &'a str,
    right: &'a str,
    reason: &'a str,
}

#[derive(Serialize, Deserialize)]
struct WireOverride<'a> {
    user: &'a str,
    allow: bool,
    pattern: &'a str,
    expires_at: Option<i64>,
    reason: &'a str,
}

#[derive(Serialize, Deserialize)]
struct WireUser<'a> {
    user: &'a str,
    spellings: Vec<u32>,
}

/// The payload of a policy.
pub(super) fn write(policy: &Policy) -> Result<Vec<u8>, LimitError> {
    let too_large = LimitError { limit: "bytes of a bundle", max: isize::MAX as u64, value: u64::MAX };
    postcard::to_allocvec(&to_wire(policy)).map_err(|_| too_large)
}

/// The policy of a payload.
pub(super) fn read(payload: &[u8], room: Room<'_>) -> Result<Policy, BundleError> {
    room((payload.len() as u64).saturating_mul(LISTS_PER_BYTE))?;
    let (wire, rest) = postcard::take_from_bytes::<Wire<'_>>(payload).map_err(|error| malformed(&error))?;
    if !rest.is_empty() {
        return Err(BundleError::TrailingBytes(rest.len()));
    }
    room(wire.memory(payload.len()))?;
    Ok(Policy::new(from_wire(&wire)?)?)
}

/// What the tables of the compiled form, and the payload that is written meanwhile, may take in bytes.
pub(crate) fn memory(policy: &Policy, payload: usize) -> u64 {
    to_wire(policy).memory(payload)
}

/// How many bytes of lists a byte of payload may become while it is read: an empty text is one byte, a pointer and a length, in a
/// list that may be half empty and is being copied.
const LISTS_PER_BYTE: u64 = 8 * size_of::<usize>() as u64;

/// What an entry of each kind may take, in words: in its list, which may be half empty and is being copied, in the lists that are made
/// while it is checked and written, and in allocations of its own. For a compiled form it is about as much.
mod words {
    pub(super) const PERMISSION: usize = 48;
    pub(super) const ROLE: usize = 160;
    pub(super) const CONFLICT: usize = 56;
    pub(super) const OVERRIDE: usize = 64;
    pub(super) const USER: usize = 48;
    /// A pattern, alias or spelling in a list of somebody's.
    pub(super) const REFERENCE: usize = 32;
}

/// How often a text may be there at one time: in its own allocation, or in a table of all of them that is being copied.
const COPIES: usize = 3;

impl Wire<'_> {
    /// An upper bound for the bytes that the policy takes while it is made, or its compiled form but for its sets.
    fn memory(&self, payload: usize) -> u64 {
        let mut words = 0_usize;
        // Every byte of the payload, which is written once more into a buffer that grows; and texts, as often as they are referred to.
        let mut bytes = payload.saturating_mul(1_usize.saturating_add(COPIES.saturating_mul(2)));
        let mut add = |count: usize, each: usize, text: usize| {
            words = words.saturating_add(count.saturating_mul(each));
            bytes = bytes.saturating_add(text.saturating_mul(COPIES));
        };
        let length = |texts: &[&str], number: u32| texts.get(number as usize).map_or(0, |text| text.len());
        for entry in &self.permissions {
            add(1, words::PERMISSION, length(&self.modules, entry.module));
        }
        for role in &self.roles {
            let own = role.grants.len().saturating_add(role.aliases.len());
            add(own, words::REFERENCE, 0);
            add(1, words::ROLE, 0);
            for &number in &role.inherits {
                let inherited = self.roles.get(number as usize).map_or(0, |role| role.name.len());
                add(1, words::REFERENCE, inherited);
            }
        }
        add(self.conflicts.len(), words::CONFLICT, 0);
        add(self.overrides.len(), words::OVERRIDE, 0);
        for entry in &self.users {
            add(1, words::USER, 0);
            for &number in &entry.spellings {
                add(1, words::REFERENCE, length(&self.spellings, number));
            }
        }
        (words.saturating_mul(size_of::<usize>()) as u64).saturating_add(bytes as u64)
    }
}

fn to_wire(policy: &Policy) -> Wire<'_> {
    let modules = distinct(policy.permissions().iter().map(|entry| entry.module.as_str()));
    let spellings = distinct(policy.users().iter().flat_map(|entry| &entry.roles).map(RoleName::as_str));
    let permissions = policy.permissions().iter().map(|entry| WirePermission {
        name: entry.name.as_str(),
        module: number(&modules, entry.module.as_str(), |text| text),
        description: &entry.description,
    });
    let roles = policy.roles().iter().map(|role| WireRole {
        name: role.name.as_str(),
        description: &role.description,
        grants: role.grants.iter().map(Pattern::as_str).collect(),
        inherits: role
            .inherits
            .iter()
            .map(|name| number(policy.roles(), name.as_str(), |role| role.name.as_str()))
            .collect(),
        aliases: role.aliases.iter().map(RoleName::as_str).collect(),
    });
    let conflicts = policy.conflicts().iter().map(|conflict| WireConflict {
        name: conflict.name.as_str(),
        left: conflict.left.as_str(),
        right: conflict.right.as_str(),
        reason: &conflict.reason,
    });
    let overrides = policy.overrides().iter().map(|entry| WireOverride {
        user: entry.user.as_str(),
        allow: entry.effect == Effect::Allow,
        pattern: entry.pattern.as_str(),
        expires_at: entry.expires_at.map(Timestamp::micros),
        reason: &entry.reason,
    });
    let users = policy.users().iter().map(|entry| WireUser {
        user: entry.user.as_str(),
        spellings: entry.roles.iter().map(|role| number(&spellings, role.as_str(), |text| text)).collect(),
    });
    Wire {
        permissions: permissions.collect(),
        roles: roles.collect(),
        conflicts: conflicts.collect(),
        overrides: overrides.collect(),
        users: users.collect(),
        modules,
        spellings,
    }
}

fn from_wire(wire: &Wire<'_>) -> Result<PolicyParts, BundleError> {
    let permission = |entry: &WirePermission<'_>| -> Result<Permission, BundleError> {
        Ok(Permission {
            name: PermissionName::parse(entry.name)?,
            module: Label::parse(numbered("module", &wire.modules, entry.module)?)?,
            description: entry.description.to_string(),
        })
    };
    let role = |entry: &WireRole<'_>| -> Result<Role, BundleError> {
        let inherits = entry.inherits.iter().map(|&number| {
            let inherited = numbered("role", &wire.roles, number)?;
            Ok(RoleName::parse(inherited.name)?)
        });
        Ok(Role {
            name: RoleName::parse(entry.name)?,
            description: entry.description.to_string(),
            grants: entry.grants.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>()?,
            inherits: inherits.collect::<Result<_, BundleError>>()?,
            aliases: entry.aliases.iter().map(|text| RoleName::parse(text)).collect::<Result<_, _>>()?,
        })
    };
    let conflict = |entry: &WireConflict<'_>| -> Result<Conflict, BundleError> {
        Ok(Conflict {
            name: Label::parse(entry.name)?,
            left: Pattern::parse(entry.left)?,
            right: Pattern::parse(entry.right)?,
            reason: entry.reason.to_string(),
        })
    };
    let user_override = |entry: &WireOverride<'_>| -> Result<Override, BundleError> {
        Ok(Override {
            user: UserId::parse(entry.user)?,
            effect: if entry.allow { Effect::Allow } else { Effect::Deny },
            pattern: Pattern::parse(entry.pattern)?,
            expires_at: entry.expires_at.map(Timestamp::from_micros),
            reason: entry.reason.to_string(),
        })
    };
    let user = |entry: &WireUser<'_>| -> Result<UserRoles, BundleError> {
        let roles = entry.spellings.iter().map(|&number| {
            let spelling = numbered("role spelling", &wire.spellings, number)?;
            Ok(RoleName::parse(spelling)?)
        });
        Ok(UserRoles { user: UserId::parse(entry.user)?, roles: roles.collect::<Result<_, BundleError>>()? })
    };
    Ok(PolicyParts {
        permissions: wire.permissions.iter().map(permission).collect::<Result<_, _>>()?,
        roles: wire.roles.iter().map(role).collect::<Result<_, _>>()?,
        conflicts: wire.conflicts.iter().map(conflict).collect::<Result<_, _>>()?,
        overrides: wire.overrides.iter().map(user_override).collect::<Result<_, _>>()?,
        users: wire.users.iter().map(user).collect::<Result<_, _>>()?,
    })
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut list: Vec<&str> = texts.collect();
    list.sort_unstable();
    list.dedup();
    list
}

/// The number of an entry that is known to be in the sorted list.
fn number<T>(sorted: &[T], wanted: &str, key: impl Fn(&T) -> &str) -> u32 {
    position(sorted, wanted, key).and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
}

fn numbered<'w, T>(what: &'static str, list: &'w [T], number: u32) -> Result<&'w T, BundleError> {
    list.get(number as usize).ok_or(BundleError::UnknownNumber { what, number, count: list.len() })
}

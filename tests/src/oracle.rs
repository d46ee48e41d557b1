//! The oracle of SPEC section 7: sections 1 to 3 as they are written, for reading and not for speed.
//!
//! It works on plain strings, keeps no index, cache or bit set, and takes nothing from policy-core. Whatever answers fast
//! must give these answers, reasons included.

use crate::world::{Ask, Effect, Override, Role, World};

/// A decision and its reason, in the order in which the reasons are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The question itself is malformed.
    InvalidRequest,
    /// The permission is not in the catalog.
    UnknownPermission,
    /// An active override denies it.
    ExplicitDeny {
        /// The pattern that denies.
        pattern: String,
    },
    /// An active override allows it.
    AllowedByOverride {
        /// The pattern that allows.
        pattern: String,
    },
    /// A role allows it.
    AllowedByRole {
        /// The role that holds the pattern, by its own name.
        role: String,
        /// The pattern that allows.
        pattern: String,
    },
    /// Nothing allows it.
    NoGrant,
}

impl Answer {
    /// Whether the answer is yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::AllowedByOverride { .. } | Self::AllowedByRole { .. })
    }
}

/// Section 1: a permission has 2 to 8 segments joined by `.` and 100 bytes at most; a segment is `[a-z0-9][a-z0-9_-]{0,62}`.
///
/// # Errors
/// The offset of the first byte that cannot continue a permission, or the length where the text ends too early.
pub fn check_permission(text: &str) -> Result<(), usize> {
    check_segments(text, false)
}

/// Section 1: a pattern is a permission in which `*` may stand as the last character of a segment; `*` alone is one too.
///
/// # Errors
/// As [`check_permission`].
pub fn check_pattern(text: &str) -> Result<(), usize> {
    check_segments(text, true)
}

fn check_segments(text: &str, stars: bool) -> Result<(), usize> {
    let mut segments = 1;
    let mut segment = String::new();
    for (at, byte) in text.bytes().enumerate() {
        let room = segment.len() < 63 && !segment.ends_with('*');
        let fits = match byte {
            b'.' => !segment.is_empty() && segments < 8,
            b'a'..=b'z' | b'0'..=b'9' => room,
            b'_' | b'-' => room && !segment.is_empty(),
            b'*' => room && stars,
            _ => false,
        };
        if !fits || at >= 100 {
            return Err(at);
        }
        if byte == b'.' {
            segments += 1;
            segment.clear();
        } else {
            segment.push(char::from(byte));
        }
    }
    let complete = !segment.is_empty() && (segments > 1 || segment == "*");
    if complete { Ok(()) } else { Err(text.len()) }
}

/// Section 1: segment by segment; a `*` in last place stands for one segment or more, elsewhere the numbers must be equal.
pub fn matches(pattern: &str, permission: &str) -> bool {
    let wanted = pattern.split('.').count();
    let given = permission.split('.').count();
    let any_tail = pattern.split('.').next_back() == Some("*");
    let length_fits = if any_tail { given >= wanted } else { given == wanted };
    length_fits
        && pattern.split('.').zip(permission.split('.')).all(|(wanted, given)| {
            match wanted.strip_suffix('*') {
                Some(prefix) => given.starts_with(prefix),
                None => given == wanted,
            }
        })
}

/// Section 3: the decision, with the first reason in the order of the section that applies and the least name among its equals.
pub fn decide(world: &World, ask: &Ask) -> Answer {
    if check_permission(&ask.permission).is_err() || !is_user(&ask.user) {
        return Answer::InvalidRequest;
    }
    if !world.permissions.contains(&ask.permission) {
        return Answer::UnknownPermission;
    }
    if let Some(pattern) = least_override(world, ask, Effect::Deny) {
        return Answer::ExplicitDeny { pattern };
    }
    if let Some(pattern) = least_override(world, ask, Effect::Allow) {
        return Answer::AllowedByOverride { pattern };
    }
    let granting = |role: &Role| {
        let patterns = role.grants.iter().filter(|pattern| matches(pattern, &ask.permission));
        patterns.map(|pattern| (role.name.clone(), pattern.clone())).min()
    };
    let held = with_inherited(world, &asked_roles(world, ask));
    match held.into_iter().filter_map(granting).min() {
        Some((role, pattern)) => Answer::AllowedByRole { role, pattern },
        None => Answer::NoGrant,
    }
}

/// The least pattern of the user's overrides of one effect that are active and match. An override is active while `now < expires_at`.
fn least_override(world: &World, ask: &Ask, effect: Effect) -> Option<String> {
    let of_user = world.overrides.iter().filter(|over| over.user == ask.user && over.effect == effect);
    let active = of_user.filter(|over| over.expires_at.is_none_or(|end| ask.now < end));
    active.filter(|over| matches(&over.pattern, &ask.permission)).map(|over| over.pattern.clone()).min()
}

/// A user id is 1 to 256 bytes and holds no NUL.
pub fn is_user(user: &str) -> bool {
    (1..=256).contains(&user.len()) && !user.contains('\0')
}

/// The role names that count for the question: those it names, or else those the policy holds for the user.
pub fn asked_roles(world: &World, ask: &Ask) -> Vec<String> {
    let stored = || world.users.iter().find(|user| user.user == ask.user).map(|user| user.roles.clone());
    ask.roles.clone().or_else(stored).unwrap_or_default()
}

/// The role of a name or an alias.
fn find_role<'w>(world: &'w World, name: &str) -> Option<&'w Role> {
    world.roles.iter().find(|role| role.name == name || role.aliases.iter().any(|alias| alias == name))
}

/// Section 2: the roles of these names and all that they inherit, each once. Names the policy does not know bring none.
pub fn with_inherited<'w>(world: &'w World, names: &[String]) -> Vec<&'w Role> {
    let mut held: Vec<&Role> = Vec::new();
    let mut open: Vec<&String> = names.iter().collect();
    while let Some(name) = open.pop() {
        if let Some(role) =
            find_role(world, name).filter(|role| !held.iter().any(|known| known.name == role.name))
        {
            held.push(role);
            open.extend(&role.inherits);
        }
    }
    held
}

/// The asked role names that the policy does not know, each once, in byte order.
pub fn unknown_roles(world: &World, ask: &Ask) -> Vec<String> {
    sorted(asked_roles(world, ask).into_iter().filter(|name| find_role(world, name).is_none()))
}

/// Every permission of a user, in byte order. The question's own permission does not matter.
pub fn permissions_of(world: &World, ask: &Ask) -> Vec<String> {
    let may = |permission: &&String| {
        decide(world, &Ask { permission: permission.to_string(), ..ask.clone() }).is_allowed()
    };
    sorted(world.permissions.iter().filter(may).cloned())
}

/// Every permission that a role gives, what it inherits included, in byte order.
pub fn permissions_of_role(world: &World, role: &str) -> Vec<String> {
    let held = with_inherited(world, &[role.to_owned()]);
    let gives = |permission: &&String| {
        held.iter().any(|role| role.grants.iter().any(|pattern| matches(pattern, permission)))
    };
    sorted(world.permissions.iter().filter(gives).cloned())
}

/// The first moment after now at which what a user may do can change: when an active override stops. Two with the same pattern
/// and effect are one, which stops at the later expiry.
pub fn valid_until(world: &World, ask: &Ask) -> Option<i64> {
    let of_user = || world.overrides.iter().filter(|over| over.user == ask.user);
    let outlasted = |over: &Override| {
        of_user().any(|other| {
            let same = other.effect == over.effect && other.pattern == over.pattern;
            same && (other.expires_at.is_none() || other.expires_at > over.expires_at)
        })
    };
    let ends = of_user().filter(|over| !outlasted(over)).filter_map(|over| over.expires_at);
    ends.filter(|end| ask.now < *end).min()
}

/// The roles that give a permission, and the users of the policy who hold it now, each in byte order; or why nobody does.
///
/// # Errors
/// [`Answer::InvalidRequest`] and [`Answer::UnknownPermission`], as when one user is asked about.
pub fn who_can(world: &World, permission: &str, now: i64) -> Result<(Vec<String>, Vec<String>), Answer> {
    let ask = |user: &str| Ask { user: user.to_owned(), roles: None, permission: permission.to_owned(), now };
    if let denial @ (Answer::InvalidRequest | Answer::UnknownPermission) = decide(world, &ask("anyone")) {
        return Err(denial);
    }
    let gives = |role: &&Role| permissions_of_role(world, &role.name).iter().any(|held| held == permission);
    let roles = sorted(world.roles.iter().filter(gives).map(|role| role.name.clone()));
    let users = all_users(world).into_iter().filter(|user| decide(world, &ask(user)).is_allowed());
    Ok((roles, users.collect()))
}

/// Everyone the policy says something about: those with roles and those with overrides.
pub fn all_users(world: &World) -> Vec<String> {
    sorted(
        world
            .users
            .iter()
            .map(|user| user.user.clone())
            .chain(world.overrides.iter().map(|over| over.user.clone())),
    )
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

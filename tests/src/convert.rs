//! From a [`World`] of plain strings to the checked types of policy-core.

use crate::world::{Ask, Effect, World};
use policy_core::{
    Conflict, Label, Override, Pattern, Permission, PermissionName, Policy, PolicyParts, Request, Role,
    RoleName, Roles, Timestamp, UserId, UserRoles,
};

/// The module of every permission of a world; a label has no part in a decision.
const MODULE: &str = "world";

/// The parts of the policy that a world describes.
///
/// # Errors
/// The message of the first name or pattern that is none.
pub fn parts(world: &World) -> Result<PolicyParts, String> {
    let permission = |name: &String| {
        Ok(Permission {
            name: PermissionName::parse(name).map_err(text)?,
            module: label(MODULE)?,
            description: String::new(),
        })
    };
    let role = |role: &crate::world::Role| {
        Ok(Role {
            name: role_name(&role.name)?,
            description: String::new(),
            grants: each(&role.grants, |grant| pattern(grant))?,
            inherits: each(&role.inherits, |name| role_name(name))?,
            aliases: each(&role.aliases, |name| role_name(name))?,
        })
    };
    let over = |over: &crate::world::Override| {
        Ok(Override {
            user: UserId::parse(&over.user).map_err(text)?,
            effect: match over.effect {
                Effect::Allow => policy_core::Effect::Allow,
                Effect::Deny => policy_core::Effect::Deny,
            },
            pattern: pattern(&over.pattern)?,
            expires_at: over.expires_at.map(Timestamp::from_micros),
            reason: over.reason.clone(),
        })
    };
    let user = |user: &crate::world::User| {
        Ok(UserRoles {
            user: UserId::parse(&user.user).map_err(text)?,
            roles: each(&user.roles, |name| role_name(name))?,
        })
    };
    let conflict = |conflict: &crate::world::Conflict| {
        Ok(Conflict {
            name: label(&conflict.name)?,
            left: pattern(&conflict.left)?,
            right: pattern(&conflict.right)?,
            reason: String::new(),
        })
    };
    Ok(PolicyParts {
        permissions: each(&world.permissions, permission)?,
        roles: each(&world.roles, role)?,
        conflicts: each(&world.conflicts, conflict)?,
        overrides: each(&world.overrides, over)?,
        users: each(&world.users, user)?,
    })
}

/// The policy that a world describes.
///
/// # Errors
/// The message of what is wrong with it.
pub fn policy(world: &World) -> Result<Policy, String> {
    Policy::new(parts(world)?).map_err(text)
}

/// Asks `answer` the question of `ask` in the borrowed form of policy-core.
pub fn with_request<T>(ask: &Ask, answer: impl FnOnce(&Request<'_>) -> T) -> T {
    let named: Option<Vec<&str>> = ask.roles.as_ref().map(|roles| roles.iter().map(String::as_str).collect());
    let roles = named.as_deref().map_or(Roles::Stored, Roles::Named);
    answer(&Request {
        user: &ask.user,
        roles,
        permission: &ask.permission,
        now: Timestamp::from_micros(ask.now),
    })
}

fn each<T, U>(items: &[T], convert: impl Fn(&T) -> Result<U, String>) -> Result<Vec<U>, String> {
    items.iter().map(convert).collect()
}

fn label(name: &str) -> Result<Label, String> {
    Label::parse(name).map_err(text)
}

fn pattern(pattern: &str) -> Result<Pattern, String> {
    Pattern::parse(pattern).map_err(text)
}

fn role_name(name: &str) -> Result<RoleName, String> {
    RoleName::parse(name).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

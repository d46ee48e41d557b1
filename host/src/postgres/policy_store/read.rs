//! Reading all that is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use futures_util::TryStreamExt;
use policy_core::{
    Conflict, Effect, Label, Override, Pattern, Permission, PermissionName, Policy, PolicyError, PolicyParts,
    Role, RoleName, UserId, UserRoles,
};
use sqlx::PgConnection;

use super::super::connect::SessionLimits;
use super::super::identifier::Identifier;
use super::super::moment::Moment;
use super::super::schema::enter;
use super::super::transaction::snapshot;
use super::StoreError;

/// All that is stored, with the users of the legacy tables and their roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The policy. An inactive user has no roles in it; overrides are as stored.
    pub parts: PolicyParts,
    /// The users of the legacy table who are not active.
    pub inactive: BTreeSet<UserId>,
    /// Legacy ids and labels that cannot be user ids or role names. They grant nothing, and are named for a report.
    pub unusable: Vec<String>,
}

impl Stored {
    /// The policy that decides as the database does: without the allow overrides of inactive users.
    ///
    /// # Errors
    ///
    /// When the rows make no policy together, which only a change behind pbac's back can bring about.
    pub fn into_policy(self) -> Result<Policy, PolicyError> {
        let mut parts = self.parts;
        parts.overrides.retain(|entry| entry.effect == Effect::Deny || !self.inactive.contains(&entry.user));
        Policy::new(parts)
    }

    /// What a policy file could say: catalog, roles and conflicts, without overrides and users.
    ///
    /// # Errors
    ///
    /// As [`Stored::into_policy`].
    pub fn policy_alone(&self) -> Result<Policy, PolicyError> {
        Policy::new(PolicyParts {
            permissions: self.parts.permissions.clone(),
            roles: self.parts.roles.clone(),
            conflicts: self.parts.conflicts.clone(),
            ..PolicyParts::default()
        })
    }
}

/// Reads all that is stored, of one moment, in a transaction of its own.
///
/// # Errors
///
/// When the schema is not there, a value is not what the checks allow, the server refuses, or the connection is in a
/// transaction already.
pub async fn read(connection: &mut PgConnection, schema: &Identifier) -> Result<Stored, StoreError> {
    snapshot(connection, SessionLimits::default(), async |connection| read_within(connection, schema).await)
        .await
}

/// Reads all that is stored in the caller's transaction, which sees what it has written itself. The parts are of one
/// moment if the transaction is at least REPEATABLE READ or nobody else writes.
///
/// # Errors
///
/// As [`read`], and outside a transaction.
pub async fn read_within(connection: &mut PgConnection, schema: &Identifier) -> Result<Stored, StoreError> {
    enter(connection, schema).await?;
    let permissions = permissions(connection).await?;
    let roles = roles(connection).await?;
    let conflicts = conflicts(connection).await?;
    let overrides = overrides(connection).await?;
    let legacy = Users::read(connection).await?;
    let parts = PolicyParts { permissions, roles, conflicts, overrides, users: legacy.users };
    Ok(Stored { parts, inactive: legacy.inactive, unusable: legacy.unusable })
}

/// Reads catalog, roles and conflicts in the caller's transaction: what a policy file could say. Overrides and users,
/// of which there may be millions, are not looked at.
///
/// # Errors
///
/// As [`read_within`], and when the rows make no policy together.
pub async fn read_policy(connection: &mut PgConnection, schema: &Identifier) -> Result<Policy, StoreError> {
    enter(connection, schema).await?;
    let permissions = permissions(connection).await?;
    let roles = roles(connection).await?;
    let conflicts = conflicts(connection).await?;
    Ok(Policy::new(PolicyParts { permissions, roles, conflicts, ..PolicyParts::default() })?)
}

async fn permissions(connection: &mut PgConnection) -> Result<Vec<Permission>, StoreError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("select name, module, description from permissions order by name")
            .fetch_all(connection)
            .await?;
    let permission = |(name, module, description): (String, String, String)| {
        Ok(Permission {
            name: parse("permissions", &name, PermissionName::parse)?,
            module: parse("permissions", &module, Label::parse)?,
            description,
        })
    };
    rows.into_iter().map(permission).collect()
}

async fn roles(connection: &mut PgConnection) -> Result<Vec<Role>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select name, description from roles").fetch_all(&mut *connection).await?;
    let mut roles = BTreeMap::new();
    for (name, description) in rows {
        let role = Role { description, ..Role::named(parse("roles", &name, RoleName::parse)?) };
        roles.insert(name, role);
    }
    let rows: Vec<(String, String)> =
        sqlx::query_as("select role, pattern from role_permissions order by role, pattern")
            .fetch_all(&mut *connection)
            .await?;
    for (role, pattern) in rows {
        let pattern = parse("role_permissions", &pattern, Pattern::parse)?;
        of(&mut roles, "role_permissions", &role)?.grants.push(pattern);
    }
    let rows: Vec<(String, String)> =
        sqlx::query_as("select role, inherits from role_inherits order by role, inherits")
            .fetch_all(&mut *connection)
            .await?;
    for (role, inherits) in rows {
        let inherits = parse("role_inherits", &inherits, RoleName::parse)?;
        of(&mut roles, "role_inherits", &role)?.inherits.push(inherits);
    }
    let rows: Vec<(String, String)> =
        sqlx::query_as("select role, alias from role_aliases order by role, alias")
            .fetch_all(connection)
            .await?;
    for (role, alias) in rows {
        let alias = parse("role_aliases", &alias, RoleName::parse)?;
        of(&mut roles, "role_aliases", &role)?.aliases.push(alias);
    }
    Ok(roles.into_values().collect())
}

fn of<'r>(
    roles: &'r mut BTreeMap<String, Role>,
    table: &'static str,
    role: &str,
) -> Result<&'r mut Role, StoreError> {
    roles.get_mut(role).ok_or_else(|| StoreError::Damaged {
        table,
        reason: format!("`{}` is not a stored role", role.escape_debug()),
    })
}

async fn conflicts(connection: &mut PgConnection) -> Result<Vec<Conflict>, StoreError> {
    const TABLE: &str = "conflicts";
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as("select name, left_pattern, right_pattern, reason from conflicts order by name")
            .fetch_all(connection)
            .await?;
    let conflict = |(name, left, right, reason): (String, String, String, String)| {
        Ok(Conflict {
            name: parse(TABLE, &name, Label::parse)?,
            left: parse(TABLE, &left, Pattern::parse)?,
            right: parse(TABLE, &right, Pattern::parse)?,
            reason,
        })
    };
    rows.into_iter().map(conflict).collect()
}

async fn overrides(connection: &mut PgConnection) -> Result<Vec<Override>, StoreError> {
    const TABLE: &str = "user_custom_permissions";
    type Row = (String, String, String, Option<Moment>, String);
    let mut rows = sqlx::query_as::<_, Row>(
        "select user_id, effect, pattern, expires_at, reason from user_custom_permissions",
    )
    .fetch(connection);
    let mut overrides = Vec::new();
    while let Some((user, effect, pattern, expires_at, reason)) = rows.try_next().await? {
        overrides.push(Override {
            user: parse(TABLE, &user, UserId::parse)?,
            effect: parse(TABLE, &effect, parse_effect)?,
            pattern: parse(TABLE, &pattern, Pattern::parse)?,
            expires_at: expires_at.map(|moment| moment.0),
            reason,
        });
    }
    Ok(overrides)
}

#[derive(Default)]
struct Users {
    users: Vec<UserRoles>,
    inactive: BTreeSet<UserId>,
    unusable: Vec<String>,
}

impl Users {
    /// As `user_roles` and `user_is_active` see them: several rows of one id add up, and one inactive row is enough.
    async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        type Row = (Option<String>, Option<String>, Option<bool>);
        let mut found = Self::default();
        let mut held: BTreeMap<UserId, Vec<RoleName>> = BTreeMap::new();
        let mut rows =
            sqlx::query_as::<_, Row>("select user_id, role, active from all_users()").fetch(connection);
        while let Some((id, role, active)) = rows.try_next().await? {
            let id = id.unwrap_or_default();
            let Ok(user) = UserId::parse(&id) else {
                found.unusable.push(id);
                continue;
            };
            if active != Some(true) {
                found.inactive.insert(user.clone());
            }
            let roles = held.entry(user).or_default();
            match role.as_deref().map(RoleName::parse) {
                Some(Ok(role)) => roles.push(role),
                Some(Err(_)) => found.unusable.extend(role),
                None => {}
            }
        }
        for (user, mut roles) in held {
            if found.inactive.contains(&user) {
                roles.clear();
            }
            found.users.push(UserRoles { user, roles });
        }
        Ok(found)
    }
}

pub(super) fn parse_effect(text: &str) -> Result<Effect, String> {
    match text {
        "allow" => Ok(Effect::Allow),
        "deny" => Ok(Effect::Deny),
        other => Err(format!("`{}` is no effect", other.escape_debug())),
    }
}

pub(super) fn parse<T, E: Display>(
    table: &'static str,
    text: &str,
    parser: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, StoreError> {
    parser(text).map_err(|error| StoreError::Damaged { table, reason: error.to_string() })
}

//! Giving overrides to single users, and taking them back.

use policy_core::{Effect, Override, Pattern, Timestamp, UserId};
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use super::super::identifier::Identifier;
use super::super::moment::Moment;
use super::super::schema::enter;
use super::StoreError;
use super::read::{parse, parse_effect};
use crate::report::time::serialize_moment;

/// An override as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredOverride {
    /// What it says.
    #[serde(flatten)]
    pub entry: Override,
    /// Who made it.
    pub granted_by: String,
    /// When, by the server's clock.
    #[serde(serialize_with = "serialize_moment")]
    pub granted_at: Timestamp,
}

/// What became of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantOutcome {
    /// There was no override with this user, pattern and effect.
    Created,
    /// There was one that ends earlier; it is replaced.
    Extended,
    /// There is one that ends at the same time or later; it stays as it is (SPEC section 3).
    Unchanged,
}

/// Stores an override. Of two with the same user, pattern and effect the one that ends later remains, with its reason.
/// Call it in a transaction.
///
/// # Errors
///
/// When the schema is not there, when the expiry is none that PostgreSQL can hold, or when the server refuses.
pub async fn grant(
    connection: &mut PgConnection,
    schema: &Identifier,
    entry: &Override,
    granted_by: &str,
) -> Result<GrantOutcome, StoreError> {
    enter(connection, schema).await?;
    let created: Option<bool> = sqlx::query_scalar(
        "insert into user_custom_permissions as t (user_id, pattern, effect, expires_at, reason, granted_by) \
         values ($1, $2, $3, $4, $5, $6) \
         on conflict (user_id, pattern, effect) do update \
         set expires_at = excluded.expires_at, reason = excluded.reason, granted_by = excluded.granted_by, \
             granted_at = excluded.granted_at \
         where coalesce(t.expires_at, 'infinity') < coalesce(excluded.expires_at, 'infinity') \
         returning xmax = 0",
    )
    .bind(entry.user.as_str())
    .bind(entry.pattern.as_str())
    .bind(entry.effect.as_str())
    .bind(entry.expires_at.map(Moment))
    .bind(&entry.reason)
    .bind(granted_by)
    .fetch_optional(connection)
    .await?;
    Ok(match created {
        Some(true) => GrantOutcome::Created,
        Some(false) => GrantOutcome::Extended,
        None => GrantOutcome::Unchanged,
    })
}

/// Removes an override, and returns it as it was; `None` when there is none. Call it in a transaction.
///
/// # Errors
///
/// When the schema is not there, or the server refuses.
pub async fn revoke(
    connection: &mut PgConnection,
    schema: &Identifier,
    user: &UserId,
    effect: Effect,
    pattern: &Pattern,
) -> Result<Option<StoredOverride>, StoreError> {
    enter(connection, schema).await?;
    let removed: Option<Row> = sqlx::query_as(
        "delete from user_custom_permissions where user_id = $1 and effect = $2 and pattern = $3 \
         returning user_id, effect, pattern, expires_at, reason, granted_by, granted_at",
    )
    .bind(user.as_str())
    .bind(effect.as_str())
    .bind(pattern.as_str())
    .fetch_optional(connection)
    .await?;
    removed.map(Row::parse).transpose()
}

/// The overrides of one user, denies first and then by pattern, expired ones among them. Call it in a transaction.
///
/// # Errors
///
/// When the schema is not there, or the server refuses.
pub async fn list_overrides(
    connection: &mut PgConnection,
    schema: &Identifier,
    user: &UserId,
) -> Result<Vec<StoredOverride>, StoreError> {
    enter(connection, schema).await?;
    let rows: Vec<Row> = sqlx::query_as(
        "select user_id, effect, pattern, expires_at, reason, granted_by, granted_at \
         from user_custom_permissions where user_id = $1 order by effect desc, pattern",
    )
    .bind(user.as_str())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::parse).collect()
}

#[derive(FromRow)]
struct Row {
    user_id: String,
    effect: String,
    pattern: String,
    expires_at: Option<Moment>,
    reason: String,
    granted_by: String,
    granted_at: Moment,
}

impl Row {
    fn parse(self) -> Result<StoredOverride, StoreError> {
        const TABLE: &str = "user_custom_permissions";
        Ok(StoredOverride {
            entry: Override {
                user: parse(TABLE, &self.user_id, UserId::parse)?,
                effect: parse(TABLE, &self.effect, parse_effect)?,
                pattern: parse(TABLE, &self.pattern, Pattern::parse)?,
                expires_at: self.expires_at.map(|moment| moment.0),
                reason: self.reason,
            },
            granted_by: self.granted_by,
            granted_at: self.granted_at.0,
        })
    }
}

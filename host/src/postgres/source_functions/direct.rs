//! The permissions that users have of their own in the legacy tables, and how they become overrides.

use std::collections::BTreeMap;

use futures_util::{Stream, TryStreamExt};
use policy_core::{Effect, Policy};
use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::super::identifier::Identifier;
use super::super::schema::{SchemaError, enter};
use super::Reading;
use crate::policy_file::Source;

/// Who is recorded as having granted what the legacy tables had granted.
pub const GRANTED_BY: &str = "legacy";

/// A legacy permission that a user has of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegacyPermission {
    /// The id as text.
    pub user_id: String,
    /// The permission as the legacy tables have it.
    pub name: String,
    /// Whether it is allowed or denied.
    pub effect: Effect,
}

/// Every permission that a user has of its own, read as they come. Ordered by the bytes of the id; none twice.
///
/// # Errors
///
/// When a table or a column is missing or may not be read.
pub async fn direct_permissions<'c>(
    connection: &'c mut PgConnection,
    source: &Source,
) -> Result<impl Stream<Item = Result<LegacyPermission, sqlx::Error>> + 'c, SchemaError> {
    let mut reading = Reading::of(connection, source).await?;
    let body = reading.permissions().unwrap_or_else(|| {
        "select null::text as user_id, null::text as name, null::text as effect where false".to_owned()
    });
    let text = format!(
        "select b.user_id, b.name, b.effect from ({body}) b order by b.user_id collate \"C\", b.name, b.effect"
    );
    let text = reading.ask(connection, &text).await?;
    let rows = sqlx::query_as::<_, Row>(AssertSqlSafe(text)).fetch(connection);
    Ok(rows.map_ok(|row| LegacyPermission {
        effect: if row.effect == Effect::Deny.as_str() { Effect::Deny } else { Effect::Allow },
        user_id: row.user_id,
        name: row.name,
    }))
}

#[derive(FromRow)]
struct Row {
    user_id: String,
    name: String,
    effect: String,
}

/// What each legacy permission means here: what the file says, else the permission of the catalog of that name.
#[must_use]
pub fn meaning<'p>(source: &'p Source, policy: &'p Policy) -> BTreeMap<&'p str, Vec<&'p str>> {
    let catalog = policy.permissions().iter().map(|entry| (entry.name.as_str(), vec![entry.name.as_str()]));
    let said = source
        .permission_names
        .iter()
        .map(|(name, patterns)| (name.as_str(), patterns.iter().map(String::as_str).collect()));
    catalog.chain(said).collect()
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// So many overrides were stored.
    Done(u64),
    /// Somebody has this permission, of which nobody said what it means. Nothing was stored.
    Unmapped(String),
}

/// The query of the overrides that what users have of their own will become: `user_id`, `pattern`, `effect`, `name` (the
/// legacy permission). `None` where the source names no such permissions.
///
/// # Errors
///
/// When the server refuses to look at the columns.
pub async fn overrides_query(
    connection: &mut PgConnection,
    source: &Source,
    policy: &Policy,
) -> Result<Option<String>, sqlx::Error> {
    let mut reading = Reading::of(connection, source).await?;
    let Some(body) = reading.permissions() else { return Ok(None) };
    let meaning: Vec<Meant<'_>> = meaning(source, policy)
        .into_iter()
        .flat_map(|(name, patterns)| patterns.into_iter().map(move |pattern| Meant { name, pattern }))
        .collect();
    let meaning = serde_json::to_string(&meaning).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let text = format!(
        "select b.user_id, m.pattern, b.effect, b.name from ({body}) b \
         join jsonb_to_recordset({}::jsonb) as m (name text, pattern text) on m.name = b.name collate \"C\"",
        reading.literals.add(&meaning)
    );
    Ok(Some(reading.ask(connection, &text).await?))
}

#[derive(Serialize)]
struct Meant<'p> {
    name: &'p str,
    pattern: &'p str,
}

/// Stores what users have of their own as overrides that do not expire. One that is there and expires does so no longer,
/// since of two that say the same the later expiry counts (SPEC section 3). Call it in the transaction that puts the source
/// in force for the first time.
///
/// # Errors
///
/// When a table or a column is missing or may not be read, or when the server refuses.
pub async fn import(
    connection: &mut PgConnection,
    schema: &Identifier,
    source: &Source,
    policy: &Policy,
) -> Result<Import, SchemaError> {
    enter(connection, schema).await?;
    let Some(coming) = overrides_query(connection, source, policy).await? else { return Ok(Import::Done(0)) };
    let mut reading = Reading::of(connection, source).await?;
    let body = reading.permissions().unwrap_or_default();
    let body = reading.ask(connection, &body).await?;
    let known: Vec<&str> = meaning(source, policy).into_keys().collect();
    let unmapped: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "select b.name from ({body}) b where b.name <> all ($1) limit 1"
    )))
    .bind(known)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(name) = unmapped {
        return Ok(Import::Unmapped(name));
    }
    let done = sqlx::query(AssertSqlSafe(format!(
        "insert into user_custom_permissions (user_id, pattern, effect, reason, granted_by) \
         select c.user_id, c.pattern, c.effect, \
             'had the legacy permission ' || string_agg(distinct '`' || c.name || '`', ', '), $1 \
         from ({coming}) c group by 1, 2, 3 \
         on conflict (user_id, pattern, effect) do update \
             set expires_at = null, reason = excluded.reason, granted_by = excluded.granted_by, granted_at = excluded.granted_at \
             where user_custom_permissions.expires_at is not null"
    )))
    .bind(GRANTED_BY)
    .execute(connection)
    .await?;
    Ok(Import::Done(done.rows_affected()))
}

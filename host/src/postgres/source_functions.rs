//! The functions through which SQL sees the legacy roles, made from the source section of a policy.
//!
//! Literals get into their text through the server's own `format`, never through ours. Bodies are strings, so that no
//! dependency on a legacy table is recorded: nothing of pbac stops the application from changing its tables.

mod bodies;
mod columns;
mod direct;
mod reading;
mod text;

use std::pin::pin;

use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, FromRow, PgConnection};

use super::identifier::Identifier;
use super::schema::{SchemaError, enter, serialize_hex};
use crate::policy_file::Source;
use bodies::Bodies;
pub use direct::{
    GRANTED_BY, Import, LegacyPermission, direct_permissions, import, meaning, overrides_query,
};
pub(crate) use reading::{Reading, json_list};
pub(crate) use text::{name, table};

/// The legacy tables at one moment, so that a later look can show that they are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LegacyState {
    /// How many users there are.
    pub rows: i64,
    /// SHA-256 over every user's id, labels and activity, in the byte order of the ids.
    #[serde(serialize_with = "serialize_hex")]
    pub hash: [u8; 32],
}

/// A user as the legacy database has it, with one of its labels.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct LegacyUser {
    /// The id as text.
    pub user_id: Option<String>,
    /// A label as stored; `None` where the user has none.
    pub label: Option<String>,
    /// The role it stands for: the label, or what the policy's renames say; `None` for a label that the policy ignores.
    pub role: Option<String>,
    /// Whether the user is active; `None` where the table does not say and the policy does not say what that means.
    pub active: Option<bool>,
}

/// Makes `user_roles`, `user_is_active` and `all_users` read what `source` names; without a source there are no users.
///
/// A user id that cannot be one of the column's type, or that is not written as the column prints it (`007` for 7), is
/// no user. With an id of type integer, UUID or text an index on it is used; with another type every row is looked at.
///
/// # Errors
///
/// When the table or a column is missing, or may not be read by this user, or when the server refuses.
pub async fn install(
    connection: &mut PgConnection,
    schema: &Identifier,
    source: Option<&Source>,
) -> Result<(), SchemaError> {
    enter(connection, schema).await?;
    prepare_to_read(connection).await?;
    let bodies = match source {
        Some(source) => Bodies::ask(connection, source).await?,
        None => Bodies::nowhere(),
    };
    let sql: String = sqlx::query_scalar(CREATE)
        .bind(&bodies.roles)
        .bind(&bodies.active)
        .bind(&bodies.users)
        .fetch_one(&mut *connection)
        .await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    // What the server checks late shows now: rights, which it checks for no row as well, and the body that is checked
    // only when it runs.
    sqlx::query(
        "select (select count(*) from user_roles('0')), user_is_active('0'), (select count(*) from (select from all_users() limit 0) u)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes ready to read all users, until the end of the transaction: a million of them with their labels fit into the
/// memory of one step, and compiling a query of unknown size takes longer than it runs. Outside a transaction it does
/// nothing.
///
/// # Errors
///
/// When the server refuses.
pub(crate) async fn prepare_to_read(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('jit', 'off', true), set_config('work_mem', '64MB', true)")
        .execute(connection)
        .await?;
    Ok(())
}

/// Every legacy user, in one query, read as they come: a row for each label, or one without. Ordered by the bytes of the
/// id, then of the label.
///
/// # Errors
///
/// When the table or a column is missing or may not be read.
pub async fn users<'c>(
    connection: &'c mut PgConnection,
    source: &Source,
) -> Result<impl Stream<Item = Result<LegacyUser, sqlx::Error>> + 'c, SchemaError> {
    let body = users_query(connection, source).await?;
    let sql =
        format!("select * from ({body}) users order by user_id collate \"C\", label collate \"C\", active");
    Ok(sqlx::query_as(AssertSqlSafe(sql)).fetch(connection))
}

/// The query that lists every user of the legacy tables with the columns of [`LegacyUser`], in no order. A user with
/// several labels has several rows.
///
/// # Errors
///
/// As [`users`].
pub async fn users_query(connection: &mut PgConnection, source: &Source) -> Result<String, SchemaError> {
    Ok(Bodies::ask(connection, source).await?.users)
}

/// Counts and hashes the legacy users: labels as stored and NULL as NULL, since what a policy makes of them may change
/// while the tables do not. In a transaction of at least REPEATABLE READ it agrees with what else is read.
///
/// # Errors
///
/// As [`users`].
pub async fn legacy_state(
    connection: &mut PgConnection,
    source: &Source,
) -> Result<LegacyState, SchemaError> {
    let mut reading = Reading::of(connection, source).await?;
    let stored = reading.stored();
    let stored = reading.ask(connection, &stored).await?;
    let text = format!(
        "select * from ({stored}) users order by user_id collate \"C\", label collate \"C\", activity collate \"C\""
    );
    type Row = (Option<String>, Option<String>, Option<String>);
    let mut rows = pin!(sqlx::query_as::<_, Row>(AssertSqlSafe(text)).fetch(connection));
    let mut state = LegacyState { rows: 0, hash: [0; 32] };
    let mut hash = Sha256::new();
    let mut before: Option<Option<String>> = None;
    while let Some((user_id, label, activity)) = rows.try_next().await? {
        for field in [user_id.as_deref(), label.as_deref(), activity.as_deref()] {
            // Length and text, as in the audit chain; a NULL has the length that no text has.
            let length = field.map_or(u64::MAX, |text| u64::try_from(text.len()).unwrap_or(u64::MAX));
            hash = hash.chain_update(length.to_be_bytes()).chain_update(field.unwrap_or_default());
        }
        // A user has a row for each label.
        if before.as_ref() != Some(&user_id) {
            state.rows = state.rows.saturating_add(1);
        }
        before = Some(user_id);
    }
    state.hash = hash.finalize().into();
    Ok(state)
}

const CREATE: &str = "select format($sql$\
    create or replace function user_roles(user_id text) returns setof text \
        language sql stable parallel safe rows 1 as %L; \
    create or replace function user_is_active(user_id text) returns boolean \
        language plpgsql stable parallel safe as %L; \
    create or replace function all_users() returns table (user_id text, label text, role text, active boolean) \
        language sql stable parallel safe as %L; \
    $sql$, $1, $2, $3)";

//! The functions through which SQL sees the legacy roles, made from the source section of a policy.
//!
//! Names and literals get into their text through the server's own `format`, never through ours. Bodies are strings, so
//! that no dependency on a legacy table is recorded: nothing of pbac stops the application from changing its tables.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::{Stream, TryStreamExt};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, FromRow, PgConnection};

use super::identifier::Identifier;
use super::schema::{SchemaError, enter, serialize_hex};
use crate::policy_file::{Activity, Form, NullActive, RoleWay, Source, SourcePath};

/// The legacy tables at one moment, so that a later look can show that they are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LegacyState {
    /// How many users there are.
    pub rows: i64,
    /// SHA-256 over every user's id, label and activity, in the byte order of the ids.
    #[serde(serialize_with = "serialize_hex")]
    pub hash: [u8; 32],
}

/// A user as the legacy database has it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize)]
pub struct LegacyUser {
    /// The id as text.
    pub user_id: Option<String>,
    /// The role's label as stored.
    pub label: Option<String>,
    /// The role it stands for: the label, or what the policy's renames say.
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
    // What the server checks late shows now: rights, and the body that is checked only when it runs.
    sqlx::query(
        "select (select count(*) from user_roles('0')), user_is_active('0'), (select count(*) from (select from all_users() limit 1) u)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Every user of the legacy table, in one query, read as they come. Ordered by the bytes of the id.
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

/// The query that lists every user of the legacy table with the columns of [`LegacyUser`], in no order. A user with
/// several labels has several rows.
///
/// # Errors
///
/// As [`users`].
pub async fn users_query(connection: &mut PgConnection, source: &Source) -> Result<String, SchemaError> {
    Ok(Bodies::ask(connection, source).await?.users)
}

/// Counts and hashes the legacy users. In a transaction of at least REPEATABLE READ it agrees with what else is read.
///
/// # Errors
///
/// As [`users`].
pub async fn legacy_state(
    connection: &mut PgConnection,
    source: &Source,
) -> Result<LegacyState, SchemaError> {
    // The labels as stored and NULL as NULL: what a policy makes of them may change while the table does not.
    let plain = Source { null_active: None, rename: BTreeMap::new(), ..source.clone() };
    let mut rows = pin!(users(connection, &plain).await?);
    let mut state = LegacyState { rows: 0, hash: [0; 32] };
    let mut hash = Sha256::new();
    while let Some(user) = rows.try_next().await? {
        state.rows = state.rows.saturating_add(1);
        let active = user.active.map(|active| if active { "t" } else { "f" });
        for field in [user.user_id.as_deref(), user.label.as_deref(), active] {
            // Length and text, as in the audit chain; a NULL has the length that no text has.
            let length = field.map_or(u64::MAX, |text| u64::try_from(text.len()).unwrap_or(u64::MAX));
            hash = hash.chain_update(length.to_be_bytes()).chain_update(field.unwrap_or_default());
        }
    }
    state.hash = hash.finalize().into();
    Ok(state)
}

/// The bodies of the three functions.
#[derive(FromRow)]
struct Bodies {
    roles: String,
    active: String,
    users: String,
}

impl Bodies {
    async fn ask(connection: &mut PgConnection, source: &Source) -> Result<Self, sqlx::Error> {
        let (role, active) = plain(source).ok_or_else(|| sqlx::Error::Configuration(NOT_READ_YET.into()))?;
        let rename =
            serde_json::to_string(&source.rename).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query_as(BODIES)
            .bind(source.table.schema.as_str())
            .bind(source.table.table.as_str())
            .bind(source.user_id.as_str())
            .bind(role.as_str())
            .bind(active.map(Identifier::as_str))
            .bind(source.null_active.map(|meaning| meaning == NullActive::Active))
            .bind(if source.rename.is_empty() { None } else { Some(rename) })
            .fetch_one(connection)
            .await
    }

    /// As `migrations/0004_questions.sql` creates them.
    fn nowhere() -> Self {
        Self {
            roles: "select null::text where false".to_owned(),
            active: "begin return true; end".to_owned(),
            users: "select null::text, null::text, null::text, null::boolean where false".to_owned(),
        }
    }
}

const NOT_READ_YET: &str = "this pbac reads sources of one role column only; write `kind = \"role-column\"`";

/// The role's column and the one that says who is active, where that is all a source says.
pub(crate) fn plain(source: &Source) -> Option<(&Identifier, Option<&Identifier>)> {
    let [RoleWay::Path(SourcePath { column: Some(role), form: Form::One, via })] = source.roles.as_slice()
    else {
        return None;
    };
    let active = match &source.activity {
        None => None,
        Some(Activity::Boolean(column)) => Some(column),
        Some(_) => return None,
    };
    let simple =
        via.is_empty() && source.only.is_empty() && !source.distinct && source.permissions.is_empty();
    simple.then_some((role, active))
}

const CREATE: &str = "select format($sql$\
    create or replace function user_roles(user_id text) returns setof text \
        language sql stable parallel safe rows 1 as %L; \
    create or replace function user_is_active(user_id text) returns boolean \
        language plpgsql stable parallel safe as %L; \
    create or replace function all_users() returns table (user_id text, label text, role text, active boolean) \
        language sql stable parallel safe as %L; \
    $sql$, $1, $2, $3)";

/// `$1` schema, `$2` table, `$3` id, `$4` role, `$5` active or null, `$6` what a NULL there means or null, `$7` renames
/// as JSON or null. In the bodies `$1` is the user id.
///
/// The typed comparison is for the index, the comparison as text for the meaning: an id is the very text that the
/// column prints. The two conversions are nested, since AND promises no order.
const BODIES: &str = r#"
with recursive base (oid) as (
    select coalesce(
        (select a.atttypid
         from pg_attribute a
         join pg_class c on c.oid = a.attrelid
         join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = $1 and c.relname = $2 and a.attname = $3 and a.attnum > 0 and not a.attisdropped),
        0::oid)
    union all
    select t.typbasetype from base b join pg_type t on t.oid = b.oid where t.typbasetype <> 0
),
id_type (name) as (
    select (select t.oid::regtype::text from base b join pg_type t on t.oid = b.oid where t.typbasetype = 0)
),
pieces as (
    select
        format('%I.%I', $1, $2) as from_table,
        format('u.%I::text', $3) as id,
        format('u.%I::text', $4) as label,
        case
            when $7::text is null then format('u.%I::text', $4)
            else format('coalesce(%L::jsonb ->> u.%I::text, u.%I::text)', $7, $4, $4)
        end as role,
        case
            when $5::text is null then 'true'
            when $6::boolean is null then format('u.%I', $5)
            else format('coalesce(u.%I, %L)', $5, $6)
        end as active,
        case
            when name in ('smallint', 'integer', 'bigint') then format(
                $e$u.%I = case when $1 ~ '^(0|-?[1-9][0-9]{0,18})$' then case when $1::numeric between %s then $1::%s end end and $e$,
                $3,
                case name
                    when 'smallint' then '-32768 and 32767'
                    when 'integer' then '-2147483648 and 2147483647'
                    else '-9223372036854775808 and 9223372036854775807'
                end,
                name)
            when name = 'uuid' then format(
                $e$u.%I = case when $1 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then $1::uuid end and $e$, $3)
            when name in ('text', 'character varying') then format('u.%I = $1 and ', $3)
            when name = 'character' then format('u.%I = $1::bpchar and ', $3)
            else ''
        end || format('u.%I::text = $1 collate "C"', $3) as is_user
    from id_type
)
select
    format('select %s from %s u where %s and %s and %s is not null', role, from_table, is_user, active, label) as roles,
    format('begin return not exists (select from %s u where %s and (%s) is not true); end', from_table, is_user, active)
        as active,
    format('select %s as user_id, %s as label, %s as role, %s as active from %s u', id, label, role, active, from_table)
        as users
from pieces
"#;

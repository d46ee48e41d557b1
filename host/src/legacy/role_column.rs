//! One role a user, in a column of the table of users: an enumeration, a text, or anything else with a text form.
//!
//! Labels come from `pg_enum` as well as from the rows, since a label that nobody has today is somebody's tomorrow.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::{MAX_USER_ID_BYTES, Policy};
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::finding::{Finding, FindingCode, MAX_FIRST};
use super::{Label, Legacy, role_of};
use crate::policy_file::{NullActive, Source};
use crate::postgres::Identifier;
use crate::postgres::source_functions::plain;

pub(super) async fn read(
    connection: &mut PgConnection,
    source: &Source,
    policy: &Policy,
) -> Result<Legacy, sqlx::Error> {
    let mut legacy =
        Legacy { table: source.table.clone(), users: 0, active: 0, labels: Vec::new(), findings: Vec::new() };
    let Some((role, active)) = plain(source) else {
        let message = "this pbac reads sources of one role column only; write `kind = \"role-column\"`";
        legacy.findings.push(Finding::stop(FindingCode::MissingSource, message));
        return Ok(legacy);
    };
    let table = TableFacts::read(connection, source).await?;
    let columns = ColumnFacts::read(connection, source, role, active).await?;
    legacy.findings = faults(source, role, active, table.as_ref(), &columns);
    if legacy.stops() {
        return Ok(legacy);
    }
    let labels = columns.get(role.as_str()).map(|column| column.base_type);
    let declared: Vec<String> =
        sqlx::query_scalar("SELECT enumlabel::text FROM pg_enum WHERE enumtypid::bigint = $1")
            .bind(labels)
            .fetch_all(&mut *connection)
            .await?;
    let sql = Sql::of(source, role, active);
    let counts = count(connection, source, &sql).await?;
    legacy.users = total(&counts, |row| row.users);
    legacy.active = total(&counts, |row| row.active);
    let without_role = total(&counts, |row| if row.label.is_none() { row.users } else { 0 });
    let unknown_activity = total(&counts, |row| row.unknown);
    let bad_ids = total(&counts, |row| row.bad_ids);
    legacy.labels = labelled(counts, declared, source, policy);

    if without_role > 0 {
        let first = first_ids(connection, &sql, &format!("{} IS NULL", sql.label), None).await?;
        let message = "users have no role; give each one, or delete them";
        legacy.findings.push(Finding::stop(FindingCode::NullRole, message).about(without_role, first));
    }
    if unknown_activity > 0 && source.null_active.is_none() {
        let first = first_ids(connection, &sql, &format!("{} IS NULL", sql.active), None).await?;
        let message = "users are neither active nor inactive; say `null_active = \"inactive\"` or `\"active\"` in the policy's [source]";
        legacy.findings.push(Finding::stop(FindingCode::NullActive, message).about(unknown_activity, first));
    }
    if bad_ids > 0 {
        let first = first_ids(connection, &sql, &sql.bad_id, None).await?;
        let message =
            format!("user ids are null, empty or longer than {MAX_USER_ID_BYTES} bytes; name another column");
        legacy.findings.push(Finding::stop(FindingCode::BadUserId, message).about(bad_ids, first));
    }
    if table.is_some_and(|table| !table.unique_id) {
        legacy.findings.extend(repeated_ids(connection, &sql).await?);
    }
    for label in &legacy.labels {
        if label.role.is_none() {
            let first =
                first_ids(connection, &sql, &format!("{} = $1", sql.label), Some(&label.label)).await?;
            let message = format!(
                "label `{}` stands for no role of the policy; name the role, give one this alias, or say which it is in [source.rename]",
                label.label
            );
            let finding = Finding::stop(FindingCode::UnknownLabel, message).about(label.users, first);
            legacy.findings.push(finding);
        }
    }
    let unused: Vec<String> = source
        .rename
        .keys()
        .filter(|renamed| !legacy.labels.iter().any(|label| label.label == **renamed))
        .cloned()
        .collect();
    if !unused.is_empty() {
        let message = "labels of [source.rename] do not occur; check their spelling";
        let count = i64::try_from(unused.len()).unwrap_or(i64::MAX);
        legacy.findings.push(Finding::note(FindingCode::UnusedRename, message).about(count, unused));
    }
    Ok(legacy)
}

pub(super) async fn any_undenied(
    connection: &mut PgConnection,
    source: &Source,
    labels: &[&str],
    schema: Option<&Identifier>,
) -> Result<bool, sqlx::Error> {
    let Some((role, active)) = plain(source) else { return Ok(false) };
    let Sql { table, id, label, active, .. } = Sql::of(source, role, active);
    let null_active = source.null_active == Some(NullActive::Active);
    let undenied = schema.map_or_else(String::new, |schema| {
        format!(
            "AND NOT EXISTS (SELECT FROM {}.user_custom_permissions o WHERE o.user_id = {id} AND o.effect = 'deny' \
             AND (o.expires_at IS NULL OR now() < o.expires_at))",
            schema.quoted()
        )
    });
    let text = format!(
        "SELECT EXISTS (SELECT FROM {table} WHERE {label} = ANY ($1) AND coalesce({active}, {null_active}) {undenied})"
    );
    sqlx::query_scalar(AssertSqlSafe(text)).bind(labels).fetch_one(connection).await
}

/// The pieces of SQL that read one user, with every name quoted.
struct Sql {
    table: String,
    column: String,
    id: String,
    label: String,
    active: String,
    bad_id: String,
}

impl Sql {
    fn of(source: &Source, role: &Identifier, active: Option<&Identifier>) -> Self {
        let column = source.user_id.quoted();
        let id = format!("{column}::text");
        Self {
            column,
            table: source.table.quoted(),
            label: format!("{}::text", role.quoted()),
            active: active.map_or_else(|| "true".to_owned(), Identifier::quoted),
            bad_id: format!("({id} IS NULL OR octet_length({id}) NOT BETWEEN 1 AND {MAX_USER_ID_BYTES})"),
            id,
        }
    }
}

/// What the catalogs say about the table.
#[derive(FromRow)]
struct TableFacts {
    kind: String,
    usable_schema: bool,
    hidden_rows: bool,
    /// A unique index over the id alone, which no predicate restricts.
    unique_id: bool,
}

impl TableFacts {
    async fn read(connection: &mut PgConnection, source: &Source) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT c.relkind::text AS kind, has_schema_privilege(n.oid, 'USAGE') AS usable_schema, \
             c.relrowsecurity AND row_security_active(c.oid) AS hidden_rows, \
             EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $3 \
                 WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
                 AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS unique_id \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        )
        .bind(source.table.schema.as_str())
        .bind(source.table.table.as_str())
        .bind(source.user_id.as_str())
        .fetch_optional(connection)
        .await
    }
}

/// What the catalogs say about one column.
#[derive(FromRow)]
struct ColumnFacts {
    name: String,
    type_name: String,
    base_type: i64,
    category: String,
    readable: bool,
}

impl ColumnFacts {
    async fn read(
        connection: &mut PgConnection,
        source: &Source,
        role: &Identifier,
        active: Option<&Identifier>,
    ) -> Result<BTreeMap<String, Self>, sqlx::Error> {
        let names: Vec<&str> =
            [&source.user_id, role].into_iter().chain(active).map(Identifier::as_str).collect();
        let columns: Vec<Self> = sqlx::query_as(
            "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type_name, \
             coalesce(nullif(t.typbasetype, 0), t.oid)::bigint AS base_type, t.typcategory::text AS category, \
             has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid \
             WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = ANY ($3) AND a.attnum > 0 AND NOT a.attisdropped",
        )
        .bind(source.table.schema.as_str())
        .bind(source.table.table.as_str())
        .bind(names)
        .fetch_all(connection)
        .await?;
        Ok(columns.into_iter().map(|column| (column.name.clone(), column)).collect())
    }
}

/// What forbids to look at the rows.
fn faults(
    source: &Source,
    role: &Identifier,
    active: Option<&Identifier>,
    table: Option<&TableFacts>,
    columns: &BTreeMap<String, ColumnFacts>,
) -> Vec<Finding> {
    let name = &source.table;
    let Some(table) = table else {
        let message = format!(
            "the table `{name}` is not there; check `table` in the policy's [source], and the database's name"
        );
        return vec![Finding::stop(FindingCode::MissingSource, message)];
    };
    let mut found = Vec::new();
    if !table.usable_schema {
        let message =
            format!("this user may not use the schema `{}`; grant USAGE on it", source.table.schema);
        found.push(Finding::stop(FindingCode::MissingRight, message));
    }
    if table.hidden_rows {
        let message = format!(
            "row security of `{name}` may hide users from this user; run as the owner or as a user with BYPASSRLS"
        );
        found.push(Finding::stop(FindingCode::RowSecurity, message));
    }
    let active = active.into_iter().map(|column| ("active", column));
    let named = [("user_id", &source.user_id), ("role", role)].into_iter().chain(active);
    for (key, column_name) in named {
        let column_name = column_name.as_str();
        let Some(column) = columns.get(column_name) else {
            let message =
                format!("`{name}` has no column `{column_name}`; check `{key}` in the policy's [source]");
            found.push(Finding::stop(FindingCode::MissingSource, message));
            continue;
        };
        if !column.readable {
            let message =
                format!("this user may not read the column `{column_name}` of `{name}`; grant SELECT on it");
            found.push(Finding::stop(FindingCode::MissingRight, message));
        }
        // `B` is boolean, `A` an array.
        let wrong = match key {
            "active" => (column.category != "B").then_some("a boolean"),
            _ => (column.category == "A").then_some("one value a user"),
        };
        if let Some(wanted) = wrong {
            let message = format!(
                "the column `{column_name}` of `{name}` is `{}`, and `{key}` takes {wanted}",
                column.type_name
            );
            found.push(Finding::stop(FindingCode::WrongType, message));
        }
    }
    if found.is_empty() && !table.unique_id && matches!(table.kind.as_str(), "r" | "p") {
        let message = format!(
            "no unique index covers `{}` of `{name}`: each question will read the whole table",
            source.user_id
        );
        found.push(Finding::note(FindingCode::BadUserId, message));
    }
    found
}

/// The users of one label.
#[derive(FromRow)]
struct Count {
    label: Option<String>,
    users: i64,
    active: i64,
    /// Of whom it is not known whether they are active.
    unknown: i64,
    bad_ids: i64,
}

/// All that has to be known of the rows, in one pass over them.
async fn count(connection: &mut PgConnection, source: &Source, sql: &Sql) -> Result<Vec<Count>, sqlx::Error> {
    let Sql { table, label, active, bad_id, .. } = sql;
    let null_active = source.null_active == Some(NullActive::Active);
    let sql = format!(
        "SELECT {label} AS label, count(*) AS users, count(*) FILTER (WHERE coalesce({active}, {null_active})) AS active, \
         count(*) FILTER (WHERE {active} IS NULL) AS unknown, count(*) FILTER (WHERE {bad_id}) AS bad_ids \
         FROM {table} GROUP BY 1"
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await
}

fn total(counts: &[Count], of: impl Fn(&Count) -> i64) -> i64 {
    counts.iter().map(of).fold(0, i64::saturating_add)
}

fn labelled(counts: Vec<Count>, declared: Vec<String>, source: &Source, policy: &Policy) -> Vec<Label> {
    let mut labels: BTreeMap<String, (i64, i64)> = counts
        .into_iter()
        .filter_map(|row| row.label.map(|label| (label, (row.users, row.active))))
        .collect();
    for label in BTreeSet::from_iter(declared) {
        labels.entry(label).or_default();
    }
    labels
        .into_iter()
        .map(|(label, (users, active))| Label {
            role: role_of(&label, &source.rename, policy).map(str::to_owned),
            label,
            users,
            active,
        })
        .collect()
}

/// The first users of whom `condition` holds, in the order of their ids. `$1` in it is `label`.
async fn first_ids(
    connection: &mut PgConnection,
    sql: &Sql,
    condition: &str,
    label: Option<&str>,
) -> Result<Vec<String>, sqlx::Error> {
    let Sql { table, column, id, .. } = sql;
    let text = format!(
        "SELECT coalesce({id}, 'NULL') FROM {table} WHERE {condition} ORDER BY {column} LIMIT {MAX_FIRST}"
    );
    let mut query = sqlx::query_scalar(AssertSqlSafe(text));
    if let Some(label) = label {
        query = query.bind(label);
    }
    query.fetch_all(connection).await
}

async fn repeated_ids(connection: &mut PgConnection, sql: &Sql) -> Result<Option<Finding>, sqlx::Error> {
    let Sql { table, id, .. } = sql;
    let text = format!(
        "SELECT id, count(*) OVER () FROM (SELECT {id} AS id FROM {table} GROUP BY 1 HAVING count(*) > 1) repeated \
         ORDER BY 1 LIMIT {MAX_FIRST}"
    );
    let rows: Vec<(Option<String>, i64)> = sqlx::query_as(AssertSqlSafe(text)).fetch_all(connection).await?;
    let Some((_, count)) = rows.first() else { return Ok(None) };
    let message = "user ids are there more than once; name a column that tells users apart";
    let finding = Finding::stop(FindingCode::BadUserId, message);
    Ok(Some(finding.about(*count, rows.iter().filter_map(|(id, _)| id.clone()))))
}

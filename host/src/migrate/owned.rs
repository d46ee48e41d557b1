//! Which objects of a schema are ours: only these are ever moved, dropped or put back.
//!
//! A name alone proves nothing, since the legacy application may have a table `roles` in the very same schema. Ours are
//! the objects that the migration's transaction creates, and it creates all of them or none; so one table that is
//! certainly ours (our columns and our comment) proves that every object of our names was created by us.

use serde::Serialize;
use sqlx::postgres::types::Oid;
use sqlx::{AssertSqlSafe, PgConnection};

use super::state::{AUDIT_TABLE, LEDGER_TABLE, TABLES};
use crate::postgres::Identifier;
use crate::postgres::schema::{AUDIT_FUNCTIONS, KEY_FUNCTIONS, KEY_TABLES, files, key_files};

/// The table of the overrides, which hold what was granted since the migration.
pub const OVERRIDES_TABLE: &str = "user_custom_permissions";

/// The columns our tables have at least, by which they are told from others of the same name.
const COLUMNS: [(&str, &[&str]); 8] = [
    (LEDGER_TABLE, &["id", "kind", "applied_at", "checksum", "policy_hash", "legacy_rows", "legacy_hash"]),
    ("permissions", &["name", "module", "description"]),
    ("roles", &["name", "description"]),
    ("role_permissions", &["role", "pattern"]),
    ("role_inherits", &["role", "inherits"]),
    ("role_aliases", &["alias", "role"]),
    ("conflicts", &["name", "left_pattern", "right_pattern", "reason"]),
    (OVERRIDES_TABLE, &["user_id", "pattern", "effect", "expires_at", "reason", "granted_by", "granted_at"]),
];

/// Our functions beside those of the audit log: name and types of the arguments.
pub const FUNCTIONS: [(&str, &str); 15] = [
    ("active_overrides", "text, text, timestamp with time zone"),
    ("all_users", ""),
    ("covers", "text, text"),
    ("decide", "text, text, timestamp with time zone"),
    ("decide_roles", "text, text[], text, timestamp with time zone"),
    ("effective_permissions", "text, timestamp with time zone"),
    ("has_permission", "text, text"),
    ("held_roles", "text[]"),
    ("is_label", "text"),
    ("is_pattern", "text"),
    ("is_permission", "text"),
    ("is_user_id", "text"),
    ("pattern_matches", "text, text"),
    ("user_is_active", "text"),
    ("user_roles", "text"),
];

/// One of our tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnedTable {
    #[serde(skip)]
    pub(super) oid: Oid,
    /// Its name.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: i64,
}

/// One of our functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnedFunction {
    #[serde(skip)]
    pub(super) oid: Oid,
    /// Its name.
    pub name: &'static str,
    /// The types of its arguments.
    pub arguments: &'static str,
}

impl OwnedFunction {
    /// The function in a schema, as SQL text names it.
    pub(super) fn quoted(&self, schema: &Identifier) -> String {
        format!("{}.{}({})", schema.quoted(), self.name, self.arguments)
    }
}

/// What of a schema is ours, and what is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owned {
    /// The schema.
    pub schema: Identifier,
    /// Our tables but the audit log; each comes after those it refers to.
    pub tables: Vec<OwnedTable>,
    /// Our functions but those of the audit log, in byte order.
    pub functions: Vec<OwnedFunction>,
    /// Everything else in the schema but the audit log and the signing keys, as PostgreSQL describes it: never touched.
    pub others: Vec<String>,
}

impl Owned {
    /// Looks at a schema; one that does not exist holds nothing.
    ///
    /// # Errors
    ///
    /// When the server refuses a query.
    pub async fn read(connection: &mut PgConnection, schema: &Identifier) -> Result<Self, sqlx::Error> {
        let found = find_tables(connection, schema).await?;
        let mut tables = Vec::new();
        let mut functions = Vec::new();
        if found.iter().any(|(_, _, proven)| *proven) {
            for (oid, name, _) in found {
                let rows = count_rows(connection, schema, name).await?;
                tables.push(OwnedTable { oid, name, rows });
            }
            functions = find_functions(connection, schema).await?;
        }
        let others = find_others(connection, schema, &tables, &functions).await?;
        Ok(Self { schema: schema.clone(), tables, functions, others })
    }

    /// Whether nothing here is ours.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.functions.is_empty()
    }

    /// How many rows a table of ours has; zero where it is not there.
    #[must_use]
    pub fn rows_of(&self, table: &str) -> i64 {
        self.tables.iter().find(|owned| owned.name == table).map_or(0, |owned| owned.rows)
    }

    /// The names of the tables, in order.
    pub(super) fn table_names(&self) -> Vec<&'static str> {
        self.tables.iter().map(|table| table.name).collect()
    }

    pub(super) fn table_oids(&self) -> Vec<Oid> {
        self.tables.iter().map(|table| table.oid).collect()
    }

    pub(super) fn function_oids(&self) -> Vec<Oid> {
        self.functions.iter().map(|function| function.oid).collect()
    }
}

/// The tables of our names with our columns, in the order of [`TABLES`]; the flag says that the comment is ours as well.
async fn find_tables(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<Vec<(Oid, &'static str, bool)>, sqlx::Error> {
    let mut found = Vec::new();
    for name in TABLES {
        let columns =
            COLUMNS.iter().find(|(table, _)| *table == name).map_or(&[][..], |(_, columns)| columns);
        let row: Option<(Oid, Option<String>)> = sqlx::query_as(
            "SELECT c.oid, obj_description(c.oid, 'pg_class') FROM pg_class c \
             WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) \
             AND c.relname = $2 AND c.relkind = 'r' AND $3::text[] <@ ARRAY(SELECT a.attname::text \
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)",
        )
        .bind(schema.as_str())
        .bind(name)
        .bind(columns)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some((oid, comment)) = row {
            found.push((oid, name, comment.is_some_and(|comment| is_our_comment(name, &comment))));
        }
    }
    Ok(found)
}

/// Whether our files give the table this comment.
fn is_our_comment(table: &str, comment: &str) -> bool {
    let statement = format!("comment on table {table} is '{}';", comment.replace('\'', "''"));
    files().chain(key_files()).any(|file| file.sql.contains(&statement))
}

/// Whether the schema holds the tables of the signing keys, which nothing that is done to a policy touches.
///
/// # Errors
///
/// When the server refuses the query.
pub(super) async fn has_signing_keys(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<bool, sqlx::Error> {
    let comments: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, obj_description(c.oid, 'pg_class') FROM pg_class c \
         WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind = 'r' \
         AND c.relname = ANY ($2) AND obj_description(c.oid, 'pg_class') IS NOT NULL",
    )
    .bind(schema.as_str())
    .bind(KEY_TABLES.as_slice())
    .fetch_all(connection)
    .await?;
    Ok(comments.len() == KEY_TABLES.len()
        && comments.iter().all(|(table, comment)| is_our_comment(table, comment)))
}

async fn find_functions(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<Vec<OwnedFunction>, sqlx::Error> {
    let mut found = Vec::new();
    for (name, arguments) in FUNCTIONS {
        let oid: Option<Oid> = sqlx::query_scalar(
            "SELECT p.oid FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) \
             AND p.proname = $2 AND oidvectortypes(p.proargtypes) = $3 AND p.prokind = 'f'",
        )
        .bind(schema.as_str())
        .bind(name)
        .bind(arguments)
        .fetch_optional(&mut *connection)
        .await?;
        found.extend(oid.map(|oid| OwnedFunction { oid, name, arguments }));
    }
    Ok(found)
}

async fn count_rows(
    connection: &mut PgConnection,
    schema: &Identifier,
    table: &str,
) -> Result<i64, sqlx::Error> {
    let sql = format!("SELECT count(*) FROM {}.{table}", schema.quoted());
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
}

/// Relations, functions and types that stand for themselves: not indexes, not row types, not sequences of a column. What
/// outlives every policy is nobody else's either.
async fn find_others(
    connection: &mut PgConnection,
    schema: &Identifier,
    tables: &[OwnedTable],
    functions: &[OwnedFunction],
) -> Result<Vec<String>, sqlx::Error> {
    let ours: Vec<Oid> =
        tables.iter().map(|table| table.oid).chain(functions.iter().map(|function| function.oid)).collect();
    let (mut staying_tables, mut staying_functions) = (vec![AUDIT_TABLE], AUDIT_FUNCTIONS.to_vec());
    if has_signing_keys(connection, schema).await? {
        staying_tables.extend(KEY_TABLES);
        staying_functions.extend(KEY_FUNCTIONS);
    }
    sqlx::query_scalar(
        "WITH s AS (SELECT oid FROM pg_namespace WHERE nspname = $1), found (classid, objid) AS ( \
             SELECT 'pg_class'::regclass, c.oid FROM pg_class c, s WHERE c.relnamespace = s.oid \
                 AND c.relkind NOT IN ('i', 'I', 't') AND c.relname <> ALL ($3) \
             UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p, s WHERE p.pronamespace = s.oid \
                 AND p.proname <> ALL ($4) \
             UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t, s WHERE t.typnamespace = s.oid \
                 AND t.typrelid = 0 AND t.typelem = 0) \
         SELECT i.type || ' ' || i.identity FROM found f, pg_identify_object(f.classid, f.objid, 0) i \
         WHERE f.objid <> ALL ($2) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = f.classid \
             AND d.objid = f.objid AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass) \
         ORDER BY (i.type || ' ' || i.identity) COLLATE \"C\"",
    )
    .bind(schema.as_str())
    .bind(ours)
    .bind(staying_tables)
    .bind(staying_functions)
    .fetch_all(connection)
    .await
}

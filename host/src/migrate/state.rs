//! What is in the database, read from its catalogs and the ledger; nothing is concluded from what a run intended.

use std::collections::BTreeSet;

use policy_core::Timestamp;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::owned::has_signing_keys;
use crate::postgres::Identifier;
use crate::postgres::schema::KEY_TABLES;
use crate::report::time::serialize_moment;

/// The table that outlives everything: what was tried, done and refused.
pub const AUDIT_TABLE: &str = "audit_log";
/// The table that says what was applied.
pub const LEDGER_TABLE: &str = "pbac_migrations";
/// The tables that a migration creates beside the audit log. Each comes after those it refers to.
pub const TABLES: [&str; 8] = [
    LEDGER_TABLE,
    "permissions",
    "roles",
    "role_permissions",
    "role_inherits",
    "role_aliases",
    "conflicts",
    "user_custom_permissions",
];
/// Between the schema's name and the date in the name of a parked schema.
pub const PARKED_INFIX: &str = "_parked_";
/// After the schema's name in the name of one that was made beforehand to park in.
pub const SPARE_SUFFIX: &str = "_parked";

/// What is there. Of one moment only: whoever takes the lock reads it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// The schema that was looked at.
    pub schema: Identifier,
    /// Whether the schema exists.
    pub schema_exists: bool,
    /// Whether the audit log is there.
    pub audit: bool,
    /// Those of [`TABLES`] that are there, in that order.
    pub tables: Vec<&'static str>,
    /// Tables, views, sequences and the like in the schema that are not pbac's, in byte order.
    pub foreign: Vec<String>,
    /// The SQL files that the ledger records, oldest first.
    pub files: Vec<AppliedFile>,
    /// The policy that was put in force last.
    pub policy: Option<PolicyRun>,
    /// Schemas that hold tables a rollback has parked, oldest first.
    pub parked: Vec<Parked>,
}

/// An SQL file that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AppliedFile {
    /// The number its name begins with.
    pub version: i64,
    /// The words of its name.
    pub description: String,
    /// SHA-384 of its text when it was applied, as hexadecimal digits.
    pub checksum: String,
}

/// A policy that was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRun {
    /// Its number in the ledger.
    pub id: i64,
    /// The policy's name.
    pub name: String,
    /// The content hash of the policy, as hexadecimal digits.
    pub policy_hash: String,
    /// SHA-256 of the policy file's text, as hexadecimal digits.
    pub text_hash: String,
    /// Where the legacy roles lie, as the ledger keeps it.
    pub source: Option<serde_json::Value>,
    /// How many legacy users there were.
    pub legacy_rows: Option<i64>,
    /// SHA-256 over the legacy users' ids, labels and activity, as hexadecimal digits.
    pub legacy_hash: Option<String>,
    /// When.
    #[serde(serialize_with = "serialize_moment")]
    pub applied_at: Timestamp,
    /// By whom.
    pub applied_by: String,
    /// By which version of pbac.
    pub tool_version: String,
}

/// Tables that a rollback put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// The schema they lie in.
    pub schema: Identifier,
    /// Those of [`TABLES`] that lie there, in that order.
    pub tables: Vec<&'static str>,
}

/// What the parts of a [`State`] come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// None of our tables is there.
    Nothing,
    /// Only the audit log is: a migration failed, was undone, or has not gone further yet.
    AuditOnly,
    /// Every table is there and a policy was put in force.
    Migrated,
    /// Some of our tables are there and others are not, or no policy was put in force: nothing pbac does leaves this.
    Partial,
}

impl Stage {
    /// The word for it in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::AuditOnly => "audit_only",
            Self::Migrated => "migrated",
            Self::Partial => "partial",
        }
    }
}

impl State {
    /// Reads it. Inside a transaction of at least REPEATABLE READ the parts are of one moment.
    ///
    /// # Errors
    ///
    /// When the server refuses a query.
    pub async fn read(connection: &mut PgConnection, schema: &Identifier) -> Result<Self, sqlx::Error> {
        let schema_exists = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(schema.as_str())
            .fetch_one(&mut *connection)
            .await?;
        let mut relations = relations(connection, schema).await?;
        if has_signing_keys(connection, schema).await? {
            relations.retain(|name| !KEY_TABLES.contains(&name.as_str()));
        }
        let tables = ours(&relations);
        let readable = tables.contains(&LEDGER_TABLE) && is_our_ledger(connection, schema).await?;
        let (files, policy) = if readable {
            (read_files(connection, schema).await?, read_policy(connection, schema).await?)
        } else {
            (Vec::new(), None)
        };
        Ok(Self {
            schema_exists,
            audit: relations.contains(AUDIT_TABLE),
            foreign: relations
                .iter()
                .filter(|name| *name != AUDIT_TABLE && !TABLES.contains(&name.as_str()))
                .cloned()
                .collect(),
            tables,
            files,
            policy,
            parked: parked(connection, schema).await?,
            schema: schema.clone(),
        })
    }

    /// What it comes to.
    #[must_use]
    pub fn stage(&self) -> Stage {
        if self.tables.is_empty() {
            if self.audit { Stage::AuditOnly } else { Stage::Nothing }
        } else if self.audit && self.missing().is_empty() && self.policy.is_some() {
            Stage::Migrated
        } else {
            Stage::Partial
        }
    }

    /// Those of [`TABLES`], and the audit log, that are not there.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let audit = (!self.audit).then_some(AUDIT_TABLE);
        audit.into_iter().chain(TABLES.into_iter().filter(|table| !self.tables.contains(table))).collect()
    }
}

/// Which of our tables are among the relations.
fn ours(relations: &BTreeSet<String>) -> Vec<&'static str> {
    TABLES.into_iter().filter(|table| relations.contains(*table)).collect()
}

/// Everything with a name of its own in a schema but indexes, and but what belongs to a column (identity sequences).
async fn relations(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relkind NOT IN ('i', 'I', 't') \
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
             AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))",
    )
    .bind(schema.as_str())
    .fetch_all(connection)
    .await?;
    Ok(names.into_iter().collect())
}

/// A table of the ledger's name in a schema that somebody else uses may have other columns.
async fn is_our_ledger(connection: &mut PgConnection, schema: &Identifier) -> Result<bool, sqlx::Error> {
    let found: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r' AND NOT a.attisdropped AND a.attname = ANY ($3)",
    )
    .bind(schema.as_str())
    .bind(LEDGER_TABLE)
    .bind(LEDGER_COLUMNS.as_slice())
    .fetch_one(connection)
    .await?;
    Ok(usize::try_from(found).is_ok_and(|found| found == LEDGER_COLUMNS.len()))
}

async fn read_files(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<Vec<AppliedFile>, sqlx::Error> {
    let sql = format!(
        "SELECT version, description, encode(checksum, 'hex') FROM {}.{LEDGER_TABLE} WHERE kind = 'file' ORDER BY version",
        schema.quoted()
    );
    let rows: Vec<(i64, String, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|(version, description, checksum)| AppliedFile { version, description, checksum })
        .collect())
}

async fn read_policy(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<Option<PolicyRun>, sqlx::Error> {
    let sql = format!(
        "SELECT id, policy_name, encode(policy_hash, 'hex') AS policy_hash, encode(text_hash, 'hex') AS text_hash, \
         source::text AS source, legacy_rows, encode(legacy_hash, 'hex') AS legacy_hash, applied_by, tool_version, \
         (extract(epoch FROM applied_at) * 1000000)::bigint AS applied_at \
         FROM {}.{LEDGER_TABLE} WHERE kind = 'policy' ORDER BY id DESC LIMIT 1",
        schema.quoted()
    );
    let Some(row) = sqlx::query(AssertSqlSafe(sql)).fetch_optional(connection).await? else {
        return Ok(None);
    };
    let source: Option<String> = row.try_get("source")?;
    let source = source
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Some(PolicyRun {
        id: row.try_get("id")?,
        name: row.try_get("policy_name")?,
        policy_hash: row.try_get("policy_hash")?,
        text_hash: row.try_get("text_hash")?,
        source,
        legacy_rows: row.try_get("legacy_rows")?,
        legacy_hash: row.try_get("legacy_hash")?,
        applied_at: Timestamp::from_micros(row.try_get("applied_at")?),
        applied_by: row.try_get("applied_by")?,
        tool_version: row.try_get("tool_version")?,
    }))
}

/// The schemas that hold one of our tables and whose names begin as ours, with [`PARKED_INFIX`], or end with
/// [`SPARE_SUFFIX`].
async fn parked(connection: &mut PgConnection, schema: &Identifier) -> Result<Vec<Parked>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT n.nspname::text, c.relname::text FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid \
         WHERE (starts_with(n.nspname::text, $1) OR n.nspname = $3) AND c.relkind = 'r' AND c.relname = ANY ($2) \
         ORDER BY n.nspname",
    )
    .bind(format!("{}{PARKED_INFIX}", schema.as_str()))
    .bind(TABLES.as_slice())
    .bind(format!("{}{SPARE_SUFFIX}", schema.as_str()))
    .fetch_all(connection)
    .await?;
    let names: BTreeSet<&String> = rows.iter().map(|(schema, _)| schema).collect();
    names
        .into_iter()
        .map(|name| {
            let here: BTreeSet<String> =
                rows.iter().filter(|(schema, _)| schema == name).map(|(_, table)| table.clone()).collect();
            let schema = Identifier::new(name).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok(Parked { schema, tables: ours(&here) })
        })
        .collect()
}

const LEDGER_COLUMNS: [&str; 13] = [
    "id",
    "kind",
    "applied_at",
    "applied_by",
    "tool_version",
    "version",
    "description",
    "checksum",
    "policy_name",
    "policy_hash",
    "text_hash",
    "source",
    "legacy_hash",
];

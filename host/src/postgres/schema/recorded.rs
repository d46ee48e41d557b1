//! The files that are applied apart from migrations, and that the audit log records: the one that creates the log itself,
//! and those of the signing keys. The ledger knows nothing of them, since it may be parked or not there yet.

use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::{AUDIT_FILE, Hex, SchemaError, SqlFile, compare, enter, files, key_files, run, table_exists};
use crate::postgres::audit::{self, Entry, Outcome};
use crate::postgres::identifier::Identifier;
use crate::postgres::retry::SqlState;

/// The functions of the audit log. A rollback leaves them, as it leaves the log and what [`ensure_key_tables`] makes; every
/// other function in the schema belongs to the later files or to the source section of a policy.
pub const AUDIT_FUNCTIONS: [&str; 5] =
    ["audit_append", "audit_chain", "audit_field", "audit_hash", "audit_refuse"];
/// What the audit log calls the creation of itself.
pub const CREATE_AUDIT_LOG: &str = "schema.audit_log";

/// The keys of an application that keeps them in the database.
pub const SIGNING_KEYS: &str = "signing_keys";
/// The names of those that never verify again.
pub const REVOKED_KEYS: &str = "revoked_keys";
/// The tables of the signing keys. No rollback touches them.
pub const KEY_TABLES: [&str; 2] = [SIGNING_KEYS, REVOKED_KEYS];
/// The functions beside them.
pub const KEY_FUNCTIONS: [&str; 2] = ["revoked_keys_refuse", "revoked_kids"];
/// What the audit log calls the application of a file of the signing keys.
pub const CREATE_KEY_TABLES: &str = "schema.signing_keys";

const AUDIT_LOG: &str = "audit_log";
/// PostgreSQL's `undefined_column`.
const UNDEFINED_COLUMN: &str = "42703";

/// Creates the schema and the audit log where they are missing, and says whether the log is new. Commit before going on:
/// a migration that fails is to leave its record. Whoever calls it holds the schema's lock.
///
/// # Errors
///
/// When the log was not made by pbac or by a file that has changed since, or when the server refuses.
pub async fn ensure_audit_log(
    connection: &mut PgConnection,
    schema: &Identifier,
    actor: &str,
) -> Result<bool, SchemaError> {
    let file = files().find(|file| file.version == AUDIT_FILE);
    let file = file.ok_or(SchemaError::NoFile { table: AUDIT_LOG })?;
    // `create schema if not exists` asks for the right to create even where there is nothing to create.
    let exists: bool = sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
        .bind(schema.as_str())
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let create = format!("create schema {}", schema.quoted());
        connection.execute(AssertSqlSafe(create)).await?;
    }
    enter(connection, schema).await?;
    if table_exists(connection, schema, AUDIT_LOG).await? {
        let foreign = || SchemaError::ForeignTable { table: AUDIT_LOG };
        let recorded: Option<Option<String>> = sqlx::query_scalar(
            "select details ->> 'checksum' from audit_log where action = $1 and outcome = 'succeeded' order by seq limit 1",
        )
        .bind(CREATE_AUDIT_LOG)
        .fetch_optional(connection)
        .await
        .map_err(|error| match error.sql_state().as_deref() {
            Some(UNDEFINED_COLUMN) => foreign(),
            _ => error.into(),
        })?;
        compare(file, recorded.flatten().ok_or_else(foreign)?)?;
        return Ok(false);
    }
    run_and_record(connection, schema, file, CREATE_AUDIT_LOG, actor).await?;
    Ok(true)
}

/// Creates the tables of the signing keys where they are missing, and brings them to where this binary has them. Says
/// whether anything was done. The audit log has to be there, and whoever calls it holds the lock of the keys.
///
/// # Errors
///
/// When a table was not made by pbac, a file has changed since it was applied or is not known here, or when the server
/// refuses.
pub async fn ensure_key_tables(
    connection: &mut PgConnection,
    schema: &Identifier,
    actor: &str,
) -> Result<bool, SchemaError> {
    enter(connection, schema).await?;
    let mut there = Vec::new();
    for table in KEY_TABLES {
        if table_exists(connection, schema, table).await? {
            there.push(table);
        }
    }
    // Without the tables nothing of what was once applied is there any more.
    let recorded = if there.is_empty() { Vec::new() } else { recorded_key_files(connection).await? };
    if let (Some(table), true) = (there.first(), recorded.is_empty()) {
        return Err(SchemaError::ForeignTable { table });
    }
    let mut applied = Vec::new();
    for (name, checksum) in recorded {
        let file = key_files().find(|file| file.name() == name).ok_or_else(|| SchemaError::Newer {
            file: name,
            newest: key_files().map(|file| file.name()).last().unwrap_or_default(),
        })?;
        compare(file, checksum)?;
        applied.push(file.version);
    }
    let mut done = false;
    for file in key_files().filter(|file| !applied.contains(&file.version)) {
        run_and_record(connection, schema, file, CREATE_KEY_TABLES, actor).await?;
        done = true;
    }
    Ok(done)
}

/// Name and checksum of every file of the signing keys that was applied: of two records of one file the later one.
async fn recorded_key_files(connection: &mut PgConnection) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "select distinct on (details ->> 'file') details ->> 'file', coalesce(details ->> 'checksum', '') \
         from audit_log where action = $1 and outcome = 'succeeded' and details ? 'file' \
         order by details ->> 'file', seq desc",
    )
    .bind(CREATE_KEY_TABLES)
    .fetch_all(connection)
    .await
}

async fn run_and_record(
    connection: &mut PgConnection,
    schema: &Identifier,
    file: SqlFile,
    action: &'static str,
    actor: &str,
) -> Result<(), SchemaError> {
    run(connection, file).await?;
    let entry = Entry {
        actor,
        action,
        subject: schema.as_str(),
        outcome: Outcome::Succeeded,
        details: json!({ "file": file.name(), "checksum": Hex(file.checksum).to_string() }),
    };
    audit::append(connection, schema, &entry).await?;
    Ok(())
}

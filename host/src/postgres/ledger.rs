//! The ledger's rows for policies: what was put in force, and how the legacy tables were then.

use policy_core::ContentHash;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection};

use super::identifier::Identifier;
use super::policy_store::WriteCounts;
use super::schema::{SchemaError, TOOL_VERSION, enter};
use super::source_functions::LegacyState;
use crate::policy_file::{PolicyFile, Source};

/// A policy that was put in force in this transaction.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRun<'a> {
    /// The file it comes from.
    pub file: &'a PolicyFile,
    /// The content hash of the policy.
    pub policy_hash: ContentHash,
    /// What writing it changed.
    pub counts: &'a WriteCounts,
    /// The legacy tables as they are in this transaction; `None` exactly where the file has no source.
    pub legacy: Option<LegacyState>,
    /// Who did it.
    pub applied_by: &'a str,
}

/// Records a policy and returns its number in the ledger. Call it in the transaction that wrote the policy.
///
/// # Errors
///
/// When the server refuses, or when there is a legacy state without a source or a source without one.
pub async fn record_policy(
    connection: &mut PgConnection,
    schema: &Identifier,
    run: &PolicyRun<'_>,
) -> Result<i64, SchemaError> {
    enter(connection, schema).await?;
    let source = run.file.source.as_ref().map(json).transpose()?;
    let counts = json(run.counts)?;
    Ok(sqlx::query_scalar(
        "insert into pbac_migrations (id, kind, applied_by, tool_version, policy_name, policy_hash, text_hash, \
             source, counts, legacy_rows, legacy_hash) \
         select coalesce(max(id), 0) + 1, 'policy', $1, $2, $3, $4, decode($5, 'hex'), $6::jsonb, $7::jsonb, $8, $9 \
         from pbac_migrations returning id",
    )
    .bind(run.applied_by)
    .bind(TOOL_VERSION)
    .bind(&run.file.name)
    .bind(run.policy_hash.0.as_slice())
    .bind(&run.file.text_hash)
    .bind(source)
    .bind(counts)
    .bind(run.legacy.map(|legacy| legacy.rows))
    .bind(run.legacy.map(|legacy| legacy.hash.to_vec()))
    .fetch_one(connection)
    .await?)
}

/// Whether an earlier policy of this ledger had the users' own permissions made overrides: that is done once.
///
/// # Errors
///
/// When the server refuses.
pub async fn has_imported(connection: &mut PgConnection, schema: &Identifier) -> Result<bool, sqlx::Error> {
    let sql = format!(
        "select exists (select from {}.pbac_migrations where kind = 'policy' and source ? 'permissions')",
        schema.quoted()
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
}

/// Whether the users' own permissions were made overrides of, and from other places than `source` names now: what only lies
/// in those was never taken over.
///
/// # Errors
///
/// When the server refuses, or the source cannot be written down.
pub async fn imported_otherwise(
    connection: &mut PgConnection,
    schema: &Identifier,
    source: &Source,
) -> Result<bool, SchemaError> {
    let now: serde_json::Value = serde_json::from_str(&json(source)?)
        .map_err(|error| SchemaError::Server(sqlx::Error::Decode(error.into())))?;
    let Some(ways) = now.get("permissions") else { return Ok(false) };
    let sql = format!(
        "select source -> 'permissions' is distinct from $1::jsonb from {}.pbac_migrations \
         where kind = 'policy' and source ? 'permissions' order by id limit 1",
        schema.quoted()
    );
    let otherwise =
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(ways.to_string()).fetch_optional(connection).await?;
    Ok(otherwise.unwrap_or(false))
}

/// Where the legacy roles lie, out of the `source` column of the ledger.
///
/// # Errors
///
/// When the value was not written by [`record_policy`].
pub fn source_from_json(value: &serde_json::Value) -> Result<Source, SchemaError> {
    Source::deserialize(value).map_err(|error| SchemaError::Server(sqlx::Error::Decode(error.into())))
}

fn json(value: &impl serde::Serialize) -> Result<String, SchemaError> {
    serde_json::to_string(value).map_err(|error| SchemaError::Server(sqlx::Error::Encode(error.into())))
}

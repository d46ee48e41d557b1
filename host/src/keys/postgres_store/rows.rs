//! The rows of `signing_keys` and `revoked_keys`: read as keys, written as a difference.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::Timestamp;
use policy_core::keys::{Algorithm, KeyHistory, KeyId, KeyPhase, KeyRecord, Revocation};
use sqlx::{AssertSqlSafe, PgConnection};

use super::error::Fault;
use super::seal::RowIdentity;
use super::sealing_keys::SealingKeys;
use crate::error::HostError;
use crate::keys::{KeyMaterial, KeySet, KeySetError};
use crate::postgres::schema::{KEY_TABLES, REVOKED_KEYS, SIGNING_KEYS};
use crate::postgres::transaction::{Kind, begin, roll_back};
use crate::postgres::{Identifier, Moment, SessionLimits};

/// What the two tables hold.
pub(super) struct Rows {
    /// Every row of `signing_keys`, also those of keys that were revoked.
    keys: Vec<Row>,
    /// Every name that was revoked, by `revoked_keys` or by the audit log.
    revoked: Vec<Revocation>,
}

/// A row of `signing_keys`.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) kid: String,
    algorithm: String,
    state: String,
    since: Moment,
    not_after: Option<Moment>,
    pub(super) sealed: Vec<u8>,
    pub(super) sealing_key: String,
}

impl Rows {
    /// Reads them; where the tables are not there yet, they hold nothing. Call it in a transaction.
    pub(super) async fn read(connection: &mut PgConnection, schema: &Identifier) -> Result<Self, Fault> {
        if !tables_exist(connection, schema).await? {
            return Ok(Self { keys: Vec::new(), revoked: Vec::new() });
        }
        let quoted = schema.quoted();
        let sql = format!(
            "SELECT kid, algorithm, state, since, not_after, sealed, sealing_key FROM {quoted}.{SIGNING_KEYS} \
             ORDER BY created_at DESC, kid"
        );
        let keys = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
        let sql = format!("SELECT kid, at FROM {quoted}.revoked_kids() ORDER BY kid");
        let revoked: Vec<(String, Moment)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await?;
        let revoked = revoked.into_iter().map(|(kid, at)| Ok(Revocation { id: key_id(&kid)?, at: at.0 }));
        Ok(Self { keys, revoked: revoked.collect::<Result<_, Fault>>()? })
    }

    /// Reads them as they are at one moment.
    pub(super) async fn snapshot(
        connection: &mut PgConnection,
        schema: &Identifier,
        limits: SessionLimits,
    ) -> Result<Self, Fault> {
        // Not by a closure: whoever waits for this may be moved from thread to thread.
        begin(connection, Kind::Snapshot, limits).await?;
        let rows = Self::read(connection, schema).await;
        let ended = roll_back(connection).await;
        let rows = rows?;
        ended?;
        Ok(rows)
    }

    pub(super) fn keys(&self) -> &[Row] {
        &self.keys
    }

    /// The keys. Those that were revoked are not opened. `leaving` is a key that is about to be revoked, so that its row may be
    /// one that was changed: what cannot be opened is stood in for, and what cannot be read at all is left out.
    pub(super) fn open(
        &self,
        schema: &Identifier,
        with: &SealingKeys,
        leaving: Option<&KeyId>,
    ) -> Result<KeySet, Fault> {
        let leaves = |row: &Row| leaving.is_some_and(|id| id.as_str() == row.kid);
        let readable = self.keys.iter().filter(|row| !leaves(row) || row.record().is_ok());
        let records = readable.map(Row::record).collect::<Result<Vec<_>, _>>()?;
        let history = KeyHistory::new(records, self.revoked.iter().cloned())
            .map_err(|error| HostError::from(KeySetError::from(error)))?;
        let mut material = BTreeMap::new();
        for row in &self.keys {
            if let Some(record) = history.key(&row.kid) {
                let opened = match row.open(schema, record, with) {
                    Err(Fault::Seal(_) | Fault::Damaged { .. }) if leaves(row) => {
                        KeyMaterial::generate(record.algorithm).map_err(HostError::from)?
                    }
                    opened => opened?,
                };
                material.insert(record.id.clone(), opened);
            }
        }
        Ok(KeySet::new(history, material).map_err(HostError::from)?)
    }

    /// Makes the tables say `after`: wipes, changes, adds, in an order in which no two keys are active in between.
    pub(super) async fn write_keys(
        &self,
        connection: &mut PgConnection,
        schema: &Identifier,
        after: &KeySet,
        with: &SealingKeys,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let quoted = schema.quoted();
        let gone: Vec<&str> = self
            .keys
            .iter()
            .map(|row| row.kid.as_str())
            .filter(|kid| after.history().key(kid).is_none())
            .collect();
        let sql = format!("DELETE FROM {quoted}.{SIGNING_KEYS} WHERE kid = ANY ($1)");
        sqlx::query(AssertSqlSafe(sql)).bind(&gone).execute(&mut *connection).await?;
        let mut records: Vec<&KeyRecord> = after.history().keys().iter().collect();
        records.sort_by_key(|record| !matches!(record.phase, KeyPhase::Retired { .. }));
        for record in records {
            let since = record.phase.since().ok_or_else(|| Fault::NoTime { kid: record.id.clone() })?;
            let not_after = record.not_after().map(Moment);
            match self.keys.iter().find(|row| row.kid == record.id.as_str()) {
                Some(row) if row.record()? == *record => {}
                Some(_) => {
                    let sql = format!(
                        "UPDATE {quoted}.{SIGNING_KEYS} SET state = $2, since = $3, not_after = $4 WHERE kid = $1"
                    );
                    sqlx::query(AssertSqlSafe(sql))
                        .bind(record.id.as_str())
                        .bind(record.phase.name())
                        .bind(Moment(since))
                        .bind(not_after)
                        .execute(&mut *connection)
                        .await?;
                }
                None => {
                    let material = after
                        .material(&record.id)
                        .ok_or_else(|| HostError::from(KeySetError::NoMaterial(record.id.clone())))?;
                    let sealed = with.sealing().seal(&identity(schema, record), material.bytes())?;
                    let sql = format!(
                        "INSERT INTO {quoted}.{SIGNING_KEYS} \
                         (kid, algorithm, state, since, not_after, sealed, sealing_key, created_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                    );
                    sqlx::query(AssertSqlSafe(sql))
                        .bind(record.id.as_str())
                        .bind(record.algorithm.name())
                        .bind(record.phase.name())
                        .bind(Moment(since))
                        .bind(not_after)
                        .bind(sealed)
                        .bind(with.label())
                        .bind(Moment(now))
                        .execute(&mut *connection)
                        .await?;
                }
            }
        }
        Ok(())
    }
}

/// Adds every name that was revoked and is not there, also those that only the audit log remembered.
pub(super) async fn write_revocations(
    connection: &mut PgConnection,
    schema: &Identifier,
    after: &KeySet,
) -> Result<(), Fault> {
    let sql = format!(
        "INSERT INTO {}.{REVOKED_KEYS} (kid, at) VALUES ($1, $2) ON CONFLICT (kid) DO NOTHING",
        schema.quoted()
    );
    for revocation in after.history().revoked() {
        sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(revocation.id.as_str())
            .bind(Moment(revocation.at))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Puts another sealed form of the same secret in a row.
pub(super) async fn write_sealed(
    connection: &mut PgConnection,
    schema: &Identifier,
    kid: &str,
    sealed: &[u8],
    label: &str,
) -> Result<(), Fault> {
    let sql =
        format!("UPDATE {}.{SIGNING_KEYS} SET sealed = $2, sealing_key = $3 WHERE kid = $1", schema.quoted());
    sqlx::query(AssertSqlSafe(sql)).bind(kid).bind(sealed).bind(label).execute(connection).await?;
    Ok(())
}

impl Row {
    pub(super) fn record(&self) -> Result<KeyRecord, Fault> {
        let wrong = |what: &str| self.damaged(format!("no {what} that is known"));
        let phase = match (self.state.as_str(), self.not_after) {
            ("staged", None) => KeyPhase::Staged { since: self.since.0 },
            ("active", None) => KeyPhase::Active { since: Some(self.since.0) },
            ("retired", Some(end)) => KeyPhase::Retired { since: Some(self.since.0), not_after: Some(end.0) },
            _ => return Err(wrong("state")),
        };
        let algorithm = Algorithm::from_name(&self.algorithm).ok_or_else(|| wrong("algorithm"))?;
        Ok(KeyRecord { id: key_id(&self.kid)?, algorithm, phase })
    }

    /// What the key is made of.
    pub(super) fn open(
        &self,
        schema: &Identifier,
        record: &KeyRecord,
        with: &SealingKeys,
    ) -> Result<KeyMaterial, Fault> {
        let secret = with.open(&identity(schema, record), &self.sealing_key, &self.sealed)?;
        KeyMaterial::from_bytes(record.algorithm, &secret).map_err(|error| self.damaged(error.to_string()))
    }

    fn damaged(&self, reason: String) -> Fault {
        Fault::Damaged { kid: crate::report::printable(&self.kid).into_owned(), reason }
    }
}

pub(super) const fn identity<'a>(schema: &'a Identifier, record: &'a KeyRecord) -> RowIdentity<'a> {
    RowIdentity { schema, kid: &record.id, algorithm: record.algorithm }
}

fn key_id(kid: &str) -> Result<KeyId, Fault> {
    KeyId::parse(kid).map_err(|error| Fault::Damaged {
        kid: crate::report::printable(kid).into_owned(),
        reason: error.to_string(),
    })
}

/// Whether both tables are there; a user who may not look into the schema is told so by the server when they are read.
async fn tables_exist(connection: &mut PgConnection, schema: &Identifier) -> Result<bool, sqlx::Error> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = ANY ($2)",
    )
    .bind(schema.as_str())
    .bind(KEY_TABLES.as_slice())
    .fetch_all(connection)
    .await?;
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    Ok(KEY_TABLES.iter().all(|table| found.contains(table)))
}

//! What a rollback and a restoration stand on: the schema's lock, a connection for the work, and a way to record what was
//! tried that does not vanish with the work.

use std::time::Duration;

use policy_core::Timestamp;
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::owned::Owned;
use super::table_lock::{Mode, lock_tables};
use super::undo_error::UndoError;
use crate::postgres::audit::{Entry, Head, Outcome, append};
use crate::postgres::schema::ensure_audit_log;
use crate::postgres::transaction::{Kind, snapshot, within};
use crate::postgres::{
    ConnectSettings, DatabaseUrl, Identifier, RetryPolicy, SchemaLock, Server, SessionLimits, connect,
    mark_work, retry_when_locked, session_user, transaction, was_committed, work_key,
};

/// Where to work, how long to wait, and what time it is.
#[derive(Clone, Debug)]
pub struct UndoSettings {
    /// The database.
    pub url: DatabaseUrl,
    /// The schema of our tables.
    pub schema: Identifier,
    /// How long one statement waits for a lock before it gives way.
    pub lock_timeout: Duration,
    /// How long to wait for another pbac to be done.
    pub wait: Duration,
    /// The time that names of schemas and files carry.
    pub now: Timestamp,
    /// Do everything and roll it back.
    pub dry_run: bool,
}

impl UndoSettings {
    /// What holds in every transaction: no statement waits for a lock for longer than was asked for; how long one works
    /// is its own business.
    pub(super) fn limits(&self) -> SessionLimits {
        SessionLimits { statement_timeout: Some(Duration::ZERO), lock_timeout: Some(self.lock_timeout) }
    }
}

/// The lock and the connection, from the first look to the last record.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) settings: UndoSettings,
    pub(super) connection: PgConnection,
    pub(super) server: i32,
    lock: SchemaLock,
    actor: String,
    /// Whether the attempt is in the audit log: what ends it from here on has failed and was not refused.
    attempted: bool,
}

impl Session {
    /// Connects and takes the lock.
    pub(super) async fn open(settings: UndoSettings) -> Result<Self, UndoError> {
        let mut connection = connect(&settings.url, &ConnectSettings::default()).await?;
        let server = Server::ask(&mut connection).await?.version;
        let actor = session_user(&mut connection).await?;
        let lock = SchemaLock::acquire(&settings.url, &settings.schema, settings.wait).await?;
        Ok(Self { settings, connection, server, lock, actor, attempted: false })
    }

    /// Gives the lock back. Both end with their connections in any case, and what was done is done.
    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
        let _ = self.lock.release().await;
    }

    pub(super) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        transaction::begin(&mut self.connection, Kind::Work, self.settings.limits()).await?;
        mark_work(&mut self.connection, &self.settings.schema).await
    }

    /// Begins one that only reads and sees one moment; [`Session::roll_back`] ends it.
    pub(super) async fn begin_to_read(&mut self) -> Result<(), sqlx::Error> {
        transaction::begin(&mut self.connection, Kind::Snapshot, self.settings.limits()).await
    }

    /// Begins a transaction that holds off everybody who would write to our tables, and is not held off for long.
    pub(super) async fn begin_shared(&mut self, owned: &Owned) -> Result<(), UndoError> {
        let Self { connection, settings, .. } = self;
        let limit = settings.lock_timeout;
        let locked = retry_when_locked(&RetryPolicy::default(), async || -> Result<(), UndoError> {
            transaction::begin(connection, Kind::Work, settings.limits()).await?;
            mark_work(connection, &settings.schema).await?;
            let locked = lock_tables(connection, owned, Mode::Share, limit).await;
            if locked.is_err() {
                transaction::roll_back(connection).await?;
            }
            Ok(locked?)
        })
        .await;
        locked.map_err(|error| UndoError::from_retry(error, &settings.schema))
    }

    /// Takes our tables for this transaction alone. Each try that fails gives back what it got.
    pub(super) async fn lock_exclusive(&mut self, owned: &Owned) -> Result<(), UndoError> {
        let Self { connection, settings, .. } = self;
        let limit = settings.lock_timeout;
        let locked = retry_when_locked(&RetryPolicy::default(), async || -> Result<(), UndoError> {
            sqlx::raw_sql("SAVEPOINT pbac_lock").execute(&mut *connection).await?;
            let locked = lock_tables(connection, owned, Mode::AccessExclusive, limit).await;
            let end = if locked.is_err() {
                "ROLLBACK TO SAVEPOINT pbac_lock; RELEASE SAVEPOINT pbac_lock"
            } else {
                "RELEASE SAVEPOINT pbac_lock"
            };
            sqlx::raw_sql(end).execute(&mut *connection).await?;
            Ok(locked?)
        })
        .await;
        locked.map_err(|error| UndoError::from_retry(error, &settings.schema))
    }

    /// Ends the transaction: commits it with its audit record, or rolls it back where this is a dry run. Calls `last`
    /// right before the commit.
    pub(super) async fn commit(
        &mut self,
        action: &str,
        details: Value,
        last: impl FnOnce(),
    ) -> Result<Option<Head>, UndoError> {
        if self.settings.dry_run {
            self.roll_back().await;
            return Ok(None);
        }
        // Whoever ended our lock's connection may have started another pbac on the schema.
        self.lock.check().await?;
        let entry = entry(&self.actor, action, &self.settings.schema, Outcome::Succeeded, details);
        let head = append(&mut self.connection, &self.settings.schema, &entry).await?;
        last();
        let Err(error) = transaction::commit(&mut self.connection).await else {
            return Ok(Some(head));
        };
        // The answer did not arrive, and the record is there exactly if the rest is.
        let Session { settings, .. } = self;
        match was_committed(&settings.url, &settings.schema, work_key(&settings.schema), head).await {
            Some(true) => {
                // For what is still to be looked at.
                if let Ok(fresh) = connect(&settings.url, &ConnectSettings::default()).await {
                    self.connection = fresh;
                }
                Ok(Some(head))
            }
            Some(false) => Err(error.into()),
            None => Err(UndoError::Unknown { schema: settings.schema.clone(), error }),
        }
    }

    /// Rolls the transaction back; a connection that is gone has done so.
    pub(super) async fn roll_back(&mut self) {
        let _ = transaction::roll_back(&mut self.connection).await;
    }

    /// Makes the audit log where it is missing. One that is there is taken as it is: a way back that asks for more would
    /// be none in an emergency.
    async fn ensure_audit(&mut self) -> Result<(), UndoError> {
        if self.settings.dry_run || self.has_audit().await? {
            return Ok(());
        }
        let Self { settings, connection, actor, .. } = self;
        within(connection, Kind::Work, settings.limits(), async |connection| {
            ensure_audit_log(connection, &settings.schema, actor).await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn has_audit(&mut self) -> Result<bool, sqlx::Error> {
        let Self { settings, connection, .. } = self;
        snapshot(connection, settings.limits(), async |connection| {
            sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2)",
            )
            .bind(settings.schema.as_str())
            .bind(super::state::AUDIT_TABLE)
            .fetch_one(connection)
            .await
        })
        .await
    }

    /// Records what is going to be tried; makes the audit log where it is missing.
    pub(super) async fn attempt(&mut self, action: &str, details: Value) -> Result<(), UndoError> {
        self.ensure_audit().await?;
        self.record(action, Outcome::Attempted, details).await?;
        self.attempted = true;
        Ok(())
    }

    /// Records something on a connection of its own, so that it stays whatever becomes of the work. Nothing in a dry run.
    pub(super) async fn record(
        &self,
        action: &str,
        outcome: Outcome,
        details: Value,
    ) -> Result<Option<Head>, UndoError> {
        if self.settings.dry_run {
            return Ok(None);
        }
        let mut connection = connect(&self.settings.url, &ConnectSettings::default()).await?;
        let entry = entry(&self.actor, action, &self.settings.schema, outcome, details);
        let head = within(&mut connection, Kind::Work, self.settings.limits(), async |connection| {
            append(connection, &self.settings.schema, &entry).await.map_err(UndoError::from)
        })
        .await?;
        connection.close().await?;
        Ok(Some(head))
    }

    /// Rolls back and records at which step and why. The reason counts more than a record that cannot be written.
    pub(super) async fn fail(&mut self, action: &str, step: Option<&str>, error: UndoError) -> UndoError {
        self.roll_back().await;
        if matches!(error, UndoError::Unknown { .. }) {
            // The log has what was attempted, and the success exactly if there was one.
            return error;
        }
        let refused = error.is_refusal() && !self.attempted;
        let outcome = if refused { Outcome::Refused } else { Outcome::Failed };
        // A connection that is gone cannot be asked whether there is a log; an attempt has one.
        if self.attempted || matches!(self.has_audit().await, Ok(true)) {
            let details = serde_json::json!({ "step": step, "error": error.to_string() });
            let _ = self.record(action, outcome, details).await;
        }
        error
    }
}

fn entry<'a>(
    actor: &'a str,
    action: &'a str,
    schema: &'a Identifier,
    outcome: Outcome,
    details: Value,
) -> Entry<'a> {
    Entry { actor, action, subject: schema.as_str(), outcome, details }
}

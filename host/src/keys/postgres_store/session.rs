//! What every change to the keys stands on: a connection, the record of what was tried, and a commit whose answer may be
//! lost.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::PostgresStore;
use super::error::Fault;
use super::lock::{keys_lock_key, lock};
use super::step::KeyStep;
use crate::error::HostError;
use crate::migrate::step::WorkStep;
use crate::postgres::audit::{self, Entry, Head, Outcome};
use crate::postgres::transaction::{self, Kind, within};
use crate::postgres::{
    ConnectSettings, SchemaLock, SessionLimits, connect, schema, session_user, was_committed,
};

/// How long the first change of all waits for a migration that creates the same audit log, and a refusal for its place in
/// that log.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to do where the server was lost while it committed.
const UNKNOWN_HELP: &str = "it is all done or not at all: `pbac keys status` says which; then give the same command again if it is not";

/// Who is told which step begins.
pub(super) type Watch<'a> = &'a (dyn Fn(&'static str) + Sync);

/// A change while it goes on.
pub(super) struct Session<'a> {
    pub(super) store: &'a PostgresStore,
    pub(super) connection: PgConnection,
    action: &'static str,
    subject: String,
    /// Who asked for it.
    who: &'a str,
    /// Who is logged in to the database.
    actor: String,
    watch: Watch<'a>,
    step: KeyStep,
    /// Whether the connection was lost at the commit and nobody could say what became of it.
    unknown: bool,
}

impl<'a> Session<'a> {
    pub(super) async fn open(
        store: &'a PostgresStore,
        action: &'static str,
        subject: String,
        who: &'a str,
        watch: Watch<'a>,
    ) -> Result<Self, Fault> {
        let mut connection = connect(&store.url, &ConnectSettings::default()).await?;
        let actor = session_user(&mut connection).await?;
        Ok(Self {
            store,
            connection,
            action,
            subject,
            who,
            actor,
            watch,
            step: KeyStep::Look,
            unknown: false,
        })
    }

    pub(super) fn begin(&mut self, step: KeyStep) {
        self.step = step;
        (self.watch)(step.name());
    }

    /// Creates what is missing and records the attempt, committed on its own: whatever ends this process now leaves a trace.
    pub(super) async fn record_attempt(&mut self) -> Result<(), Fault> {
        let store = self.store;
        // Only the very first change could meet a migration that creates the same log.
        let there = within(&mut self.connection, Kind::Work, store.limits(), async |connection| {
            audit::exists(connection, &store.schema).await
        });
        let first = !there.await?;
        let schema_lock =
            if first { Some(SchemaLock::acquire(&store.url, &store.schema, PATIENCE).await?) } else { None };
        let details = json!({ "by": self.who });
        let entry = entry(&self.actor, self.action, &self.subject, Outcome::Attempted, details);
        let actor = self.actor.as_str();
        within(&mut self.connection, Kind::Work, store.limits(), async |connection| {
            lock(connection, &store.schema).await?;
            schema::ensure_audit_log(connection, &store.schema, actor).await?;
            schema::ensure_key_tables(connection, &store.schema, actor).await?;
            audit::append(connection, &store.schema, &entry).await?;
            Ok::<_, Fault>(())
        })
        .await?;
        if let Some(lock) = schema_lock {
            lock.release().await?;
        }
        Ok(())
    }

    /// Begins the transaction, under the lock of the keys.
    pub(super) async fn begin_work(&mut self) -> Result<(), Fault> {
        transaction::begin(&mut self.connection, Kind::Work, self.store.limits()).await?;
        lock(&mut self.connection, &self.store.schema).await
    }

    /// Records, in the transaction, that it was done, and to what.
    pub(super) async fn append_success(&mut self, subject: &str, details: Value) -> Result<Head, Fault> {
        let entry = entry(&self.actor, self.action, subject, Outcome::Succeeded, details);
        Ok(audit::append(&mut self.connection, &self.store.schema, &entry).await?)
    }

    /// Commits the transaction that appended `head`.
    pub(super) async fn commit(&mut self, head: Head) -> Result<(), Fault> {
        self.begin(KeyStep::Commit);
        let Err(error) = transaction::commit(&mut self.connection).await else { return Ok(()) };
        let PostgresStore { url, schema, .. } = self.store;
        match was_committed(url, schema, keys_lock_key(schema), head).await {
            Some(true) => Ok(()),
            Some(false) => Err(error.into()),
            None => {
                self.unknown = true;
                let message = format!(
                    "whether the change to the keys of `{schema}` was committed is not known: {error}"
                );
                Err(HostError::failed(message).help(UNKNOWN_HELP).into())
            }
        }
    }

    pub(super) async fn roll_back(&mut self) {
        // A connection that is gone has undone it too.
        let _ = transaction::roll_back(&mut self.connection).await;
    }

    /// Records the failure, on a connection of its own, since the one that failed may be the reason, and ends the session.
    /// Nothing more can be done where this fails too: the error that matters is the first.
    pub(super) async fn close<T>(self, result: &Result<T, HostError>) {
        if let Err(error) = result
            && !self.unknown
            && self.step < KeyStep::Report
        {
            self.record_failure(error).await;
        }
        let _ = self.connection.close().await;
    }

    async fn record_failure(&self, error: &HostError) {
        let Ok(mut connection) = connect(&self.store.url, &ConnectSettings::default()).await else { return };
        let details = json!({
            "by": self.who,
            "step": self.step.name(),
            "status": error.exit().code(),
            "reason": error.to_string(),
        });
        // Until it is planned under the lock nothing was tried.
        let outcome = if self.step <= KeyStep::Plan { Outcome::Refused } else { Outcome::Failed };
        let entry = entry(&self.actor, self.action, &self.subject, outcome, details);
        // Whoever won may be about to commit.
        let limits = SessionLimits { lock_timeout: Some(PATIENCE), statement_timeout: None };
        // Where there is no audit log yet, nothing was changed, and there is nowhere to write.
        let _ = within(&mut connection, Kind::Work, limits, async |connection| {
            audit::append(connection, &self.store.schema, &entry).await.map_err(Fault::from)
        })
        .await;
        let _ = connection.close().await;
    }
}

fn entry<'e>(
    actor: &'e str,
    action: &'e str,
    subject: &'e str,
    outcome: Outcome,
    details: Value,
) -> Entry<'e> {
    Entry { actor, action, subject, outcome, details }
}

//! The row in the audit log for a change to a `.env` file, where the settings name a database that keeps such a log.
//!
//! The file is the store, and no transaction ties the two: the row comes after the file, and what keeps it from coming stops
//! nothing. The report in `logs` is written in any case.

use std::time::Duration;

use serde_json::Value;
use sqlx::Connection;
use tokio::time::timeout;

use crate::config::Config;
use crate::error::HostError;
use crate::keys::report::RotationReport;
use crate::keys::store::{Applied, Applying};
use crate::postgres::audit::{self, AuditError, Entry, Head, Outcome};
use crate::postgres::transaction::{Kind, within};
use crate::postgres::{ConnectSettings, DatabaseUrl, Identifier, SessionLimits, connect, session_user};

/// How long a change waits for the row of it, all in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the log is.
#[derive(Clone, Debug)]
pub(in crate::keys) struct AuditRow {
    url: DatabaseUrl,
    schema: Identifier,
    lock_timeout: Duration,
}

impl AuditRow {
    /// In the database of the settings, where they name one.
    pub(in crate::keys) fn of(config: &Config) -> Option<Self> {
        let url = config.database_url().ok()?.clone();
        Some(Self { url, schema: config.schema.clone(), lock_timeout: config.lock_timeout })
    }

    /// Appends the row of what was done, and notes why, where it could not.
    pub(in crate::keys) async fn append(&self, applying: Applying<'_>, applied: &mut Applied) {
        let Applying { operation, settings, now, who, .. } = applying;
        let Some(planned) = &applied.planned else { return };
        let rules = settings.rotation_rules(planned.before.rotation_days());
        let report = RotationReport::new(operation, planned, &rules, now, who);
        let details = serde_json::to_value(&report).unwrap_or(Value::Null);
        let entry = self.row(operation.name(), operation.subject(planned), details);
        match timeout(PATIENCE, entry)
            .await
            .unwrap_or_else(|_| Err(HostError::failed("the database does not answer")))
        {
            Ok(head) => applied.audit_head = head,
            Err(error) => applied.notes.push(format!(
                "the change is made, and its report is in `logs`, but the audit log has no row of it: {error}"
            )),
        }
    }

    /// The end of the chain; none where there is no log, since nothing was migrated yet.
    async fn row(
        &self,
        action: &'static str,
        subject: String,
        details: Value,
    ) -> Result<Option<Head>, HostError> {
        let mut connection = connect(&self.url, &ConnectSettings::default()).await?;
        let actor = session_user(&mut connection).await.map_err(AuditError::from)?;
        let limits = SessionLimits { lock_timeout: Some(self.lock_timeout), statement_timeout: None };
        let entry = Entry { actor: &actor, action, subject: &subject, outcome: Outcome::Succeeded, details };
        let head = within(&mut connection, Kind::Work, limits, async |connection| {
            if !audit::exists(connection, &self.schema).await? {
                return Ok(None);
            }
            audit::append(connection, &self.schema, &entry).await.map(Some)
        })
        .await;
        let _ = connection.close().await;
        head.map_err(|error: AuditError| HostError::from(error))
    }
}

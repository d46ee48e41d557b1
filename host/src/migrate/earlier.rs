//! What the audit log says of the last migration, rollback or restoration: whether it was finished, or was ended by a
//! kill, a crash or an interrupt before it could say so.
//!
//! An attempt is recorded and committed before anything is changed, and its success in the transaction that does the
//! work. So an attempt that nothing follows has left nothing behind.

use policy_core::Timestamp;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::apply::ACTION as MIGRATE;
use super::restore::RESTORE;
use super::rollback::ROLLBACK;
use super::state::AUDIT_TABLE;
use crate::postgres::Identifier;
use crate::postgres::audit::Outcome;
use crate::report::time::{serialize_moment, show_time};

/// The columns that the query reads; a table of the log's name that lacks one is not ours.
const COLUMNS: [&str; 6] = ["seq", "at", "actor", "action", "subject", "outcome"];

/// The last migration, rollback or restoration that was attempted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Earlier {
    /// The number of its last row in the audit log.
    pub seq: i64,
    /// `migrate`, `rollback` or `restore`.
    pub action: String,
    /// The policy of a migration, else the schema.
    pub subject: String,
    /// The database's user who did it.
    pub actor: String,
    /// When that row was written.
    #[serde(serialize_with = "serialize_moment")]
    pub at: Timestamp,
    /// How it ended.
    pub ending: EarlierEnding,
}

/// How an earlier run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlierEnding {
    /// It was attempted and is still going on.
    GoingOn,
    /// It was attempted and ended without a word: nothing of it stays.
    Unfinished,
    /// It failed and said so: nothing of it stays.
    Failed,
    /// It was finished: all of it stays.
    Succeeded,
}

impl Earlier {
    /// Reads it. Whoever holds the schema's lock knows that an attempt without an end is not still going on.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub async fn read(
        connection: &mut PgConnection,
        schema: &Identifier,
    ) -> Result<Option<Self>, sqlx::Error> {
        let columns: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 \
             AND has_table_privilege(c.oid, 'SELECT') AND NOT a.attisdropped AND a.attname = ANY ($3)",
        )
        .bind(schema.as_str())
        .bind(AUDIT_TABLE)
        .bind(COLUMNS.as_slice())
        .fetch_one(&mut *connection)
        .await?;
        if usize::try_from(columns) != Ok(COLUMNS.len()) {
            return Ok(None);
        }
        // What was refused was not begun.
        let sql = format!(
            "SELECT seq, action, subject, actor, outcome, (extract(epoch FROM at) * 1000000)::bigint AS at \
             FROM {}.{AUDIT_TABLE} WHERE action = ANY ($1) AND outcome <> $2 ORDER BY seq DESC LIMIT 1",
            schema.quoted()
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind([MIGRATE, ROLLBACK, RESTORE].as_slice())
            .bind(Outcome::Refused.as_str())
            .fetch_optional(connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let outcome: String = row.try_get("outcome")?;
        let ending = if outcome == Outcome::Succeeded.as_str() {
            EarlierEnding::Succeeded
        } else if outcome == Outcome::Failed.as_str() {
            EarlierEnding::Failed
        } else {
            EarlierEnding::Unfinished
        };
        Ok(Some(Self {
            seq: row.try_get("seq")?,
            action: row.try_get("action")?,
            subject: row.try_get("subject")?,
            actor: row.try_get("actor")?,
            at: Timestamp::from_micros(row.try_get("at")?),
            ending,
        }))
    }

    /// What a person has to know of it before anything is done.
    #[must_use]
    pub fn left_unfinished(&self) -> Option<String> {
        (self.ending == EarlierEnding::Unfinished).then(|| self.sentence())
    }

    /// What a person has to know of it where there is nothing to do.
    #[must_use]
    pub fn left_finished(&self) -> Option<String> {
        (self.ending == EarlierEnding::Succeeded).then(|| self.sentence())
    }

    /// What became of it, in a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { action, subject, actor, .. } = self;
        let (who, when) = (format!("an earlier {action} of `{subject}` by `{actor}`"), show_time(self.at));
        match self.ending {
            EarlierEnding::GoingOn => {
                format!("{action} of `{subject}` by `{actor}` is going on since {when}")
            }
            EarlierEnding::Unfinished => {
                format!("{who} was attempted at {when} and did not finish; nothing of it stays")
            }
            EarlierEnding::Failed => format!("{who} failed at {when}; nothing of it stays"),
            EarlierEnding::Succeeded => format!("{who} had finished at {when}"),
        }
    }
}

//! Locks on our tables, taken so that nobody queues behind us for longer than the lock time-out.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection};

use super::owned::Owned;
use crate::postgres::SessionLimits;

/// How strong a lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Readers go on, writers wait.
    Share,
    /// Everybody waits.
    AccessExclusive,
}

impl Mode {
    const fn sql(self) -> &'static str {
        match self {
            Self::Share => "SHARE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

/// Locks every table of ours until the transaction ends. All of them together wait no longer than `limit`: whoever
/// queues behind the first lock waits for the last one too. Afterwards the transaction's lock time-out is `limit`.
///
/// # Errors
///
/// SQLSTATE 55P03 when somebody else holds one of them for too long.
pub(super) async fn lock_tables(
    connection: &mut PgConnection,
    owned: &Owned,
    mode: Mode,
    limit: Duration,
) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    for name in owned.table_names() {
        let left = limit.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
        set_limit(connection, left).await?;
        let sql = format!("LOCK TABLE {}.{name} IN {} MODE", owned.schema.quoted(), mode.sql());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    set_limit(connection, limit).await
}

async fn set_limit(connection: &mut PgConnection, limit: Duration) -> Result<(), sqlx::Error> {
    SessionLimits { statement_timeout: None, lock_timeout: Some(limit) }
        .apply_to_transaction(connection)
        .await
}

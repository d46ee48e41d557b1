//! What becomes of the work when its process ends.
//!
//! A server notices that a client is gone when it has done with the statement it is at, and carries out a COMMIT that it
//! has been sent. The schema's lock, on a connection of its own, may be free by then. So the transaction that does the
//! work holds an advisory lock too, which ends with it: who takes the schema's lock waits until that one is free, and
//! only then looks at what is there.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::sleep;

use super::audit::Head;
use super::connect::{ConnectSettings, SessionLimits, connect};
use super::database_url::DatabaseUrl;
use super::identifier::Identifier;
use super::lock::{advisory_key, is_held};
use super::transaction::{Kind, within};

/// How long to look for what became of a COMMIT: a server that was restarted is there again by then.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);

/// The number of the advisory lock that the work on a schema holds.
#[must_use]
pub fn work_key(schema: &Identifier) -> i64 {
    advisory_key("pbac work", schema)
}

/// Marks the connection's transaction as the work on the schema. Whoever calls it holds the schema's lock, so that nobody
/// is in the way.
///
/// # Errors
///
/// When the server cannot be asked.
pub async fn mark_work(connection: &mut PgConnection, schema: &Identifier) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(work_key(schema)).execute(connection).await.map(drop)
}

/// Whether the transaction that appended this row to the audit log was committed, asked on a connection of its own after
/// its own was lost. `lock` is the number of the advisory lock that the transaction held. `None` where it cannot be found
/// out: the database is not to be reached, or the transaction is still going on.
pub async fn was_committed(url: &DatabaseUrl, schema: &Identifier, lock: i64, head: Head) -> Option<bool> {
    let began = Instant::now();
    loop {
        if let Ok(mut connection) = connect(url, &ConnectSettings::default()).await {
            let found = within(&mut connection, Kind::Work, SessionLimits::default(), async |connection| {
                find(connection, schema, lock, head).await
            })
            .await;
            let _ = connection.close().await;
            if let Ok(Some(committed)) = found {
                return Some(committed);
            }
        }
        if began.elapsed() >= PATIENCE {
            return None;
        }
        sleep(PAUSE).await;
    }
}

/// Nothing while the work goes on.
async fn find(
    connection: &mut PgConnection,
    schema: &Identifier,
    lock: i64,
    head: Head,
) -> Result<Option<bool>, sqlx::Error> {
    if is_held(lock, connection).await? {
        return Ok(None);
    }
    let sql =
        format!("SELECT EXISTS (SELECT FROM {}.audit_log WHERE seq = $1 AND hash = $2)", schema.quoted());
    sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(head.seq)
        .bind(head.hash.as_slice())
        .fetch_one(connection)
        .await
        .map(Some)
}

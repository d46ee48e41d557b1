//! Transactions that leave nothing behind in the backend that served them.
//!
//! A pool in transaction mode, such as PgBouncer's, lends a backend for one transaction only. What is set for a session
//! or prepared in it is then lost to whoever did it and left to others. So everything that pbac does, it does within a
//! transaction: time-outs are set for that transaction, and what sqlx prepared in it is closed before it ends.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::connect::SessionLimits;
use super::retry::SqlState;

/// What a transaction sees and may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each statement sees what was committed before it.
    Work,
    /// All statements see one moment, that of the first query.
    SnapshotWork,
    /// The same, and nothing can be written.
    Snapshot,
}

impl Kind {
    const fn begin(self) -> &'static str {
        match self {
            Self::Work => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Self::SnapshotWork => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Self::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        }
    }
}

/// Begins one whose statements keep to the limits. No snapshot is taken yet.
///
/// # Errors
///
/// When the server refuses, or the connection is lost.
pub async fn begin(
    connection: &mut PgConnection,
    kind: Kind,
    limits: SessionLimits,
) -> Result<(), sqlx::Error> {
    let mut sql = kind.begin().to_owned();
    for (name, limit) in
        [("statement_timeout", limits.statement_timeout), ("lock_timeout", limits.lock_timeout)]
    {
        if let Some(limit) = limit {
            // A name of ours and a number; `SET` takes no parameters. Writing to a string cannot fail.
            let _ = write!(sql, "; SET LOCAL {name} = {}", limit.as_millis());
        }
    }
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Makes it last.
///
/// # Errors
///
/// When the server refuses, or the connection is lost: then it is not known whether it lasts.
pub async fn commit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    end(connection, "COMMIT").await
}

/// Undoes all of it.
///
/// # Errors
///
/// When the connection is lost; the server undoes it then.
pub async fn roll_back(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    end(connection, "ROLLBACK").await
}

async fn end(connection: &mut PgConnection, how: &'static str) -> Result<(), sqlx::Error> {
    connection.clear_cached_statements().await?;
    sqlx::raw_sql(how).execute(connection).await.map(drop)
}

/// Runs `work` in one: committed when it succeeds, undone when it does not. An error of the work is what is returned,
/// whatever becomes of the end.
///
/// # Errors
///
/// That of `work`, or when the server cannot be asked.
pub async fn within<T, E: From<sqlx::Error>>(
    connection: &mut PgConnection,
    kind: Kind,
    limits: SessionLimits,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    begin(connection, kind, limits).await?;
    match work(connection).await {
        Ok(value) => {
            commit(connection).await?;
            Ok(value)
        }
        Err(error) => {
            // A connection that is gone has undone it too.
            let _ = roll_back(connection).await;
            Err(error)
        }
    }
}

/// Reads in a [`Kind::Snapshot`]. A snapshot of the catalogs shows a table that somebody has moved or dropped since, and
/// the statement that names it then fails; so what was not found is looked for again, in a new snapshot.
///
/// # Errors
///
/// That of `work`, or when the server cannot be asked.
pub async fn snapshot<T, E: From<sqlx::Error> + SqlState>(
    connection: &mut PgConnection,
    limits: SessionLimits,
    mut work: impl AsyncFnMut(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    for _ in 1..SNAPSHOTS {
        match within(connection, Kind::Snapshot, limits, &mut work).await {
            Err(error) if error.sql_state().is_some_and(|code| NOT_FOUND.contains(&code.as_str())) => {}
            other => return other,
        }
    }
    within(connection, Kind::Snapshot, limits, work).await
}

/// How many snapshots are taken at most.
const SNAPSHOTS: u32 = 3;
/// No such table, function or schema.
const NOT_FOUND: [&str; 3] = ["42P01", "42883", "3F000"];

//! One pbac at a time for a schema: an advisory lock, polled for, on a connection of its own.
//!
//! Polled, since a backend that blocks in `pg_advisory_lock` holds a snapshot, and `CREATE INDEX CONCURRENTLY` waits
//! for snapshots: the two deadlock. On a connection of its own, since it has to outlast every transaction of the work it
//! covers. And the lock of a transaction that stays open rather than of a session, since a pool in transaction mode would
//! leave the lock of a session in a backend that serves others. Between two checks that transaction holds no snapshot
//! and no number, so it keeps neither `VACUUM` nor `CREATE INDEX CONCURRENTLY` from anything.
//!
//! A process that was killed loses the lock at once, and the transaction of its work only when the server has noticed:
//! who gets the lock waits for that too.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use super::connect::{ConnectError, ConnectSettings, SessionLimits, connect};
use super::database_url::DatabaseUrl;
use super::identifier::Identifier;
use super::retry::jittered;
use super::transaction::{Kind, begin, roll_back};
use super::work::work_key;
use crate::error::HostError;
use crate::exit::Exit;

/// The lock of one schema, held until [`SchemaLock::release`] or until it is dropped with its connection.
#[must_use = "the lock is released when this is dropped"]
pub struct SchemaLock {
    connection: PgConnection,
    key: i64,
}

impl SchemaLock {
    /// Waits up to `wait` for the lock; zero asks once. Whatever was read before has to be read again afterwards.
    ///
    /// # Errors
    ///
    /// [`LockError::Busy`] with the holder when `wait` is over; [`LockError::Connect`] when the database cannot be
    /// reached.
    pub async fn acquire(url: &DatabaseUrl, schema: &Identifier, wait: Duration) -> Result<Self, LockError> {
        let began = Instant::now();
        let key = lock_key(schema);
        let mut connection = connect(url, &ConnectSettings::default()).await?;
        let mut ours = false;
        loop {
            if !ours {
                begin(&mut connection, Kind::Work, SessionLimits::default()).await?;
                ours = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
                    .bind(key)
                    .fetch_one(&mut connection)
                    .await?;
            }
            let in_the_way = if ours { work_key(schema) } else { key };
            if ours && !is_held(in_the_way, &mut connection).await? {
                // The transaction lies idle for as long as the work takes.
                sqlx::query(LIE_IDLE).execute(&mut connection).await?;
                return Ok(Self { connection, key });
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                let holder = Holder::of(in_the_way, &mut connection).await?;
                roll_back(&mut connection).await?;
                return Err(LockError::Busy { schema: schema.clone(), waited: began.elapsed(), holder });
            }
            if !ours {
                roll_back(&mut connection).await?;
            }
            sleep(jittered(POLL).max(SHORTEST_POLL).min(left)).await;
        }
    }

    /// Whether the lock is still ours: an administrator or a failover may have ended its connection.
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`] when it is not.
    pub async fn check(&mut self) -> Result<(), LockError> {
        let held =
            sqlx::query_scalar::<_, bool>(HELD_BY_US).bind(self.key).fetch_one(&mut self.connection).await;
        match held {
            Ok(true) => Ok(()),
            Ok(false) => Err(LockError::Lost { reason: "its transaction no longer holds it".to_owned() }),
            Err(error) => Err(LockError::Lost { reason: error.to_string() }),
        }
    }

    /// Gives the lock back and waits until the server has done so.
    ///
    /// # Errors
    ///
    /// When the server cannot be told; the lock ends with the connection all the same.
    pub async fn release(mut self) -> Result<(), LockError> {
        roll_back(&mut self.connection).await?;
        Ok(self.connection.close().await?)
    }
}

impl fmt::Debug for SchemaLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaLock").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The advisory lock's number for a schema; PostgreSQL keeps the numbers of each database apart.
#[must_use]
pub fn lock_key(schema: &Identifier) -> i64 {
    advisory_key("pbac schema lock", schema)
}

/// The number of an advisory lock for one purpose in one schema.
pub(crate) fn advisory_key(purpose: &str, schema: &Identifier) -> i64 {
    let digest =
        Sha256::new().chain_update(purpose).chain_update("\0").chain_update(schema.as_str()).finalize();
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// Whether anybody holds an advisory lock of this database.
pub(crate) async fn is_held(key: i64, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    Ok(Holder::of(key, connection).await?.is_some())
}

/// Who holds a lock, as far as this user may see it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Holder {
    /// The process id of its backend.
    pub pid: i32,
    /// What it calls itself.
    pub application: Option<String>,
    /// The user it logged in as.
    pub user: Option<String>,
    /// When it connected, in microseconds since 1970.
    pub since: Option<i64>,
}

impl Holder {
    /// Nobody, when the lock was given back in the meantime.
    pub(crate) async fn of(key: i64, connection: &mut PgConnection) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(HOLDER).bind(key).fetch_optional(connection).await
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend {}", self.pid)?;
        if let Some(application) = &self.application {
            write!(f, ", application `{}`", application.escape_debug())?;
        }
        if let Some(user) = &self.user {
            write!(f, ", user `{}`", user.escape_debug())?;
        }
        if let Some(since) = self.since.and_then(|since| Timestamp::from_microsecond(since).ok()) {
            write!(f, ", connected since {since:.0}")?;
        }
        Ok(())
    }
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else has it.
    #[error("another pbac works on the schema `{schema}` ({}); waited {:.1} s; try again when it is done, or let it wait longer",
        .holder.as_ref().map_or_else(|| "just gone".to_owned(), Holder::to_string), .waited.as_secs_f64())]
    Busy {
        /// Whose lock it is.
        schema: Identifier,
        /// How long it was waited for.
        waited: Duration,
        /// Who has it.
        holder: Option<Holder>,
    },
    /// The lock was held and is no longer.
    #[error("the lock was lost while work went on: {reason}; nothing more was done; run it again")]
    Lost {
        /// What the server or the system said.
        reason: String,
    },
    /// There is no connection to hold it on.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused.
    #[error("the lock cannot be asked for: {0}")]
    Server(#[from] sqlx::Error),
}

impl From<LockError> for HostError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Connect(error) => error.into(),
            LockError::Busy { .. } => Self::new(Exit::Busy, error),
            LockError::Lost { .. } | LockError::Server(_) => Self::failed(error),
        }
    }
}

const POLL: Duration = Duration::from_millis(200);
const SHORTEST_POLL: Duration = Duration::from_millis(20);

/// Before PostgreSQL 17 there is no time-out for whole transactions.
const LIE_IDLE: &str = "SELECT set_config(name, '0', true) FROM pg_settings \
    WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')";
/// A 64-bit advisory key lies in `pg_locks` as two halves, with 1 as its `objsubid`.
const HOLDER: &str = "SELECT l.pid, a.application_name AS application, a.usename::text AS user, \
    (extract(epoch FROM a.backend_start) * 1000000)::bigint AS since \
    FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND ((l.classid::bigint << 32) | l.objid::bigint) = $1 LIMIT 1";
const HELD_BY_US: &str = "SELECT EXISTS (SELECT FROM pg_locks l \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid = pg_backend_pid() \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND ((l.classid::bigint << 32) | l.objid::bigint) = $1)";

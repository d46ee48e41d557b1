//! Telling running processes that the keys have changed, and being told.
//!
//! A notification says that something changed, and nothing more: whoever is told loads the keys. It is sent by the
//! transaction of the change, so it arrives when the change can be seen, or never.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection, PgConnection, Row};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::PostgresStore;
use crate::error::HostError;
use crate::postgres::transaction::{Kind, begin, commit};
use crate::postgres::{ConnectError, Identifier, SessionLimits, SqlState, connect};

/// The channel. The payload is the name of the schema whose keys have changed.
pub const KEYS_CHANNEL: &str = "pbac_keys";

/// How long to wait for the server, and for what we tell ourselves to see whether it arrives.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the server is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// PostgreSQL's `read_only_sql_transaction`: nobody can listen on a standby.
const READ_ONLY: &str = "25006";

/// Sends it with the transaction.
pub(super) async fn tell(connection: &mut PgConnection, schema: &Identifier) -> Result<(), sqlx::Error> {
    send(connection, schema.as_str()).await
}

async fn send(connection: &mut PgConnection, payload: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(KEYS_CHANNEL)
        .bind(payload)
        .execute(connection)
        .await
        .map(drop)
}

/// Waits for changes to the keys of one store.
#[derive(Debug)]
pub struct KeyWatch {
    store: PostgresStore,
    ear: Ear,
    /// Where it was made: a listener that is dropped takes its leave of the server in a task.
    runtime: Handle,
}

/// Whether there is anything to be heard.
#[derive(Debug)]
enum Ear {
    /// The server tells.
    Open(PgListener),
    /// It cannot tell at the moment; it is tried again.
    Lost(String),
    /// It cannot tell here at all.
    Deaf(String),
}

impl KeyWatch {
    pub(super) async fn begin(store: PostgresStore) -> Self {
        let ear = Ear::open(&store).await;
        Self { store, ear, runtime: Handle::current() }
    }

    /// Returns when the keys may have changed, and at the latest after `longest` (or some seconds more, while it looks for
    /// a server that it has lost). Load them then. What happens between two calls is not missed.
    pub async fn changed(&mut self, longest: Duration) {
        // Where it is too long, there is nothing to be told.
        let _ = timeout(longest, self.wait()).await;
    }

    /// Why it is told nothing, so that whoever waits only ever waits for the longest time; nothing where it is told.
    #[must_use]
    pub fn polls_because(&self) -> Option<&str> {
        match &self.ear {
            Ear::Open(_) => None,
            Ear::Lost(why) | Ear::Deaf(why) => Some(why),
        }
    }

    async fn wait(&mut self) {
        loop {
            match &mut self.ear {
                Ear::Open(listener) => match listener.try_recv().await {
                    Ok(Some(told)) if told.payload() == self.store.schema.as_str() => return,
                    Ok(Some(_)) => {}
                    // It was away, and is back: what was told in between is lost.
                    Ok(None) => return,
                    Err(error) => self.ear = Ear::Lost(error.to_string()),
                },
                Ear::Lost(_) => {
                    sleep(PAUSE).await;
                    self.ear = Ear::open(&self.store).await;
                    if matches!(self.ear, Ear::Open(_)) {
                        return;
                    }
                }
                Ear::Deaf(_) => std::future::pending().await,
            }
        }
    }
}

impl Drop for KeyWatch {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.ear = Ear::Deaf(String::new());
    }
}

/// Why nothing is heard.
enum Silence {
    /// Now.
    Now(String),
    /// Here, ever.
    Ever(&'static str),
}

impl From<sqlx::Error> for Silence {
    fn from(error: sqlx::Error) -> Self {
        match error.sql_state().as_deref() {
            Some(READ_ONLY) => Self::Ever("the server is a standby, which nobody can listen on"),
            _ => Self::Now(error.to_string()),
        }
    }
}

impl From<ConnectError> for Silence {
    fn from(error: ConnectError) -> Self {
        Self::Now(HostError::from(error).to_string())
    }
}

impl Ear {
    async fn open(store: &PostgresStore) -> Self {
        let opened = timeout(PATIENCE.saturating_mul(2), listen(store)).await;
        match opened.unwrap_or_else(|_| Err(Silence::Now("the server does not answer".to_owned()))) {
            Ok(listener) => Self::Open(listener),
            Err(Silence::Now(why)) => Self::Lost(why),
            Err(Silence::Ever(why)) => Self::Deaf(why.to_owned()),
        }
    }
}

async fn listen(store: &PostgresStore) -> Result<PgListener, Silence> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(PATIENCE)
        .connect_with(store.url.options().clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    let mut other = connect(&store.url, &store.reading()).await?;
    if is_pooled(&mut listener, &mut other, store.limits()).await? {
        return Err(Silence::Ever(
            "a connection pool lends the server for one transaction at a time, and delivers nothing",
        ));
    }
    listener.listen(KEYS_CHANNEL).await?;
    // Not every pool can be told by its backends. What is no name of a schema is heeded by nobody.
    let probe = format!("probe {:016x}", fastrand::u64(..));
    send(&mut other, &probe).await?;
    commit(&mut other).await?;
    let arrives = async {
        while listener.try_recv().await?.is_none_or(|told| told.payload() != probe) {}
        Ok::<_, sqlx::Error>(())
    };
    let arrived = timeout(PATIENCE, arrives).await;
    let _ = other.close().await;
    match arrived {
        Ok(arrived) => {
            arrived?;
            Ok(listener)
        }
        Err(_) => {
            Err(Silence::Ever("what the server tells does not arrive, as behind some connection pools"))
        }
    }
}

/// Whether the backend of the listener serves others as well. `other` is in a transaction afterwards, in which it keeps a
/// backend of its own.
async fn is_pooled(
    listener: &mut PgListener,
    other: &mut PgConnection,
    limits: SessionLimits,
) -> Result<bool, sqlx::Error> {
    const PID: &str = "SELECT pg_backend_pid()";
    let before: i32 = sqlx::raw_sql(PID).fetch_one(&mut *listener).await?.try_get(0)?;
    begin(other, Kind::Work, limits).await?;
    let theirs: i32 = sqlx::raw_sql(PID).fetch_one(other).await?.try_get(0)?;
    if before == theirs {
        return Ok(true);
    }
    let after: i32 = sqlx::raw_sql(PID).fetch_one(listener).await?.try_get(0)?;
    Ok(after != before)
}

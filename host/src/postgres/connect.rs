//! Connecting: with time-outs, with the server's answer put into words, and with what has to be known of it first.

use std::io;
use std::time::Duration;

use sqlx::{ConnectOptions, FromRow, PgConnection, Row};
use tokio::time::timeout;

use super::database_url::DatabaseUrl;
use super::transaction::{Kind, within};
use crate::error::HostError;
use crate::exit::Exit;

/// The oldest major version of PostgreSQL that is supported.
pub const OLDEST_SERVER: i32 = 14;

/// How to connect, and what the connection must be good for.
#[derive(Clone, Debug)]
pub struct ConnectSettings {
    /// How long to wait for the server to answer; `connect_timeout` in the URL wins.
    pub connect_timeout: Duration,
    /// Refuse a standby and a read-only session.
    pub writable: bool,
}

impl Default for ConnectSettings {
    /// Ten seconds to connect, must be writable.
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), writable: true }
    }
}

/// Time-outs the server enforces in one transaction; `None` is the server's own setting, zero is no limit. Whole
/// milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// The longest a statement may run.
    pub statement_timeout: Option<Duration>,
    /// The longest a statement may wait for one lock; past it, SQLSTATE 55P03.
    pub lock_timeout: Option<Duration>,
}

impl SessionLimits {
    /// Sets the limits until the transaction ends; outside of one this has no effect.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn apply_to_transaction(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let limits = [("statement_timeout", self.statement_timeout), ("lock_timeout", self.lock_timeout)];
        for (name, limit) in limits {
            let Some(limit) = limit else { continue };
            sqlx::query("SELECT set_config($1, $2, true)")
                .bind(name)
                .bind(format!("{}ms", limit.as_millis()))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// What a server says about itself and this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Server {
    /// `server_version_num`: 150013 is 15.13.
    pub version: i32,
    /// The process id of the backend that serves this connection.
    pub backend_pid: i32,
    /// A standby, which can only be read.
    pub standby: bool,
    /// Transactions are read-only by default here.
    pub read_only: bool,
}

impl Server {
    /// Asks the server.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn ask(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        // Without a prepared statement, and so good outside of a transaction too.
        let row = sqlx::raw_sql(
            "SELECT current_setting('server_version_num')::int AS version, pg_backend_pid() AS backend_pid, \
             pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only')::bool AS read_only",
        )
        .fetch_one(connection)
        .await?;
        Self::from_row(&row)
    }

    /// The major version, such as 15.
    #[must_use]
    pub fn major(&self) -> i32 {
        self.version.checked_div(10_000).unwrap_or_default()
    }
}

/// Connects, and checks that the server is one to work with and that a transaction can be had.
///
/// # Errors
///
/// [`ConnectError`] says what was tried (without the password), what was wrong and what to do.
pub async fn connect(url: &DatabaseUrl, settings: &ConnectSettings) -> Result<PgConnection, ConnectError> {
    let limit = url.connect_timeout().unwrap_or(settings.connect_timeout);
    let attempt = async {
        let mut connection = url.options().connect().await.map_err(|error| classify(url, error))?;
        let asked = within(&mut connection, Kind::Work, SessionLimits::default(), Server::ask).await;
        let server = asked.map_err(|error| classify(url, error))?;
        check(&server, settings)?;
        Ok(connection)
    };
    let outcome = timeout(limit, attempt)
        .await
        .unwrap_or(Err(ConnectErrorKind::Timeout { seconds: limit.as_secs_f64() }));
    outcome.map_err(|kind| ConnectError { target: url.to_string(), kind })
}

/// Who logged in, as the audit log names them.
///
/// # Errors
///
/// When the server cannot be asked.
pub async fn session_user(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    // Without a prepared statement, as in `Server::ask`.
    sqlx::raw_sql("SELECT session_user::text").fetch_one(connection).await?.try_get(0)
}

/// A database that cannot be worked with.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the database `{target}`: {kind}")]
pub struct ConnectError {
    /// The URL, without its password.
    pub target: String,
    /// What was wrong, and what to do.
    pub kind: ConnectErrorKind,
}

impl From<ConnectError> for HostError {
    fn from(error: ConnectError) -> Self {
        let exit = match error.kind {
            ConnectErrorKind::Full { .. } | ConnectErrorKind::NotReady { .. } => Exit::Busy,
            ConnectErrorKind::Pooled { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

/// What was wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// Nobody listens there.
    #[error("no server answers at {place} ({reason}); start it, or correct the host and port")]
    NoServer {
        /// The socket's path, or host and port.
        place: String,
        /// What the system said.
        reason: String,
    },
    /// No answer in time.
    #[error(
        "no answer within {seconds} s; correct the host and port, or allow more with `connect_timeout=<seconds>` in the URL \
         (a connection pool may have no connection free: pbac needs two at once)"
    )]
    Timeout {
        /// How long it was waited for.
        seconds: f64,
    },
    /// Wrong or missing password, or no rule that lets the user in.
    #[error(
        "the server refused the login: {reason}; correct the user and password in the URL, `PGPASSWORD` or `~/.pgpass`"
    )]
    Login {
        /// What the server said.
        reason: String,
    },
    /// No database of this name.
    #[error("there is no database `{database}`; correct the name, or create it with `createdb`")]
    NoDatabase {
        /// Its name.
        database: String,
    },
    /// No connection is free.
    #[error("the server has no connection free: {reason}; try again later, or raise `max_connections`")]
    Full {
        /// What the server said.
        reason: String,
    },
    /// Starting, stopping or recovering.
    #[error("the server is not ready: {reason}; try again in a moment")]
    NotReady {
        /// What the server said.
        reason: String,
    },
    /// Encryption could not be agreed on.
    #[error("no encrypted connection: {reason}; correct `sslmode` or `sslrootcert` in the URL")]
    Tls {
        /// What the library said.
        reason: String,
    },
    /// A standby, where a primary is needed.
    #[error("the server is a read-only standby; give the URL of the primary")]
    Standby,
    /// A session that may only read.
    #[error(
        "the session is read-only (`default_transaction_read_only` is on); turn it off for this user or database"
    )]
    ReadOnly,
    /// A server of a version before [`OLDEST_SERVER`].
    #[error(
        "the server is PostgreSQL {major}, and {OLDEST_SERVER} is the oldest that is supported; upgrade it"
    )]
    TooOld {
        /// Its major version.
        major: i32,
    },
    /// A pool that takes the backend away after every statement, or that left somebody's statements in it.
    #[error(
        "the connection pool in between keeps no transaction together ({reason}); let the pool run in transaction or session mode (PgBouncer: `pool_mode`), or give the URL of the server itself"
    )]
    Pooled {
        /// What the pool or the server said.
        reason: String,
    },
    /// Anything else.
    #[error("{0}")]
    Other(#[source] sqlx::Error),
}

fn check(server: &Server, settings: &ConnectSettings) -> Result<(), ConnectErrorKind> {
    if server.major() < OLDEST_SERVER {
        Err(ConnectErrorKind::TooOld { major: server.major() })
    } else if settings.writable && server.standby {
        Err(ConnectErrorKind::Standby)
    } else if settings.writable && server.read_only {
        Err(ConnectErrorKind::ReadOnly)
    } else {
        Ok(())
    }
}

fn classify(url: &DatabaseUrl, error: sqlx::Error) -> ConnectErrorKind {
    match error {
        sqlx::Error::Io(reason) if reason.kind() != io::ErrorKind::UnexpectedEof => {
            ConnectErrorKind::NoServer { place: place(url), reason: reason.to_string() }
        }
        sqlx::Error::Tls(reason) => ConnectErrorKind::Tls { reason: reason.to_string() },
        sqlx::Error::Database(refusal) => {
            let reason = refusal.message().to_owned();
            match refusal.code().as_deref() {
                Some("28P01" | "28000") => ConnectErrorKind::Login { reason },
                Some("3D000") => ConnectErrorKind::NoDatabase { database: url.database().to_owned() },
                Some("53300") => ConnectErrorKind::Full { reason },
                Some("57P03") => ConnectErrorKind::NotReady { reason },
                // A statement prepared by, or left with, another client of the same pool.
                Some("42P05" | "26000") => ConnectErrorKind::Pooled { reason },
                // The words of PgBouncer, which has one code for all its refusals.
                Some("08P01") if reason.contains("statement pooling") => ConnectErrorKind::Pooled { reason },
                _ => ConnectErrorKind::Other(sqlx::Error::Database(refusal)),
            }
        }
        other => ConnectErrorKind::Other(other),
    }
}

/// Where the server was looked for.
fn place(url: &DatabaseUrl) -> String {
    let options = url.options();
    let port = options.get_port();
    match options.get_socket() {
        Some(directory) => format!("`{}/.s.PGSQL.{port}`", directory.display()),
        None if options.get_host().starts_with('/') => format!("`{}/.s.PGSQL.{port}`", options.get_host()),
        None => format!("`{}:{port}`", options.get_host()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Server = Server { version: 140_000, backend_pid: 1, standby: false, read_only: false };

    fn verdict(server: Server, writable: bool) -> Result<(), String> {
        let settings = ConnectSettings { writable, ..ConnectSettings::default() };
        check(&server, &settings).map_err(|kind| kind.to_string())
    }

    #[test]
    fn a_server_must_be_recent_and_writable() {
        assert_eq!(verdict(GOOD, true), Ok(()));
        let old = verdict(Server { version: 130_018, ..GOOD }, false);
        assert_eq!(
            old,
            Err("the server is PostgreSQL 13, and 14 is the oldest that is supported; upgrade it".into())
        );
        for server in [Server { standby: true, ..GOOD }, Server { read_only: true, ..GOOD }] {
            assert!(verdict(server, true).is_err_and(|message| message.contains("read-only")), "{server:?}");
            assert_eq!(verdict(server, false), Ok(()));
        }
    }
}

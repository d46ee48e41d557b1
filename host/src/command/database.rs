//! The live database, as the questions and the changes of single overrides use it.

use std::time::Duration;

use policy_core::Policy;
use serde_json::Value;
use sqlx::PgConnection;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::audit::{self, Entry, Head, Outcome};
use crate::postgres::policy_store::{self, StoreError, Stored};
use crate::postgres::transaction::{self, Kind};
use crate::postgres::{
    ConnectSettings, LOCK_NOT_AVAILABLE, SchemaLock, SessionLimits, SqlState, connect, session_user,
};
use crate::report::printable;

/// How long a change waits for another pbac that works on the schema.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that is stored, of one moment, as a policy that decides as the database does.
///
/// # Errors
///
/// When the database cannot be reached or holds no policy.
pub async fn load_policy(context: &Context) -> Result<Policy, HostError> {
    let mut connection = connect_to_read(context).await?;
    let stored = policy_store::read(&mut connection, &context.config.schema).await?;
    into_policy(stored, context)
}

/// A connection that need not be able to write: a standby answers too.
///
/// # Errors
///
/// When the database cannot be reached.
pub async fn connect_to_read(context: &Context) -> Result<PgConnection, HostError> {
    let settings = ConnectSettings { writable: false, ..ConnectSettings::default() };
    Ok(connect(context.config.database_url()?, &settings).await?)
}

/// Says what of the legacy tables cannot be used, and makes a policy of the rest.
fn into_policy(stored: Stored, context: &Context) -> Result<Policy, HostError> {
    for name in &stored.unusable {
        context.output.warn(format_args!(
            "`{}` in the legacy tables can be no user id or role name and grants nothing",
            printable(name)
        ));
    }
    Ok(stored.into_policy().map_err(StoreError::from)?)
}

/// A transaction that changes an override, under the schema's lock so that no other pbac changes anything meanwhile.
#[derive(Debug)]
pub struct Change {
    connection: PgConnection,
    lock: SchemaLock,
    actor: String,
    /// What is stored, read in the transaction.
    pub policy: Policy,
}

impl Change {
    /// Connects, takes the lock and begins.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, is busy, or holds no policy.
    pub async fn begin(context: &Context) -> Result<Self, HostError> {
        let config = &context.config;
        let url = config.database_url()?;
        let lock = SchemaLock::acquire(url, &config.schema, PATIENCE).await?;
        let limits = SessionLimits { lock_timeout: Some(config.lock_timeout), ..SessionLimits::default() };
        let mut connection = connect(url, &ConnectSettings::default()).await?;
        let actor = session_user(&mut connection).await.map_err(refused_by_server)?;
        transaction::begin(&mut connection, Kind::Work, limits).await.map_err(refused_by_server)?;
        let stored =
            policy_store::read_within(&mut connection, &config.schema).await.map_err(refused_by_store)?;
        let policy = into_policy(stored, context)?;
        Ok(Self { connection, lock, actor, policy })
    }

    /// The connection, inside the transaction.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Records what was done or refused and commits, both or neither.
    ///
    /// # Errors
    ///
    /// When the lock was lost or the server refuses; then nothing was changed.
    pub async fn commit(
        mut self,
        context: &Context,
        action: &str,
        subject: &str,
        outcome: Outcome,
        details: Value,
    ) -> Result<Head, HostError> {
        let entry = Entry { actor: &self.actor, action, subject, outcome, details };
        let head = audit::append(&mut self.connection, &context.config.schema, &entry).await?;
        self.lock.check().await?;
        transaction::commit(&mut self.connection).await.map_err(refused_by_server)?;
        self.lock.release().await?;
        Ok(head)
    }
}

/// The store's error, with status 5 where a lock was not to be had.
pub(super) fn refused_by_store(error: StoreError) -> HostError {
    match error {
        StoreError::Server(error) => refused_by_server(error),
        other => other.into(),
    }
}

fn refused_by_server(error: sqlx::Error) -> HostError {
    if error.sql_state().as_deref() == Some(LOCK_NOT_AVAILABLE) {
        return HostError::new(Exit::Busy, "a table is locked by others")
            .help("try again when less is going on");
    }
    StoreError::Server(error).into()
}

//! Keys in PostgreSQL: the tables `signing_keys` and `revoked_keys`, which the first change creates
//! (`migrations/keys/0001_signing_keys.sql`).
//!
//! A change is one transaction: the rows, the revocations, what tells the processes that listen, and the row in the audit
//! log. The secrets are sealed with a key-encryption key that is not in the database ([`SealingKeys`]); a copy of the
//! database holds no key.
//!
//! **Backups.** A key that was revoked stays revoked when `signing_keys`, or both tables, come back from an old dump: the
//! audit log remembers, and so does every running process. When the *whole* database comes back from before the
//! revocation, nothing in it can know. Revoke the key again then (`pbac keys revoke … --unknown`), or make it impossible
//! beforehand: seal with a new key-encryption key after the revocation and destroy the old one, and no dump from before
//! opens any more.

mod change;
mod error;
mod lock;
mod notify;
mod reseal;
mod rows;
mod seal;
mod sealing_keys;
mod session;
mod step;

use std::sync::Arc;
use std::time::Duration;

use policy_core::keys::KeyId;
use sqlx::Connection;
use tokio::time::timeout;

use self::rows::Rows;
use super::key_set::KeySet;
use super::store::{Applied, Applying};
use crate::config::{Config, DEFAULT_LOCK_TIMEOUT_MS};
use crate::error::HostError;
use crate::postgres::{ConnectSettings, DatabaseUrl, Identifier, RetryPolicy, SessionLimits, connect};

pub use lock::keys_lock_key;
pub use notify::{KEYS_CHANNEL, KeyWatch};
pub use reseal::{RESEAL, Resealed, Resealing};
pub use sealing_keys::{KEY_ENCRYPTION_KEY, SealingKeys, SealingKeysError};
pub use step::KeyStep;

/// How long who only reads waits for somebody who changes the tables themselves.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// Keys in a database. Nothing is connected until something is asked of it.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    url: DatabaseUrl,
    schema: Identifier,
    lock_timeout: Duration,
    retry: RetryPolicy,
    sealing: Arc<SealingKeys>,
    warnings: Vec<String>,
}

impl PostgresStore {
    /// The keys in this schema of this database, sealed with these.
    #[must_use]
    pub fn new(url: DatabaseUrl, schema: Identifier, sealing: SealingKeys) -> Self {
        Self {
            url,
            schema,
            lock_timeout: Duration::from_millis(DEFAULT_LOCK_TIMEOUT_MS),
            retry: RetryPolicy::default(),
            sealing: Arc::new(sealing),
            warnings: Vec::new(),
        }
    }

    /// Those that the settings name: the database, and the key-encryption key in `keys.key_encryption_key_file` or else in
    /// [`KEY_ENCRYPTION_KEY`].
    ///
    /// # Errors
    ///
    /// When no database is named, or no key-encryption key, or everybody may read its file.
    pub fn open(config: &Config) -> Result<Self, HostError> {
        let url = config.database_url()?.clone();
        let (sealing, warning) = match &config.keys.key_encryption_key_file {
            Some(path) => SealingKeys::read_file(path)?,
            None => (SealingKeys::from_environment()?, None),
        };
        let store = Self::new(url, config.schema.clone(), sealing);
        Ok(Self { lock_timeout: config.lock_timeout, warnings: warning.into_iter().collect(), ..store })
    }

    /// What is odd about the settings without being wrong, for a person to read.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The schema of the tables.
    #[must_use]
    pub const fn schema(&self) -> &Identifier {
        &self.schema
    }

    /// All keys, of one moment. Where the tables are not there yet, there are none. A standby answers too; who asks needs
    /// `USAGE` on the schema, `SELECT` on `signing_keys` and `EXECUTE` on `revoked_kids()`.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached or refuses, a row was changed, or a key is sealed with a key-encryption key that
    /// is not at hand.
    pub async fn load(&self) -> Result<KeySet, HostError> {
        self.load_leaving(None).await
    }

    /// The same, where a key that is to be revoked need not open: its row may be the one that was changed.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::load`].
    pub async fn load_leaving(&self, leaving: Option<&KeyId>) -> Result<KeySet, HostError> {
        let mut connection = connect(&self.url, &self.reading()).await?;
        // Nobody queues behind one who only reads.
        let limits =
            SessionLimits { lock_timeout: Some(READ_PATIENCE), statement_timeout: Some(READ_PATIENCE) };
        let reading = Rows::snapshot(&mut connection, &self.schema, limits);
        // A connection that is lost without a word says nothing of the statement's time either.
        let Ok(rows) = timeout(READ_PATIENCE.saturating_mul(4), reading).await else {
            return Err(HostError::failed("the database does not answer while the keys are read")
                .help("check that the server runs, then try again"));
        };
        // It ends with the connection in any case.
        let _ = timeout(READ_PATIENCE, connection.close()).await;
        let keys = rows?.open(&self.schema, &self.sealing, leaving)?;
        Ok(keys)
    }

    /// Does it, in one transaction: all of it or nothing. Unlike [`PostgresStore::load`] it cannot be spawned on a runtime of
    /// several threads; whoever rotates blocks on it.
    ///
    /// # Errors
    ///
    /// The keys are what they were, and the audit log says what was tried: status 5 when another pbac is at it, else as
    /// the operation says it. Where the server is lost for good while it commits, the error says that all or nothing stays.
    pub async fn apply(&self, applying: Applying<'_>) -> Result<Applied, HostError> {
        change::apply(self, applying).await
    }

    /// Seals every secret anew with the first of other key-encryption keys. The keys themselves stay as they are, and so
    /// nobody is told. Processes that start afterwards need the new key-encryption key.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::apply`]; also when a row is sealed with a key-encryption key that is not at hand.
    pub async fn reseal(&self, resealing: Resealing<'_>) -> Result<Resealed, HostError> {
        reseal::reseal(self, resealing).await
    }

    /// Begins to listen for changes. Load the keys afterwards: what changes from now on, the watch will tell.
    ///
    /// Behind a pool in transaction mode, which delivers nothing, and on a standby, which nobody can tell anything, it says
    /// so in [`KeyWatch::polls_because`], and whoever waits has to ask from time to time.
    pub async fn listen(&self) -> KeyWatch {
        KeyWatch::begin(self.clone()).await
    }

    const fn limits(&self) -> SessionLimits {
        SessionLimits { lock_timeout: Some(self.lock_timeout), statement_timeout: None }
    }

    fn reading(&self) -> ConnectSettings {
        ConnectSettings { writable: false, ..ConnectSettings::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::LiveKeys;

    fn can_be_spawned<A, F: Future + Send>(_: impl FnOnce(A) -> F) {}

    /// Applications do that, on runtimes of several threads.
    #[test]
    fn what_a_serving_process_waits_for_can_be_spawned() {
        can_be_spawned(|store: &'static PostgresStore| store.load());
        can_be_spawned(|store: &'static PostgresStore| store.listen());
        can_be_spawned(|watch: &'static mut KeyWatch| watch.changed(Duration::ZERO));
        can_be_spawned(|live: &'static LiveKeys| live.watch(|_| {}));
    }
}

//! Keys for a process that serves requests: it always verifies with a whole ring, and takes a new one when the store changes.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use policy_core::Timestamp;
use policy_core::keys::{KeyHistory, Revocation};
use policy_core::token::{KeyRing, TokenBuffer, TokenError, TokenRules, Verified};

use super::key_set::KeySet;
use super::settings::KeySettings;
use super::store::Store;
use crate::error::HostError;
use crate::exit::Exit;
use crate::token::{IssueError, NewToken, issue};

/// How often a `.env` file is looked at. Looking is one `stat`; unlike a watch it sees a file behind a bind mount, too.
const FILE_INTERVAL: Duration = Duration::from_millis(500);

/// How often the database is asked where it cannot tell by itself that something changed.
const DATABASE_INTERVAL: Duration = Duration::from_secs(15);

/// The keys of a running process. Cheap to share; a request never waits for a reload, and sees one ring from its beginning
/// to its end.
#[derive(Clone, Debug)]
pub struct LiveKeys {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    settings: KeySettings,
    current: RwLock<Arc<Current>>,
    /// Held from the reading of the store until what was read is in use, so that nothing older comes after it.
    reloading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Current {
    keys: KeySet,
    ring: KeyRing,
}

/// What became of a look at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The keys are other ones now.
    Changed,
    /// They are the same.
    Unchanged,
    /// The store could not be read, or holds no keys that could be used; the process goes on with those it has.
    Failed(HostError),
}

impl LiveKeys {
    /// Loads the keys for the first time.
    ///
    /// # Errors
    ///
    /// When the store cannot be read: a process without keys had better not begin to serve.
    pub async fn load(store: Store, settings: KeySettings) -> Result<Self, HostError> {
        let keys = store.load(&settings).await?;
        let current = Current::new(keys, settings.token_rules())?;
        let current = RwLock::new(Arc::new(current));
        let reloading = tokio::sync::Mutex::new(());
        Ok(Self { shared: Arc::new(Shared { store, settings, current, reloading }) })
    }

    /// Verifies a token at `now` with the keys of this moment and hands what it says to `then`, in which it can be borrowed.
    ///
    /// # Errors
    ///
    /// The one reason why not.
    pub fn verify<T>(
        &self,
        token: &str,
        now: Timestamp,
        buffer: &mut TokenBuffer,
        then: impl FnOnce(Verified<'_, '_>) -> T,
    ) -> Result<T, TokenError> {
        self.current().ring.verify(token, now, buffer).map(then)
    }

    /// Signs a token with the active key of this moment.
    ///
    /// # Errors
    ///
    /// As [`issue`].
    pub fn issue(&self, token: &NewToken, now: Timestamp, life: Duration) -> Result<String, IssueError> {
        issue(&self.current().keys, token, now, life)
    }

    /// The names and times of the keys of this moment.
    #[must_use]
    pub fn history(&self) -> KeyHistory {
        self.current().keys.history().clone()
    }

    /// Looks at the store once. A key that this process saw revoked stays revoked, whatever the store says later.
    pub async fn reload(&self) -> Reload {
        let _one_at_a_time = self.shared.reloading.lock().await;
        match self.read().await {
            Ok(Some(current)) => {
                let mut place = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
                *place = Arc::new(current);
                Reload::Changed
            }
            Ok(None) => Reload::Unchanged,
            Err(error) => Reload::Failed(error),
        }
    }

    /// Watches the store for ever, and tells what became of each look that found something. Drop it to stop.
    pub async fn watch(&self, mut told: impl FnMut(Reload)) {
        match &self.shared.store {
            Store::Env(store) => {
                let mut seen = None;
                loop {
                    let now = Seen::of(store.path());
                    // What failed is tried again, changed or not.
                    if seen != now || now.is_none() {
                        match self.reload().await {
                            Reload::Unchanged => seen = now,
                            Reload::Changed => {
                                seen = now;
                                told(Reload::Changed);
                            }
                            failed @ Reload::Failed(_) => told(failed),
                        }
                    }
                    tokio::time::sleep(FILE_INTERVAL).await;
                }
            }
            Store::Postgres(store) => {
                // Before the first look, so that nothing is missed in between.
                let mut changes = store.listen().await;
                loop {
                    match self.reload().await {
                        Reload::Unchanged => {}
                        other => told(other),
                    }
                    changes.changed(DATABASE_INTERVAL).await;
                }
            }
        }
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self) -> Result<Option<Current>, HostError> {
        let settings = &self.shared.settings;
        let before = self.current();
        let revoked: Vec<Revocation> = before.keys.history().revoked().to_vec();
        let keys = self.shared.store.load(settings).await?.without(&revoked)?;
        if keys.history() == before.keys.history() && keys.same_material(&before.keys) {
            return Ok(None);
        }
        // Never what somebody meant: a revocation puts a new key in the place of the one that signs. It is a file that is half
        // written or a table that is half restored.
        if before.keys.signing().is_some() && keys.signing().is_none() {
            return Err(HostError::new(Exit::NeedsPerson, "no key in the store signs any more")
                .help("look with `pbac keys status`; the process goes on with the keys it has"));
        }
        Current::new(keys, settings.token_rules()).map(Some)
    }
}

impl Current {
    fn new(keys: KeySet, rules: TokenRules) -> Result<Self, HostError> {
        let ring = keys.ring(rules)?;
        Ok(Self { keys, ring })
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

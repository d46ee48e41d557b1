//! The two places where keys are kept, behind one face.

use std::path::PathBuf;

use policy_core::Timestamp;
use policy_core::keys::KeyId;

use super::env_store::{AuditRow, EnvStore};
use super::key_set::KeySet;
use super::operation::{Operation, Planned};
use super::postgres_store::PostgresStore;
use super::report::RotationReport;
use super::settings::{KeySettings, StoreKind};
use crate::config::Config;
use crate::error::HostError;
use crate::postgres::audit::Head;

/// Where keys are kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// A `.env` file.
    Env(EnvStore),
    /// The table `signing_keys`.
    Postgres(Box<PostgresStore>),
}

/// What is to be done to a store, when and by whom.
#[derive(Clone, Copy)]
pub struct Applying<'a> {
    /// What.
    pub operation: &'a Operation,
    /// The settings that it goes by.
    pub settings: &'a KeySettings,
    /// When.
    pub now: Timestamp,
    /// Who asked for it, for the report; the database knows its own user.
    pub who: &'a str,
    /// Is told the name of each step as it begins, in the order of the store's own list.
    pub watch: &'a (dyn Fn(&'static str) + Sync),
}

/// What was done.
#[derive(Debug, Default)]
pub struct Applied {
    /// What was planned and stored. Nothing, where nothing was due.
    pub planned: Option<Planned>,
    /// The backup of the file as it was.
    pub backup: Option<PathBuf>,
    /// The report and the file that it was written to, or why it could not be: by then the change is stored.
    pub report: Option<Result<(RotationReport, PathBuf), HostError>>,
    /// The end of the audit log's chain.
    pub audit_head: Option<Head>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

impl Store {
    /// The store that the settings name. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// When the settings do not suffice: no database, no key to unseal with.
    pub fn open(config: &Config) -> Result<Self, HostError> {
        let settings = &config.keys;
        match settings.store {
            StoreKind::Env => {
                let store = EnvStore::new(&settings.env_file, &settings.names);
                Ok(Self::Env(store.with_audit(AuditRow::of(config))))
            }
            StoreKind::Postgres => Ok(Self::Postgres(Box::new(PostgresStore::open(config)?))),
        }
    }

    /// Everything that it holds.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or what it holds makes no keys.
    pub async fn load(&self, settings: &KeySettings) -> Result<KeySet, HostError> {
        match self {
            Self::Env(store) => store.load(settings),
            Self::Postgres(store) => store.load().await,
        }
    }

    /// The same, before a key is revoked: in the database its own row need not open, since it may be the one that was changed.
    ///
    /// # Errors
    ///
    /// As [`Store::load`].
    pub async fn load_leaving(&self, settings: &KeySettings, id: &KeyId) -> Result<KeySet, HostError> {
        match self {
            Self::Env(store) => store.load(settings),
            Self::Postgres(store) => store.load_leaving(Some(id)).await,
        }
    }

    /// Does it: all of it or nothing, one at a time.
    ///
    /// # Errors
    ///
    /// When it is refused, somebody else is at it (status 5), or the store cannot be written; it then holds what it did.
    pub async fn apply(&self, applying: Applying<'_>) -> Result<Applied, HostError> {
        match self {
            Self::Env(store) => store.apply(applying).await,
            Self::Postgres(store) => store.apply(applying).await,
        }
    }
}

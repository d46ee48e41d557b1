//! Keys in PostgreSQL.

use std::time::Duration;

use super::key_set::KeySet;
use super::store::{Applied, Applying};
use crate::config::Config;
use crate::error::HostError;

/// The table `signing_keys`.
#[derive(Clone, Debug)]
pub struct PostgresStore {}

impl PostgresStore {
    pub(super) fn open(_: &Config) -> Result<Self, HostError> {
        Err(HostError::usage("keys in PostgreSQL are not there yet"))
    }

    pub(super) async fn load(&self) -> Result<KeySet, HostError> {
        Err(HostError::usage("keys in PostgreSQL are not there yet"))
    }

    pub(super) async fn apply(&self, _: Applying<'_>) -> Result<Applied, HostError> {
        Err(HostError::usage("keys in PostgreSQL are not there yet"))
    }

    /// Returns when something changed, or after `longest`.
    pub(super) async fn changed(&self, longest: Duration) {
        tokio::time::sleep(longest).await;
    }
}

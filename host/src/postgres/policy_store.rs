//! The policy as the database holds it: read in one snapshot, written as a difference.

mod overrides;
mod read;
mod write;

pub use overrides::{GrantOutcome, StoredOverride, grant, list_overrides, revoke};
pub use read::{Stored, read, read_policy, read_within};
pub use write::{TableCounts, WriteCounts, write};

use policy_core::PolicyError;

use super::refusal::refusal_help;
use super::retry::{LOCK_NOT_AVAILABLE, SqlState};
use super::schema::{BUSY_HELP, SchemaError};
use crate::error::HostError;
use crate::exit::Exit;

/// Why the stored policy cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A row holds what the table's checks do not allow.
    #[error("the table `{table}` holds what cannot be stored there: {reason}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What was wrong with the value.
        reason: String,
    },
    /// The rows are good one by one and make no policy together.
    #[error("the stored policy contradicts itself: {0}")]
    Policy(#[from] PolicyError),
    /// The schema is not there or cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The server refused.
    #[error("the database refused: {0}")]
    Server(#[from] sqlx::Error),
}

impl SqlState for StoreError {
    fn sql_state(&self) -> Option<String> {
        match self {
            Self::Server(error) => error.sql_state(),
            Self::Schema(error) => error.sql_state(),
            Self::Damaged { .. } | Self::Policy(_) => None,
        }
    }
}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Schema(error) => error.into(),
            StoreError::Damaged { .. } | StoreError::Policy(_) => Self::new(Exit::Mismatch, error)
                .help("find out who changed the tables, then run `pbac migrate` again"),
            StoreError::Server(_) if error.sql_state().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                Self::new(Exit::Busy, error).help(BUSY_HELP)
            }
            StoreError::Server(_) => {
                let help = refusal_help(&error);
                Self::failed(error)
                    .help(help.unwrap_or("check that the schema is migrated and that this user may use it"))
            }
        }
    }
}

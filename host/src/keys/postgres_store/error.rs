//! Why keys in the database cannot be read or changed.

use policy_core::keys::KeyId;

use super::seal::SealError;
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::audit::AuditError;
use crate::postgres::schema::{BUSY_HELP, SchemaError};
use crate::postgres::{
    ConnectError, Holder, Identifier, LOCK_NOT_AVAILABLE, LockError, REFUSAL_HELP, SqlState, refusal_help,
};

/// Why keys in the database cannot be read or changed. It never holds anything of a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Another pbac is at it.
    #[error("another pbac changes the keys of the schema `{schema}` ({})",
        .holder.as_ref().map_or_else(|| "just gone".to_owned(), Holder::to_string))]
    Busy { schema: Identifier, holder: Option<Holder> },
    /// Another pbac was at it between the look and the lock.
    #[error("another pbac has changed the keys of the schema `{schema}` meanwhile")]
    Overtaken { schema: Identifier },
    /// A row holds what the table's checks do not allow.
    #[error("the row of key `{kid}` holds what cannot be stored there: {reason}")]
    Damaged { kid: String, reason: String },
    /// What was written is not what is there.
    #[error("the table does not say what was written to it")]
    NotAsWritten,
    /// A key of another kind of store.
    #[error("key `{kid}` has no time, and cannot be stored in the database")]
    NoTime { kid: KeyId },
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("the database refused: {0}")]
    Server(#[from] sqlx::Error),
    /// What other modules say, in their words.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl SqlState for Fault {
    fn sql_state(&self) -> Option<String> {
        match self {
            Self::Server(error) => error.sql_state(),
            Self::Schema(error) => error.sql_state(),
            Self::Audit(error) => error.sql_state(),
            _ => None,
        }
    }
}

impl From<Fault> for HostError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Host(error) => error,
            Fault::Schema(error) => error.into(),
            Fault::Audit(error) => error.into(),
            Fault::Connect(error) => error.into(),
            Fault::Lock(error) => error.into(),
            Fault::Busy { .. } => Self::new(Exit::Busy, fault).help("look with `pbac keys status` when it is done"),
            Fault::Overtaken { .. } => {
                Self::new(Exit::Busy, fault).help("look with `pbac keys status` whether there is anything left to do")
            }
            Fault::Damaged { .. } => {
                Self::new(Exit::NeedsPerson, fault).help("find out who changed the table; `pbac keys revoke` drops the key")
            }
            Fault::NotAsWritten => Self::new(Exit::Mismatch, fault)
                .help("nothing was changed; find out which trigger or rule of the database does it"),
            Fault::NoTime { .. } => Self::failed(fault).help("report this as a fault of pbac"),
            Fault::Seal(SealError::OtherKey { .. }) => Self::new(Exit::Mismatch, fault).help(
                "give the key-encryption key of that label, or several with white space between them while one replaces another",
            ),
            Fault::Seal(SealError::Changed { .. }) => Self::new(Exit::NeedsPerson, fault)
                .help("find out who changed the table; `pbac keys revoke` drops the key, and its tokens with it"),
            Fault::Seal(SealError::Material(error)) => error.into(),
            Fault::Seal(SealError::TooLong { .. }) => Self::failed(fault).help("rotate to a shorter key"),
            Fault::Server(_) if fault.sql_state().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                Self::new(Exit::Busy, fault).help(BUSY_HELP)
            }
            Fault::Server(_) => {
                let help = refusal_help(&fault).unwrap_or(REFUSAL_HELP);
                Self::failed(fault).help(help)
            }
        }
    }
}

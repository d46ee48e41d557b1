//! Why a rollback or a restoration did not happen.

use std::io;

use super::apply::UNKNOWN_HELP;
use crate::error::HostError;
use crate::exit::Exit;
use crate::migrate::backup::{BackupError, BackupErrorKind};
use crate::postgres::audit::AuditError;
use crate::postgres::schema::SchemaError;
use crate::postgres::{
    ConnectError, Identifier, IdentifierError, LockError, REFUSAL_HELP, RetryError, SqlState, refusal_help,
};

/// Why a rollback or a restoration did not happen. In every case but [`UndoError::Unknown`] and
/// [`UndoError::ChecksNotRecorded`] the database is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// The database cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Another pbac works on the schema.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Others hold locks on our tables.
    #[error(
        "the tables of `{schema}` are locked by others: {attempts} attempts in {seconds:.1} s got no lock; nothing was changed"
    )]
    Busy {
        /// The schema.
        schema: Identifier,
        /// How often it was tried.
        attempts: u32,
        /// How long that took, in seconds.
        seconds: f64,
    },
    /// The server refused a statement.
    #[error("the database refused: {0}")]
    Server(#[from] sqlx::Error),
    /// The connection was lost while the server was committing.
    #[error("whether the work on `{schema}` was committed is not known: {error}")]
    Unknown {
        /// The schema.
        schema: Identifier,
        /// What the server or the system said.
        #[source]
        error: sqlx::Error,
    },
    /// The rollback is done, its commands were run, and their end cannot be written down.
    #[error("the rollback of `{schema}` is done, but how its commands ended cannot be recorded: {error}")]
    ChecksNotRecorded {
        /// The schema.
        schema: Identifier,
        /// Why not.
        #[source]
        error: Box<UndoError>,
    },
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The audit log cannot be made.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The backup cannot be written or used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The content of the backup cannot be written.
    #[error("the backup cannot be written: {0}")]
    Write(#[source] io::Error),
    /// A name that PostgreSQL cannot hold.
    #[error(transparent)]
    Name(#[from] IdentifierError),
    /// What was restored for a trial is not what was there.
    #[error("the backup, restored for a trial, is not the same: {what}; nothing was changed")]
    Trial {
        /// What differs.
        what: String,
    },
    /// Something would be lost on the way through a backup.
    #[error("a backup would not hold {}; nothing was changed", .what.join(", "))]
    NotRepresentable {
        /// What it is.
        what: Vec<String>,
    },
    /// Two of our objects depend on each other.
    #[error("these depend on each other and cannot be dropped one by one: {}", .objects.join(", "))]
    Circle {
        /// Which.
        objects: Vec<String>,
    },
    /// Objects of others depend on ours.
    #[error("these depend on the tables and functions of `{schema}`: {}; nothing was changed", quoted(.objects))]
    Dependents {
        /// The schema.
        schema: Identifier,
        /// The objects, as PostgreSQL names them.
        objects: Vec<String>,
    },
    /// Overrides would be dropped.
    #[error(
        "`{schema}` holds {overrides} overrides, and dropping it loses what was granted; nothing was changed"
    )]
    DataLoss {
        /// The schema.
        schema: Identifier,
        /// How many there are.
        overrides: i64,
    },
    /// The name of the schema leaves no room for a date.
    #[error(
        "the name of the schema `{schema}` is too long to be parked: it has {bytes} bytes, and {most} leave room for the date"
    )]
    TooLong {
        /// The schema.
        schema: Identifier,
        /// How long its name is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// There is nowhere to park.
    #[error("this user may not create a schema to park in, and `{spare}` {why}; nothing was changed")]
    NoPlace {
        /// The schema that could have been made for it.
        spare: Identifier,
        /// Why that one does not do.
        why: &'static str,
    },
    /// The schema is no longer what the plan was made for.
    #[error("the schema `{schema}` changed while it was being worked on: {what}; nothing was changed")]
    Changed {
        /// The schema.
        schema: Identifier,
        /// What is different.
        what: String,
    },
    /// What was parked or saved cannot come back where something else is.
    #[error("in the schema `{schema}` these are in the way: {}; nothing was changed", quoted(.objects))]
    InTheWay {
        /// The schema.
        schema: Identifier,
        /// The objects, as PostgreSQL names them.
        objects: Vec<String>,
    },
    /// Nothing is parked.
    #[error("nothing of `{schema}` is parked")]
    NothingParked {
        /// The schema.
        schema: Identifier,
    },
    /// The named schema holds nothing that was parked.
    #[error("the schema `{named}` holds no tables that a rollback of `{schema}` has parked")]
    NotParked {
        /// The schema that was named.
        named: Identifier,
        /// Whose tables were looked for.
        schema: Identifier,
    },
    /// More than one parked schema is there.
    #[error("several schemas hold parked tables of `{schema}`: {}", .found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    SeveralParked {
        /// The schema.
        schema: Identifier,
        /// The parked ones, oldest first.
        found: Vec<Identifier>,
    },
    /// What came back is not what went.
    #[error("what would come back is not what went: {what}; nothing was changed")]
    Altered {
        /// What differs.
        what: String,
    },
}

impl SqlState for UndoError {
    fn sql_state(&self) -> Option<String> {
        match self {
            Self::Server(error)
            | Self::Audit(AuditError::Server(error))
            | Self::Schema(SchemaError::Server(error)) => error.sql_state(),
            _ => None,
        }
    }
}

impl UndoError {
    /// What became of the tries to get a lock.
    pub(super) fn from_retry(error: RetryError<Self>, schema: &Identifier) -> Self {
        match error {
            RetryError::Busy { attempts, waited, .. } => {
                Self::Busy { schema: schema.clone(), attempts, seconds: waited.as_secs_f64() }
            }
            RetryError::Step(error) => error,
        }
    }

    /// Whether it was found unsafe before anything was tried, rather than tried in vain.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotRepresentable { .. }
                | Self::Dependents { .. }
                | Self::DataLoss { .. }
                | Self::TooLong { .. }
                | Self::NoPlace { .. }
                | Self::InTheWay { .. }
                | Self::SeveralParked { .. }
        )
    }
}

impl From<UndoError> for HostError {
    fn from(error: UndoError) -> Self {
        let refused = refusal_help(&error).unwrap_or(REFUSAL_HELP);
        let (exit, help) = match error {
            UndoError::Connect(error) | UndoError::Lock(LockError::Connect(error)) => return error.into(),
            UndoError::Lock(LockError::Busy { .. }) => (Exit::Busy, "try again when it is done"),
            UndoError::Audit(error) => return error.into(),
            UndoError::Schema(error) => return error.into(),
            UndoError::Unknown { .. } => (Exit::Failed, UNKNOWN_HELP),
            UndoError::ChecksNotRecorded { .. } => (
                Exit::Failed,
                "give the same command again: it runs the configured commands and records them",
            ),
            UndoError::Busy { .. } => (Exit::Busy, "try again when less is going on"),
            UndoError::Lock(_) | UndoError::Server(_) | UndoError::Circle { .. } | UndoError::Name(_) => {
                (Exit::Failed, refused)
            }
            UndoError::Backup(BackupError { kind: BackupErrorKind::File(_), .. }) | UndoError::Write(_) => {
                (Exit::Failed, "check the path, its rights and the room on the disk")
            }
            UndoError::Backup(BackupError { kind: BackupErrorKind::Format { .. }, .. }) => {
                (Exit::Refused, "use the pbac that wrote it")
            }
            UndoError::Backup(_) => {
                (Exit::Refused, "use another copy of the backup; this one is not as it was written")
            }
            UndoError::Trial { .. } => {
                (Exit::Mismatch, "report this as a fault of pbac; the tables are untouched")
            }
            UndoError::NotRepresentable { .. } => {
                (Exit::Refused, "take it off the tables, and put it back after a restoration")
            }
            UndoError::Dependents { .. } => {
                (Exit::Refused, "drop or change them first; pbac drops nothing of others")
            }
            UndoError::DataLoss { .. } => (
                Exit::Refused,
                "park the tables instead (without --drop), or add --accept-data-loss; the backup holds the overrides",
            ),
            UndoError::NoPlace { .. } => (
                Exit::Refused,
                "let the owner of the database make that schema for this user (`CREATE SCHEMA … AUTHORIZATION …`), or roll back with --drop",
            ),
            UndoError::TooLong { .. } => (Exit::Refused, "roll back with --drop; the backup can be restored"),
            UndoError::Changed { .. } => (Exit::Failed, "run it again"),
            UndoError::InTheWay { .. } => {
                (Exit::Refused, "roll back or move what is there first; nothing is overwritten")
            }
            UndoError::NothingParked { .. } => {
                (Exit::Failed, "give `--backup FILE`, or migrate with `pbac migrate`")
            }
            UndoError::NotParked { .. } => (Exit::Failed, "see `pbac status` for the parked schemas"),
            UndoError::SeveralParked { .. } => (Exit::NeedsPerson, "say which one with `--from SCHEMA`"),
            UndoError::Altered { .. } => (
                Exit::Mismatch,
                "find out who changed it; `--accept-changes` brings parked tables back as they are now",
            ),
        };
        Self::new(exit, error).help(help)
    }
}

fn quoted(objects: &[String]) -> String {
    objects.iter().map(|object| format!("`{object}`")).collect::<Vec<_>>().join(", ")
}

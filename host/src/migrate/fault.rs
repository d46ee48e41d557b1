//! A step that failed: what a person reads, and what decides whether it is worth another attempt.

use std::error::Error;
use std::fmt;

use policy_core::{LimitError, PolicyError};

use super::preflight::PreflightError;
use crate::access_diff::AccessDiffError;
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::audit::AuditError;
use crate::postgres::policy_store::StoreError;
use crate::postgres::schema::SchemaError;
use crate::postgres::{ConnectError, LOCK_NOT_AVAILABLE, LockError, REFUSAL_HELP, SqlState, refusal_help};

/// Why a step failed.
#[derive(Debug)]
pub struct Fault {
    error: HostError,
    code: Option<String>,
}

impl Fault {
    /// What a person reads.
    #[must_use]
    pub const fn error(&self) -> &HostError {
        &self.error
    }

    fn new(error: HostError, code: Option<String>) -> Self {
        let error = if code.as_deref() == Some(LOCK_NOT_AVAILABLE) {
            // Whatever it stopped, nothing is wrong with that: somebody else was at it.
            HostError::new(Exit::Busy, &error)
                .help("try again when less is going on, or give it a longer lock time-out")
        } else {
            error
        };
        Self { error, code }
    }
}

/// The code of the server's refusal, however deep it lies.
fn code_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<sqlx::Error>() {
            return refusal.sql_state();
        }
        cause = error.source();
    }
    None
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Fault {}

impl SqlState for Fault {
    fn sql_state(&self) -> Option<String> {
        self.code.clone()
    }
}

impl From<Fault> for HostError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        Self { error, code: None }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let shown = HostError::failed(format_args!("the database refused: {error}"))
            .help(refusal_help(&error).unwrap_or(REFUSAL_HELP));
        Self::new(shown, code_of(&error))
    }
}

impl From<PreflightError> for Fault {
    fn from(error: PreflightError) -> Self {
        Self::new(HostError::failed(&error), code_of(&error))
    }
}

impl From<LimitError> for Fault {
    fn from(error: LimitError) -> Self {
        HostError::failed(error).help("make the policy smaller").into()
    }
}

impl From<PolicyError> for Fault {
    fn from(error: PolicyError) -> Self {
        HostError::failed(error).help("correct the policy file").into()
    }
}

/// Errors that say themselves how they become a [`HostError`].
macro_rules! from_error {
    ($($error:ty),+) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                let code = code_of(&error);
                Self::new(HostError::from(error), code)
            }
        })+
    };
}
from_error!(AccessDiffError, SchemaError, StoreError, AuditError, ConnectError, LockError);

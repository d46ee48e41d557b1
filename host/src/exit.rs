//! What the process's status says. Scripts rely on these numbers; they never change meaning.

use std::process::{ExitCode, Termination};

/// How a run of `pbac` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// It was done, or the answer is "allowed".
    Done = 0,
    /// It was tried and failed; nothing half-done stays.
    Failed = 1,
    /// The arguments or the configuration make no sense.
    Usage = 2,
    /// The answer is "denied".
    Denied = 3,
    /// Two things that should agree do not: a validation, a difference, a hash.
    Mismatch = 4,
    /// Somebody else holds what was needed; trying again later may work.
    Busy = 5,
    /// It could have been done, and was refused because it is not safe.
    Refused = 6,
    /// A person has to look: what to do cannot be known here.
    NeedsPerson = 8,
}

impl Exit {
    /// The status of the process.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What a status of another `pbac` says; nothing for one that is not in this list.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let all = [
            Self::Done,
            Self::Failed,
            Self::Usage,
            Self::Denied,
            Self::Mismatch,
            Self::Busy,
            Self::Refused,
            Self::NeedsPerson,
        ];
        all.into_iter().find(|exit| exit.code() == code)
    }

    /// The word for it in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Denied => "denied",
            Self::Mismatch => "mismatch",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::NeedsPerson => "needs_person",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

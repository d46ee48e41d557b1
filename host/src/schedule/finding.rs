//! What is odd about a schedule, for a person to read.

use std::fmt;

use serde::Serialize;

/// Something that a person should know, and may have to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub code: FindingCode,
    /// Whether the keys would not be rotated as they should, so that nothing is installed over it.
    pub stops: bool,
    /// Where: a file, or a line of a crontab.
    pub place: Option<String>,
    /// What, in a sentence without a full stop.
    pub message: String,
    /// What to do about it, likewise.
    pub help: Option<String>,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// A line whose days count further than any month: it runs every month.
    MonthlyLine,
    /// A line that runs the old rotation script.
    OldRotation,
    /// The same keys are rotated by something else too.
    Duplicate,
    /// The program is not there or cannot be run.
    ProgramMissing,
    /// The settings file is not there.
    SettingsMissing,
    /// No restart is configured, so that running processes go on with the old key.
    NoRestart,
    /// The restart command's program is not there.
    RestartMissing,
    /// The restart keeps the environment that the containers were made with, and the old key in it.
    RestartKeepsKey,
    /// The alert command's program is not there.
    AlertMissing,
    /// The figures cannot be written, or are not read where they are.
    Textfile,
    /// The `.env` file is not there.
    EnvFileMissing,
    /// What is set in this shell is not set for the scheduled run.
    Environment,
    /// The user's timers run only while the user is logged in.
    NoLinger,
    /// Something is installed, but not switched on.
    NotRunning,
    /// What is installed is not what would be installed now.
    Differs,
    /// Keys were changed and the restart has not succeeded since.
    RestartPending,
    /// The last run failed, or there was none for days.
    LastRun,
    /// The crontab could not be read, so that nothing is known about its lines.
    CrontabUnreadable,
}

impl Finding {
    /// Something that would keep the keys from being rotated.
    pub(super) fn stops(code: FindingCode, message: impl fmt::Display) -> Self {
        Self { code, stops: true, place: None, message: message.to_string(), help: None }
    }

    /// Something worth a look.
    pub(super) fn worth_a_look(code: FindingCode, message: impl fmt::Display) -> Self {
        Self { stops: false, ..Self::stops(code, message) }
    }

    pub(super) fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    pub(super) fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }
}

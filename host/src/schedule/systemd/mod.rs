//! The timer and its service, and what systemd says of them.

mod unit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use policy_core::Timestamp;
use serde::Serialize;
use tokio::process::Command;

use super::error::ScheduleError;
use super::job::{Job, ScheduleName};
use crate::report::files::read_text;
use crate::subprocess::{Captured, capture};

/// The longest that `systemctl` may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The most that `systemctl` may print, and that a unit may hold.
const MOST_BYTES: usize = 64 * 1024;

/// Whose units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those of the machine.
    System,
    /// Those of the user.
    User,
}

/// One place for units, and the manager that reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Systemd {
    /// Whose units.
    pub scope: Scope,
    /// Where they are written.
    pub unit_directory: PathBuf,
    /// The program `systemctl`; where there is none, units are written and nobody is told.
    pub control: Option<PathBuf>,
    /// The file whose presence lets a user's timers run while the user is not logged in.
    pub linger_file: Option<PathBuf>,
}

/// What systemd says of a timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimerState {
    /// Whether it starts with the machine.
    pub enabled: bool,
    /// Whether it runs now.
    pub active: bool,
    /// When it elapses next, where systemd says.
    #[serde(serialize_with = "crate::report::time::serialize_time")]
    pub next_run: Option<Timestamp>,
    /// When it has last elapsed.
    #[serde(serialize_with = "crate::report::time::serialize_time")]
    pub last_run: Option<Timestamp>,
}

/// A unit as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub text: Option<String>,
}

impl Unit {
    /// The settings file it was written for; nothing when it is not there, or pbac did not write it.
    #[must_use]
    pub fn written_for(&self) -> Option<&str> {
        unit::written_for(self.text.as_deref()?)
    }

    /// The program that it runs, where it is a service of ours.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        self.written_for()?;
        unit::program_of(self.text.as_deref()?)
    }
}

impl Systemd {
    /// The service and the timer as they are.
    ///
    /// # Errors
    ///
    /// When one is there and cannot be read.
    pub fn units(&self, name: &ScheduleName) -> Result<[Unit; 2], ScheduleError> {
        let unit = |kind: &str| {
            let path = self.unit_directory.join(format!("{name}.{kind}"));
            let text = read(&path)?;
            Ok(Unit { path, text })
        };
        Ok([unit("service")?, unit("timer")?])
    }

    /// The texts of the service and the timer of the job.
    ///
    /// # Errors
    ///
    /// When a path cannot be written into a unit.
    pub fn texts(&self, job: &Job) -> Result<[String; 2], ScheduleError> {
        Ok([unit::service(job, self.scope)?, unit::timer(job)?])
    }

    /// What systemd says of the timer; nothing where nobody is told of the units.
    ///
    /// # Errors
    ///
    /// When `systemctl` fails.
    pub async fn state(&self, name: &ScheduleName) -> Result<Option<TimerState>, ScheduleError> {
        let timer = format!("{name}.timer");
        let properties = "--property=UnitFileState,ActiveState,NextElapseUSecRealtime,LastTriggerUSec";
        let Some(captured) = self.call(&["show", &timer, properties]).await? else { return Ok(None) };
        Ok(Some(TimerState::read(&String::from_utf8_lossy(&captured.stdout))))
    }

    /// Makes systemd read its units again.
    ///
    /// # Errors
    ///
    /// When `systemctl` fails.
    pub async fn reload(&self) -> Result<(), ScheduleError> {
        self.call(&["daemon-reload"]).await.map(drop)
    }

    /// Starts the timer, now and with the machine.
    ///
    /// # Errors
    ///
    /// When `systemctl` fails, or says that the timer does not run all the same.
    pub async fn enable(&self, name: &ScheduleName) -> Result<(), ScheduleError> {
        let timer = format!("{name}.timer");
        self.call(&["enable", "--now", &timer]).await?;
        match self.state(name).await? {
            Some(state) if !(state.enabled && state.active) => {
                let (enabled, active) = (words(state.enabled, "enabled"), words(state.active, "active"));
                Err(ScheduleError::NotStarted { timer, state: format!("{enabled}, {active}") })
            }
            _ => Ok(()),
        }
    }

    /// Stops the timer, now and for ever.
    ///
    /// # Errors
    ///
    /// When `systemctl` fails.
    pub async fn disable(&self, name: &ScheduleName) -> Result<(), ScheduleError> {
        self.call(&["disable", "--now", &format!("{name}.timer")]).await.map(drop)
    }

    /// Whether a user's timers stop when the user logs out.
    #[must_use]
    pub fn stops_at_logout(&self) -> bool {
        self.scope == Scope::User && self.linger_file.as_ref().is_some_and(|file| !file.exists())
    }

    async fn call(&self, arguments: &[&str]) -> Result<Option<Captured>, ScheduleError> {
        let Some(control) = &self.control else { return Ok(None) };
        let mut command = Command::new(control);
        if self.scope == Scope::User {
            command.arg("--user");
        }
        // Times and words that can be read again.
        command.args(arguments).env("TZ", "UTC").env("LC_ALL", "C");
        let captured = capture(command, b"", LIMIT, MOST_BYTES)
            .await
            .map_err(|error| ScheduleError::file("run", control, error))?;
        if captured.succeeded() {
            return Ok(Some(captured));
        }
        let user = if self.scope == Scope::User { "--user " } else { "" };
        Err(ScheduleError::Program {
            command: format!("systemctl {user}{}", arguments.join(" ")),
            ending: captured.ending(),
            words: String::from_utf8_lossy(&captured.stderr).trim().to_owned(),
        })
    }
}

impl TimerState {
    /// Reads lines of `key=value`, as `systemctl show` prints them.
    fn read(text: &str) -> Self {
        let value = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default()
        };
        Self {
            enabled: value("UnitFileState") == "enabled",
            active: value("ActiveState") == "active",
            next_run: moment(value("NextElapseUSecRealtime")),
            last_run: moment(value("LastTriggerUSec")),
        }
    }
}

/// A time such as `Tue 2026-11-24 00:31:11 UTC`.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(" UTC")?;
    let time = jiff::civil::DateTime::strptime("%a %Y-%m-%d %H:%M:%S", text).ok()?;
    let time = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

fn words(is: bool, what: &str) -> String {
    if is { what.to_owned() } else { format!("not {what}") }
}

fn read(path: &Path) -> Result<Option<String>, ScheduleError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ScheduleError::file("read", path, error)),
        Ok(_) => {}
    }
    // Anything that is not text we could have written is somebody else's.
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    read_text(path, most).map(Some).map_err(|_| ScheduleError::Foreign { path: path.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::time::show_time;

    #[test]
    fn reads_what_systemctl_shows() {
        let state = TimerState::read(
            "NextElapseUSecRealtime=Tue 2026-11-24 00:31:11 UTC\nLastTriggerUSec=n/a\nActiveState=active\nUnitFileState=enabled\n",
        );
        assert!(state.enabled && state.active && state.last_run.is_none());
        assert_eq!(state.next_run.map(show_time).as_deref(), Some("2026-11-24T00:31:11Z"));
        let state = TimerState::read("NextElapseUSecRealtime=\nActiveState=inactive\nUnitFileState=\n");
        assert!(!state.enabled && !state.active && state.next_run.is_none());
    }
}

//! Why a schedule was not looked at, installed or taken away.

use std::fmt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::printable;

/// Why a schedule was not looked at, installed or taken away.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScheduleError {
    /// No settings file was read.
    NoSettings,
    /// The settings have no table `[keys]`.
    NoKeys {
        /// The file.
        config: PathBuf,
    },
    /// A path that cannot be written into a unit or a crontab.
    Path {
        /// The path.
        path: PathBuf,
        /// Where it was to be written.
        into: &'static str,
        /// What about it.
        why: &'static str,
    },
    /// A file that could not be read or written.
    File {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file that could not be written whole.
    Write(HostError),
    /// There is neither a running systemd nor a `crontab` program.
    NoScheduler,
    /// There is no `crontab` program.
    NoCrontab,
    /// systemd does not run here.
    NoSystemd,
    /// The system's units can be written by root only.
    NotRoot {
        /// The directory of the units.
        directory: PathBuf,
    },
    /// `crontab` or `systemctl` failed.
    Program {
        /// The command, without what it was given to read.
        command: String,
        /// How it ended.
        ending: String,
        /// What it said.
        words: String,
    },
    /// The line is longer than every cron takes.
    Line {
        /// How many bytes.
        bytes: usize,
        /// How many are allowed.
        most: usize,
    },
    /// Somebody else changed the crontab in the meantime.
    Changed,
    /// The crontab that was read back is not the one that was written.
    ReadBack {
        /// Where the crontab of before is, if there was one.
        backup: Option<PathBuf>,
        /// Whether it was put back.
        put_back: bool,
    },
    /// A unit of this name that pbac did not write.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The name belongs to the schedule of other settings.
    Taken {
        /// The unit, or the line of the crontab.
        place: String,
        /// The other settings file, where it can be told.
        config: Option<String>,
    },
    /// Something was found that has to be settled first.
    Found(Box<Finding>),
    /// The timer was enabled and does not run.
    NotStarted {
        /// The timer.
        timer: String,
        /// What systemd says of it.
        state: String,
    },
    /// Another `pbac schedule run` of the same keys is at work.
    Running {
        /// The lock.
        lock: PathBuf,
    },
}

impl ScheduleError {
    pub(super) fn file(doing: &'static str, path: &Path, error: std::io::Error) -> Self {
        Self::File { doing, path: path.to_path_buf(), error }
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSettings => f.write_str("there is no settings file"),
            Self::NoKeys { config } => write!(f, "`{}` has no table [keys]", config.display()),
            Self::Path { path, into, why } => {
                let path = path.to_string_lossy();
                write!(f, "the path `{}` cannot be written into {into}: it {why}", printable(&path))
            }
            Self::File { doing, path, error } => {
                f.write_str(&HostError::file(doing, path, error).to_string())
            }
            Self::Write(error) => error.fmt(f),
            Self::NoScheduler => f.write_str("there is neither a running systemd nor a `crontab` program"),
            Self::NoSystemd => f.write_str("systemd does not run on this machine"),
            Self::NoCrontab => f.write_str("there is no `crontab` program"),
            Self::NotRoot { directory } => {
                write!(f, "the units in `{}` can be changed by root only", directory.display())
            }
            Self::Program { command, ending, words } => {
                write!(f, "`{}` ended with {ending}", printable(command))?;
                match words.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {}", printable(words)),
                }
            }
            Self::Line { bytes, most } => {
                write!(f, "the crontab line has {bytes} bytes, and not every cron takes more than {most}")
            }
            Self::Changed => f.write_str("somebody else changed the crontab at the same time"),
            Self::ReadBack { backup, put_back } => {
                f.write_str(
                    "the crontab that was read back is not the one that was written; the one of before ",
                )?;
                f.write_str(if *put_back { "was put back" } else { "could not be put back" })?;
                match backup {
                    Some(backup) => write!(f, ", and is in `{}`", backup.display()),
                    None => f.write_str(", and was empty"),
                }
            }
            Self::Foreign { path } => write!(f, "`{}` was not written by pbac", path.display()),
            Self::Taken { place, config } => match config {
                Some(config) => {
                    write!(f, "{} is the schedule of `{}`", printable(place), printable(config))
                }
                None => write!(f, "{} is the schedule of other settings", printable(place)),
            },
            Self::Found(finding) => {
                if let Some(place) = &finding.place {
                    write!(f, "{}: ", printable(place))?;
                }
                f.write_str(&printable(&finding.message))
            }
            Self::NotStarted { timer, state } => {
                write!(f, "`{timer}` was enabled and is not running: {}", printable(state))
            }
            Self::Running { lock } => {
                write!(f, "another `pbac schedule run` is at work (it holds `{}`)", lock.display())
            }
        }
    }
}

impl std::error::Error for ScheduleError {}

impl From<ScheduleError> for HostError {
    fn from(error: ScheduleError) -> Self {
        let (exit, help) = match &error {
            ScheduleError::NoSettings => {
                (Exit::Usage, "write a pbac.toml with a table [keys], or name one with --config")
            }
            ScheduleError::NoKeys { .. } => (
                Exit::Usage,
                "write the table, with `store` and where the keys lie: the scheduled run does not see the variables of this shell",
            ),
            ScheduleError::Path { .. } => (Exit::Usage, "move or link the file to a plainer path"),
            ScheduleError::File { doing, path, error } => return Self::file(doing, path, error),
            ScheduleError::Write(error) => return error.clone(),
            ScheduleError::NoScheduler | ScheduleError::NoCrontab => (
                Exit::Failed,
                "install cron (Debian: apt-get install cron), or let whatever runs your jobs call `pbac schedule run` once a day",
            ),
            ScheduleError::NoSystemd => (
                Exit::Usage,
                "leave --user out, and a line of the crontab does it; --unit-dir writes the units of another machine",
            ),
            ScheduleError::NotRoot { .. } => {
                (Exit::Usage, "run it as root, or add --user for units of your own")
            }
            ScheduleError::Program { .. } => {
                (Exit::Failed, "nothing was changed; see what the program says, and try again")
            }
            ScheduleError::Line { .. } => (Exit::Usage, "move or link the files to shorter paths"),
            ScheduleError::Changed => (Exit::Busy, "nothing was changed; give the command again"),
            ScheduleError::ReadBack { put_back: true, .. } => {
                (Exit::Failed, "see which cron this is, and write the line by hand (--dry-run shows it)")
            }
            ScheduleError::ReadBack { put_back: false, .. } => {
                (Exit::NeedsPerson, "give that file to `crontab`, or look at what `crontab -l` says")
            }
            ScheduleError::Foreign { .. } => {
                (Exit::Refused, "choose another name for the schedule with --name, or move the file away")
            }
            ScheduleError::Taken { .. } => {
                (Exit::Refused, "give the schedule of each settings file a name of its own with --name")
            }
            ScheduleError::Found(finding) => {
                let exit = match finding.code {
                    // Only a person knows whether the other line may go.
                    super::FindingCode::OldRotation | super::FindingCode::Duplicate => Exit::NeedsPerson,
                    _ => Exit::Refused,
                };
                let host = Self::new(exit, &error);
                return match &finding.help {
                    Some(help) => host.help(help),
                    None => host,
                };
            }
            ScheduleError::NotStarted { .. } => {
                (Exit::Failed, "nothing stays installed; see `journalctl -xe` for the reason")
            }
            ScheduleError::Running { .. } => (Exit::Busy, "let it finish; nothing was done"),
        };
        Self::new(exit, &error).help(help)
    }
}

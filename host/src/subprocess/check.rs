//! Commands of the operator, from `pbac.toml`: a restart, a check, an alert.
//!
//! They get our environment and an empty standard input; their arguments are never printed, since a login check may
//! carry a password there.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::process::Command;

use super::{Keep, Sink, prepare, supervise};
use crate::config::{Check, CommandLine};

/// The end of what a command prints is kept up to here.
const KEPT_BYTES: usize = 4096;
/// How long output is waited for once the command has ended; what it left running may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What became of one configured command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckOutcome {
    /// Its key in the settings, such as `restart` or `health_check`.
    pub name: &'static str,
    /// How it ended.
    pub status: CheckStatus,
    /// The status it ended with, where it ended by itself.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// The end of what it printed, standard output and error together.
    pub output: String,
}

impl CheckOutcome {
    /// That no command of this name is configured.
    #[must_use]
    pub const fn skipped(name: &'static str) -> Self {
        Self { name, status: CheckStatus::Skipped, exit_code: None, milliseconds: 0, output: String::new() }
    }
}

/// How a configured command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// With status 0.
    Succeeded,
    /// With another status, or by a signal.
    Failed,
    /// Not in time; it was killed with all it had started.
    TimedOut,
    /// It could not be started.
    NotStarted,
    /// None is configured.
    Skipped,
}

impl CheckStatus {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::NotStarted => "could not be started",
            Self::Skipped => "skipped: not configured",
        }
    }

    /// Whether there is something to do about it.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Skipped)
    }
}

/// Where a command runs, beside what it inherits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// The working directory; ours where there is none.
    pub directory: Option<&'a Path>,
    /// Variables that it gets on top.
    pub variables: &'a [(&'static str, String)],
    /// Variables of ours that it does not get.
    pub without: &'a [String],
}

/// Runs a command to its end, or kills it when its time is over.
pub async fn run(name: &'static str, check: &Check, surroundings: Surroundings<'_>) -> CheckOutcome {
    let began = Instant::now();
    let sink = Sink::new(Keep::End, KEPT_BYTES);
    let mut command = command(&check.command);
    if let Some(directory) = surroundings.directory {
        command.current_dir(directory);
    }
    for name in surroundings.without {
        command.env_remove(name);
    }
    command.envs(surroundings.variables.iter().map(|(name, value)| (name, value)));
    let (status, exit_code) = match prepare(&mut command).stdin(Stdio::null()).spawn() {
        Ok(child) => {
            let limit = Duration::from_millis(check.timeout_ms);
            match supervise(child, Vec::new(), limit, LAST_WORDS, [&sink, &sink]).await {
                Some(Ok(status)) if status.success() => (CheckStatus::Succeeded, status.code()),
                Some(Ok(status)) => (CheckStatus::Failed, status.code()),
                Some(Err(error)) => {
                    sink.add(error.to_string().as_bytes());
                    (CheckStatus::Failed, None)
                }
                None => (CheckStatus::TimedOut, None),
            }
        }
        Err(error) => {
            sink.add(error.to_string().as_bytes());
            (CheckStatus::NotStarted, None)
        }
    };
    CheckOutcome {
        name,
        status,
        exit_code,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        output: String::from_utf8_lossy(&sink.take().bytes).trim().to_owned(),
    }
}

fn command(line: &CommandLine) -> Command {
    match line {
        CommandLine::Arguments(arguments) => {
            let mut arguments = arguments.iter();
            let mut command = Command::new(arguments.next().map_or("", String::as_str));
            command.args(arguments);
            command
        }
        CommandLine::Shell(line) => {
            let mut command = Command::new("sh");
            command.args(["-c", line]);
            command
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str, timeout_ms: u64) -> Check {
        Check { command: CommandLine::Shell(line.to_owned()), timeout_ms }
    }

    async fn restart(line: &str, timeout_ms: u64) -> CheckOutcome {
        run("restart", &shell(line, timeout_ms), Surroundings::default()).await
    }

    #[tokio::test]
    async fn says_how_it_ended() {
        let missing = CommandLine::Arguments(vec!["/no/such/program".to_owned()]);
        let missing = Check { command: missing, timeout_ms: 1000 };
        let outcome = run("restart", &missing, Surroundings::default()).await;
        assert_eq!(outcome.status, CheckStatus::NotStarted);
        let outcome = restart("echo out; echo err >&2; exit 3", 5000).await;
        assert_eq!((outcome.status, outcome.exit_code), (CheckStatus::Failed, Some(3)));
        assert!(outcome.output.contains("out") && outcome.output.contains("err"), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_time_out_ends_the_whole_group() {
        let outcome = restart("sleep 30 & echo $!; sleep 30", 200).await;
        assert_eq!(outcome.status, CheckStatus::TimedOut);
        assert!(outcome.milliseconds < 5000, "{outcome:?}");
        let child = std::path::Path::new("/proc").join(&outcome.output).join("stat");
        // Gone, or dead and not yet taken off the list by whoever inherited it.
        let stat = std::fs::read_to_string(child).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }

    #[tokio::test]
    async fn what_is_left_running_is_not_waited_for() {
        let outcome = restart("sleep 5 & echo started", 4000).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (CheckStatus::Succeeded, "started"));
        assert!(outcome.milliseconds < 3000, "{outcome:?}");
    }

    #[tokio::test]
    async fn output_is_bounded() {
        let outcome = restart("head -c 1000000 /dev/zero | tr '\\0' x; echo end", 10_000).await;
        assert_eq!(outcome.status, CheckStatus::Succeeded);
        assert!(outcome.output.len() <= KEPT_BYTES && outcome.output.ends_with("end"));
    }

    #[tokio::test]
    async fn runs_where_and_with_what_it_is_told() {
        // Cargo tells its tests this; so would it tell the command.
        let ours = "CARGO_MANIFEST_DIR";
        assert!(std::env::var_os(ours).is_some());
        let surroundings = Surroundings {
            directory: Some(Path::new("/")),
            variables: &[("PBAC_WORD", "given".to_owned())],
            without: &[ours.to_owned()],
        };
        let check = shell("echo $(pwd) $PBAC_WORD ${CARGO_MANIFEST_DIR:-taken away}", 5000);
        let outcome = run("alert", &check, surroundings).await;
        assert_eq!(outcome.output, "/ given taken away");
    }
}

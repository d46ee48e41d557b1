//! What a rollback runs when the tables are gone: the application's restart, then whether it is up and lets users in.
//!
//! Commands are the operator's own, from `pbac.toml`. They get our environment and an empty standard input; their
//! arguments are never printed, since a login check may carry a password there.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::config::{Check, CommandLine, Rollback};

/// The end of what a command prints is kept up to here.
const KEPT_BYTES: usize = 4096;
/// How long output is waited for once the command has ended; what it left running may hold the pipe for ever.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What became of one configured command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckOutcome {
    /// Its key in `[rollback]`: `restart`, `health_check` or `login_check`.
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

/// The configured commands by name, in the order in which they run.
#[must_use]
pub fn configured(settings: &Rollback) -> [(&'static str, Option<&Check>); 3] {
    [
        ("restart", settings.restart.as_ref()),
        ("health_check", settings.health_check.as_ref()),
        ("login_check", settings.login_check.as_ref()),
    ]
}

/// Runs all of them, also after one has failed: whether users can log in is worth knowing all the more then.
pub async fn run_all(settings: &Rollback) -> Vec<CheckOutcome> {
    let mut outcomes = Vec::new();
    for (name, check) in configured(settings) {
        outcomes.push(match check {
            Some(check) => run(name, check).await,
            None => CheckOutcome {
                name,
                status: CheckStatus::Skipped,
                exit_code: None,
                milliseconds: 0,
                output: String::new(),
            },
        });
    }
    outcomes
}

async fn run(name: &'static str, check: &Check) -> CheckOutcome {
    let began = Instant::now();
    let tail = Arc::new(Mutex::new(Vec::new()));
    let (status, exit_code) = match command(&check.command).spawn() {
        Ok(child) => {
            let ended = supervise(child, Duration::from_millis(check.timeout_ms), &tail).await;
            match ended {
                Some(Ok(status)) if status.success() => (CheckStatus::Succeeded, status.code()),
                Some(Ok(status)) => (CheckStatus::Failed, status.code()),
                Some(Err(error)) => {
                    keep(&tail, error.to_string().as_bytes());
                    (CheckStatus::Failed, None)
                }
                None => (CheckStatus::TimedOut, None),
            }
        }
        Err(error) => {
            keep(&tail, error.to_string().as_bytes());
            (CheckStatus::NotStarted, None)
        }
    };
    let kept = tail.lock().unwrap_or_else(PoisonError::into_inner);
    CheckOutcome {
        name,
        status,
        exit_code,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        output: String::from_utf8_lossy(&kept).trim().to_owned(),
    }
}

fn command(line: &CommandLine) -> Command {
    let mut command = match line {
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
    };
    // A group of its own, so that a time-out ends whatever it has started too.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// Waits for the command's end; nothing when it did not end in time.
async fn supervise(
    mut child: Child,
    limit: Duration,
    tail: &Arc<Mutex<Vec<u8>>>,
) -> Option<std::io::Result<ExitStatus>> {
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let readers = [
        child.stdout.take().map(|output| tokio::spawn(collect(output, Arc::clone(tail)))),
        child.stderr.take().map(|output| tokio::spawn(collect(output, Arc::clone(tail)))),
    ];
    let ended = timeout(limit, child.wait()).await.ok();
    if ended.is_some() {
        // What a restart leaves running is the application.
        group.0 = None;
    } else {
        drop(group);
        // Killed: it ends now, and its process is taken off the system's list.
        let _ = timeout(LAST_WORDS, child.wait()).await;
    }
    for reader in readers.into_iter().flatten() {
        let stop = reader.abort_handle();
        if timeout(LAST_WORDS, reader).await.is_err() {
            stop.abort();
        }
    }
    ended
}

/// A process group that is killed when this is dropped, also when an interrupt drops everything.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself in the meantime.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn collect(mut output: impl AsyncRead + Unpin, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(read) = output.read(&mut buffer).await {
        match buffer.get(..read) {
            Some(chunk) if read > 0 => keep(&tail, chunk),
            _ => return,
        }
    }
}

fn keep(tail: &Mutex<Vec<u8>>, chunk: &[u8]) {
    let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.extend_from_slice(chunk);
    let surplus = tail.len().saturating_sub(KEPT_BYTES);
    tail.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str, timeout_ms: u64) -> Check {
        Check { command: CommandLine::Shell(line.to_owned()), timeout_ms }
    }

    #[tokio::test]
    async fn says_how_each_ended() {
        let settings = Rollback {
            restart: Some(Check {
                command: CommandLine::Arguments(vec!["/no/such/program".to_owned()]),
                timeout_ms: 1000,
            }),
            health_check: Some(shell("echo out; echo err >&2; exit 3", 5000)),
            login_check: None,
        };
        let outcomes = run_all(&settings).await;
        let status: Vec<CheckStatus> = outcomes.iter().map(|outcome| outcome.status).collect();
        assert_eq!(status, [CheckStatus::NotStarted, CheckStatus::Failed, CheckStatus::Skipped]);
        assert!(outcomes.iter().any(|outcome| outcome.exit_code == Some(3)
            && outcome.output.contains("out")
            && outcome.output.contains("err")));
    }

    #[tokio::test]
    async fn a_time_out_ends_the_whole_group() {
        let outcome = run("restart", &shell("sleep 30 & echo $!; sleep 30", 200)).await;
        assert_eq!(outcome.status, CheckStatus::TimedOut);
        assert!(outcome.milliseconds < 5000, "{outcome:?}");
        let child = std::path::Path::new("/proc").join(&outcome.output).join("stat");
        // Gone, or dead and not yet taken off the list by whoever inherited it.
        let stat = std::fs::read_to_string(child).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }

    #[tokio::test]
    async fn what_is_left_running_is_not_waited_for() {
        let outcome = run("restart", &shell("sleep 5 & echo started", 4000)).await;
        assert_eq!((outcome.status, outcome.output.as_str()), (CheckStatus::Succeeded, "started"));
        assert!(outcome.milliseconds < 3000, "{outcome:?}");
    }

    #[tokio::test]
    async fn output_is_bounded() {
        let outcome =
            run("restart", &shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end", 10_000)).await;
        assert_eq!(outcome.status, CheckStatus::Succeeded);
        assert!(outcome.output.len() <= KEPT_BYTES && outcome.output.ends_with("end"));
    }
}

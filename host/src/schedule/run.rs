//! One scheduled run: rotate if due, restart what has to take the new key, write the figures, and call for help where
//! something failed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policy_core::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::error::ScheduleError;
use super::job::ScheduleName;
use super::metrics::Metrics;
use super::pending::Pending;
use crate::config::Schedule;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::{parse_time, serialize_time};
use crate::subprocess::check::{self, CheckOutcome, Surroundings};
use crate::subprocess::{Captured, capture};

/// The longest that a rotation may take. It is killed then, which the stores of keys are made to survive.
pub const ROTATION_LIMIT: Duration = Duration::from_secs(600);
/// The most that a rotation may print.
const MOST_BYTES: usize = 1 << 20;
/// Settings that hold a secret or may: an alert has no need of them.
const SECRETS: [&str; 7] = [
    "DATABASE_URL",
    "PBAC_DATABASE_URL",
    "PBAC_KEYS",
    "PBAC_KEY_ENCRYPTION_KEY",
    "PGPASSWORD",
    "SECRET_KEY",
    "SECRET_KEYS_HISTORY",
];

/// What runs, and where.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The schedule.
    pub name: &'a ScheduleName,
    /// The `pbac` that is called.
    pub program: &'a Path,
    /// The settings file that it is told.
    pub config: Option<&'a Path>,
    /// Where the commands of the operator run.
    pub directory: &'a Path,
    /// The directory of the rotation reports, in which the run leaves what the next has to know.
    pub logs: &'a Path,
    /// The variables in which the application has its keys.
    pub secrets: &'a [&'a str],
    /// `[schedule]` of the settings.
    pub settings: &'a Schedule,
    /// The longest that the rotation may take.
    pub limit: Duration,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// The schedule.
    pub schedule: String,
    /// In one word.
    pub status: RunStatus,
    /// Whether a key was rotated.
    pub rotated: bool,
    /// Whether a key was staged.
    pub staged: bool,
    /// Whether a staged key was promoted.
    pub promoted: bool,
    /// When the next rotation is due, where the rotation said.
    #[serde(serialize_with = "serialize_time")]
    pub next_due: Option<Timestamp>,
    /// The restart; nothing where none was called for.
    pub restart: Option<CheckOutcome>,
    /// Whether a restart is owed still.
    pub restart_pending: bool,
    /// The file of figures that was written.
    pub textfile: Option<PathBuf>,
    /// The alert; nothing where nothing failed or none is configured.
    pub alert: Option<CheckOutcome>,
    /// What went wrong first, and with which status the run ends.
    pub failure: Option<HostError>,
    /// What the rotation said beside its answer.
    #[serde(skip)]
    pub said: Vec<Words>,
}

/// How a run went, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Nothing was due.
    NothingDue,
    /// A key was rotated, staged or promoted, or a restart that was owed succeeded.
    Done,
    /// Something failed.
    Failed,
}

/// What a rotation said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// What is going on.
    Note(String),
    /// What somebody should read.
    Warning(String),
}

/// What `pbac keys rotate --json` answers; more fields do not matter.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    rotated: bool,
    #[serde(default)]
    staged: bool,
    #[serde(default)]
    promoted: bool,
    #[serde(default)]
    next_due: Option<String>,
}

/// What became of the rotation.
#[derive(Debug, Default)]
struct Rotation {
    answer: Answer,
    /// Whether the keys may have been changed: it cannot be known of a rotation that did not end by itself.
    changed: bool,
    /// Whether it failed in a way that leaves it open what was stored: a restart is owed then, and left to the next run.
    unsure: bool,
    failure: Option<HostError>,
    said: Vec<Words>,
}

impl Run<'_> {
    /// Runs. What fails does not end it: the report says so, and the run ends with the status of its `failure`.
    ///
    /// # Errors
    ///
    /// When another run of the same keys is at work: this one has done nothing then.
    pub async fn run(self, now: &dyn Fn() -> Timestamp) -> Result<RunReport, ScheduleError> {
        let mut report = RunReport {
            schedule: self.name.to_string(),
            status: RunStatus::NothingDue,
            rotated: false,
            staged: false,
            promoted: false,
            next_due: None,
            restart: None,
            restart_pending: false,
            textfile: None,
            alert: None,
            failure: None,
            said: Vec::new(),
        };
        match Pending::lock(self.logs) {
            Ok(pending) => self.rotate_and_restart(&pending, &mut report).await,
            Err(error @ ScheduleError::Running { .. }) => return Err(error),
            Err(error) => report.failure = Some(error.into()),
        }
        let now = now();
        if let Some(path) = &self.settings.textfile {
            match self.write_metrics(path, &report, now) {
                Ok(()) => report.textfile = Some(path.clone()),
                Err(error) => {
                    report.failure.get_or_insert(error);
                }
            }
        }
        if let Some(failure) = &report.failure {
            report.status = RunStatus::Failed;
            report.alert = self.alert(failure).await;
        } else if report.changed() || report.restart.is_some() {
            report.status = RunStatus::Done;
        }
        Ok(report)
    }

    async fn rotate_and_restart(&self, pending: &Pending, report: &mut RunReport) {
        let owed = pending.is_owed();
        if self.settings.restart.is_some()
            && let Err(error) = pending.owe()
        {
            report.failure = Some(error.into());
            return;
        }
        let rotation = self.rotate().await;
        report.rotated = rotation.answer.rotated;
        report.staged = rotation.answer.staged;
        report.promoted = rotation.answer.promoted;
        report.said = rotation.said;
        report.failure = rotation.failure;
        if let Some(due) = &rotation.answer.next_due {
            match parse_time(due) {
                Ok(due) => report.next_due = Some(due),
                Err(error) => report.said.push(Words::Warning(format!("`next_due`: {error}"))),
            }
        }
        if let Some(restart) = &self.settings.restart
            && (rotation.changed || owed)
        {
            let surroundings = Surroundings { directory: Some(self.directory), ..Surroundings::default() };
            let outcome = check::run("restart", restart, surroundings).await;
            if outcome.status.is_bad() {
                report.failure.get_or_insert_with(|| restart_failed(&outcome));
            }
            report.restart_pending = outcome.status.is_bad();
            report.restart = Some(outcome);
        }
        report.restart_pending |=
            rotation.unsure && self.settings.restart.is_some() && report.restart.is_none();
        if !report.restart_pending
            && let Err(error) = pending.pay()
        {
            report.restart_pending = true;
            report.failure.get_or_insert(error.into());
        }
    }

    async fn rotate(&self) -> Rotation {
        let mut command = Command::new(self.program);
        if let Some(config) = self.config {
            command.arg("--config").arg(config);
        }
        command.args(["keys", "rotate", "--if-due", "--json", "--yes", "--no-input"]);
        match capture(command, b"", self.limit, MOST_BYTES).await {
            Ok(captured) => read(&captured),
            Err(error) => {
                let started = error.kind() == std::io::ErrorKind::FileTooLarge;
                let failure = HostError::file("run", self.program, &error)
                    .help("install the schedule again with the pbac that is there now");
                Rotation { changed: started, failure: Some(failure), ..Rotation::default() }
            }
        }
    }

    fn write_metrics(&self, path: &Path, report: &RunReport, now: Timestamp) -> Result<(), HostError> {
        let before = Metrics::read(path, self.name)?.unwrap_or_default();
        let after = before.after(now, report.failure.is_some(), report.next_due);
        Ok(after.write(path, self.name, now)?)
    }

    /// Tells somebody. The message is that of our own error, which never holds a secret; what programs printed stays out.
    async fn alert(&self, failure: &HostError) -> Option<CheckOutcome> {
        let alert = self.settings.alert.as_ref()?;
        let variables = [
            ("PBAC_STATUS", failure.exit().name().to_owned()),
            ("PBAC_EXIT_STATUS", failure.exit().code().to_string()),
            ("PBAC_MESSAGE", failure.to_string()),
            ("PBAC_HELP", failure.advice().unwrap_or_default().to_owned()),
            ("PBAC_SCHEDULE", self.name.to_string()),
        ];
        let without: Vec<String> =
            SECRETS.iter().chain(self.secrets).map(|name| (*name).to_owned()).collect();
        let surroundings =
            Surroundings { directory: Some(self.directory), variables: &variables, without: &without };
        Some(check::run("alert", alert, surroundings).await)
    }
}

impl RunReport {
    /// Whether keys were changed, as far as the rotation said.
    #[must_use]
    pub const fn changed(&self) -> bool {
        self.rotated || self.staged || self.promoted
    }
}

/// Reads the answer of a rotation that has ended, and its words.
fn read(captured: &Captured) -> Rotation {
    let mut said = Vec::new();
    let mut error = None;
    for line in String::from_utf8_lossy(&captured.stderr).lines().filter(|line| !line.trim().is_empty()) {
        let words: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let word = |name: &str| words.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        if word("error").is_some() {
            error = Some((word("message").unwrap_or_default(), word("help")));
        } else {
            let note = word("note").map(Words::Note);
            said.push(
                note.unwrap_or_else(|| Words::Warning(word("warning").unwrap_or_else(|| line.to_owned()))),
            );
        }
    }
    let code = captured.status.and_then(|status| status.code());
    if code != Some(0) {
        let exit = code.and_then(|code| u8::try_from(code).ok()).and_then(Exit::from_code);
        let ending = captured.ending();
        let (message, help) = error.unwrap_or((format!("it ended with {ending}"), None));
        let failure =
            HostError::new(exit.unwrap_or(Exit::Failed), format_args!("`keys rotate` failed: {message}"));
        let failure = match help {
            Some(help) => failure.help(help),
            None => failure.help("run `pbac keys status`, then `pbac keys rotate --if-due` by hand"),
        };
        // With these it was refused before anything was changed; of any other nobody knows.
        let unchanged = matches!(exit, Some(Exit::Usage | Exit::Busy | Exit::Refused));
        let (changed, unsure) = (exit.is_none(), exit.is_some() && !unchanged);
        return Rotation { changed, unsure, failure: Some(failure), said, ..Rotation::default() };
    }
    match serde_json::from_slice::<Answer>(&captured.stdout) {
        Ok(answer) => {
            let changed = answer.rotated || answer.staged || answer.promoted;
            Rotation { answer, changed, unsure: false, failure: None, said }
        }
        Err(_) => {
            let failure = HostError::failed("`keys rotate` succeeded, and its answer cannot be read")
                .help("install the schedule again with the pbac that is there now");
            Rotation { changed: true, failure: Some(failure), said, ..Rotation::default() }
        }
    }
}

fn restart_failed(outcome: &CheckOutcome) -> HostError {
    let how = match (outcome.status.name(), outcome.exit_code) {
        (name, Some(code)) => format!("{name} with status {code}"),
        (name, None) => name.to_owned(),
    };
    HostError::failed(format_args!(
        "`schedule.restart` {how}: processes that still run may go on with the old key"
    ))
    .help("restart the application by hand; the next run tries the command again")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ended(wait_status: i32, stdout: &str, stderr: &str) -> Rotation {
        read(&Captured {
            status: Some(ExitStatus::from_raw(wait_status)),
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    #[test]
    fn an_answer_is_read_whatever_else_it_says() {
        let rotation = ended(
            0,
            "{\"rotated\":true,\"kid\":\"x\",\"next_due\":null}\n",
            "{\"warning\":\"w\"}\n{\"note\":\"n\"}\n\nplain\n",
        );
        assert!(rotation.changed && rotation.answer.rotated && rotation.failure.is_none());
        let warning = |words: &str| Words::Warning(words.to_owned());
        assert_eq!(rotation.said, [warning("w"), Words::Note("n".to_owned()), warning("plain")]);
        assert!(!ended(0, "{\"rotated\":false}", "").changed);
        assert!(ended(0, "{\"rotated\":false,\"promoted\":true}", "").changed);
    }

    #[test]
    fn a_failure_keeps_status_and_words() {
        let rotation =
            ended(5 << 8, "", "{\"error\":\"busy\",\"status\":5,\"message\":\"held\",\"help\":\"wait\"}\n");
        let failure = rotation.failure.unwrap();
        assert_eq!((failure.exit(), failure.advice()), (Exit::Busy, Some("wait")));
        assert_eq!(failure.to_string(), "`keys rotate` failed: held");
        assert!(!rotation.changed && !rotation.unsure);
        for status in [1, 4, 8] {
            let rotation = ended(status << 8, "", "");
            assert!(!rotation.changed && rotation.unsure, "{status}");
        }
    }

    #[test]
    fn what_cannot_be_known_may_have_changed_the_keys() {
        for (wait_status, stdout) in [(9, ""), (101 << 8, ""), (0, ""), (0, "{}"), (0, "{\"rotated\":1}")] {
            let rotation = ended(wait_status, stdout, "");
            assert!(rotation.changed && rotation.failure.is_some(), "{wait_status} {stdout}");
            assert_eq!(rotation.failure.unwrap().exit(), Exit::Failed);
        }
        assert!(read(&Captured { status: None, stdout: Vec::new(), stderr: Vec::new() }).changed);
    }
}

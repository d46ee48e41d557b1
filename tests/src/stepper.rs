//! A migration, a rollback or a restoration as a process of its own that says which step begins and waits until it may go
//! on: so that a test can do it harm at every step. The steps are those that the code enumerates.
//!
//! `src/bin/stepper.rs` is the process. It reads a [`Job`] as one line of JSON, prints `step NAME` when a step begins, and
//! where the job pauses, reads a line then (or the end of its input, after which it pauses no more). It ends with one line
//! of JSON, the report or the error, and with the status that `pbac` would have.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use pbac::config::Rollback as Commands;
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::interrupt::unless_interrupted;
use pbac::migrate::apply::{Manner, Target, migrate};
use pbac::migrate::plan::Wanted;
use pbac::migrate::preflight::Tolerance;
use pbac::migrate::restore::{Restore, RestoreFrom};
use pbac::migrate::rollback::{Mode, Rollback, RollbackOptions};
use pbac::migrate::step::{RestoreStep, RollbackStep, Step, WorkStep};
use pbac::migrate::undo_session::UndoSettings;
use pbac::policy_file;
use pbac::postgres::{DatabaseUrl, Identifier, RetryPolicy};
use policy_core::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// No test needs a process for longer.
const LIFE: Duration = Duration::from_secs(120);
/// What names of schemas and files carry.
const NOW: i64 = 1_800_000_000;

/// What a process does, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The database.
    pub url: String,
    /// The schema.
    pub schema: String,
    /// What is to be done.
    pub work: Work,
    /// Whether it waits at each step.
    pub pauses: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    /// Puts this policy in force.
    Migrate {
        /// The text of the policy file.
        policy: String,
    },
    /// Rolls back.
    Rollback {
        /// Drop instead of park.
        drop: bool,
        /// Where the backup goes.
        directory: PathBuf,
    },
    /// Restores what is parked, or a backup.
    Restore {
        /// The backup.
        backup: Option<PathBuf>,
    },
}

impl Work {
    /// The names of its steps, as the code enumerates them.
    #[must_use]
    pub fn steps(&self) -> Vec<&'static str> {
        fn names<S: WorkStep>() -> Vec<&'static str> {
            S::ALL.iter().map(|step| step.name()).collect()
        }
        match self {
            Self::Migrate { .. } => names::<Step>(),
            Self::Rollback { .. } => names::<RollbackStep>(),
            Self::Restore { .. } => names::<RestoreStep>(),
        }
    }

    /// What the audit log calls it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Migrate { .. } => "migrate",
            Self::Rollback { .. } => "rollback",
            Self::Restore { .. } => "restore",
        }
    }
}

/// A running process, seen from the test.
#[derive(Debug)]
pub struct Stepper {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its status; none when a signal ended it.
    pub status: Option<i32>,
    /// The steps that it had not been waited for.
    pub steps: Vec<String>,
    /// The report or the error.
    pub answer: Value,
}

impl Stepper {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &Path, job: &impl Serialize) -> Self {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stepper can be started");
        let mut input = child.stdin.take().expect("it has an input");
        let line = serde_json::to_string(job).expect("a job is JSON");
        writeln!(input, "{line}").expect("it reads its job");
        let output = BufReader::new(child.stdout.take().expect("it has an output"));
        Self { child, input: Some(input), output }
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on until the step begins; it waits there.
    ///
    /// # Panics
    ///
    /// When it ends before.
    pub fn go_to(&mut self, step: &str) {
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).expect("its output can be read");
            let begun = line.trim_end().strip_prefix("step ").map(str::to_owned);
            let begun = begun.unwrap_or_else(|| panic!("no step `{step}`: {line}"));
            if begun == step {
                return;
            }
            let input = self.input.as_mut().expect("it is still led");
            writeln!(input).expect("it waits to be told");
        }
    }

    /// Lets it go on from where it waits, until the step begins; it waits there.
    ///
    /// # Panics
    ///
    /// When it ends before.
    pub fn go_on_to(&mut self, step: &str) {
        let input = self.input.as_mut().expect("it is still led");
        writeln!(input).expect("it waits to be told");
        self.go_to(step);
    }

    /// Kills it as SIGKILL does.
    ///
    /// # Panics
    ///
    /// When it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Lets it go on to its end.
    ///
    /// # Panics
    ///
    /// When its output cannot be read.
    #[must_use]
    pub fn finish(mut self) -> Ended {
        drop(self.input.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("its output can be read");
        let status = self.child.wait().expect("it ends").code();
        let steps = text.lines().filter_map(|line| line.strip_prefix("step ")).map(str::to_owned).collect();
        let last = text.lines().last().unwrap_or_default();
        Ended { status, steps, answer: serde_json::from_str(last).unwrap_or(Value::Null) }
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        // A test that fails leaves none behind; one that ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself.
#[must_use]
pub fn serve() -> Exit {
    let job: Job = take_job();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("there are threads");
    // As `pbac` does it.
    let result = runtime.block_on(unless_interrupted(work(&job)));
    runtime.shutdown_timeout(Duration::from_secs(5));
    answer(&result)
}

/// What a led process begins with.
pub(crate) fn take_job<T: DeserializeOwned>() -> T {
    thread::spawn(|| {
        thread::sleep(LIFE);
        std::process::exit(99);
    });
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("the job can be read");
    serde_json::from_str(&line).expect("the job is JSON")
}

/// What it ends with.
pub(crate) fn answer(result: &Result<Value, HostError>) -> Exit {
    let (text, exit) = match result {
        Ok(report) => (report.to_string(), Exit::Done),
        Err(error) => (serde_json::to_string(error).expect("an error is JSON"), error.exit()),
    };
    println!("{text}");
    exit
}

async fn work(job: &Job) -> Result<Value, HostError> {
    let url = DatabaseUrl::from_str(&job.url).expect("the test knows the URL");
    let schema = Identifier::new(&job.schema).expect("the test knows the schema");
    let (lock_timeout, patience) = (Duration::from_millis(500), Duration::from_secs(20));
    let now = Timestamp::from_seconds(NOW);
    let undo = || UndoSettings {
        url: url.clone(),
        schema: schema.clone(),
        lock_timeout,
        wait: patience,
        now,
        dry_run: false,
    };
    let report = match &job.work {
        Work::Migrate { policy } => {
            let file = policy_file::parse(policy, "policy.toml").expect("the test knows the policy");
            let retry = RetryPolicy::default();
            let target = Target { url: &url, schema: &schema, lock_timeout, retry, patience, now };
            let tolerance = Tolerance { no_administrator: true, ..Tolerance::default() };
            let wanted = Wanted { file: &file, endpoints: None, tolerance };
            let tell = |step: Step| begun(step, job.pauses);
            serde_json::to_value(migrate(&target, &wanted, Manner::default(), &tell).await?)
        }
        Work::Rollback { drop, directory } => {
            let options = RollbackOptions {
                mode: if *drop { Mode::Drop } else { Mode::Park },
                accept_data_loss: *drop,
                backup_directory: directory.clone(),
                checks: Commands::default(),
            };
            let tell = |step: RollbackStep| begun(step, job.pauses);
            serde_json::to_value(Rollback::prepare(undo(), options, &tell).await?.run().await?)
        }
        Work::Restore { backup } => {
            let from = backup.clone().map_or(RestoreFrom::OnlyParked, RestoreFrom::Backup);
            let tell = |step: RestoreStep| begun(step, job.pauses);
            serde_json::to_value(Restore::prepare(undo(), from, false, &tell).await?.run().await?)
        }
    };
    Ok(report.expect("a report is JSON"))
}

/// What it says when a step begins.
pub(crate) fn begun(step: impl WorkStep, pauses: bool) {
    begun_by_name(step.name(), pauses);
}

/// The same by the step's name.
pub(crate) fn begun_by_name(step: &str, pauses: bool) {
    println!("step {step}");
    if pauses {
        let mut line = String::new();
        // At the end of the input nobody leads it any more, and it goes on.
        std::io::stdin().read_line(&mut line).expect("the input can be read");
    }
}

//! A change to a `.env` file as a process of its own, led as [`crate::stepper`] leads a migration.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use pbac::env_file::{EnvText, LockedEnvFile, Step};
use pbac::error::HostError;
use pbac::exit::Exit;
use policy_core::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stepper::{answer, begun, take_job};

/// What a process does, and to which file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvJob {
    /// The file.
    pub path: PathBuf,
    /// What is to be done.
    pub work: EnvWork,
    /// Whether it waits at each step.
    pub pauses: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum EnvWork {
    /// Gives variables new values, after a backup.
    Change {
        /// Their names and new values.
        values: Vec<(String, String)>,
        /// The variable after whose line new ones come.
        anchor: String,
        /// How many backups stay.
        keep: usize,
        /// The time, in seconds since 1970.
        now: i64,
        /// Whether the caller's probe finds fault.
        at_fault: bool,
    },
    /// Adds one to the number that a variable holds, so many times, each time waiting for the lock.
    Count {
        /// The variable.
        name: String,
        /// How many times.
        times: u32,
    },
}

/// The process itself.
#[must_use]
pub fn serve() -> Exit {
    let job: EnvJob = take_job();
    answer(&work(&job))
}

fn work(job: &EnvJob) -> Result<Value, HostError> {
    let tell = |step: Step| begun(step, job.pauses);
    match &job.work {
        EnvWork::Change { values, anchor, keep, now, at_fault } => {
            let mut file = LockedEnvFile::lock(&job.path, &tell)?;
            let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
            let new = file.text().with_values(&values, Some(anchor))?;
            let backup = file.backup(Timestamp::from_seconds(*now), Some(*keep))?;
            let fault = || HostError::failed("the probe finds fault");
            file.replace(new, |_| if *at_fault { Err(fault()) } else { Ok(()) })?;
            Ok(json!({ "backup": backup }))
        }
        EnvWork::Count { name, times } => {
            let mut busy = 0_u32;
            for _ in 0..*times {
                while let Err(error) = count(job, name, &tell) {
                    if error.exit() != Exit::Busy {
                        return Err(error);
                    }
                    busy += 1;
                    thread::sleep(Duration::from_micros(fastrand::u64(..500)));
                }
            }
            Ok(json!({ "busy": busy }))
        }
    }
}

fn count(job: &EnvJob, name: &str, tell: &dyn Fn(Step)) -> Result<(), HostError> {
    let mut file = LockedEnvFile::lock(&job.path, tell)?;
    let number = number(file.text(), name) + 1;
    let new = file.text().with_values(&[(name, &number.to_string())], None)?;
    file.replace(new, |_| Ok::<_, HostError>(()))?;
    Ok(())
}

/// The number that a variable holds.
///
/// # Panics
///
/// When it holds none.
#[must_use]
pub fn number(text: &EnvText, name: &str) -> u32 {
    let value = text.value(name).expect("it can be read").expect("it is there");
    value.expose_secret().parse().expect("it is a number")
}

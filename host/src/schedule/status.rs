//! What is installed, how the last runs went, and what is odd about it.

use std::path::PathBuf;

use policy_core::Timestamp;
use serde::Serialize;

use super::change::{no_linger, unreadable};
use super::checks::check;
use super::crontab::{CrontabProgram, Entry, entries, line, old_lines};
use super::error::ScheduleError;
use super::finding::{Finding, FindingCode};
use super::job::{Job, ScheduleName};
use super::machine::Machine;
use super::metrics::Metrics;
use super::pending;
use super::systemd::{Scope, Systemd, TimerState, Unit};
use crate::report::time::show_time;

/// A daily run that has not succeeded for so long was missed, in microseconds: two days.
const SILENCE: i64 = 2 * 24 * 60 * 60 * 1_000_000;

/// What is installed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusReport {
    /// The schedule.
    pub schedule: String,
    /// The settings file that was asked for.
    pub config: Option<PathBuf>,
    /// Timers of that name.
    pub systemd: Vec<TimerStatus>,
    /// Lines of that name in the crontab.
    pub crontab: Vec<LineStatus>,
    /// The figures of the runs, where they are written and there were some.
    pub runs: Option<Metrics>,
    /// Whether keys were changed and no restart has succeeded since.
    pub restart_pending: bool,
    /// What is odd about it.
    pub findings: Vec<Finding>,
}

/// A timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimerStatus {
    /// Whose it is.
    pub scope: Scope,
    /// Its file.
    pub timer: PathBuf,
    /// The settings file of the run.
    pub config: Option<String>,
    /// The program of the run.
    pub program: Option<PathBuf>,
    /// What systemd says of it; nothing where it cannot be asked.
    pub state: Option<TimerState>,
}

/// A line of the crontab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineStatus {
    /// Its number, from 1.
    pub line: usize,
    /// When it runs: its first five fields.
    pub when: String,
    /// The program of the run.
    pub program: Option<PathBuf>,
}

impl StatusReport {
    /// Looks. Without a job, nothing can be said about whether what is installed is as it should be.
    ///
    /// # Errors
    ///
    /// When a unit or the crontab cannot be read.
    pub async fn new(
        machine: &Machine,
        name: &ScheduleName,
        job: Option<&Job>,
        now: Timestamp,
    ) -> Result<Self, ScheduleError> {
        let mut status = Self {
            schedule: name.to_string(),
            config: job.map(|job| job.config.clone()),
            systemd: Vec::new(),
            crontab: Vec::new(),
            runs: None,
            restart_pending: false,
            findings: Vec::new(),
        };
        for place in &machine.systemd {
            status.timer(place, name, job).await?;
        }
        status.crontab(machine, name, job).await?;
        let installed = status.systemd.len().saturating_add(status.crontab.len());
        if installed > 1 {
            let message = format!("the schedule is installed {installed} times");
            status.findings.push(
                Finding::stops(FindingCode::Duplicate, message)
                    .help("`pbac schedule remove` takes all of them away; install it again then"),
            );
        }
        status.programs();
        if let Some(job) = job {
            status.findings.extend(check(job, &|_| None).await);
            status.runs(job, installed > 0, now);
        }
        Ok(status)
    }

    /// Whether something is wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.findings.iter().any(|finding| finding.stops)
    }

    async fn timer(
        &mut self,
        place: &Systemd,
        name: &ScheduleName,
        job: Option<&Job>,
    ) -> Result<(), ScheduleError> {
        let units = place.units(name)?;
        if units.iter().all(|unit| unit.written_for().is_none()) {
            return Ok(());
        }
        let [service, timer] = &units;
        let shown = timer.path.display().to_string();
        let state = match place.state(name).await {
            Ok(state) => state,
            Err(error) => {
                let message = format!("systemd could not be asked: {error}");
                self.findings.push(Finding::worth_a_look(FindingCode::NotRunning, message).at(&shown));
                None
            }
        };
        if state.as_ref().is_some_and(|state| !(state.enabled && state.active)) {
            self.findings.push(
                Finding::stops(FindingCode::NotRunning, "the timer is not enabled, or not active")
                    .at(&shown)
                    .help("install it again with `pbac schedule install`"),
            );
        }
        if place.stops_at_logout() {
            self.findings.push(no_linger());
        }
        let program = service.program();
        if let Some(job) = job {
            let program = program.clone().unwrap_or_else(|| job.program.clone());
            let texts = place.texts(&Job { program, ..job.clone() })?;
            let as_should_be = |(unit, text): (&Unit, &String)| unit.text.as_ref() == Some(text);
            if !units.iter().zip(&texts).all(as_should_be) {
                self.findings.push(differs().at(&shown));
            }
        }
        let config = service.written_for().or(timer.written_for()).map(str::to_owned);
        self.systemd.push(TimerStatus {
            scope: place.scope,
            timer: timer.path.clone(),
            config,
            program,
            state,
        });
        Ok(())
    }

    async fn crontab(
        &mut self,
        machine: &Machine,
        name: &ScheduleName,
        job: Option<&Job>,
    ) -> Result<(), ScheduleError> {
        let config = job.and_then(|job| job.config.to_str());
        self.findings.extend(machine.system_lines(name, job.map(|job| job.config.as_path())));
        let Some(program) = &machine.crontab else { return Ok(()) };
        let text = match CrontabProgram::new(program).read().await {
            Ok(text) => text,
            Err(error) => {
                self.findings.push(unreadable(&error));
                return Ok(());
            }
        };
        let lines = entries(&text, false);
        let found = old_lines(&lines, "the crontab,", name.as_str(), config);
        self.findings.extend(found.into_iter().map(|line| line.finding));
        for entry in lines.iter().filter(|entry| entry.is_of(name)) {
            if let Some(job) = job
                && !is_as_should_be(entry, job)?
            {
                self.findings.push(differs().at(format_args!("the crontab, line {}", entry.line)));
            }
            self.crontab.push(LineStatus {
                line: entry.line,
                when: entry.fields.join(" "),
                program: entry.program(),
            });
        }
        Ok(())
    }

    /// Whether what is installed can run at all.
    fn programs(&mut self) {
        let timers = self
            .systemd
            .iter()
            .map(|timer| (timer.timer.display().to_string(), timer.program.as_ref(), timer.config.as_ref()));
        let lines = self
            .crontab
            .iter()
            .map(|line| (format!("the crontab, line {}", line.line), line.program.as_ref(), None));
        let mut findings = Vec::new();
        for (place, program, config) in timers.chain(lines) {
            if program.is_none_or(|program| !super::commands::is_executable(program)) {
                let shown = program
                    .map_or_else(|| "nothing".to_owned(), |program| format!("`{}`", program.display()));
                let message = format!("it calls {shown}, which is not there or is not executable");
                findings.push(
                    Finding::stops(FindingCode::ProgramMissing, message)
                        .at(&place)
                        .help("install it again with `pbac schedule install`"),
                );
            }
            if let Some(config) = config.filter(|config| !PathBuf::from(config).is_file()) {
                let message = format!("its settings file is not there: `{config}`");
                findings.push(Finding::stops(FindingCode::SettingsMissing, message).at(&place));
            }
        }
        self.findings.extend(findings);
    }

    fn runs(&mut self, job: &Job, installed: bool, now: Timestamp) {
        self.restart_pending = pending::is_owed(&job.places.logs);
        if self.restart_pending {
            self.findings.push(
                Finding::stops(
                    FindingCode::RestartPending,
                    "keys were changed, and no restart has succeeded since",
                )
                .help("run `pbac schedule run`, which restarts, or restart the application by hand"),
            );
        }
        let Some(path) = &job.settings.textfile else { return };
        // That it cannot be read was found already.
        self.runs = Metrics::read(path, &job.name).ok().flatten();
        let Some(runs) = &self.runs else { return };
        if let Some(last) =
            runs.last_run.filter(|last| runs.last_success.is_none_or(|success| success < *last))
        {
            let message = format!("the last run, at {}, failed", show_time(last));
            self.findings.push(Finding::stops(FindingCode::LastRun, message).help(
                "see the log of the run (journalctl, or the mail of cron), or run `pbac schedule run`",
            ));
        } else if let Some(last) =
            runs.last_run.filter(|last| installed && now.micros().saturating_sub(last.micros()) > SILENCE)
        {
            let message = format!("it should run every day, and has last run at {}", show_time(last));
            self.findings.push(Finding::stops(FindingCode::LastRun, message));
        }
    }
}

fn differs() -> Finding {
    Finding::stops(FindingCode::Differs, "it is not what would be installed now")
        .help("see `pbac schedule install --dry-run`, then install it again")
}

/// Whether the line is ours at any time of the day.
fn is_as_should_be(entry: &Entry, job: &Job) -> Result<bool, ScheduleError> {
    let Some(at) = entry.daily_at() else { return Ok(false) };
    let program = entry.program().unwrap_or_else(|| job.program.clone());
    let should = line(&Job { program, ..job.clone() }, Some(at), "")?;
    Ok(should == format!("{} {}", entry.fields.join(" "), entry.command))
}

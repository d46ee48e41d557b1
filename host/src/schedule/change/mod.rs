//! What an installation or a removal changes: planned first, so that it can be shown, then carried out.

mod units;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use serde::Serialize;
use similar::TextDiff;

use super::crontab::{CrontabProgram, Entry, OldLine, backup_path, edit, entries, line, old_lines};
use super::error::ScheduleError;
use super::finding::{Finding, FindingCode};
use super::job::{Job, ScheduleName};
use super::machine::{Machine, Target};
use super::systemd::{Scope, Systemd};
use units::{UnitChange, foreign};

/// What a crontab is called where a file would be named.
const CRONTAB: &str = "crontab";

/// What becomes of lines that rotate the same keys already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldLines {
    /// Nothing is done before a person has decided.
    Ask,
    /// They go.
    Replace,
    /// They stay.
    Keep,
}

/// How to install.
#[derive(Clone, Copy, Debug)]
pub struct InstallOptions {
    /// With what; where nothing is chosen, systemd where it runs.
    pub target: Option<Target>,
    /// Whose units.
    pub scope: Scope,
    /// What becomes of lines that rotate the same keys already.
    pub old_lines: OldLines,
}

/// What would change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The schedule.
    pub schedule: ScheduleName,
    /// With what it runs afterwards; nothing after a removal.
    pub target: Option<Target>,
    /// What is worth knowing about it.
    pub findings: Vec<Finding>,
    /// The lines of the crontab that go because they rotate the same keys.
    pub replaced: Vec<OldLine>,
    units: Vec<UnitChange>,
    crontab: Option<CrontabChange>,
    directories: Vec<PathBuf>,
    /// Whether anything of the schedule was there before.
    there: bool,
}

#[derive(Clone, Debug)]
struct CrontabChange {
    program: PathBuf,
    old: Vec<u8>,
    new: Vec<u8>,
    backup_directory: PathBuf,
}

/// What was changed, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeReport {
    /// The schedule.
    pub schedule: String,
    /// What became of it.
    pub status: ChangeStatus,
    /// With what it runs; nothing after a removal.
    pub target: Option<Target>,
    /// Files that were written, the crontab among them.
    pub written: Vec<PathBuf>,
    /// Files that were removed.
    pub removed: Vec<PathBuf>,
    /// The lines that went because they rotated the same keys.
    pub replaced: Vec<String>,
    /// The crontab as it was before.
    pub crontab_backup: Option<PathBuf>,
    /// What was changed, line by line; of the crontab the changed lines alone.
    pub diff: String,
    /// What is worth knowing about it.
    pub findings: Vec<Finding>,
}

/// What became of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStatus {
    /// It is installed, and was not before.
    Installed,
    /// It was installed and is otherwise now.
    Updated,
    /// It is installed as it was.
    Unchanged,
    /// It is gone.
    Removed,
    /// It was not there.
    NothingToDo,
    /// Nothing was changed, since nothing was to be.
    DryRun,
}

impl Change {
    /// What an installation would change.
    ///
    /// # Errors
    ///
    /// When there is nothing to install into, the name belongs to somebody else, or a path cannot be written down.
    pub async fn install(
        machine: &Machine,
        job: &Job,
        options: InstallOptions,
    ) -> Result<Self, ScheduleError> {
        let target = match options.target {
            Some(target) => target,
            None => machine.target()?,
        };
        let mut change = Self::new(&job.name, Some(target));
        if target == Target::Systemd {
            let place = machine.place(options.scope)?;
            change.units.push(UnitChange::install(place, job).await?);
            if place.scope == Scope::System && place.control.is_some() {
                change.directories = job.writes_to().into_iter().filter(|path| !path.exists()).collect();
            }
            if place.stops_at_logout() {
                change.findings.push(no_linger());
            }
            if place.control.is_none() {
                let message = "the units are written, and nobody is told of them";
                let help =
                    format!("enable the timer where they belong: `systemctl enable {}.timer`", job.name);
                change.findings.push(Finding::worth_a_look(FindingCode::NotRunning, message).help(help));
            }
        }
        for place in &machine.systemd {
            change.other_units(machine, place, job, target, options.scope)?;
        }
        change.crontab(machine, job, target, options.old_lines).await?;
        change.there = change.there || change.units.iter().any(|change| change.is_there());
        Ok(change)
    }

    /// What a removal would change, wherever the schedule is installed.
    ///
    /// # Errors
    ///
    /// When a unit of that name is somebody else's, or we may not write there.
    pub async fn remove(
        machine: &Machine,
        name: &ScheduleName,
        backup_directory: &Path,
    ) -> Result<Self, ScheduleError> {
        let mut change = Self::new(name, None);
        for place in &machine.systemd {
            let units = place.units(name)?;
            if units.iter().all(|unit| unit.text.is_none()) {
                continue;
            }
            machine.may_write(place)?;
            foreign(&units)?;
            change.units.push(UnitChange::remove(place, units));
        }
        if let Some(program) = &machine.crontab {
            let old = CrontabProgram::new(program).read().await?;
            let ours = lines_of(&entries(&old, false), name);
            if !ours.is_empty() {
                let (new, program) = (edit(&old, &ours, &[], None), program.clone());
                let backup_directory = backup_directory.to_path_buf();
                change.crontab = Some(CrontabChange { program, old, new, backup_directory });
            }
        }
        change.there = !change.is_nothing();
        Ok(change)
    }

    fn new(name: &ScheduleName, target: Option<Target>) -> Self {
        Self {
            schedule: name.clone(),
            target,
            findings: Vec::new(),
            replaced: Vec::new(),
            units: Vec::new(),
            crontab: None,
            directories: Vec::new(),
            there: false,
        }
    }

    /// Units of the schedule where it is not installed into: they go when a crontab takes over, and are named otherwise.
    fn other_units(
        &mut self,
        machine: &Machine,
        place: &Systemd,
        job: &Job,
        target: Target,
        scope: Scope,
    ) -> Result<(), ScheduleError> {
        if target == Target::Systemd && place.scope == scope {
            return Ok(());
        }
        let units = place.units(&job.name)?;
        let ours =
            units.iter().any(|unit| unit.written_for().is_some_and(|config| Path::new(config) == job.config));
        if !ours {
            return Ok(());
        }
        if target == Target::Crontab && machine.may_write(place).is_ok() {
            foreign(&units)?;
            self.units.push(UnitChange::remove(place, units));
        } else {
            let place = place.unit_directory.join(format!("{}.timer", job.name));
            self.findings.push(
                Finding::worth_a_look(
                    FindingCode::Duplicate,
                    "a timer of the same name rotates the same keys",
                )
                .at(place.display())
                .help("take it away with `pbac schedule remove`, then install again"),
            );
        }
        Ok(())
    }

    async fn crontab(
        &mut self,
        machine: &Machine,
        job: &Job,
        target: Target,
        old_policy: OldLines,
    ) -> Result<(), ScheduleError> {
        self.findings.extend(machine.system_lines(&job.name, Some(&job.config)));
        let Some(program) = &machine.crontab else {
            return if target == Target::Crontab { Err(ScheduleError::NoCrontab) } else { Ok(()) };
        };
        let old = match CrontabProgram::new(program).read().await {
            Ok(old) => old,
            Err(error) if target == Target::Systemd => {
                self.findings.push(unreadable(&error));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let lines = entries(&old, false);
        let ours = lines_of(&lines, &job.name);
        self.there = !ours.is_empty();
        let of_others = |entry: &&Entry| entry.is_of(&job.name) && !entry.names(&job.config);
        if let Some(entry) = lines.iter().find(of_others) {
            let place = format!("line {} of the crontab", entry.line);
            return Err(ScheduleError::Taken { place, config: None });
        }
        for found in old_lines(&lines, "the crontab,", job.name.as_str(), job.config.to_str()) {
            match old_policy {
                OldLines::Replace if found.rotates => self.replaced.push(found),
                OldLines::Keep => self.findings.push(Finding { stops: false, ..found.finding }),
                _ => self.findings.push(found.finding),
            }
        }
        let gone: Vec<usize> = self.replaced.iter().map(|found| found.line).collect();
        let line = match target {
            Target::Crontab => {
                // Whoever has moved it to another time of the day had a reason.
                let at = lines.iter().find(|entry| entry.is_of(&job.name)).and_then(Entry::daily_at);
                Some(line(job, at, &machine.seed(&job.name))?)
            }
            Target::Systemd => None,
        };
        let new = edit(&old, &ours, &gone, line.as_deref());
        if new != old {
            let (program, backup_directory) = (program.clone(), job.directory());
            self.crontab = Some(CrontabChange { program, old, new, backup_directory });
        }
        Ok(())
    }

    /// Whether everything is as it should be already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.crontab.is_none() && self.units.iter().all(UnitChange::is_nothing)
    }

    /// What would be changed, line by line. Of the crontab, the lines that stay are not shown: they are nobody's
    /// business here, and may hold a password.
    #[must_use]
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for (unit, new) in self.units.iter().flat_map(|change| &change.units) {
            let (old, new) = (unit.text.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
            if old != new {
                let name = unit.path.display().to_string();
                text.push_str(
                    &TextDiff::from_lines(old, new).unified_diff().header(&name, &name).to_string(),
                );
            }
        }
        if let Some(CrontabChange { old, new, .. }) = &self.crontab {
            let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
            let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
            text.push_str(&diff.unified_diff().context_radius(0).header(CRONTAB, CRONTAB).to_string());
        }
        text
    }

    /// What to say when nothing is to be changed.
    #[must_use]
    pub fn dry_run(&self) -> ChangeReport {
        self.report(ChangeStatus::DryRun)
    }

    /// Changes it. What runs the schedule from now on is there before what ran it until now goes.
    ///
    /// # Errors
    ///
    /// When a file or a program fails; what was written of the units is put back then.
    pub async fn carry_out(&self, now: Timestamp) -> Result<ChangeReport, ScheduleError> {
        let status = match (self.target, self.is_nothing(), self.there) {
            (Some(_), true, _) => ChangeStatus::Unchanged,
            (Some(_), false, true) => ChangeStatus::Updated,
            (Some(_), false, false) => ChangeStatus::Installed,
            (None, true, _) => ChangeStatus::NothingToDo,
            (None, false, _) => ChangeStatus::Removed,
        };
        let mut report = self.report(status);
        for directory in &self.directories {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| ScheduleError::file("write", directory, error))?;
        }
        if self.target == Some(Target::Systemd) {
            self.change_units(&mut report).await?;
            self.change_crontab(&mut report, now).await?;
        } else {
            self.change_crontab(&mut report, now).await?;
            self.change_units(&mut report).await?;
        }
        Ok(report)
    }

    async fn change_units(&self, report: &mut ChangeReport) -> Result<(), ScheduleError> {
        for change in self.units.iter().filter(|change| !change.is_nothing()) {
            change.carry_out(&self.schedule).await?;
            for (unit, new) in change.units.iter().filter(|(unit, new)| unit.text != *new) {
                let list = if new.is_some() { &mut report.written } else { &mut report.removed };
                list.push(unit.path.clone());
            }
        }
        Ok(())
    }

    async fn change_crontab(&self, report: &mut ChangeReport, now: Timestamp) -> Result<(), ScheduleError> {
        let Some(change) = &self.crontab else { return Ok(()) };
        let backup = backup_path(&change.backup_directory, now);
        let program = CrontabProgram::new(&change.program);
        report.crontab_backup = program.replace(&change.old, &change.new, &backup).await?;
        report.written.push(PathBuf::from(CRONTAB));
        Ok(())
    }

    fn report(&self, status: ChangeStatus) -> ChangeReport {
        ChangeReport {
            schedule: self.schedule.to_string(),
            status,
            target: self.target,
            written: Vec::new(),
            removed: Vec::new(),
            replaced: self.replaced.iter().filter_map(|line| line.finding.place.clone()).collect(),
            crontab_backup: None,
            diff: self.diff(),
            findings: self.findings.clone(),
        }
    }
}

pub(super) fn no_linger() -> Finding {
    Finding::worth_a_look(FindingCode::NoLinger, "timers of this user stop when the user logs out")
        .help("let them run with `loginctl enable-linger`")
}

pub(super) fn unreadable(error: &ScheduleError) -> Finding {
    let message = format!("whether old lines rotate the same keys is not known: {error}");
    Finding::worth_a_look(FindingCode::CrontabUnreadable, message)
}

fn lines_of(entries: &[Entry], name: &ScheduleName) -> Vec<usize> {
    entries.iter().filter(|entry| entry.is_of(name)).map(|entry| entry.line).collect()
}

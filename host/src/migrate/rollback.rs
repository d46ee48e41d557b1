//! `pbac rollback`: the six steps of the emergency script, made safe.
//!
//! Everything up to the commit is one transaction: our tables are held against writers, written to a backup, restored
//! for a trial from that very file, and then parked or dropped together with the audit record. Whatever goes wrong, and
//! wherever the process ends, the database is as before or as after, never between.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use tempfile::SpooledTempFile;

use super::after_checks;
use super::backup::{self, About, Backup, BackupError, BackupErrorKind, Beside, Contents};
use super::dependents;
use super::drop::{drop_objects, drop_order};
use super::earlier::Earlier;
use super::legacy_check::{self, LegacyCheck};
use super::owned::{OVERRIDES_TABLE, Owned, OwnedFunction, OwnedTable};
use super::park::{self, Mark};
use super::state::{PolicyRun, State};
use super::step::{Observer, RollbackStep, StepClock, StepTime, WorkStep};
use super::undo_error::UndoError;
use super::undo_session::{Session, UndoSettings};
use crate::config;
use crate::postgres::Identifier;
use crate::postgres::audit::{Head, Outcome, Record, list};
use crate::report::time::show_time;
use crate::subprocess::check::{CheckOutcome, CheckStatus};

/// What the audit log calls a rollback.
pub const ROLLBACK: &str = "rollback";
/// What the audit log calls the commands after it.
pub const ROLLBACK_CHECKS: &str = "rollback.checks";
/// How far back the log is searched for the last rollback.
const RECENT: u32 = 1000;
/// Up to here a backup is put together in memory.
const SPOOLED_BYTES: usize = 16 << 20;

/// What becomes of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Moved into a dated schema, from which `pbac restore` brings them back.
    Park,
    /// Dropped; the backup is what is left.
    Drop,
}

/// How to roll back.
#[derive(Clone, Debug)]
pub struct RollbackOptions {
    /// What becomes of the tables.
    pub mode: Mode,
    /// Drop them even if overrides are lost.
    pub accept_data_loss: bool,
    /// The directory of the backup.
    pub backup_directory: PathBuf,
    /// What to run afterwards.
    pub checks: config::Rollback,
}

/// What will be done, or was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RollbackReport {
    /// The schema.
    pub schema: Identifier,
    /// The last migration, rollback or restoration before this run.
    pub earlier: Option<Earlier>,
    /// How far it went.
    pub status: RollbackStatus,
    /// What becomes of the tables.
    pub mode: Mode,
    /// Where they are parked.
    pub parked_in: Option<Identifier>,
    /// The tables, with their rows.
    pub tables: Vec<OwnedTable>,
    /// The functions.
    pub functions: Vec<OwnedFunction>,
    /// How many overrides are among the rows.
    pub overrides: i64,
    /// The statements' objects in the order in which they are dropped; empty where they are parked.
    pub drop_order: Vec<String>,
    /// What else lies in the schema and stays.
    pub left_alone: Vec<String>,
    /// Functions of others whose text names the schema; they may call what goes.
    pub mentions: Vec<String>,
    /// The backup; nothing before there is one.
    pub backup: Option<BackupSummary>,
    /// The legacy tables then and now; nothing where the ledger names none, or before they were looked at.
    pub legacy: Option<LegacyCheck>,
    /// Why the legacy tables could not be looked at.
    pub legacy_error: Option<String>,
    /// The configured commands: how they ended, or that they are skipped.
    pub checks: Vec<CheckOutcome>,
    /// The end of the audit log: keep it elsewhere, and a log that is cut off or written anew shows.
    pub audit_head: Option<Head>,
    /// How long each step took; nothing before it was run.
    pub steps: Vec<StepTime<RollbackStep>>,
}

/// How far a rollback went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackStatus {
    /// Nothing was done yet.
    Planned,
    /// There is nothing of ours.
    NothingToDo,
    /// Everything was done and rolled back again.
    DryRun,
    /// An earlier run had rolled back; only its commands were run.
    ChecksRun,
    /// It was done.
    RolledBack,
}

/// A backup that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupSummary {
    /// Where it is; in a dry run, where it would be.
    pub path: PathBuf,
    /// Its hash, as its first line has it.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// How many rows, in all tables.
    pub rows: u64,
}

impl RollbackReport {
    /// Whether a configured command did not succeed.
    #[must_use]
    pub fn checks_failed(&self) -> bool {
        self.checks.iter().any(|check| check.status.is_bad())
    }
}

/// A rollback that was looked into and not begun. The lock is held.
#[derive(Debug)]
pub struct Rollback<'a> {
    session: Session,
    options: RollbackOptions,
    owned: Owned,
    policy: Option<PolicyRun>,
    report: RollbackReport,
    clock: StepClock<'a, RollbackStep>,
}

impl<'a> Rollback<'a> {
    /// Connects, takes the lock, looks at what is there, and refuses what is not safe.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, another pbac is at it, objects of others depend on ours, or overrides would
    /// be lost.
    pub async fn prepare(
        settings: UndoSettings,
        options: RollbackOptions,
        observer: Observer<'a, RollbackStep>,
    ) -> Result<Self, UndoError> {
        let mut clock = StepClock::new(observer);
        clock.begin(RollbackStep::Lock);
        let mut session = Session::open(settings).await?;
        clock.begin(RollbackStep::Look);
        session.begin_to_read().await?;
        let looked = look(&mut session, &options).await;
        match looked {
            Ok((owned, policy, report)) => {
                session.roll_back().await;
                Ok(Self { session, options, owned, policy, report, clock })
            }
            Err(error) => Err(session.fail(ROLLBACK, clock.current().map(WorkStep::name), error).await),
        }
    }

    /// What will be done.
    #[must_use]
    pub fn plan(&self) -> &RollbackReport {
        &self.report
    }

    /// Whether there is something to ask a person about.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.report.status != RollbackStatus::NothingToDo
    }

    /// What it comes to, for a question: `park 8 tables with 1,034 rows (2 overrides) of the schema …`.
    #[must_use]
    pub fn question(&self) -> String {
        let report = &self.report;
        if report.status == RollbackStatus::ChecksRun {
            return format!("run the commands that follow the rollback of the schema `{}`", report.schema);
        }
        let rows = report.tables.iter().fold(0_i64, |rows, table| rows.saturating_add(table.rows));
        let verb = match report.mode {
            Mode::Park => "park",
            Mode::Drop => "drop",
        };
        format!(
            "{verb} {} tables with {rows} rows ({} of them overrides) and {} functions of the schema `{}`: its permissions end",
            report.tables.len(),
            report.overrides,
            report.functions.len(),
            report.schema
        )
    }

    /// Does it. In a dry run everything up to the commit is done and rolled back.
    ///
    /// # Errors
    ///
    /// When anything fails; then nothing was changed, but a backup that was written stays.
    pub async fn run(mut self) -> Result<RollbackReport, UndoError> {
        let status = self.report.status;
        if status == RollbackStatus::Planned {
            self.clock.begin(RollbackStep::AuditLog);
            let plan = json!({ "mode": self.options.mode, "overrides": self.report.overrides });
            self.session.attempt(ROLLBACK, plan).await?;
            if let Err(error) = self.take_away().await {
                let step = self.clock.current().map(WorkStep::name);
                return Err(self.session.fail(ROLLBACK, step, error).await);
            }
            self.clock.begin(RollbackStep::Legacy);
            // The rollback is done, whatever becomes of this look.
            match self.look_at_legacy().await {
                Ok(legacy) => self.report.legacy = legacy,
                Err(error) => self.report.legacy_error = Some(error),
            }
        }
        if !self.session.settings.dry_run && status != RollbackStatus::NothingToDo {
            self.clock.begin(RollbackStep::Checks);
            self.run_checks().await?;
        }
        self.report.steps = self.clock.times();
        self.session.close().await;
        Ok(self.report)
    }

    /// The legacy tables then and now, or why they could not be looked at.
    async fn look_at_legacy(&mut self) -> Result<Option<LegacyCheck>, String> {
        self.session.begin_to_read().await.map_err(|error| error.to_string())?;
        let found = legacy_check::check(&mut self.session.connection, self.policy.as_ref()).await;
        self.session.roll_back().await;
        found.map_err(|error| error.to_string())
    }

    /// The transaction: backup, trial, park or drop, record.
    async fn take_away(&mut self) -> Result<(), UndoError> {
        let Self { session, options, owned, report, clock, .. } = self;
        clock.begin(RollbackStep::Hold);
        session.begin_shared(owned).await?;
        let now = Owned::read(&mut session.connection, &owned.schema).await?;
        if now.table_names() != owned.table_names() || now.functions != owned.functions {
            let what = "tables or functions were added or removed".to_owned();
            return Err(UndoError::Changed { schema: owned.schema.clone(), what });
        }
        *owned = now;
        report.tables = owned.tables.clone();
        report.overrides = owned.rows_of(OVERRIDES_TABLE);
        refuse_data_loss(options, report)?;

        clock.begin(RollbackStep::Backup);
        // A dry run tries the backup out too, and leaves no file.
        let place = match session.settings.dry_run {
            true => Some(tempfile::tempdir().map_err(UndoError::Write)?),
            false => None,
        };
        let wanted = backup_path(&options.backup_directory, &owned.schema, &session.settings);
        let path = match &place {
            Some(directory) => directory.path().join("backup.sql"),
            None => wanted.clone(),
        };
        let (mut backup, content) = save(session, owned, self.policy.as_ref(), &path).await?;
        clock.begin(RollbackStep::Trial);
        let beside = Beside::find(&mut session.connection, &owned.schema).await?;
        if beside == Beside::Instead {
            session.lock_exclusive(owned).await?;
        }
        backup::try_out(&mut session.connection, &mut backup, owned, &beside).await?;
        report.backup = Some(BackupSummary {
            path: wanted,
            sha256: backup.sha256().to_owned(),
            bytes: backup.bytes(),
            rows: content.rows().values().fold(0, |sum, rows| sum.saturating_add(*rows)),
        });

        clock.begin(RollbackStep::Exclude);
        session.lock_exclusive(owned).await?;
        // Until now somebody could still have made a view.
        refuse_dependents(session, owned).await?;
        clock.begin(RollbackStep::Remove);
        match options.mode {
            Mode::Park => {
                let place = park::place(&mut session.connection, &owned.schema, session.settings.now).await?;
                let mark = Mark {
                    pbac_parked: 1,
                    schema: owned.schema.as_str().to_owned(),
                    sha256: content.sha256,
                    server: session.server,
                };
                park::park(&mut session.connection, owned, &place, &mark).await?;
                report.parked_in = Some(place.name().clone());
            }
            Mode::Drop => report.drop_order = drop_objects(&mut session.connection, owned).await?,
        }
        clock.begin(RollbackStep::Audit);
        let details = json!({
            "mode": options.mode,
            "parked_in": report.parked_in,
            "backup": report.backup,
            "tables": report.tables,
            "overrides": report.overrides,
            "left_alone": report.left_alone,
        });
        let commit = || clock.begin(RollbackStep::Commit);
        report.audit_head = session.commit(ROLLBACK, details, commit).await?;
        report.status =
            if session.settings.dry_run { RollbackStatus::DryRun } else { RollbackStatus::RolledBack };
        Ok(())
    }

    /// Runs what is configured and records how it went.
    async fn run_checks(&mut self) -> Result<(), UndoError> {
        self.report.checks = after_checks::run_all(&self.options.checks).await;
        if self.report.checks.iter().all(|check| check.status == CheckStatus::Skipped) {
            return Ok(());
        }
        let outcome = if self.report.checks_failed() { Outcome::Failed } else { Outcome::Succeeded };
        // What commands print may hold anything, so it goes to the terminal and not into a log that never forgets.
        let details: Vec<_> = self
            .report
            .checks
            .iter()
            .map(|check| json!({ "name": check.name, "status": check.status, "exit_code": check.exit_code }))
            .collect();
        let recorded = self.session.record(ROLLBACK_CHECKS, outcome, json!({ "checks": details })).await;
        self.report.audit_head = recorded.map_err(|error| UndoError::ChecksNotRecorded {
            schema: self.report.schema.clone(),
            error: Box::new(error),
        })?;
        Ok(())
    }
}

/// What is there, and what it comes to.
async fn look(
    session: &mut Session,
    options: &RollbackOptions,
) -> Result<(Owned, Option<PolicyRun>, RollbackReport), UndoError> {
    let schema = session.settings.schema.clone();
    let state = State::read(&mut session.connection, &schema).await?;
    let owned = Owned::read(&mut session.connection, &schema).await?;
    let mut report = RollbackReport {
        status: RollbackStatus::Planned,
        mode: options.mode,
        parked_in: None,
        tables: owned.tables.clone(),
        functions: owned.functions.clone(),
        overrides: owned.rows_of(OVERRIDES_TABLE),
        drop_order: Vec::new(),
        left_alone: owned.others.clone(),
        mentions: dependents::read_mentions(&mut session.connection, &schema).await?,
        backup: None,
        legacy: None,
        legacy_error: None,
        checks: Vec::new(),
        audit_head: None,
        steps: Vec::new(),
        earlier: Earlier::read(&mut session.connection, &schema).await?,
        schema,
    };
    if owned.is_empty() {
        let unfinished = !session.settings.dry_run
            && state.audit
            && after_checks::configured(&options.checks).iter().any(|(_, check)| check.is_some())
            && checks_are_due(&list(&mut session.connection, &owned.schema, Some(RECENT)).await?);
        report.status = if unfinished { RollbackStatus::ChecksRun } else { RollbackStatus::NothingToDo };
        return Ok((owned, state.policy, report));
    }
    refuse_dependents(session, &owned).await?;
    refuse_data_loss(options, &report)?;
    let lost = backup::not_representable(&mut session.connection, &owned).await?;
    if !lost.is_empty() {
        return Err(UndoError::NotRepresentable { what: lost });
    }
    match options.mode {
        Mode::Park => {
            let now = session.settings.now;
            let place = park::place(&mut session.connection, &owned.schema, now).await?;
            report.parked_in = Some(place.name().clone());
        }
        Mode::Drop => report.drop_order = drop_order(&mut session.connection, &owned).await?,
    }
    Ok((owned, state.policy, report))
}

/// Whether the last rollback has no commands after it that succeeded: it was interrupted, or they failed.
fn checks_are_due(records: &[Record]) -> bool {
    let done = |record: &&Record, action: &str| {
        record.action == action && record.outcome == Outcome::Succeeded.as_str()
    };
    let last =
        |action: &str| records.iter().rev().find(|record| done(record, action)).map(|record| record.seq);
    last(ROLLBACK).is_some_and(|rollback| last(ROLLBACK_CHECKS).is_none_or(|checks| checks < rollback))
}

async fn refuse_dependents(session: &mut Session, owned: &Owned) -> Result<(), UndoError> {
    let objects = dependents::read(&mut session.connection, owned).await?;
    if objects.is_empty() {
        return Ok(());
    }
    Err(UndoError::Dependents { schema: owned.schema.clone(), objects })
}

fn refuse_data_loss(options: &RollbackOptions, report: &RollbackReport) -> Result<(), UndoError> {
    if options.mode == Mode::Drop && report.overrides > 0 && !options.accept_data_loss {
        return Err(UndoError::DataLoss { schema: report.schema.clone(), overrides: report.overrides });
    }
    Ok(())
}

/// Writes the backup and opens it again, as whoever restores it will.
async fn save(
    session: &mut Session,
    owned: &Owned,
    policy: Option<&PolicyRun>,
    path: &Path,
) -> Result<(Backup, Contents), UndoError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        let kind = BackupErrorKind::File(io::ErrorKind::NotFound.into());
        return Err(BackupError { path: directory.to_owned(), kind }.into());
    }
    let mut body = SpooledTempFile::new_in(SPOOLED_BYTES, directory);
    let content = backup::export(&mut session.connection, owned, &owned.schema, &mut body).await?;
    let about = About {
        schema: owned.schema.clone(),
        made_at: show_time(session.settings.now),
        server: session.server,
        policy: policy.map(|run| run.name.clone()),
        policy_hash: policy.map(|run| run.policy_hash.clone()),
    };
    backup::write(path, about, content.clone(), &mut body)?;
    Ok((Backup::open(path)?, content))
}

/// `pbac-backup-<schema>-<time>.sql`, with nothing of the schema's name that a file's name had better not have; a second
/// or more later where there is such a file.
fn backup_path(directory: &Path, schema: &Identifier, settings: &UndoSettings) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = schema.as_str().chars().map(plain).collect();
    let mut time = settings.now;
    loop {
        let path = directory.join(format!("pbac-backup-{name}-{}.sql", park::stamp(time)));
        if path.symlink_metadata().is_err() {
            return path;
        }
        time = park::later(time);
    }
}

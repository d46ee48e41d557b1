//! `pbac rollback`: back from permissions to roles.

use std::path::PathBuf;
use std::time::Duration;

use super::migrate::earlier;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::migrate::rollback::{Mode, Rollback, RollbackOptions, RollbackReport, RollbackStatus};
use crate::migrate::step::{RollbackStep, WorkStep};
use crate::migrate::undo_session::UndoSettings;
use crate::report::{Report, Severity, Table, printable, style};
use crate::subprocess::check::CheckStatus;

/// The arguments of `pbac rollback`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Drop the tables; without this they are parked in a dated schema and can be brought back at once
    #[arg(long)]
    drop: bool,
    /// With --drop, lose the overrides too (the backup still holds them)
    #[arg(long, requires = "drop")]
    accept_data_loss: bool,
    /// Do everything and roll it back: nothing changes, no file is written, no command runs
    #[arg(long)]
    dry_run: bool,
    /// End with status 4 when the legacy tables are not as they were at the migration
    #[arg(long)]
    strict: bool,
    /// The directory of the backup
    #[arg(long, value_name = "DIR", default_value = ".")]
    backup_dir: PathBuf,
    /// How many seconds to wait for another pbac that works on the schema
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u16,
}

/// Rolls back.
///
/// # Errors
///
/// When it is refused, fails or is not confirmed; then nothing was changed.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let options = RollbackOptions {
        mode: if args.drop { Mode::Drop } else { Mode::Park },
        accept_data_loss: args.accept_data_loss,
        backup_directory: args.backup_dir,
        checks: context.config.rollback.clone(),
    };
    let settings = settings(context, args.wait, args.dry_run)?;
    let observer = |step: RollbackStep| context.output.note(step.doing());
    let rollback = Rollback::prepare(settings, options, &observer).await?;
    if rollback.is_needed() && !args.dry_run {
        for mention in &rollback.plan().mentions {
            context.output.warn(format_args!(
                "{} names the schema in its text and may call what goes",
                printable(mention)
            ));
        }
        let name = context.config.schema.as_str();
        context.output.confirm(&rollback.question(), Severity::Severe { name }).await?;
    }
    let report = rollback.run().await?;
    context.output.show(&report)?;
    if report.checks_failed() {
        return Err(failed_checks(&report));
    }
    let changed = report.legacy.as_ref().is_some_and(|legacy| !legacy.unchanged);
    match args.strict && (changed || report.legacy_error.is_some()) {
        true => Ok(Exit::Mismatch),
        false => Ok(Exit::Done),
    }
}

/// Where to work, as the settings say.
pub(super) fn settings(context: &Context, wait: u16, dry_run: bool) -> Result<UndoSettings, HostError> {
    let config = &context.config;
    Ok(UndoSettings {
        url: config.database_url()?.clone(),
        schema: config.schema.clone(),
        lock_timeout: config.lock_timeout,
        wait: Duration::from_secs(u64::from(wait)),
        now: context.clock.now(),
        dry_run,
    })
}

fn failed_checks(report: &RollbackReport) -> HostError {
    let bad: Vec<String> = report
        .checks
        .iter()
        .filter(|check| check.status.is_bad())
        .map(|check| format!("`{}` {}", check.name, check.status.name()))
        .collect();
    let error = HostError::failed(format_args!("the rollback is done, but {}", bad.join(" and ")));
    match (report.mode, &report.parked_in) {
        (Mode::Park, Some(parked)) => error.help(format_args!(
            "bring the application up and run `pbac rollback` again for its commands alone, or undo it all with `pbac restore --from {parked}`"
        )),
        _ => error.help("bring the application up and run `pbac rollback` again for its commands alone; `pbac restore` undoes it all"),
    }
}

impl Report for RollbackReport {
    fn people(&self) -> String {
        let schema = &self.schema;
        let nothing_to_do = self.status == RollbackStatus::NothingToDo;
        let mut text = earlier(&self.earlier, nothing_to_do);
        text.push_str(&match self.status {
            RollbackStatus::NothingToDo => {
                format!(
                    "{} nothing of pbac is in force in the schema `{schema}`\n",
                    style::good("nothing to do:")
                )
            }
            RollbackStatus::ChecksRun => {
                format!(
                    "the schema `{schema}` had been rolled back before; its commands had not succeeded and were run\n"
                )
            }
            _ => self.moved(),
        });
        if nothing_to_do {
            return text;
        }
        for check in &self.checks {
            let status = match check.status {
                CheckStatus::Succeeded => style::good(check.status.name()),
                CheckStatus::Skipped => check.status.name().to_owned(),
                _ => style::bad(check.status.name()),
            };
            text.push_str(&format!("{}: {status}", check.name));
            if let (true, Some(code)) = (check.status.is_bad(), check.exit_code) {
                text.push_str(&format!(" with status {code}"));
            }
            if check.status != CheckStatus::Skipped {
                text.push_str(&format!(" after {} ms", check.milliseconds));
            }
            text.push('\n');
            if check.status.is_bad() {
                text.extend(check.output.lines().map(|line| format!("    {}\n", printable(line))));
            }
        }
        if let Some(head) = &self.audit_head {
            text.push_str(&format!("audit head, to be kept elsewhere: {head}\n"));
        }
        text
    }
}

impl RollbackReport {
    /// What became, or would become, of the tables.
    fn moved(&self) -> String {
        let mut table = Table::new(["TABLE", "ROWS"]);
        for owned in &self.tables {
            table.row([owned.name, &owned.rows.to_string()]);
        }
        let mut text = format!("{table}{} functions\n", self.functions.len());
        if self.overrides > 0 {
            let overrides = format!("{} overrides are in user_custom_permissions", self.overrides);
            text.push_str(&format!("{}\n", style::caution(overrides)));
        }
        if let Some(backup) = &self.backup {
            let path = printable(&backup.path.to_string_lossy()).into_owned();
            let (rows, bytes, sha256) = (backup.rows, backup.bytes, &backup.sha256);
            text.push_str(&format!(
                "backup, restored for a trial and compared: {path} ({rows} rows, {bytes} bytes, SHA-256 {sha256})\n"
            ));
        }
        match &self.parked_in {
            Some(parked) => text.push_str(&format!("parked in the schema `{parked}`\n")),
            None => {
                text.push_str("dropped, in this order:\n");
                text.extend(self.drop_order.iter().map(|object| format!("    {object}\n")));
            }
        }
        for other in &self.left_alone {
            text.push_str(&format!("not ours, left alone: {}\n", printable(other)));
        }
        for mention in &self.mentions {
            text.push_str(&format!(
                "names the schema in its text and may call what went: {}\n",
                printable(mention)
            ));
        }
        if let Some(legacy) = &self.legacy {
            text.push_str(&format!("{}\n", printable(&legacy.sentence())));
        }
        if let Some(error) = &self.legacy_error {
            let error = printable(error);
            text.push_str(&format!(
                "{} the legacy tables could not be looked at: {error}\n",
                style::caution("warning:")
            ));
        }
        text.push_str(&match self.status {
            RollbackStatus::DryRun => format!("{}\n", style::heading("dry run: nothing was changed")),
            _ => format!("{} the schema `{}` is rolled back\n", style::good("done:"), self.schema),
        });
        text
    }
}

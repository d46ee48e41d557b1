//! `pbac schedule install`: a systemd timer, or a line of the crontab.

use std::path::PathBuf;

use super::{NameArgs, environment, findings, machine, this_program};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::{Report, Severity, printable, style};
use crate::schedule::change::{Change, ChangeReport, ChangeStatus, InstallOptions, OldLines};
use crate::schedule::systemd::Scope;
use crate::schedule::{Finding, FindingCode, Job, ScheduleError, Target, check};

/// The arguments of `pbac schedule install`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Status 8 when a line of the crontab rotates the same keys already and nobody says what becomes of it."
)]
pub struct Args {
    #[command(flatten)]
    name: NameArgs,
    /// Write a line of the crontab, also where systemd runs
    #[arg(long, conflicts_with_all = ["user", "unit_dir"])]
    crontab: bool,
    /// Write units of the user, not of the machine
    #[arg(long)]
    user: bool,
    /// Write the units into DIR, of an image for instance, and tell nobody
    #[arg(long, value_name = "DIR")]
    unit_dir: Option<PathBuf>,
    /// The pbac that is called [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Take lines of the crontab away that rotate the same keys, such as those of rotate_secret_key.py
    #[arg(long)]
    replace_old: bool,
    /// Leave such lines where they are
    #[arg(long, conflicts_with = "replace_old")]
    keep_old: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Installs, or says that it is installed already.
///
/// # Errors
///
/// When something is missing that the schedule would need, a line that rotates the same keys is left to a person, or
/// something cannot be written; then nothing was changed.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let scope = if args.user { Scope::User } else { Scope::System };
    let target = match (args.crontab, args.user || args.unit_dir.is_some()) {
        (true, _) => Some(Target::Crontab),
        (false, true) => Some(Target::Systemd),
        (false, false) => None,
    };
    let program = match args.program {
        Some(program) => program,
        None => this_program()?,
    };
    let job = Job::new(args.name.name, program, &context.config)?;
    let machine = machine(scope, args.unit_dir);
    let old_lines = match (args.replace_old, args.keep_old) {
        (true, _) => OldLines::Replace,
        (_, true) => OldLines::Keep,
        _ => OldLines::Ask,
    };
    let mut options = InstallOptions { target, scope, old_lines };
    let mut change = Change::install(&machine, &job, options).await?;
    let found = check(&job, &environment).await;
    if args.dry_run {
        return dry_run(&change, found, context);
    }
    if let Some(finding) = found.iter().find(|finding| finding.stops) {
        return Err(ScheduleError::Found(Box::new(finding.clone())).into());
    }
    let undecided: Vec<&Finding> = change.findings.iter().filter(|finding| finding.stops).collect();
    if let Some(first) = undecided.first() {
        let lines: Vec<String> = undecided.iter().map(|finding| described(finding)).collect();
        let about = format!("take away what rotates the same keys: {}", lines.join("; "));
        if context.output.confirm(&about, Severity::Moderate).await.is_err() {
            return Err(ScheduleError::Found(Box::new((*first).clone())).into());
        }
        options.old_lines = OldLines::Replace;
        change = Change::install(&machine, &job, options).await?;
    }
    let mut report = change.carry_out(context.clock.now()).await?;
    report.findings.extend(found);
    context.output.show(&report)?;
    Ok(Exit::Done)
}

/// Shows; ends as the real run would, but for questions.
fn dry_run(change: &Change, found: Vec<Finding>, context: &Context) -> Result<Exit, HostError> {
    let mut report = change.dry_run();
    report.findings.extend(found);
    context.output.show(&report)?;
    let old = [FindingCode::OldRotation, FindingCode::Duplicate];
    match report.findings.iter().find(|finding| finding.stops) {
        Some(finding) if old.contains(&finding.code) => Ok(Exit::NeedsPerson),
        Some(_) => Ok(Exit::Refused),
        None => Ok(Exit::Done),
    }
}

fn described(finding: &Finding) -> String {
    let place = finding.place.as_deref().unwrap_or_default();
    format!("{} ({})", printable(place), printable(&finding.message))
}

impl Report for ChangeReport {
    fn people(&self) -> String {
        let mut text = String::new();
        let name = &self.schedule;
        if self.status == ChangeStatus::DryRun {
            text.extend(self.diff.lines().map(|line| format!("{}\n", coloured(line))));
        }
        for path in &self.written {
            text.push_str(&format!("wrote {}\n", printable(&path.to_string_lossy())));
        }
        for path in &self.removed {
            text.push_str(&format!("removed {}\n", printable(&path.to_string_lossy())));
        }
        for line in &self.replaced {
            let goes = if self.status == ChangeStatus::DryRun { "goes" } else { "went" };
            text.push_str(&format!("{}: {goes}, since it rotates the same keys\n", printable(line)));
        }
        if let Some(backup) = &self.crontab_backup {
            let backup = backup.to_string_lossy();
            text.push_str(&format!("the crontab of before is in {}\n", printable(&backup)));
        }
        text.push_str(&findings(&self.findings));
        let runs = match self.target {
            Some(Target::Systemd) => "a systemd timer",
            Some(Target::Crontab) => "a line of the crontab",
            None => "nothing",
        };
        text.push_str(&match self.status {
            ChangeStatus::Installed | ChangeStatus::Updated => format!(
                "{} {runs} looks every day whether the keys are due (`{name}`)\n",
                style::good("done:")
            ),
            ChangeStatus::Unchanged => {
                format!(
                    "{} {runs} looks every day whether the keys are due (`{name}`)\n",
                    style::good("unchanged:")
                )
            }
            ChangeStatus::Removed => format!("{} the schedule `{name}` is gone\n", style::good("done:")),
            ChangeStatus::NothingToDo => {
                format!("{} there is no schedule `{name}`\n", style::good("nothing to do:"))
            }
            ChangeStatus::DryRun if self.diff.is_empty() => {
                format!("{}\n", style::heading("dry run: nothing would be written"))
            }
            ChangeStatus::DryRun => format!("{}\n", style::heading("dry run: nothing was written")),
        });
        text
    }
}

fn coloured(line: &str) -> String {
    let shown = printable(line);
    match line.chars().next() {
        Some('+') => style::good(shown),
        Some('-') => style::bad(shown),
        _ => shown.into_owned(),
    }
}

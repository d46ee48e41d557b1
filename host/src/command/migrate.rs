//! `pbac migrate`: puts the policy in force.

use super::plan::{WantedArgs, findings, target};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::legacy::{Finding, FindingCode};
use crate::migrate::apply::{Ending, Manner, Migration, migrate};
use crate::migrate::earlier::Earlier;
use crate::migrate::step::{Step, WorkStep};
use crate::report::{Report, Table, printable, style};

/// The arguments of `pbac migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Do everything, then roll it back
    #[arg(long)]
    dry_run: bool,
    /// Refuse unless this is still the plan, as `pbac plan` printed it
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    /// How many seconds to wait for another pbac that works on the schema
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u16,
}

/// Migrates.
///
/// # Errors
///
/// As [`migrate`]; then nothing stays but the audit log.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let inputs = args.wanted.load(context)?;
    let target = target(context, args.wait)?;
    let manner = Manner { dry_run: args.dry_run, plan: args.plan.as_deref() };
    let progress = context.output.progress("migrating", Step::ALL.len() as u64);
    let observer = |step: Step| {
        progress.advance(1);
        context.output.note(step.doing());
    };
    let migration = migrate(&target, &inputs.wanted(), manner, &observer).await?;
    drop(progress);
    context.output.show(&migration)?;
    Ok(Exit::Done)
}

/// What became of an earlier run: that it did not finish, or, where there is nothing to do, that it had finished.
pub(super) fn earlier(earlier: &Option<Earlier>, nothing_to_do: bool) -> String {
    let Some(earlier) = earlier else { return String::new() };
    let finished = earlier.left_finished().filter(|_| nothing_to_do);
    let said = earlier.left_unfinished().or(finished);
    said.map_or_else(String::new, |said| format!("{} {}\n", style::caution("note:"), printable(&said)))
}

impl Report for Migration {
    fn people(&self) -> String {
        let name = printable(&self.policy.name);
        let mut text = earlier(&self.earlier, self.ending == Ending::Unchanged);
        // What is odd in the policy itself is the same every time; `pbac plan` and `pbac lint` list it.
        let odd = |finding: &&Finding| matches!(finding.code, FindingCode::Lint | FindingCode::Conflict);
        let about_data: Vec<Finding> =
            self.findings.iter().filter(|finding| !odd(finding)).cloned().collect();
        findings(&about_data, &mut text);
        let oddities = self.findings.iter().filter(odd).count();
        if oddities > 0 {
            let note = style::caution("note:");
            text.push_str(&format!(
                "{note} {oddities} things in the policy are worth a look, see `pbac plan`\n"
            ));
        }
        if self.ending == Ending::Unchanged {
            let nothing = style::good("Nothing changed:");
            text.push_str(&format!("{nothing} policy `{name}` is in force in `{}` already\n", self.schema));
            return text;
        }
        let mut table = Table::new(["table", "inserted", "updated", "deleted"]);
        for (name, counts) in &self.counts.0 {
            let numbers = [counts.inserted, counts.updated, counts.deleted].map(|number| number.to_string());
            let [inserted, updated, deleted] = &numbers;
            table.row([name, inserted, updated, deleted]);
        }
        text.push_str(&table.to_string());
        if self.imported > 0 {
            let imported = self.imported;
            text.push_str(&format!(
                "{imported} overrides hold what users had of their own in the legacy tables\n"
            ));
        }
        for checked in &self.checks {
            let holds = style::good("holds:");
            text.push_str(&format!("{holds} {} ({})\n", checked.check.name(), printable(&checked.compared)));
        }
        match self.ending {
            Ending::DryRun => {
                let heading = style::caution("Dry run:");
                text.push_str(&format!(
                    "{heading} policy `{name}` could be put in force; everything was rolled back"
                ));
            }
            _ => {
                let heading = style::good("Migrated:");
                text.push_str(&format!("{heading} policy `{name}` is in force in `{}`", self.schema));
            }
        }
        text.push_str(&format!(" ({:.0} ms)\n", self.milliseconds));
        if let (Some(head), Ending::Migrated) = (self.audit_head, self.ending) {
            text.push_str(&format!("audit head {head} (keep it elsewhere: `pbac audit verify` takes it)\n"));
        }
        text
    }
}

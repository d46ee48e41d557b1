//! `pbac restore`: brings back what a rollback put aside.

use std::path::PathBuf;

use super::migrate::earlier;
use super::rollback::settings;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::migrate::restore::{Origin, Restore, RestoreFrom, RestoreReport, RestoreStatus};
use crate::migrate::step::{RestoreStep, WorkStep};
use crate::postgres::Identifier;
use crate::report::{Report, Severity, Table, printable, style};

/// The arguments of `pbac restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema with the parked tables, where there is more than one
    #[arg(long, value_name = "SCHEMA", conflicts_with = "backup")]
    from: Option<Identifier>,
    /// A backup that a rollback wrote
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// Bring parked tables back even if somebody has changed them since
    #[arg(long, conflicts_with = "backup")]
    accept_changes: bool,
    /// Do everything and roll it back: nothing changes
    #[arg(long)]
    dry_run: bool,
    /// How many seconds to wait for another pbac that works on the schema
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u16,
}

/// Restores.
///
/// # Errors
///
/// When it is refused, fails or is not confirmed; then nothing was changed.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let from = match (args.from, args.backup) {
        (_, Some(path)) => RestoreFrom::Backup(path),
        (Some(schema), None) => RestoreFrom::Parked(schema),
        (None, None) => RestoreFrom::OnlyParked,
    };
    let settings = settings(context, args.wait, args.dry_run)?;
    let observer = |step: RestoreStep| context.output.note(step.doing());
    let restore = Restore::prepare(settings, from, args.accept_changes, &observer).await?;
    let plan = restore.plan();
    let asks = plan.status == RestoreStatus::Planned && !args.dry_run;
    if let (Some(Origin::Backup { path, .. }), true) = (&plan.from, asks) {
        // Its statements run with all the rights of the connection, and its hash proves nothing about who wrote it.
        let about = format!("run the statements of the backup `{}`", printable(&path.to_string_lossy()));
        context.output.confirm(&about, Severity::Moderate).await?;
    }
    let report = restore.run().await?;
    context.output.show(&report)?;
    Ok(Exit::Done)
}

impl Report for RestoreReport {
    fn people(&self) -> String {
        let schema = &self.schema;
        let nothing_to_do = self.status == RestoreStatus::NothingToDo;
        let mut text = earlier(&self.earlier, nothing_to_do);
        if nothing_to_do {
            let nothing = style::good("nothing to do:");
            let why = match &self.from {
                Some(_) => "are those of the backup",
                None => "are there and none are parked",
            };
            text.push_str(&format!("{nothing} the tables of `{schema}` {why}\n"));
            return text;
        }
        let mut table = Table::new(["TABLE", "ROWS"]);
        for owned in &self.tables {
            table.row([owned.name, &owned.rows.to_string()]);
        }
        text.push_str(&format!("{table}{} functions\n", self.functions.len()));
        match &self.from {
            Some(Origin::Parked { schema }) => {
                text.push_str(&format!("from the schema `{schema}`\n"));
            }
            Some(Origin::Backup { path, schema, made_at, .. }) => {
                let path = path.to_string_lossy();
                text.push_str(&format!(
                    "from the backup {}, made of the schema `{}` at {}\n",
                    printable(&path),
                    printable(schema),
                    printable(made_at)
                ));
            }
            None => {}
        }
        text.push_str(if self.verified {
            "compared and the same as before: rows, definitions, owners, rights\n"
        } else {
            "not compared in full: it was changed since, or the server is of another version\n"
        });
        for other in &self.left_parked {
            text.push_str(&format!("not ours, left where it is: {}\n", printable(other)));
        }
        text.push_str(&match self.status {
            RestoreStatus::DryRun => format!("{}\n", style::heading("dry run: nothing was changed")),
            _ => format!("{} restored to the schema `{schema}`\n", style::good("done:")),
        });
        if let Some(head) = &self.audit_head {
            text.push_str(&format!("audit head, to be kept elsewhere: {head}\n"));
        }
        text
    }
}

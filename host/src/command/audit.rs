//! `pbac audit`: what was done, and whether the record of it is whole.

use serde::Serialize;

use super::database::connect_to_read;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::SessionLimits;
use crate::postgres::audit::{self, Head, Record, Verification};
use crate::postgres::transaction::snapshot;
use crate::report::time::show_time;
use crate::report::{Report, Table, printable, style};

/// What to do with the audit log.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Show what was tried, done and refused, oldest first
    List(ListArgs),
    /// Compute the whole chain again: status 4 when it is broken
    Verify(VerifyArgs),
}

/// The arguments of `pbac audit list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Show only the last N rows
    #[arg(long, value_name = "N")]
    last: Option<u32>,
}

/// The arguments of `pbac audit verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The end of the chain as an earlier run printed it and somebody kept it elsewhere
    #[arg(long, value_name = "HEAD")]
    head: Option<Head>,
}

/// Rows of the log.
#[derive(Debug, Serialize)]
struct Records {
    records: Vec<Record>,
}

impl Report for Records {
    fn people(&self) -> String {
        let mut table = Table::new(["SEQ", "AT", "ACTOR", "ACTION", "SUBJECT", "OUTCOME"]);
        for Record { seq, at, actor, action, subject, outcome, .. } in &self.records {
            table.row([&seq.to_string(), &show_time(*at), actor, action, subject, outcome]);
        }
        table.to_string()
    }
}

/// Whether the chain is whole.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Verdict(Verification);

impl Report for Verdict {
    fn people(&self) -> String {
        let Verification { rows, head, fault } = &self.0;
        let head = head.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        match fault {
            None => format!("{} {rows} row(s), head {head}\n", style::good("whole")),
            Some(fault) => {
                let fault = fault.to_string();
                format!("{} {}\nlast good row: {head}\n", style::bad("broken"), printable(&fault))
            }
        }
    }
}

/// Does it.
///
/// # Errors
///
/// When the database cannot be reached or has no audit log.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let mut connection = connect_to_read(context).await?;
    let (schema, limits) = (&context.config.schema, SessionLimits::default());
    match args {
        Args::List(args) => {
            let records = snapshot(&mut connection, limits, async |connection| {
                audit::list(connection, schema, args.last).await
            })
            .await?;
            context.output.show(&Records { records })?;
            Ok(Exit::Done)
        }
        Args::Verify(args) => {
            let verified = snapshot(&mut connection, limits, async |connection| {
                audit::verify(connection, schema, args.head).await
            })
            .await?;
            let verdict = Verdict(verified);
            context.output.show(&verdict)?;
            if args.head.is_none() && verdict.0.fault.is_none() {
                context.output.note(
                    "keep the head elsewhere and give it with --head next time: only that shows a log that was written anew",
                );
            }
            Ok(if verdict.0.fault.is_none() { Exit::Done } else { Exit::Mismatch })
        }
    }
}

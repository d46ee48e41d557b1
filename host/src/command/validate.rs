//! `pbac validate`: whether the live database answers as the policy file says.

use std::path::PathBuf;

use super::plan::{findings, policy, target};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::migrate::status::{Validation, validate};
use crate::report::{Report, Table, printable, style};

/// The arguments of `pbac validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy file [default: the one of the settings]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// End with status 4 also where somebody holds both duties of a conflict
    #[arg(long)]
    strict: bool,
}

/// Validates, and changes nothing.
///
/// # Errors
///
/// When the policy file or the database cannot be read, or there is nothing to validate.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let file = policy(args.policy.as_ref(), context)?;
    let validation = validate(&target(context, 0)?, &file).await?;
    context.output.show(&validation)?;
    let apart = !args.strict || validation.conflicts.is_empty();
    Ok(if validation.holds && apart { Exit::Done } else { Exit::Mismatch })
}

impl Report for Validation {
    fn people(&self) -> String {
        let mut table = Table::new(["check", "", "compared"]);
        for checked in &self.checks {
            let verdict =
                if checked.holds { "holds".to_owned() } else { format!("{} wrong", checked.mismatches) };
            table.row([checked.check.name(), &verdict, &checked.compared]);
        }
        let mut text = table.to_string();
        for checked in self.checks.iter().filter(|checked| !checked.holds) {
            for mismatch in &checked.first {
                let name = style::bad(checked.check.name());
                text.push_str(&format!("{name}: {}\n", printable(mismatch)));
            }
            let more = checked.mismatches.saturating_sub(checked.first.len());
            if more > 0 {
                text.push_str(&format!("  and {more} more\n"));
            }
        }
        for breach in &self.conflicts {
            let roles = if breach.roles.is_empty() { "none".to_owned() } else { breach.roles.join(", ") };
            text.push_str(&format!(
                "{} `{}` is broken by {} user(s); roles: {}\n",
                style::caution("conflict:"),
                printable(&breach.conflict),
                breach.user_count,
                printable(&roles)
            ));
        }
        findings(&self.findings, &mut text);
        text.push_str(&if self.holds {
            format!("{} the database answers as the policy says\n", style::good("Valid:"))
        } else {
            format!("{} the database is not as the policy says\n", style::bad("Not valid:"))
        });
        text
    }
}

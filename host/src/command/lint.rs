//! `pbac lint`: what in a policy is probably not meant.

use policy_core::{ConflictBreach, Lint, NewlyGranted, Timestamp};
use serde::Serialize;

use super::source::{Origin, TimeArgs};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::serialize_moment;
use crate::report::{Report, printable, style};

/// The arguments of `pbac lint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A policy file, a bundle, or the word `database` [default: the policy file of the settings]
    #[arg(value_name = "POLICY", value_parser = Origin::from_operand)]
    policy: Option<Origin>,
    /// Report also what the catalog entries that are new since this policy give away at once
    #[arg(long, value_name = "OLD", value_parser = Origin::from_operand)]
    since: Option<Origin>,
    /// Status 4 when there is anything to report
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    time: TimeArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    policy: String,
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    lints: Vec<Lint>,
    /// Who holds two duties that should be apart.
    conflicts: Vec<ConflictBreach>,
    newly_granted: Vec<NewlyGranted>,
}

impl Findings {
    fn len(&self) -> usize {
        [self.lints.len(), self.conflicts.len(), self.newly_granted.len()].iter().sum()
    }
}

impl Report for Findings {
    fn people(&self) -> String {
        let mut text = String::new();
        let mut line = |code: &str, words: &str| {
            text.push_str(&format!("{}: {}\n", style::caution(code), printable(words)));
        };
        for lint in &self.lints {
            line(lint.code(), &lint.to_string());
        }
        for ConflictBreach { conflict, roles, users } in &self.conflicts {
            let roles = roles.join("`, `");
            let mut words = format!("`{conflict}` is broken");
            if !roles.is_empty() {
                words.push_str(&format!(" by role(s) `{roles}`"));
            }
            if !users.is_empty() {
                words.push_str(&format!(" by {} user(s), the first `{}`", users.len(), first(users)));
            }
            line("conflict", &words);
        }
        for NewlyGranted { permission, role, pattern } in &self.newly_granted {
            line(
                "newly_granted",
                &format!("`{permission}` goes to role `{role}` at once, through `{pattern}`"),
            );
        }
        if text.is_empty() {
            text.push_str("nothing to report\n");
        }
        text
    }
}

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

/// Lists the findings; they are no errors unless `--strict` makes them one.
///
/// # Errors
///
/// When a policy cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let origin = args.policy.unwrap_or_else(|| Origin::PolicyFile(context.config.policy.clone()));
    let policy = origin.load(context).await?;
    let newly_granted = match &args.since {
        Some(old) => {
            policy_core::newly_granted(&old.load(context).await?, &policy).map_err(HostError::failed)?
        }
        None => Vec::new(),
    };
    let at = args.time.moment(context);
    let findings = Findings {
        policy: origin.to_string(),
        at,
        lints: policy_core::lint(&policy),
        conflicts: policy_core::breaches(&policy, at).map_err(HostError::failed)?,
        newly_granted,
    };
    context.output.show(&findings)?;
    Ok(if args.strict && findings.len() > 0 { Exit::Mismatch } else { Exit::Done })
}

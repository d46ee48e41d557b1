//! `pbac diff`: what changes for whom between two policies.

use policy_core::{HolderDiff, NewlyGranted, Policy, PolicyDiff, Timestamp};
use serde::Serialize;

use super::source::{Origin, TimeArgs};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::serialize_moment;
use crate::report::{Report, printable, style};

/// The arguments of `pbac diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Status 4 when anybody gains or loses something, or the catalog differs.")]
pub struct Args {
    /// The old policy: a policy file, a bundle, or the word `database`
    #[arg(value_name = "OLD", value_parser = Origin::from_operand)]
    old: Origin,
    /// The new policy, likewise
    #[arg(value_name = "NEW", value_parser = Origin::from_operand)]
    new: Origin,
    #[command(flatten)]
    time: TimeArgs,
}

/// What differs.
#[derive(Debug, Serialize)]
struct Answer {
    old: String,
    new: String,
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    #[serde(flatten)]
    diff: PolicyDiff,
    /// What new catalog entries give away through patterns that stood already.
    newly_granted: Vec<NewlyGranted>,
}

impl Report for Answer {
    fn people(&self) -> String {
        let mut text = String::new();
        let mut line = |words: String| text.push_str(&format!("{words}\n"));
        let gained = |name: &str| format!("  {}", style::good(format_args!("+ {name}")));
        let lost = |name: &str| format!("  {}", style::bad(format_args!("- {name}")));
        let catalog = &self.diff.catalog;
        if !catalog.added.is_empty() || !catalog.removed.is_empty() {
            line(style::heading("catalog"));
            catalog.added.iter().for_each(|name| line(gained(name)));
            catalog.removed.iter().for_each(|name| line(lost(name)));
        }
        let holders = [("role", &self.diff.roles), ("user", &self.diff.users)];
        for (kind, holder) in holders.iter().flat_map(|(kind, list)| list.iter().map(move |one| (kind, one)))
        {
            let HolderDiff { name, gained: more, lost: less } = holder;
            line(style::heading(format_args!("{kind} `{}`", printable(name))));
            more.iter().for_each(|name| line(gained(name)));
            less.iter().for_each(|name| line(lost(name)));
        }
        for NewlyGranted { permission, role, pattern } in &self.newly_granted {
            let role = printable(role);
            line(format!(
                "{} `{permission}` is new and goes to role `{role}` at once, through `{pattern}`",
                style::caution("note")
            ));
        }
        if text.is_empty() {
            text.push_str("nobody gains or loses anything\n");
        }
        text
    }
}

/// Compares what roles and users hold. A file that carries no users is compared with the users of the other side:
/// what is asked is what would change for them.
///
/// # Errors
///
/// When a policy cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let old = args.old.load(context).await?;
    let new = args.new.load(context).await?;
    let old = if args.old == Origin::Database { old } else { with_users_of(old, &new)? };
    let new = if args.new == Origin::Database { new } else { with_users_of(new, &old)? };
    let at = args.time.moment(context);
    let answer = Answer {
        old: args.old.to_string(),
        new: args.new.to_string(),
        at,
        diff: policy_core::diff(&old, &new, at).map_err(HostError::failed)?,
        newly_granted: policy_core::newly_granted(&old, &new).map_err(HostError::failed)?,
    };
    context.output.show(&answer)?;
    Ok(if answer.diff.is_empty() { Exit::Done } else { Exit::Mismatch })
}

/// The policy with the users and overrides of the other, where it has none of its own.
fn with_users_of(policy: Policy, other: &Policy) -> Result<Policy, HostError> {
    if !policy.users().is_empty() || !policy.overrides().is_empty() {
        return Ok(policy);
    }
    let mut parts = policy.into_parts();
    parts.users = other.users().to_vec();
    parts.overrides = other.overrides().to_vec();
    Policy::new(parts).map_err(HostError::failed)
}

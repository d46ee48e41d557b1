//! `pbac check`: may this user do this now?

use policy_core::{Decision, Request, Timestamp};
use serde::Serialize;

use super::source::{SourceArgs, TimeArgs, UserArgs, roles};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::serialize_moment;
use crate::report::{Report, printable, style};

/// The arguments of `pbac check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    user: UserArgs,
    /// The permission, such as po.approve
    permission: String,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    time: TimeArgs,
}

/// A decision and what it was about.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    user: &'a str,
    permission: &'a str,
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    #[serde(flatten)]
    decision: Decision<'a>,
    unknown_roles: Vec<&'a str>,
}

impl Report for Answer<'_> {
    fn people(&self) -> String {
        verdict(self.user, self.permission, &self.decision)
    }
}

/// One line that says who may or may not do what, and why.
pub(super) fn verdict(user: &str, permission: &str, decision: &Decision<'_>) -> String {
    let text = decision.to_string();
    let (answer, reason) = text.split_once(": ").unwrap_or((&text, ""));
    let answer = if decision.is_allowed() { style::good(answer) } else { style::bad(answer) };
    format!("{answer} `{}` `{}`: {}\n", printable(user), printable(permission), printable(reason))
}

/// Answers with status 0 or 3.
///
/// # Errors
///
/// When the policy cannot be read; the answer is then unknown, which no caller may take for "allowed".
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let index = args.source.compile(context).await?;
    let names = args.user.role_names();
    let request = Request {
        user: &args.user.user,
        roles: roles(&names),
        permission: &args.permission,
        now: args.time.moment(context),
    };
    let decision = index.decide(&request);
    let unknown_roles: Vec<_> = index.unknown_roles(request.user, request.roles).collect();
    args.source.remark(&args.user, &unknown_roles, context);
    context.output.show(&Answer {
        user: request.user,
        permission: request.permission,
        at: request.now,
        decision,
        unknown_roles,
    })?;
    Ok(if decision.is_allowed() { Exit::Done } else { Exit::Denied })
}

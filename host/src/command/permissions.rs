//! `pbac permissions`: everything that a user may do.

use policy_core::Timestamp;
use serde::Serialize;

use super::source::{SourceArgs, TimeArgs, UserArgs, roles};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::{serialize_moment, serialize_time};
use crate::report::{Report, printable};

/// The arguments of `pbac permissions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    user: UserArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    time: TimeArgs,
}

/// What one user holds.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    user: &'a str,
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    /// Until when this is so, unless the policy changes; null is for ever.
    #[serde(serialize_with = "serialize_time")]
    valid_until: Option<Timestamp>,
    permissions: Vec<&'a str>,
    unknown_roles: Vec<&'a str>,
}

impl Report for Answer<'_> {
    fn people(&self) -> String {
        // One name a line and nothing else, so that other commands can read it.
        self.permissions.iter().map(|permission| format!("{permission}\n")).collect()
    }
}

/// Lists the permissions in byte order.
///
/// # Errors
///
/// When the policy cannot be read, or the id is none.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let user = args.user.checked()?;
    let index = args.source.compile(context).await?;
    let names = args.user.role_names();
    let (roles, at) = (roles(&names), args.time.moment(context));
    let answer = Answer {
        user,
        at,
        valid_until: index.session(user, roles, at).valid_until(),
        permissions: index.permissions_of(user, roles, at),
        unknown_roles: index.unknown_roles(user, roles).collect(),
    };
    args.source.remark(&args.user, &answer.unknown_roles, context);
    if !context.output.is_json() {
        let (held, all) = (answer.permissions.len(), index.permissions().len());
        context.output.note(format_args!("`{}` holds {held} of {all} permissions", printable(user)));
    }
    context.output.show(&answer)?;
    Ok(Exit::Done)
}

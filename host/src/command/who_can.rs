//! `pbac who-can`: who holds a permission.

use policy_core::{Decision, Holders, Timestamp};
use serde::Serialize;

use super::source::{SourceArgs, TimeArgs};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::serialize_moment;
use crate::report::{Report, Table, printable};

/// The arguments of `pbac who-can`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The permission, such as po.approve
    permission: String,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    time: TimeArgs,
}

/// Who holds one permission.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    permission: &'a str,
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    #[serde(flatten)]
    holders: Holders<'a>,
}

impl Report for Answer<'_> {
    fn people(&self) -> String {
        let mut table = Table::new(["KIND", "NAME"]);
        for role in &self.holders.roles {
            table.row(["role", role]);
        }
        for user in &self.holders.users {
            table.row(["user", user]);
        }
        table.to_string()
    }
}

/// Lists roles, then users, each in byte order.
///
/// # Errors
///
/// When the policy cannot be read, and with status 3 when the permission is not one or not in the catalog.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let index = args.source.compile(context).await?;
    let at = args.time.moment(context);
    let holders = index.who_can(&args.permission, at).map_err(|denial| {
        let shown = printable(&args.permission);
        HostError::new(Exit::Denied, format_args!("nobody holds `{shown}`: {}", Decision::Deny(denial)))
            .help("ask for a permission of the catalog, by its whole name")
    })?;
    if !context.output.is_json() {
        let (roles, users) = (holders.roles.len(), holders.users.len());
        context.output.note(format_args!("{roles} role(s) and {users} user(s) hold `{}`", args.permission));
    }
    context.output.show(&Answer { permission: &args.permission, at, holders })?;
    Ok(Exit::Done)
}

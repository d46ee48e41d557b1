//! One file a subcommand.
//!
//! To add one: a file with `pub struct Args` (clap derive; its doc comments are the help) and
//! `pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError>`; then a `mod` line, a variant and an
//! arm here. What it prints is a serde struct with [`Report`](crate::report::Report), documented in `docs/json.md`.

pub mod bundle;
pub mod check;
pub mod completions;
pub mod diff;
pub mod explain;
pub mod lint;
pub mod man;
pub mod permissions;
pub mod source;
pub mod who_can;

use clap::Subcommand;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say whether a user may do something now: status 0 allowed, 3 denied
    Check(check::Args),
    /// Say why: the rule that decided, what it shadowed, what has expired, what nearly matched
    Explain(explain::Args),
    /// List everything that a user may do
    Permissions(permissions::Args),
    /// List the roles and users that hold a permission
    WhoCan(who_can::Args),
    /// Say what changes for whom between two policies
    Diff(diff::Args),
    /// Say what in a policy is probably not meant
    Lint(lint::Args),
    /// Write, show or check the policy as the one file that travels
    #[command(subcommand)]
    Bundle(bundle::Args),
    /// Print what completes this command in a shell
    Completions(completions::Args),
    /// Write the manual pages into a directory
    Man(man::Args),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What the subcommand says.
    pub async fn run(self, context: &Context) -> Result<Exit, HostError> {
        match self {
            Self::Check(args) => check::run(args, context).await,
            Self::Explain(args) => explain::run(args, context).await,
            Self::Permissions(args) => permissions::run(args, context).await,
            Self::WhoCan(args) => who_can::run(args, context).await,
            Self::Diff(args) => diff::run(args, context).await,
            Self::Lint(args) => lint::run(args, context).await,
            Self::Bundle(args) => bundle::run(args, context).await,
            Self::Completions(args) => completions::run(args, context).await,
            Self::Man(args) => man::run(args, context).await,
        }
    }
}

//! One file a subcommand.
//!
//! To add one: a file with `pub struct Args` (clap derive; its doc comments are the help) and
//! `pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError>`; then a `mod` line, a variant and an
//! arm here. What it prints is a serde struct with [`Report`](crate::report::Report), documented in `docs/json.md`.

pub mod access_diff;
pub mod audit;
pub mod bundle;
pub mod check;
pub mod completions;
pub mod database;
pub mod demo;
pub mod diff;
pub mod draft;
pub mod endpoints;
pub mod explain;
pub mod grant;
pub mod init;
pub mod keys;
pub mod lint;
pub mod man;
pub mod migrate;
pub mod permissions;
pub mod plan;
pub mod restore;
pub mod revoke;
pub mod rollback;
pub mod routes;
pub mod schedule;
pub mod shadow;
pub mod source;
pub mod status;
pub mod token;
pub mod validate;
pub mod who_can;

use clap::Subcommand;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at a database, say what its roles and permissions are, and draft a policy
    Init(init::Args),
    /// Show what a migration would do, and change nothing
    Plan(plan::Args),
    /// Put the policy in force: everything or nothing
    Migrate(migrate::Args),
    /// Say what every user gains and loses by the switch, against the legacy endpoint rules
    AccessDiff(access_diff::Args),
    /// Compute whether the database answers as the policy says
    Validate(validate::Args),
    /// Show what is there
    Status(status::Args),
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
    /// List the legacy endpoint rules, and how far the source is; propose or write its conversion
    Endpoints(endpoints::Args),
    /// Make the table of which permission each request asks for, for the gateway
    Routes(routes::Args),
    /// Answer a log of real requests by the policy, and say where the legacy application answered otherwise
    Shadow(shadow::Args),
    /// Allow or deny something to one user, on behalf of another
    Grant(grant::Args),
    /// Take an override of a user away
    Revoke(revoke::Args),
    /// Show what was done, and whether the record of it is whole
    #[command(subcommand)]
    Audit(audit::Args),
    /// Write, show or check the policy as the one file that travels
    #[command(subcommand)]
    Bundle(bundle::Args),
    /// Look at the signing keys, and change them without logging anybody out
    #[command(subcommand)]
    Keys(keys::Args),
    /// Sign a token, verify one, or look into one
    #[command(subcommand)]
    Token(token::Args),
    /// Go back from permissions to roles: back up, park the tables, check the application
    Rollback(rollback::Args),
    /// Bring back what a rollback parked, or a backup
    Restore(restore::Args),
    /// Rotate signing keys when they are due: install what runs every day, look at it, take it away
    #[command(subcommand)]
    Schedule(schedule::Args),
    /// Watch the whole job on a private throwaway database
    Demo(demo::Args),
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
            Self::Init(args) => init::run(args, context).await,
            Self::Plan(args) => plan::run(args, context).await,
            Self::Migrate(args) => migrate::run(args, context).await,
            Self::AccessDiff(args) => access_diff::run(args, context).await,
            Self::Validate(args) => validate::run(args, context).await,
            Self::Status(args) => status::run(args, context).await,
            Self::Check(args) => check::run(args, context).await,
            Self::Explain(args) => explain::run(args, context).await,
            Self::Permissions(args) => permissions::run(args, context).await,
            Self::WhoCan(args) => who_can::run(args, context).await,
            Self::Diff(args) => diff::run(args, context).await,
            Self::Lint(args) => lint::run(args, context).await,
            Self::Endpoints(args) => endpoints::run(args, context).await,
            Self::Routes(args) => routes::run(args, context).await,
            Self::Shadow(args) => shadow::run(args, context).await,
            Self::Grant(args) => grant::run(args, context).await,
            Self::Revoke(args) => revoke::run(args, context).await,
            Self::Audit(args) => audit::run(args, context).await,
            Self::Bundle(args) => bundle::run(args, context).await,
            Self::Keys(args) => keys::run(args, context).await,
            Self::Token(args) => token::run(args, context).await,
            Self::Rollback(args) => rollback::run(args, context).await,
            Self::Restore(args) => restore::run(args, context).await,
            Self::Schedule(args) => schedule::run(args, context).await,
            Self::Demo(args) => demo::run(args, context).await,
            Self::Completions(args) => completions::run(args, context).await,
            Self::Man(args) => man::run(args, context).await,
        }
    }
}

//! `pbac keys promote`: lets the staged key sign.

use super::change::{Plain, change};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::Operation;

/// The arguments of `pbac keys promote`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Refuses, with status 6, until the key has been staged for as long as `keys.staging` says."
)]
pub struct Args {
    /// Also where a node may not know the key yet, or a retired key has to go before its time
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    plain: Plain,
}

/// Promotes it.
///
/// # Errors
///
/// When it is refused, or the store cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    change(&Operation::Promote { force: args.force }, &args.plain, context).await
}

//! `pbac keys rotate`: lets the next key sign.

use super::change::{Plain, change};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::Operation;

/// The arguments of `pbac keys rotate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Where a key is staged it is promoted; else a new one signs at once, which only a single node can bear: \
    with `keys.fleet = true` that is refused."
)]
pub struct Args {
    /// Do what the calendar asks for, and nothing before it is due; what a scheduler calls every day
    #[arg(long, conflicts_with = "force")]
    if_due: bool,
    /// Also where tokens are refused for it: this says which
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    plain: Plain,
}

/// Rotates.
///
/// # Errors
///
/// When it is refused, or the store cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let operation =
        if args.if_due { Operation::RotateIfDue } else { Operation::Rotate { force: args.force } };
    change(&operation, &args.plain, context).await
}

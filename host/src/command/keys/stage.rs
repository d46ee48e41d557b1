//! `pbac keys stage`: adds the next key.

use super::change::{Plain, change};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::Operation;

/// The arguments of `pbac keys stage`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plain: Plain,
}

/// Adds it.
///
/// # Errors
///
/// When a key is staged already, or the store cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    change(&Operation::Stage, &args.plain, context).await
}

//! One file a subcommand.
//!
//! To add one: a file with `pub struct Args` (clap derive; its doc comment is the help) and
//! `pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError>`; then a `mod` line, a variant and an
//! arm here. What it prints is a serde struct with [`Report`](crate::report::Report), documented in `docs/json.md`.

pub mod completions;
pub mod man;

use clap::Subcommand;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
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
            Self::Completions(args) => completions::run(args, context).await,
            Self::Man(args) => man::run(args, context).await,
        }
    }
}

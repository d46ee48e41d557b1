//! `pbac keys`: the signing keys, and what is done to them.

mod change;
pub mod export;
pub mod list;
pub mod promote;
pub mod reseal;
pub mod revoke;
pub mod rotate;
pub mod stage;
pub mod status;
pub mod verify;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;

/// What to do with the signing keys.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Show the keys as a time line, when the next rotation is due, and what is wrong
    Status(status::Args),
    /// List every key and every revocation
    List(list::Args),
    /// Add the next key: it verifies everywhere before it signs
    Stage(stage::Args),
    /// Let the staged key sign, and retire the one that does
    Promote(promote::Args),
    /// Let the staged key sign, or on a single node a new one
    Rotate(rotate::Args),
    /// Drop a key at once and for ever: its tokens are refused
    Revoke(revoke::Args),
    /// Try each key: sign something and verify it
    Verify(verify::Args),
    /// Seal the keys in the database with another key-encryption key
    Reseal(reseal::Args),
    /// Write the keys as a JSON Web Key Set, for other verifiers
    Export(export::Args),
}

/// Does it.
///
/// # Errors
///
/// When the store cannot be read or written, or what was asked for is refused.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    crate::keys::forbid_core_dumps();
    match args {
        Args::Status(args) => status::run(args, context).await,
        Args::List(args) => list::run(args, context).await,
        Args::Stage(args) => stage::run(args, context).await,
        Args::Promote(args) => promote::run(args, context).await,
        Args::Rotate(args) => rotate::run(args, context).await,
        Args::Revoke(args) => revoke::run(args, context).await,
        Args::Verify(args) => verify::run(args, context).await,
        Args::Reseal(args) => reseal::run(args, context).await,
        Args::Export(args) => export::run(args, context).await,
    }
}

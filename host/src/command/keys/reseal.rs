//! `pbac keys reseal`: seals the keys in the database with another key-encryption key.

use std::path::PathBuf;

use serde::Serialize;

use super::change::who;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::Store;
use crate::keys::postgres_store::{Resealed, Resealing, SealingKeys};
use crate::report::{Report, style};

/// The arguments of `pbac keys reseal`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The signing keys stay as they are, and nobody is told. On a fleet give every process both key-encryption \
    keys, the old one in front, which goes on sealing; when all have both, turn them round; then reseal; then take the old \
    one away."
)]
pub struct Args {
    /// The file with the new key-encryption key: 32 random bytes as base64url or hexadecimal digits
    #[arg(long, value_name = "FILE")]
    new_key_file: PathBuf,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Done(Resealed);

impl Report for Done {
    fn people(&self) -> String {
        let mut text = String::new();
        for kid in &self.0.keys {
            text.push_str(&format!("{} `{kid}` anew\n", style::good("sealed")));
        }
        if self.0.keys.is_empty() {
            text.push_str("nothing to do: every key is sealed with it already\n");
        }
        text
    }
}

/// Seals them.
///
/// # Errors
///
/// When the keys are not in a database, a key cannot be opened, or the store cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let Store::Postgres(store) = Store::open(&context.config)? else {
        return Err(HostError::usage("the keys of a `.env` file are not sealed")
            .help("this is for `keys.store = \"postgres\"`"));
    };
    let (to, odd) = SealingKeys::read_file(&args.new_key_file)?;
    if let Some(odd) = odd {
        context.output.warn(odd);
    }
    let now = context.clock.now();
    let resealed = store.reseal(Resealing { to: &to, now, who: &who(), watch: &|_| {} }).await?;
    context.output.show(&Done(resealed))?;
    Ok(Exit::Done)
}

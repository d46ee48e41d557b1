//! `pbac keys verify`: tries each key.

use policy_core::keys::KeyId;
use serde::Serialize;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::Store;
use crate::report::{Report, style};
use crate::token::probe;

/// The arguments of `pbac keys verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Status 4 when a key does not work, or the store holds a secret that may be none.")]
pub struct Args {
    /// Change nothing, as this never does: for scripts that give it to every command
    #[arg(long)]
    dry_run: bool,
}

/// What was tried.
#[derive(Debug, Serialize)]
struct Tried {
    /// The keys that verify what they sign.
    works: Vec<KeyId>,
    /// Where the store holds secrets that are no keys, and why.
    refused: Vec<String>,
}

impl Report for Tried {
    fn people(&self) -> String {
        let mut text =
            format!("{} {} key(s) verify what they sign\n", style::good("works:"), self.works.len());
        for refused in &self.refused {
            text.push_str(&format!("{} {refused}\n", style::bad("refused:")));
        }
        text
    }
}

/// Tries them.
///
/// # Errors
///
/// When the store cannot be read, or a key does not work.
pub async fn run(_: Args, context: &Context) -> Result<Exit, HostError> {
    let now = context.clock.now();
    let keys = Store::open(&context.config)?.load(&context.config.keys).await?;
    probe(&keys, now)?;
    let works = keys.history().keys().iter().filter(|key| key.verifies_at(now)).map(|key| key.id.clone());
    let refused = keys.refused().iter().map(|refused| format!("{} {}", refused.place, refused.why));
    let tried = Tried { works: works.collect(), refused: refused.collect() };
    context.output.show(&tried)?;
    Ok(if tried.refused.is_empty() && keys.signing().is_some() { Exit::Done } else { Exit::Mismatch })
}

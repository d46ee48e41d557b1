//! `pbac token`: one token at a time.

pub mod inspect;
pub mod issue;
pub mod verify;

use std::io::Read;
use std::path::{Path, PathBuf};

use policy_core::token::MAX_TOKEN_BYTES;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;

/// What to do with a token.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Sign a token with the active key, and print it
    Issue(issue::Args),
    /// Verify a token with the keys: status 0 it holds, 3 it does not
    Verify(verify::Args),
    /// Show what a token says, without believing it
    Inspect(inspect::Args),
}

/// Does it.
///
/// # Errors
///
/// When the store or the token cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    crate::keys::forbid_core_dumps();
    match args {
        Args::Issue(args) => issue::run(args, context).await,
        Args::Verify(args) => verify::run(args, context).await,
        Args::Inspect(args) => inspect::run(args, context).await,
    }
}

/// Where a token comes from. Never an argument, which every user of the machine can read: who has a token is let in.
#[derive(Debug, clap::Args)]
struct Source {
    /// The file that holds the token; `-` is the standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

impl Source {
    /// The token, without the white space around it and without the word `Bearer`.
    fn read(&self) -> Result<Zeroizing<String>, HostError> {
        let fail = |error: std::io::Error| HostError::file("read the token from", &self.file, &error);
        let source: Box<dyn Read> = if self.file == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(&self.file).map_err(fail)?)
        };
        // Longer ones are refused by whoever verifies, and need not be read to their end.
        let most = u64::try_from(MAX_TOKEN_BYTES.saturating_mul(4)).unwrap_or(u64::MAX);
        let mut text = Zeroizing::new(String::new());
        source.take(most).read_to_string(&mut text).map_err(fail)?;
        let token = text.trim();
        Ok(Zeroizing::new(token.strip_prefix("Bearer ").unwrap_or(token).trim().to_owned()))
    }
}

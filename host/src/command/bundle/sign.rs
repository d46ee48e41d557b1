//! `pbac bundle sign`: a bundle with a signature before it, as gateways take newer ones.

use std::path::PathBuf;

use policy_core::signed::attach;
use policy_core::{ContentHash, Timestamp};
use serde::Serialize;

use super::publisher;
use crate::command::source::{compile, read_bundle};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::write_whole;
use crate::report::time::{Until, parse_until, serialize_moment, show_time};
use crate::report::{Report, printable};

/// The arguments of `pbac bundle sign`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whoever has accepted a sequence number accepts no smaller one: count on from the last, or give the time in \
    seconds. From the expiry on nobody decides by the bundle; give it a life that an outage of the publisher fits into."
)]
pub struct Args {
    /// The bundle
    file: PathBuf,
    /// The key, as `pbac bundle publisher` wrote it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Its number: larger than that of every bundle published before
    #[arg(long, value_name = "N")]
    sequence: u64,
    /// Until when it may be used, such as `+7d`
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    expires: Until,
    /// The file to write; it is replaced whole or not at all
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// What was signed.
#[derive(Debug, Serialize)]
struct Signed {
    file: String,
    content_hash: ContentHash,
    sequence: u64,
    #[serde(serialize_with = "serialize_moment")]
    expires_at: Timestamp,
}

impl Report for Signed {
    fn people(&self) -> String {
        format!(
            "signed `{}`: sequence {}, until {}, content hash {}\n",
            printable(&self.file),
            self.sequence,
            show_time(self.expires_at),
            self.content_hash
        )
    }
}

/// Signs it.
///
/// # Errors
///
/// When the bundle or the key cannot be read, it would be expired at once, or the file cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, HostError> {
    let (bundle, policy) = read_bundle(&args.file)?;
    // What cannot be compiled would load nowhere.
    compile(&policy)?;
    let expires_at = expiry(&args.expires, context)?;
    let signer = publisher::read(&args.key)?;
    let signature = signer.sign(&bundle, args.sequence, expires_at).map_err(HostError::failed)?;
    write_whole(&args.output, &attach(&signature, &bundle))?;
    context.output.show(&Signed {
        file: args.output.display().to_string(),
        content_hash: super::hash(&policy)?,
        sequence: args.sequence,
        expires_at,
    })?;
    Ok(Exit::Done)
}

/// When what is signed now expires.
///
/// # Errors
///
/// When that is over.
pub(super) fn expiry(until: &Until, context: &Context) -> Result<Timestamp, HostError> {
    let now = context.clock.now();
    let expires_at = until.from(now);
    if expires_at > now {
        return Ok(expires_at);
    }
    Err(HostError::usage(format_args!("`--expires` {} is over", show_time(expires_at)))
        .help("give a time to come, such as +7d"))
}

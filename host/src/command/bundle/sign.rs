//! `pbac bundle sign`: a bundle with a signature before it, as gateways take newer ones.

use std::path::PathBuf;

use policy_core::signed::attach;
use policy_core::{ContentHash, Timestamp};
use serde::Serialize;

use super::release::ReleaseArgs;
use crate::command::source::{compile, read_bundle};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::write_whole;
use crate::report::time::{serialize_moment, show_time};
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
    #[command(flatten)]
    release: ReleaseArgs,
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
    let (signer, expires_at) = args.release.signer(context)?;
    let signature = signer.sign(&bundle, args.release.sequence, expires_at).map_err(HostError::failed)?;
    write_whole(&args.release.output, &attach(&signature, &bundle))?;
    context.output.show(&Signed {
        file: args.release.output.display().to_string(),
        content_hash: super::hash(&policy)?,
        sequence: args.release.sequence,
        expires_at,
    })?;
    Ok(Exit::Done)
}

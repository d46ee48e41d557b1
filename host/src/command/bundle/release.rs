//! What every file has that is signed for gateways: by whom, with which number, until when, and where to.

use std::path::PathBuf;

use policy_core::Timestamp;
use policy_core::signed::BundleSigner;

use super::publisher;
use crate::context::Context;
use crate::error::HostError;
use crate::report::time::{Until, parse_until, show_time};

/// The arguments of whatever is signed.
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// The key, as `pbac bundle publisher` wrote it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The number: larger than those of all files of this kind that were published before
    #[arg(long, value_name = "N")]
    pub(super) sequence: u64,
    /// Until when it may be used, such as `+7d`
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    expires: Until,
    /// The file to write; it is replaced whole or not at all
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,
}

impl ReleaseArgs {
    /// What signs, and when what it signs now expires.
    ///
    /// # Errors
    ///
    /// When it would be expired at once, or the key cannot be read.
    pub(super) fn signer(&self, context: &Context) -> Result<(BundleSigner, Timestamp), HostError> {
        let now = context.clock.now();
        let expires_at = self.expires.from(now);
        if expires_at <= now {
            return Err(HostError::usage(format_args!("`--expires` {} is over", show_time(expires_at)))
                .help("give a time to come, such as +7d"));
        }
        Ok((publisher::read(&self.key)?, expires_at))
    }
}

//! `pbac bundle settings`: keys and routes with a signature before them, as gateways take newer ones.

use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use policy_core::route::RouteTable;
use policy_core::signed::attach;
use policy_core::token::KeyRing;
use serde::Serialize;
use zeroize::Zeroizing;

use super::release::ReleaseArgs;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::{read_text, write_whole_as};
use crate::report::time::{serialize_moment, show_time};
use crate::report::{Report, printable};

/// The most bytes that each of the two files has: with what stands around them and the signature they are no more than the 1 MiB that a
/// gateway takes.
const MAX_BYTES: u64 = (1 << 19) - 128;

/// The arguments of `pbac bundle settings`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file, of mode 0600, holds the keys that sign tokens, where they are secrets: serve it to gateways alone, over TLS. Sequence numbers \
    of settings are counted apart from those of bundles. Without `--routes`, those of the gateway's configuration count."
)]
pub struct Args {
    /// The keys, as `pbac keys export --ring` writes them
    #[arg(long, value_name = "FILE")]
    ring: PathBuf,
    /// The routes, as `pbac routes` writes them
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseArgs,
}

/// What was signed.
#[derive(Debug, Serialize)]
struct Signed {
    file: String,
    keys: usize,
    /// None where the file has no route table.
    routes: Option<usize>,
    sequence: u64,
    #[serde(serialize_with = "serialize_moment")]
    expires_at: Timestamp,
}

impl Report for Signed {
    fn people(&self) -> String {
        let plural =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let routes = self.routes.map(|count| format!(" and {}", plural(count, "route")));
        format!(
            "signed {}{} in `{}`: sequence {}, until {}\n",
            plural(self.keys, "key"),
            routes.unwrap_or_default(),
            printable(&self.file),
            self.sequence,
            show_time(self.expires_at),
        )
    }
}

/// Signs them.
///
/// # Errors
///
/// When a file cannot be read or makes no keys or routes, they would be expired at once, or the file cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<Exit, HostError> {
    let ring = read(&args.ring)?;
    let keys = KeyRing::from_document(&ring).map_err(|error| {
        HostError::usage(format_args!("`{}`: {error}", args.ring.display()))
            .help("let `pbac keys export --ring` write it")
    })?;
    let routes = args.routes.as_deref().map(|path| Ok::<_, HostError>((path, read(path)?))).transpose()?;
    let table = routes.as_ref().map(|(path, text)| {
        RouteTable::from_document(text).map_err(|error| {
            HostError::usage(format_args!("`{}`: {error}", path.display())).help("let `pbac routes` write it")
        })
    });
    let table = table.transpose()?;
    let (signer, expires_at) = args.release.signer(context)?;

    let settings = document(&ring, routes.as_ref().map(|(_, text)| text.as_str()));
    let signature = signer.sign_settings(settings.as_bytes(), args.release.sequence, expires_at);
    write_whole_as(&args.release.output, &Zeroizing::new(attach(&signature, settings.as_bytes())), 0o600)?;
    context.output.show(&Signed {
        file: args.release.output.display().to_string(),
        keys: keys.history().keys().len(),
        routes: table.map(|table| table.routes().len()),
        sequence: args.release.sequence,
        expires_at,
    })?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Zeroizing<String>, HostError> {
    read_text(path, MAX_BYTES).map(Zeroizing::new)
}

/// One object of the two JSON texts.
fn document(ring: &str, routes: Option<&str>) -> Zeroizing<String> {
    let (table, text) = routes.map_or(("", ""), |routes| (",\"route_table\":", routes));
    let pieces = ["{\"ring\":", ring, table, text, "}"];
    // As long as it becomes, so that no copy of a secret is left behind.
    let mut document = Zeroizing::new(String::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
    document.extend(pieces);
    document
}

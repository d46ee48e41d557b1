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
use crate::report::files::{read_bytes, write_whole_as};
use crate::report::time::{serialize_moment, show_time};
use crate::report::{Report, printable};

/// The most bytes that each of the two files has: together they are as much as a gateway takes.
const MAX_BYTES: u64 = 1 << 19;

/// The arguments of `pbac bundle settings`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file, of mode 0600, holds the keys that sign tokens, where they are secrets: serve it to gateways alone, over TLS. Sequence numbers \
    of settings are counted apart from those of bundles. What is left out is what the gateway's configuration says."
)]
pub struct Args {
    /// The keys, as `pbac keys export --ring` writes them
    #[arg(long, value_name = "FILE", required_unless_present = "routes")]
    ring: Option<PathBuf>,
    /// The routes, as `pbac routes` writes them
    #[arg(long, value_name = "FILE", required_unless_present = "ring")]
    routes: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseArgs,
}

/// What was signed.
#[derive(Debug, Serialize)]
struct Signed {
    file: String,
    /// None where the file has no ring.
    keys: Option<usize>,
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
        let keys = self.keys.map(|count| plural(count, "key"));
        let counted: Vec<String> =
            keys.into_iter().chain(self.routes.map(|count| plural(count, "route"))).collect();
        format!(
            "signed {} in `{}`: sequence {}, until {}\n",
            counted.join(" and "),
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
    let ring = args.ring.as_deref().map(read).transpose()?;
    let routes = args.routes.as_deref().map(read).transpose()?;
    let of = |path: &Option<PathBuf>| path.as_deref().unwrap_or(Path::new("")).display().to_string();
    let keys = ring.as_ref().map(|text| KeyRing::from_document(text)).transpose();
    let keys = keys.map_err(|error| {
        HostError::usage(format_args!("`{}`: {error}", of(&args.ring)))
            .help("let `pbac keys export --ring` write it")
    })?;
    let table = routes.as_ref().map(|text| RouteTable::from_document(text)).transpose();
    let table = table.map_err(|error| {
        HostError::usage(format_args!("`{}`: {error}", of(&args.routes))).help("let `pbac routes` write it")
    })?;
    let (signer, expires_at) = args.release.signer(context)?;

    let settings = document(&[("ring", ring.as_ref()), ("route_table", routes.as_ref())]);
    let signature = signer.sign_settings(settings.as_bytes(), args.release.sequence, expires_at);
    write_whole_as(&args.release.output, &Zeroizing::new(attach(&signature, settings.as_bytes())), 0o600)?;
    context.output.show(&Signed {
        file: args.release.output.display().to_string(),
        keys: keys.map(|ring| ring.history().keys().len()),
        routes: table.map(|table| table.routes().len()),
        sequence: args.release.sequence,
        expires_at,
    })?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Zeroizing<String>, HostError> {
    let bytes = Zeroizing::new(read_bytes(path, MAX_BYTES)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| HostError::usage(format_args!("`{}` is not UTF-8 text", path.display())))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// One object of members that are JSON texts, those that there are.
fn document(members: &[(&str, Option<&Zeroizing<String>>)]) -> Zeroizing<String> {
    let there = || members.iter().filter_map(|(name, text)| Some((name, (*text)?)));
    let length: usize =
        there().map(|(name, text)| name.len().saturating_add(text.len()).saturating_add(4)).sum();
    // As long as it becomes, so that no copy of a secret is left behind.
    let mut document = Zeroizing::new(String::with_capacity(length.saturating_add(2)));
    let mut separator = '{';
    for (name, text) in there() {
        document.extend([separator, '"']);
        document.push_str(name);
        document.push_str("\":");
        document.push_str(text);
        separator = ',';
    }
    document.push('}');
    document
}

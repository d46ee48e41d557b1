//! `pbac token inspect`: what a token says, unverified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

use super::Source;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::{Report, printable, style};

/// The arguments of `pbac token inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Needs no key and proves nothing: anybody can write what it shows.")]
pub struct Args {
    #[command(flatten)]
    source: Source,
}

/// What it says. Its signature is not shown: with it, the text would be a token again.
#[derive(Debug, Serialize)]
struct Inspected {
    verified: bool,
    header: Value,
    claims: Value,
    signature_bytes: usize,
}

impl Report for Inspected {
    fn people(&self) -> String {
        let shown = |value: &Value| {
            serde_json::to_string_pretty(value)
                .unwrap_or_default()
                .lines()
                .map(printable)
                .collect::<Vec<_>>()
                .join("\n")
        };
        format!(
            "{} what anybody can write\nheader: {}\nclaims: {}\nsignature: {} bytes\n",
            style::caution("not verified:"),
            shown(&self.header),
            shown(&self.claims),
            self.signature_bytes
        )
    }
}

/// Shows it.
///
/// # Errors
///
/// When it cannot be read, or is no token at all.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let token = args.source.read()?;
    let parts: Vec<&str> = token.split('.').collect();
    let Ok([header, claims, signature]) = <[&str; 3]>::try_from(parts) else {
        return Err(malformed("it does not have three parts with a dot in between"));
    };
    let inspected = Inspected {
        verified: false,
        header: part(header).ok_or_else(|| malformed("its header is no JSON as base64url"))?,
        claims: part(claims).ok_or_else(|| malformed("its claims are no JSON as base64url"))?,
        signature_bytes: URL_SAFE_NO_PAD.decode(signature).map_or(0, |bytes| bytes.len()),
    };
    context.output.show(&inspected)?;
    Ok(Exit::Done)
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn malformed(why: &str) -> HostError {
    HostError::usage(format_args!("this is no token: {why}"))
        .help("give the token alone, as a client sends it")
}

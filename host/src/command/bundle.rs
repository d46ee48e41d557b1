//! `pbac bundle`: the policy as the one file that travels.

pub mod publisher;
pub mod release;
pub mod settings;
pub mod sign;

use std::path::PathBuf;

use policy_core::{ContentHash, Policy};
use serde::Serialize;

use super::source::{SourceArgs, compile, read_bundle};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::write_whole;
use crate::report::{Report, Table, printable, style};

/// What to do with a bundle.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Write the policy, with its users and overrides, as a bundle
    Build(BuildArgs),
    /// Show what a bundle holds
    Inspect(InspectArgs),
    /// Load a bundle as an application would, and compare it
    Check(CheckArgs),
    /// Make the key that signs bundles, and show what others verify them with
    Publisher(publisher::Args),
    /// Sign a bundle, for gateways that fetch newer ones
    Sign(sign::Args),
    /// Sign keys and routes, for gateways that fetch newer ones
    Settings(settings::Args),
}

/// The arguments of `pbac bundle build`.
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The file to write; it is replaced whole or not at all
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// The arguments of `pbac bundle inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The bundle
    file: PathBuf,
}

/// The arguments of `pbac bundle check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Status 4 when the content is not the one that was expected.")]
pub struct CheckArgs {
    /// The bundle
    file: PathBuf,
    /// The content hash that it must have, as `bundle build` printed it
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,
    /// The policy file that it must say the same as
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// What a bundle holds.
#[derive(Debug, Serialize)]
struct Contents {
    file: String,
    bytes: usize,
    format: u16,
    content_hash: ContentHash,
    permissions: usize,
    roles: usize,
    conflicts: usize,
    users: usize,
    overrides: usize,
}

impl Contents {
    fn of(file: &std::path::Path, bytes: &[u8], policy: &Policy) -> Result<Self, HostError> {
        Ok(Self {
            file: file.display().to_string(),
            bytes: bytes.len(),
            format: policy_core::FORMAT_VERSION,
            content_hash: hash(policy)?,
            permissions: policy.permissions().len(),
            roles: policy.roles().len(),
            conflicts: policy.conflicts().len(),
            users: policy.users().len(),
            overrides: policy.overrides().len(),
        })
    }
}

impl Report for Contents {
    fn people(&self) -> String {
        let mut table = Table::new(["BUNDLE", &printable(&self.file)]);
        table.row(["content hash", &self.content_hash.to_string()]);
        let numbers = [
            ("format", usize::from(self.format)),
            ("bytes", self.bytes),
            ("permissions", self.permissions),
            ("roles", self.roles),
            ("conflicts", self.conflicts),
            ("users", self.users),
            ("overrides", self.overrides),
        ];
        for (what, count) in numbers {
            table.row([what, &count.to_string()]);
        }
        table.to_string()
    }
}

/// Whether a bundle is the one that was expected.
#[derive(Debug, Serialize)]
struct Verdict {
    file: String,
    content_hash: ContentHash,
    /// What it must be and is not.
    mismatches: Vec<String>,
}

impl Report for Verdict {
    fn people(&self) -> String {
        let file = printable(&self.file);
        if self.mismatches.is_empty() {
            return format!("{} `{file}` loads, content hash {}\n", style::good("ok"), self.content_hash);
        }
        let lines = self.mismatches.iter();
        lines.map(|words| format!("{} `{file}`: {}\n", style::bad("differs"), printable(words))).collect()
    }
}

/// Does it.
///
/// # Errors
///
/// When a policy or bundle cannot be read, is none, or cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    match args {
        Args::Build(args) => build(args, context).await,
        Args::Inspect(args) => inspect(&args, context),
        Args::Check(args) => check(args, context).await,
        Args::Publisher(args) => publisher::run(&args, context),
        Args::Sign(args) => sign::run(&args, context),
        Args::Settings(args) => settings::run(&args, context),
    }
}

async fn build(args: BuildArgs, context: &Context) -> Result<Exit, HostError> {
    let policy = args.source.origin().load(context).await?;
    // What cannot be compiled would load nowhere.
    compile(&policy)?;
    let bytes = policy_core::encode(&policy).map_err(HostError::failed)?;
    let contents = Contents::of(&args.output, &bytes, &policy)?;
    write_whole(&args.output, &bytes)?;
    context.output.show(&contents)?;
    Ok(Exit::Done)
}

fn inspect(args: &InspectArgs, context: &Context) -> Result<Exit, HostError> {
    let (bytes, policy) = read_bundle(&args.file)?;
    context.output.show(&Contents::of(&args.file, &bytes, &policy)?)?;
    Ok(Exit::Done)
}

async fn check(args: CheckArgs, context: &Context) -> Result<Exit, HostError> {
    let (_, policy) = read_bundle(&args.file)?;
    compile(&policy)?;
    let content_hash = hash(&policy)?;
    let mut mismatches = Vec::new();
    if let Some(expected) = args.hash.filter(|expected| *expected != content_hash.to_string()) {
        mismatches.push(format!("its content hash is {content_hash}, expected was {expected}"));
    }
    if let Some(path) = args.policy {
        let other = super::source::Origin::PolicyFile(path.clone()).load(context).await?;
        if other != policy {
            mismatches.push(format!("it does not say the same as `{}`", path.display()));
        }
    }
    let verdict = Verdict { file: args.file.display().to_string(), content_hash, mismatches };
    context.output.show(&verdict)?;
    Ok(if verdict.mismatches.is_empty() { Exit::Done } else { Exit::Mismatch })
}

fn hash(policy: &Policy) -> Result<ContentHash, HostError> {
    ContentHash::of(policy).map_err(HostError::failed)
}

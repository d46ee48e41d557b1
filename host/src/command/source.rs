//! Where the answers to a question come from, and for whom and when it is asked.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use policy_core::{Index, Policy, Roles, Timestamp, UserId};

use crate::context::Context;
use crate::error::HostError;
use crate::policy_file;
use crate::report::files::read_bytes;
use crate::report::printable;
use crate::report::time::parse_time;

/// The most bytes of a bundle that are read: 16 million overrides fit.
const MAX_BUNDLE_BYTES: u64 = 1 << 30;
/// What every bundle begins with.
const BUNDLE_MAGIC: &[u8] = b"PBAC";
/// How the live database is named where a file could be.
const DATABASE: &str = "database";

/// Where a policy lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The live database of the settings.
    Database,
    /// A policy as a file, without users.
    PolicyFile(PathBuf),
    /// A bundle.
    Bundle(PathBuf),
    /// A policy file or a bundle: its first bytes tell.
    File(PathBuf),
}

impl Origin {
    /// Takes `database` as the live database and everything else as a path. For clap.
    ///
    /// # Errors
    ///
    /// Never; clap asks for the type.
    pub fn from_operand(text: &str) -> Result<Self, String> {
        Ok(if text == DATABASE { Self::Database } else { Self::File(PathBuf::from(text)) })
    }

    /// The policy that lies there.
    ///
    /// # Errors
    ///
    /// When it cannot be reached or read, or is no policy.
    pub async fn load(&self, context: &Context) -> Result<Policy, HostError> {
        match self {
            Self::Database => super::database::load_policy(context).await,
            Self::PolicyFile(path) => load_policy_file(path),
            Self::Bundle(path) => load_bundle(path),
            Self::File(path) if is_bundle(path)? => load_bundle(path),
            Self::File(path) => load_policy_file(path),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str(DATABASE),
            Self::PolicyFile(path) | Self::Bundle(path) | Self::File(path) => {
                f.write_str(&printable(&path.display().to_string()))
            }
        }
    }
}

fn load_policy_file(path: &Path) -> Result<Policy, HostError> {
    Ok(policy_file::load(path)?.policy)
}

fn load_bundle(path: &Path) -> Result<Policy, HostError> {
    read_bundle(path).map(|(_, policy)| policy)
}

/// The bytes of a bundle, and the policy in them.
///
/// # Errors
///
/// When the file cannot be read, is longer than a gibibyte, or is no bundle.
pub fn read_bundle(path: &Path) -> Result<(Vec<u8>, Policy), HostError> {
    let bytes = read_bytes(path, MAX_BUNDLE_BYTES)?;
    let policy = policy_core::decode(&bytes).map_err(|error| {
        HostError::failed(format_args!("`{}`: {error}", path.display()))
            .help("build the bundle again with `pbac bundle build`; whoever has an older one goes on with it")
    })?;
    Ok((bytes, policy))
}

fn is_bundle(path: &Path) -> Result<bool, HostError> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BUNDLE_MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|error| HostError::file("read", path, &error))?;
    Ok(start == BUNDLE_MAGIC)
}

/// The form that answers questions.
///
/// # Errors
///
/// When a limit is passed.
pub fn compile(policy: &Policy) -> Result<Index, HostError> {
    Index::compile(policy).map_err(|error| HostError::failed(error).help("make the policy smaller"))
}

/// `--policy` or `--bundle`; without them the live database.
#[derive(Clone, Debug, clap::Args)]
pub struct SourceArgs {
    /// Ask the policy in FILE, not the database; it holds no users, so name roles with --role
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    policy: Option<PathBuf>,
    /// Ask the bundle in FILE, not the database
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

impl SourceArgs {
    /// Where the policy lies.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match (&self.policy, &self.bundle) {
            (Some(path), _) => Origin::PolicyFile(path.clone()),
            (None, Some(path)) => Origin::Bundle(path.clone()),
            (None, None) => Origin::Database,
        }
    }

    /// Tells a person what an answer would otherwise leave them to wonder about. The JSON has it in its fields.
    pub fn remark(&self, user: &UserArgs, unknown_roles: &[&str], context: &Context) {
        if context.output.is_json() {
            return;
        }
        for role in unknown_roles {
            let role = printable(role);
            context.output.warn(format_args!("role `{role}` is not in the policy and grants nothing"));
        }
        if self.policy.is_some() && user.roles.is_empty() {
            context.output.note("a policy file holds no users: name the user's roles with --role");
        }
    }

    /// The policy, compiled.
    ///
    /// # Errors
    ///
    /// As [`Origin::load`], and when a limit is passed.
    pub async fn compile(&self, context: &Context) -> Result<Index, HostError> {
        compile(&self.origin().load(context).await?)
    }
}

/// `--at`: the moment that is asked about.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct TimeArgs {
    /// Ask about this time (RFC 3339, such as 2026-01-31T12:00:00Z) instead of now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<Timestamp>,
}

impl TimeArgs {
    /// The moment, which is the clock's where none was named.
    #[must_use]
    pub fn moment(self, context: &Context) -> Timestamp {
        self.at.unwrap_or_else(|| context.clock.now())
    }
}

/// A user with the roles that count: the stored ones, or those that a token carries.
#[derive(Clone, Debug, clap::Args)]
pub struct UserArgs {
    /// The user's id
    #[arg(value_name = "USER")]
    pub user: String,
    /// A role of the user as a token carries it, in place of the stored ones (may be repeated)
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
}

impl UserArgs {
    /// The roles that were named on the command line.
    #[must_use]
    pub fn role_names(&self) -> Vec<&str> {
        self.roles.iter().map(String::as_str).collect()
    }

    /// Refuses what is no user id, where there is no decision to say so.
    ///
    /// # Errors
    ///
    /// When the id is empty, too long or holds a NUL.
    pub fn checked(&self) -> Result<&str, HostError> {
        UserId::parse(&self.user).map_err(|error| HostError::usage(error).help("give the user's id"))?;
        Ok(&self.user)
    }
}

/// The roles that count: those of `names`, or the stored ones where none was named.
#[must_use]
pub fn roles<'a>(names: &'a [&'a str]) -> Roles<'a> {
    if names.is_empty() { Roles::Stored } else { Roles::Named(names) }
}

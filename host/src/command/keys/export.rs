//! `pbac keys export`: the keys for other verifiers.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{Store, jwks, ring_file};
use crate::report::Report;

/// The arguments of `pbac keys export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A plain key set has no place for the end of a key: export it again after each rotation, and when a retired \
    key goes. A ring knows ends and revocations; export it again after each change. Keys for HS256 are secrets: who can \
    verify can sign."
)]
pub struct Args {
    /// The key set to write (RFC 7517), with mode 0600 where it holds secrets
    #[arg(long, value_name = "FILE", required_unless_present = "ring")]
    jwks: Option<PathBuf>,
    /// The key ring to write for the gateway and the WebAssembly module, with mode 0600 where it holds secrets
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    ring: Option<PathBuf>,
    /// Leave out the keys that are secrets
    #[arg(long)]
    public: bool,
    /// Show what would be written, but for the keys, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Exported {
    file: PathBuf,
    keys: usize,
    /// Whether secrets are in it.
    secret: bool,
    dry_run: bool,
}

impl Report for Exported {
    fn people(&self) -> String {
        let what = if self.secret { "secret" } else { "public" };
        let verb = if self.dry_run { "would write" } else { "wrote" };
        format!("{verb} {} {what} key(s) to `{}`\n", self.keys, self.file.display())
    }
}

/// Writes them.
///
/// # Errors
///
/// When the store cannot be read or the file cannot be written, or there is nothing to write.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let now = context.clock.now();
    let keys = Store::open(&context.config)?.load(&context.config.keys).await?;
    let file = match (args.ring, args.jwks) {
        (Some(path), _) => {
            let ring = ring_file(&keys, &context.config.keys.token_rules(), args.public)?;
            let text = Zeroizing::new([ring.text.as_bytes(), b"\n"].concat());
            File { path, text, keys: ring.keys, secret: ring.secret }
        }
        (None, Some(path)) => {
            let set = jwks(&keys, now, args.public)?;
            File { path, text: set.json()?, keys: set.len(), secret: set.is_secret() }
        }
        (None, None) => return Err(HostError::usage("say which file to write: --jwks FILE or --ring FILE")),
    };
    if file.keys == 0 {
        let help = if args.public {
            "keys for HS256 have no public part: leave --public out, or rotate to `keys.algorithm = \"EdDSA\"`"
        } else {
            "let `pbac keys rotate` make one"
        };
        return Err(HostError::refused("there is no key to export").help(help));
    }
    if !args.dry_run {
        write(&file)?;
    }
    let exported = Exported { file: file.path, keys: file.keys, secret: file.secret, dry_run: args.dry_run };
    context.output.show(&exported)?;
    Ok(Exit::Done)
}

/// What is to be written.
struct File {
    path: PathBuf,
    text: Zeroizing<Vec<u8>>,
    keys: usize,
    secret: bool,
}

/// Writes the file whole or not at all. One with secrets is for its owner alone from its first moment, whoever could read
/// the one before.
fn write(file: &File) -> Result<(), HostError> {
    let File { path, text, secret, .. } = file;
    let fail = |error: std::io::Error| HostError::file("write", path, &error);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        return Err(fail(std::io::ErrorKind::IsADirectory.into()));
    }
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(fail)?;
    file.write_all(text).map_err(fail)?;
    if !secret {
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(fail)?;
    }
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(fail)
}

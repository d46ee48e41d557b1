//! `pbac schedule remove`: takes away what `install` wrote.

use std::path::{Path, PathBuf};

use super::{NameArgs, machine};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::schedule::change::Change;
use crate::schedule::systemd::Scope;

/// The arguments of `pbac schedule remove`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    name: NameArgs,
    /// Look for units in DIR, of an image for instance, and tell nobody
    #[arg(long, value_name = "DIR")]
    unit_dir: Option<PathBuf>,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Removes the schedule wherever it is installed.
///
/// # Errors
///
/// When a file of that name is somebody else's, or something cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let machine = machine(Scope::System, args.unit_dir);
    let beside = context.config.file.as_deref().and_then(Path::parent);
    let beside = beside.filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let change = Change::remove(&machine, &args.name.name, beside).await?;
    let report = if args.dry_run { change.dry_run() } else { change.carry_out(context.clock.now()).await? };
    context.output.show(&report)?;
    Ok(Exit::Done)
}

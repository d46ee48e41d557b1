//! `pbac schedule`: signing keys rotated when they are due, without anybody thinking of it.

pub mod install;
pub mod remove;
pub mod run;
pub mod status;

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::{printable, style};
use crate::schedule::systemd::Scope;
use crate::schedule::{Finding, Machine, ScheduleName};

/// What to do with the schedule.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Rotate the keys when they are due: a systemd timer, or a line of the crontab, that runs every day
    Install(install::Args),
    /// Show what is installed, how the last runs went, and what is odd: status 4 when something is wrong
    Status(status::Args),
    /// Take the timer or the line away again, and nothing else
    Remove(remove::Args),
    /// Do what the schedule does every day, now
    Run(run::Args),
}

/// Which schedule.
#[derive(Debug, clap::Args)]
pub struct NameArgs {
    /// The name of the schedule; each settings file needs one of its own
    #[arg(long, value_name = "NAME", default_value = ScheduleName::DEFAULT)]
    name: ScheduleName,
}

/// Does it.
///
/// # Errors
///
/// What the subcommand says.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    match args {
        Args::Install(args) => install::run(args, context).await,
        Args::Status(args) => status::run(args, context).await,
        Args::Remove(args) => remove::run(args, context).await,
        Args::Run(args) => run::run(args, context).await,
    }
}

/// One value of the environment.
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// This machine, or the one whose units lie in the directory.
fn machine(scope: Scope, unit_dir: Option<PathBuf>) -> Machine {
    let machine = Machine::this(&environment);
    match unit_dir {
        Some(directory) => machine.with_units_in(scope, directory),
        None => machine,
    }
}

/// This program as it was called, if that finds it: a link on the path outlives the version it points to.
fn this_program() -> Result<PathBuf, HostError> {
    let fail = |error| HostError::file("find", Path::new("pbac"), &error);
    let real = std::env::current_exe().map_err(fail)?;
    let path = environment("PATH").unwrap_or_default();
    let name = Path::new("pbac");
    let on_path = std::env::split_paths(&path).map(|directory| directory.join(name));
    let mut same = on_path.filter(|candidate| {
        candidate.is_absolute() && candidate.canonicalize().is_ok_and(|found| found == real)
    });
    Ok(same.next().unwrap_or(real))
}

/// Findings for people.
fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let kind = if finding.stops { style::bad("wrong:") } else { style::caution("note:") };
        let place =
            finding.place.as_ref().map_or_else(String::new, |place| format!("{}: ", printable(place)));
        text.push_str(&format!("{kind} {place}{}\n", printable(&finding.message)));
        if let Some(help) = &finding.help {
            text.push_str(&format!("    help: {}\n", printable(help)));
        }
    }
    text
}

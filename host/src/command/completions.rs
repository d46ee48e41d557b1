//! `pbac completions`: what completes the command in a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;

/// The arguments of `pbac completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script, whatever the output mode: it is a document of its own.
///
/// # Errors
///
/// When standard output cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pbac", &mut script);
    context.output.show_text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

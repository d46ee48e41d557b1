//! `pbac man`: the manual pages.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde::Serialize;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::write_whole;
use crate::report::{Report, printable};

/// The arguments of `pbac man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory, which must exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The pages that were written.
#[derive(Debug, Serialize)]
struct Written {
    files: Vec<String>,
}

impl Report for Written {
    fn people(&self) -> String {
        self.files.iter().map(|file| format!("wrote {}\n", printable(file))).collect()
    }
}

/// Writes one page for the command and one for each subcommand.
///
/// # Errors
///
/// When a page cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut files = Vec::new();
    write_pages(&command, &args.directory, &mut files)?;
    context.output.show(&Written { files })?;
    Ok(Exit::Done)
}

fn write_pages(command: &clap::Command, directory: &Path, files: &mut Vec<String>) -> Result<(), HostError> {
    let page = clap_mangen::Man::new(command.clone());
    let path = directory.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text).map_err(|error| HostError::file("write", &path, &error))?;
    write_whole(&path, &text)?;
    files.push(path.display().to_string());
    command.get_subcommands().try_for_each(|subcommand| write_pages(subcommand, directory, files))
}

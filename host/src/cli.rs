//! The command line: what every subcommand shares. A subcommand's own arguments stand in its own file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser};

use crate::command::Command;

/// Takes an application from hard-coded roles to permissions, and back.
#[derive(Debug, Parser)]
#[command(
    name = "pbac",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit status: 0 done or allowed, 1 failed, 2 usage, 3 denied, 4 mismatch or drift, 5 busy, \
    6 refused for safety, 8 needs a person.\nSettings: flags over environment (DATABASE_URL, PBAC_*) over pbac.toml over \
    defaults."
)]
pub struct Cli {
    /// What every subcommand shares.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every subcommand takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Print one JSON object on standard output (errors: on standard error)
    #[arg(long, global = true)]
    pub json: bool,
    /// Read the settings from FILE instead of pbac.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The database, without a password (arguments are seen by every user of the machine)
    #[arg(long, global = true, value_name = "URL", conflicts_with = "database_url_file")]
    pub database_url: Option<String>,
    /// Read the database's URL, password and all, from FILE; `-` is the standard input
    #[arg(long, global = true, value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// The schema of pbac's tables [default: pbac]
    #[arg(long, global = true, value_name = "NAME")]
    pub schema: Option<String>,
    /// Use no colours (as NO_COLOR does)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Never ask; refuse what would need an answer
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Answer yes to every question
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Print results and errors only
    #[arg(long, short = 'q', global = true, action = ArgAction::SetTrue)]
    pub quiet: bool,
}

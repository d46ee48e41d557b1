//! `pbac schedule run`: what the timer or the crontab calls.

use std::path::{Path, PathBuf};

use super::{NameArgs, this_program};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::show_time;
use crate::report::{Report, printable, style};
use crate::schedule::KeyPlaces;
use crate::schedule::run::{ROTATION_LIMIT, Run, RunReport, RunStatus, Words};
use crate::subprocess::check::{CheckOutcome, CheckStatus};

/// The arguments of `pbac schedule run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with the status of what failed first: that of `pbac keys rotate`, or 1.")]
pub struct Args {
    #[command(flatten)]
    name: NameArgs,
    /// The pbac that is called [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Rotates if due, restarts if something was rotated, writes the figures, calls for help.
///
/// # Errors
///
/// What failed first, with the status of the rotation.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let config = &context.config;
    let file = config.file.as_deref().map(std::path::absolute).transpose();
    let file = file.map_err(|error| HostError::file("find", Path::new("pbac.toml"), &error))?;
    let here = std::env::current_dir().map_err(|error| HostError::file("find", Path::new("."), &error))?;
    let directory = file.as_deref().and_then(Path::parent).unwrap_or(&here);
    let places = KeyPlaces::new(&config.keys, directory);
    let program = match args.program {
        Some(program) => program,
        None => this_program()?,
    };
    let run = Run {
        name: &args.name.name,
        program: &program,
        config: file.as_deref(),
        directory,
        logs: &places.logs,
        secrets: &config.keys.names.secrets(),
        settings: &config.schedule,
        limit: ROTATION_LIMIT,
    };
    let report = run.run(&|| context.clock.now()).await?;
    for words in &report.said {
        match words {
            Words::Note(text) => context.output.note(printable(text)),
            Words::Warning(text) => context.output.warn(printable(text)),
        }
    }
    if let Some(alert) = report.alert.as_ref().filter(|alert| alert.status.is_bad()) {
        context.output.warn(format_args!("`schedule.alert` {}", alert.status.name()));
    }
    context.output.show(&report)?;
    match report.failure {
        Some(failure) => Err(failure),
        None => Ok(Exit::Done),
    }
}

impl Report for RunReport {
    fn people(&self) -> String {
        let mut text = match self.status {
            RunStatus::NothingDue => format!("{} no key was due\n", style::good("nothing to do:")),
            _ => String::new(),
        };
        // The most that was done; a rotation promotes too.
        let done = [(self.rotated, "rotated"), (self.promoted, "promoted"), (self.staged, "staged")];
        if let Some((_, what)) = done.iter().find(|(is, _)| *is) {
            text.push_str(&format!("a key was {what}\n"));
        }
        for outcome in [&self.restart, &self.alert].into_iter().flatten() {
            text.push_str(&command(outcome));
        }
        if let Some(due) = self.next_due {
            text.push_str(&format!("next rotation due: {}\n", show_time(due)));
        }
        if let Some(path) = &self.textfile {
            text.push_str(&format!("figures in {}\n", printable(&path.to_string_lossy())));
        }
        text
    }
}

/// As after a rollback: how it ended, and the end of what it printed where that may say why.
fn command(outcome: &CheckOutcome) -> String {
    let status = match outcome.status {
        CheckStatus::Succeeded => style::good(outcome.status.name()),
        _ => style::bad(outcome.status.name()),
    };
    let mut text = format!("{}: {status}", outcome.name);
    if let (true, Some(code)) = (outcome.status.is_bad(), outcome.exit_code) {
        text.push_str(&format!(" with status {code}"));
    }
    text.push_str(&format!(" after {} ms\n", outcome.milliseconds));
    if outcome.status.is_bad() {
        text.extend(outcome.output.lines().map(|line| format!("    {}\n", printable(line))));
    }
    text
}

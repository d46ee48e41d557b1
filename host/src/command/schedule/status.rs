//! `pbac schedule status`: what is installed, and how the last runs went.

use std::path::PathBuf;

use super::{NameArgs, findings, machine, this_program};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::show_time;
use crate::report::{Report, printable, style};
use crate::schedule::Job;
use crate::schedule::status::{StatusReport, TimerStatus};
use crate::schedule::systemd::Scope;

/// The arguments of `pbac schedule status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    name: NameArgs,
    /// Look for units in DIR, of an image for instance
    #[arg(long, value_name = "DIR")]
    unit_dir: Option<PathBuf>,
}

/// Looks.
///
/// # Errors
///
/// When a unit cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let name = args.name.name;
    let job = match Job::new(name.clone(), this_program()?, &context.config) {
        Ok(job) => Some(job),
        Err(error) => {
            context.output.warn(format_args!("{error}: whether all is as it should be cannot be said"));
            None
        }
    };
    let machine = machine(Scope::System, args.unit_dir);
    let status = StatusReport::new(&machine, &name, job.as_ref(), context.clock.now()).await?;
    context.output.show(&status)?;
    Ok(if status.is_wrong() { Exit::Mismatch } else { Exit::Done })
}

impl Report for StatusReport {
    fn people(&self) -> String {
        let mut text = String::new();
        if self.systemd.is_empty() && self.crontab.is_empty() {
            text.push_str(&format!("the schedule `{}` is not installed\n", self.schedule));
        }
        for timer in &self.systemd {
            text.push_str(&shown(timer));
        }
        for line in &self.crontab {
            text.push_str(&format!("crontab  line {}, `{}`\n", line.line, printable(&line.when)));
        }
        if let Some(runs) = &self.runs {
            let time = |time: Option<_>| time.map_or_else(|| "never".to_owned(), show_time);
            text.push_str(&format!(
                "last run {}, last success {}, failures {}, next rotation due {}\n",
                time(runs.last_run),
                time(runs.last_success),
                runs.failures,
                runs.due.map_or_else(|| "at an unknown time".to_owned(), show_time)
            ));
        }
        text.push_str(&findings(&self.findings));
        let installed = !self.systemd.is_empty() || !self.crontab.is_empty();
        if installed && !self.is_wrong() {
            text.push_str(&format!("{} nothing is wrong\n", style::good("good:")));
        }
        text
    }
}

fn shown(timer: &TimerStatus) -> String {
    let mut text = format!("systemd  {}", printable(&timer.timer.to_string_lossy()));
    match &timer.state {
        Some(state) => {
            text.push_str(if state.enabled { ", enabled" } else { ", not enabled" });
            text.push_str(if state.active { ", active" } else { ", not active" });
            if let Some(next) = state.next_run {
                text.push_str(&format!(", next run {}", show_time(next)));
            }
        }
        None => text.push_str(", systemd was not asked"),
    }
    text.push('\n');
    text
}

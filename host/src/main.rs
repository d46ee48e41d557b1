//! The `pbac` command: reads arguments and settings, runs one subcommand, ends with its status.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use pbac::cli::Cli;
use pbac::config::Config;
use pbac::context::{Clock, Context};
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::interrupt::unless_interrupted;
use pbac::report::Output;

/// How long an interrupted command may take to put things back before the process ends anyway.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer_usage(&error).into(),
    };
    let output = Output::new(&cli.global);
    match run(cli, &output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            error.exit().into()
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<Exit, HostError> {
    let config = Config::load(&cli.global, &|name| std::env::var_os(name))?;
    for warning in &config.warnings {
        output.warn(warning);
    }
    let context = Context { config, output: output.clone(), clock: Clock };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| HostError::failed(format_args!("cannot start: {error}")))?;
    let result = runtime.block_on(unless_interrupted(cli.command.run(&context)));
    runtime.shutdown_timeout(GRACE);
    result
}

/// Help and version go to standard output and succeed; everything else is a usage error, as JSON where that was asked.
fn answer_usage(error: &clap::Error) -> Exit {
    let asked = |flag: &str| std::env::args_os().any(|argument| argument == flag);
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if help || !asked("--json") {
        if asked("--no-color") {
            anstream::ColorChoice::Never.write_global();
        }
        // A reader that went away had enough.
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        let (what, usage) = text.split_once("Usage: ").unwrap_or((&text, ""));
        let what: Vec<&str> = what.split_whitespace().collect();
        let what = what.join(" ");
        let mut error = HostError::usage(what.strip_prefix("error: ").unwrap_or(&what));
        if let Some(usage) = usage.lines().next().filter(|usage| !usage.is_empty()) {
            error = error.help(format_args!("usage: {usage}"));
        }
        Output::new(&pbac::cli::Global { json: true, ..Default::default() }).error(&error);
    }
    if help { Exit::Done } else { Exit::Usage }
}

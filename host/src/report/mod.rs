//! How answers look: JSON for programs, lines and tables for people. Data goes to standard output, all else to
//! standard error.
//!
//! A command makes one serde struct, implements [`Report`] for it, and hands it to [`Output::show`]: the JSON is the
//! struct, the text is what [`Report::people`] makes of the same fields, so that the two cannot drift apart.

mod confirm;
pub mod files;
mod progress;
pub mod style;
mod table;
pub mod time;

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;

use crate::cli::Global;
use crate::error::HostError;

pub use confirm::Severity;
pub use progress::Progress;
pub use style::printable;
pub use table::Table;

/// Something to print. The JSON shape is the serde one and is documented in `docs/json.md`.
pub trait Report: Serialize {
    /// The same for people: lines that end in a newline, styled with [`style`]. Text that came from outside goes
    /// through [`printable`].
    fn people(&self) -> String;
}

/// Where answers, notes, questions and progress go.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    yes: bool,
    no_input: bool,
}

impl Output {
    /// As the flags ask. Turns colours off for the whole process under `--no-color`.
    #[must_use]
    pub fn new(flags: &Global) -> Self {
        if flags.no_color {
            anstream::ColorChoice::Never.write_global();
        }
        Self { json: flags.json, quiet: flags.quiet, yes: flags.yes, no_input: flags.no_input }
    }

    /// Whether programs read the answers.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the answer on standard output: one line of JSON, or text for people.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written. A reader that went away is no error: it had enough.
    pub fn show(&self, report: &impl Report) -> Result<(), HostError> {
        if self.json { self.show_json(report) } else { self.show_text(&report.people()) }
    }

    /// Prints text on standard output as it is, whatever the mode: for what is a document of its own.
    ///
    /// # Errors
    ///
    /// As [`Output::show`].
    pub fn show_text(&self, text: &str) -> Result<(), HostError> {
        let mut stdout = anstream::stdout().lock();
        written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }

    fn show_json(&self, value: &impl Serialize) -> Result<(), HostError> {
        let mut line = serde_json::to_vec(value)
            .map_err(|error| HostError::failed(format_args!("the answer is no JSON: {error}")))?;
        line.push(b'\n');
        let mut stdout = std::io::stdout().lock();
        written(stdout.write_all(&line).and_then(|()| stdout.flush()))
    }

    /// Tells a person on standard error what is going on; nothing under `--quiet`, `{"note": …}` under `--json`.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.aside("note", text);
        }
    }

    /// Warns a person on standard error, also under `--quiet`; `{"warning": …}` under `--json`.
    pub fn warn(&self, text: impl std::fmt::Display) {
        self.aside("warning", text);
    }

    fn aside(&self, kind: &str, text: impl std::fmt::Display) {
        let text = text.to_string();
        let line = match (self.json, kind) {
            (true, _) => serde_json::json!({ kind: text }).to_string(),
            (false, "warning") => format!("{} {text}", style::caution("warning:")),
            (false, _) => text,
        };
        // Nothing can be done about a standard error that is closed.
        let _ = writeln!(anstream::stderr().lock(), "{line}");
    }

    /// Prints the error that ends the process on standard error.
    pub fn error(&self, error: &HostError) {
        let text = if self.json {
            serde_json::to_string(error).unwrap_or_else(|_| error.to_string())
        } else {
            let mut text = format!("{} {error}", style::bad("pbac:"));
            if let Some(help) = error.advice() {
                text.push_str(&format!("\n  help: {help}"));
            }
            text
        };
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// A progress bar of `total` steps that appears after a second, on a terminal only.
    #[must_use]
    pub fn progress(&self, doing: &str, total: u64) -> Progress {
        let visible = !self.json && !self.quiet && std::io::stderr().is_terminal();
        Progress::new(doing, total, visible)
    }
}

fn written(result: std::io::Result<()>) -> Result<(), HostError> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(HostError::failed(format_args!("cannot write to standard output: {}", error.kind()))
                .help("check where the output goes; the disk may be full"))
        }
        _ => Ok(()),
    }
}

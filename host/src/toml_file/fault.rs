//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::place::SourceText;
use crate::error::HostError;

/// The most faults of one file that are shown; the others are counted.
pub const MAX_FAULTS_SHOWN: usize = 50;

/// Beyond this many, faults are only counted, so that a hostile file cannot fill the memory with them.
const MAX_FAULTS_KEPT: usize = 1_000;

/// Why a file that a person wrote is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TomlFileError {
    /// It could not be read at all, or is too long.
    Unreadable(HostError),
    /// What it says is wrong.
    Faults {
        /// The first faults, in the order of the file; at most [`MAX_FAULTS_SHOWN`], at least one.
        faults: Vec<Fault>,
        /// How many more there are.
        more: usize,
    },
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
    /// The line, or the part of it around the place.
    pub quote: String,
    /// What stands below the quoted line: white space, then `^` under the place.
    pub marker: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, quote, marker } = self;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        writeln!(f, "{}", format_args!("{number} | {quote}").to_string().trim_end())?;
        write!(f, "{gutter} | {marker}")
    }
}

impl fmt::Display for TomlFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Faults { faults, more } => {
                for (index, fault) in faults.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(f, "{separator}{fault}")?;
                }
                match more {
                    0 => Ok(()),
                    1 => f.write_str("\nand 1 more fault"),
                    _ => write!(f, "\nand {more} more faults"),
                }
            }
        }
    }
}

impl std::error::Error for TomlFileError {}

impl From<TomlFileError> for HostError {
    fn from(error: TomlFileError) -> Self {
        match error {
            TomlFileError::Unreadable(error) => error,
            TomlFileError::Faults { .. } => Self::failed(error),
        }
    }
}

/// Faults as they are found, in any order.
#[derive(Default)]
pub(super) struct Faults {
    kept: Vec<(Range<usize>, String)>,
    dropped: usize,
}

impl Faults {
    pub(super) fn add(&mut self, place: Range<usize>, message: String) {
        if self.kept.len() < MAX_FAULTS_KEPT {
            self.kept.push((place, message));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether another fault would be shown.
    pub(super) fn have_room(&self) -> bool {
        self.kept.len() < MAX_FAULTS_SHOWN
    }

    /// The error, with the faults in the order of the file.
    pub(super) fn into_error(mut self, source: &SourceText<'_>) -> TomlFileError {
        self.kept.sort_by_key(|(place, _)| place.start);
        let more = self.kept.len().saturating_sub(MAX_FAULTS_SHOWN).saturating_add(self.dropped);
        let shown = self.kept.into_iter().take(MAX_FAULTS_SHOWN);
        let faults = shown.map(|(span, message)| {
            let place = source.place(&span);
            Fault {
                file: source.name.to_owned(),
                line: place.line,
                column: place.column,
                message,
                quote: place.quote,
                marker: place.marker,
            }
        });
        TomlFileError::Faults { faults: faults.collect(), more }
    }
}

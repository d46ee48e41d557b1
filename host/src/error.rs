//! The one error that reaches a person: what went wrong, what to do, and the status of the process.
//!
//! A module keeps its own typed error and converts it here (`impl From<ItsError> for HostError`, beside that error).

use std::fmt;
use std::path::Path;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::exit::Exit;

/// Why a command did not do what was asked.
///
/// ```
/// use pbac::error::HostError;
/// use pbac::exit::Exit;
///
/// let error = HostError::new(Exit::Busy, "another migration holds the lock").help("try again in a minute");
/// assert_eq!(error.exit(), Exit::Busy);
/// assert_eq!(error.to_string(), "another migration holds the lock");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    exit: Exit,
    message: String,
    help: Option<String>,
}

impl HostError {
    /// An error that ends the process with `exit`. `message` is lower case, names the input in backticks, and holds no
    /// secret.
    #[must_use]
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), help: None }
    }

    /// Something that was tried and failed.
    #[must_use]
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// An argument or a setting that makes no sense.
    #[must_use]
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that could be done and is refused, because it is not safe.
    #[must_use]
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// A file that could not be read or written: names the file, and says what to do about the usual causes.
    #[must_use]
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let help = match error.kind() {
            ErrorKind::NotFound => "check the path, or create the file",
            ErrorKind::PermissionDenied => "check who may read and write it",
            ErrorKind::IsADirectory => "name a file, not a directory",
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the disk",
            ErrorKind::InvalidData => "write it as UTF-8 text",
            _ => "check the file and its directory",
        };
        Self::failed(format_args!("cannot {doing} `{}`: {}", path.display(), describe(error))).help(help)
    }

    /// Adds what to do about it, in one sentence without a full stop.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// How the process ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// The operating system's words, without the number Rust adds, in lower case as all our texts.
fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

impl Serialize for HostError {
    /// `{"error": "busy", "status": 5, "message": "…", "help": "…"}`, as `docs/json.md` documents.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Error", 4)?;
        fields.serialize_field("error", self.exit.name())?;
        fields.serialize_field("status", &self.exit.code())?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("help", &self.help)?;
        fields.end()
    }
}

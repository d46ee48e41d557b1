//! TOML files that people write: every value keeps its place, and all faults are reported together, each with
//! `file:line:column`, what is wrong, what to do, and the line itself.

mod fault;
mod place;
mod quote;
mod reader;
mod spelling;
mod syntax;

use std::path::Path;

pub use fault::{Fault, MAX_FAULTS_SHOWN, TomlFileError};
pub(crate) use quote::{quoted, quoted_list};
pub(crate) use reader::{Key, Reader, Section, Texts, Value, listed};

use crate::report::files::read_bytes;
use fault::Faults;
use place::SourceText;

/// The longest policy or endpoint file that is read, in bytes: 16 MiB.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a file that a person wrote, and makes of it what `read` makes of its text and its name.
pub(crate) fn load<T>(
    path: &Path,
    read: impl FnOnce(&str, &str) -> Result<T, TomlFileError>,
) -> Result<T, TomlFileError> {
    let bytes = read_bytes(path, MAX_FILE_BYTES).map_err(TomlFileError::Unreadable)?;
    let name = path.display().to_string();
    match str::from_utf8(&bytes) {
        Ok(text) => read(text, &name),
        Err(error) => {
            let at = error.valid_up_to();
            let text = String::from_utf8_lossy(&bytes);
            let mut faults = Faults::default();
            let found = bytes.get(at).copied().unwrap_or_default();
            faults.add(at..at, format!("byte 0x{found:02x} is not UTF-8 text; save the file as UTF-8"));
            Err(faults.into_error(&SourceText::new(&text, &name)))
        }
    }
}

/// Parses `text` and walks it with `read`, which gives `None` only after it reported why.
pub(crate) fn parse<T>(
    text: &str,
    name: &str,
    read: impl FnOnce(&mut Reader<'_>, &Section<'_, '_>) -> Option<T>,
) -> Result<T, TomlFileError> {
    let mut faults = Faults::default();
    let value = syntax::parse(text, &mut faults).and_then(|document| {
        let mut reader = Reader::new(text, &mut faults);
        read(&mut reader, &Section::root(document.get_ref()))
    });
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(faults.into_error(&SourceText::new(text, name))),
    }
}

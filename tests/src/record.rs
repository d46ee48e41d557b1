//! What a whole run of the tests said, and every secret it used, so that `scripts/test` can look for the ones in the other.
//!
//! Kept where `PBAC_TEST_RECORD` names a directory, and nowhere else: `said.*` holds outputs, reports and rows, `secrets.*`
//! a secret a line, in hexadecimal digits; a file for each process.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;

use crate::secrecy;

/// The variable that names the directory.
pub const VARIABLE: &str = "PBAC_TEST_RECORD";

/// One write is one whole entry.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Keeps a secret that was used. Its beginning must be one that nothing else has.
pub fn secret(secret: &[u8]) {
    let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    keep("secrets", format!("{digits}\n").as_bytes());
}

/// Keeps something that was said, with what said it.
pub fn said(what: &str, text: &[u8]) {
    keep("said", &[format!("\n### {what}\n").as_bytes(), text].concat());
}

/// Keeps what a test's directory holds when the test is over: of `.env` files the secrets, the text of all else but key sets.
///
/// # Panics
///
/// When it cannot be read.
pub fn directory(path: &Path) {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    for path in files(path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("what the test wrote can be read");
        if name.starts_with(".env") {
            let text = String::from_utf8_lossy(&bytes);
            secrecy::held(&text).iter().for_each(|held| secret(held.as_bytes()));
        } else if path.extension().is_none_or(|extension| extension != "jwks") {
            said(&path.display().to_string(), &bytes);
        }
    }
}

/// The regular files below a directory.
///
/// # Panics
///
/// When it cannot be read.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory can be read");
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let below = paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    below.filter(|path| path.is_file()).collect()
}

/// For what a process said.
pub trait Recorded {
    /// Keeps it, and gives it back.
    #[must_use]
    fn recorded(self) -> Self;
}

impl Recorded for Output {
    fn recorded(self) -> Self {
        said("standard output", &self.stdout);
        said("standard error", &self.stderr);
        self
    }
}

fn keep(kind: &str, text: &[u8]) {
    let Some(directory) = std::env::var_os(VARIABLE) else { return };
    let path = Path::new(&directory).join(format!("{kind}.{}", std::process::id()));
    let _guard = ONE_AT_A_TIME.lock();
    let file: std::io::Result<File> = OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(text));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

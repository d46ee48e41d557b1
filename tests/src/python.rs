//! A Python with the packages of `tests/requirements.txt`, for the tests that hold ours to what applications really use.

use std::path::PathBuf;

/// The variable that names it. `scripts/setup` makes one.
pub const PYTHON: &str = "PBAC_PYTHON";
/// The variable that says that there is none, so that tests that need one say that they are skipped.
pub const WITHOUT_PYTHON: &str = "PBAC_WITHOUT_PYTHON";

/// The program. Nothing where the machine has none and [`WITHOUT_PYTHON`] says so.
///
/// # Panics
///
/// When neither variable is set.
#[must_use]
pub fn python() -> Option<PathBuf> {
    if std::env::var_os(WITHOUT_PYTHON).is_some() {
        eprintln!("skipped: {WITHOUT_PYTHON} says that there is no Python with the packages on this machine");
        return None;
    }
    let program = std::env::var_os(PYTHON).unwrap_or_else(|| {
        panic!("{PYTHON} names no Python: set what `scripts/setup` prints; {WITHOUT_PYTHON}=1 skips what needs it")
    });
    Some(program.into())
}

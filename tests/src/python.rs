//! A Python with the packages of `tests/requirements.txt`, for the tests that hold ours to what applications really use.

use std::path::PathBuf;

/// The program that `PBAC_PYTHON` names; `scripts/setup` makes one. Nothing where it names none, which is said.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let program = std::env::var_os("PBAC_PYTHON").map(PathBuf::from);
    if program.is_none() {
        eprintln!(
            "skipped: PBAC_PYTHON names no Python with the packages of tests/requirements.txt (scripts/setup makes one)"
        );
    }
    program
}

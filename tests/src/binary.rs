//! The `pbac` command, built as the running test is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// What the command is made of, from the root of the workspace.
const SOURCES: [&str; 6] = ["host", "policy-core", "migrations", "examples", "Cargo.toml", "Cargo.lock"];

/// How the variables begin that cargo sets for the tests it runs, but for those that a person sets for cargo.
const TOLD: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];

/// The path of the command.
///
/// `cargo test --workspace` has built it, since the package of the command has a test of its own. A run of a single
/// suite has not: cargo is asked then, unless the command is newer than everything it is made of.
///
/// # Panics
///
/// When it cannot be built.
pub fn pbac() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| beside_this_test().filter(|path| is_current(path)).unwrap_or_else(build))
}

/// Tests lie in `<target>/<profile>/deps`, commands in `<target>/<profile>`.
fn beside_this_test() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    Some(test.parent()?.parent()?.join("pbac"))
}

fn is_current(command: &Path) -> bool {
    let Ok(built) = command.metadata().and_then(|data| data.modified()) else {
        return false;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    SOURCES.iter().all(|source| newest(&root.join(source)) <= built)
}

/// When the file, or the newest file below the directory, was written.
fn newest(path: &Path) -> SystemTime {
    let metadata = path.metadata().expect("the sources are there");
    if !metadata.is_dir() {
        return metadata.modified().expect("files have a time");
    }
    let entries = path.read_dir().expect("the sources can be read");
    let times = entries.map(|entry| newest(&entry.expect("the sources can be read").path()));
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--workspace", "--bin", "pbac", "--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // What the outer cargo tells this test of its package: `ring` is built again when it differs, and sqlx after it.
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| TOLD.iter().any(|prefix| name.starts_with(prefix)));
        if told {
            build.env_remove(name);
        }
    }
    let output = build.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let mut built = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    built.next_back().expect("cargo names the executable")
}

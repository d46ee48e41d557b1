//! Definitions and rows of a schema as pg_dump writes them, and how two such texts are compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use pbac::postgres::{Binaries, Identifier};

/// Definitions and rows of a schema, but the rows of the audit log in `ours`.
///
/// # Panics
///
/// When pg_dump fails.
#[must_use]
pub fn dump(url: &str, schema: &str, ours: &Identifier) -> String {
    let audit = format!("{}.audit_log", ours.quoted());
    let pattern = format!("\"{}\"", schema.replace('"', "\"\""));
    let output = Command::new(program("pg_dump"))
        .args(["--inserts", "--schema", &pattern, "--exclude-table-data", &audit])
        .args(["--dbname", url])
        .output()
        .expect("pg_dump can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The newest versions guard the file with a random word.
    let text = String::from_utf8(output.stdout).expect("pg_dump writes UTF-8");
    let kept =
        text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    kept.collect::<Vec<_>>().join("\n")
}

/// A client program that lies beside the server's.
///
/// # Panics
///
/// When there is no server on this machine.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let binaries = Binaries::find().expect("there is a server on this machine");
    let beside = binaries.postgres().parent().unwrap_or(Path::new("")).join(name);
    if beside.exists() { beside } else { Path::new(name).to_owned() }
}

/// Two dumps are equal; where not, the first different line is shown.
///
/// # Panics
///
/// When they are not.
pub fn same(now: &str, before: &str) {
    let different = now.lines().zip(before.lines()).find(|(now, before)| now != before);
    assert_eq!(different, None);
    assert_eq!(now.lines().count(), before.lines().count());
}

/// Two dumps say the same: rows are in another order once they are restored, and PostgreSQL prints `(a AND b) AND c`,
/// once it has read it again, as `a AND b AND c`.
///
/// # Panics
///
/// When they do not.
pub fn same_shape(now: &str, before: &str) {
    let shape = |dump: &str| {
        let mut lines: Vec<String> = dump
            .lines()
            .map(|line| line.chars().filter(|c| !"()".contains(*c) && !c.is_whitespace()).collect())
            .collect();
        lines.sort();
        lines.join("\n")
    };
    same(&shape(now), &shape(before));
}

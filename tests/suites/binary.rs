//! A test of the package that the command belongs to, so that `cargo test --workspace` builds the command before the
//! suites that run it.

use std::process::Command;

#[test]
fn the_command_says_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_pbac")).arg("--version").output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    assert_eq!(output.ok().as_deref(), Some(concat!("pbac ", env!("CARGO_PKG_VERSION"), "\n")));
}

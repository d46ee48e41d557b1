//! What applications read `.env` files with: python-dotenv, Node, `sh`, and the rules of Docker Compose.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::compose_env;
use crate::python::python;

/// Variables by their names, as a loader hands them to an application.
pub type Variables = BTreeMap<String, String>;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loader {
    /// python-dotenv, as its users call it.
    Dotenv,
    /// Node's parser.
    Node,
    /// The documented rules of Docker Compose, written anew: there is no program that does nothing else.
    Compose,
    /// `sh`, where every variable is exported.
    Sh,
}

impl Loader {
    /// Those that this machine has.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut loaders = vec![Self::Compose, Self::Sh];
        if python().is_some() {
            loaders.push(Self::Dotenv);
        }
        if has_node() {
            loaders.push(Self::Node);
        } else {
            eprintln!("skipped: there is no Node with `util.parseEnv` (20.12 or later) on this machine");
        }
        loaders
    }

    /// What it reads from each file; nothing where it refuses the file.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[must_use]
    pub fn read(self, files: &[PathBuf]) -> Vec<Option<Variables>> {
        match self {
            Self::Dotenv => {
                let program = python().expect("it is available");
                batch(Command::new(program).args(["-c", DOTENV]), files)
            }
            Self::Node => batch(Command::new("node").args(["-e", NODE]), files),
            Self::Compose => files.iter().map(|file| compose_env::read(&bytes(file))).collect(),
            Self::Sh => files.iter().map(|file| by_shell(file)).collect(),
        }
    }
}

/// What `node --env-file` hands to a program.
///
/// # Panics
///
/// When it does not run.
#[must_use]
pub fn by_node_itself(file: &Path) -> Option<Variables> {
    let mut argument = std::ffi::OsString::from("--env-file=");
    argument.push(file);
    let script = "process.stdout.write(JSON.stringify(process.env))";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new("node");
    let output = command.arg(argument).args(["-e", script]).env_clear().env("PATH", path).output();
    let output = output.expect("it is available");
    serde_json::from_slice(&output.stdout).ok()
}

const DOTENV: &str = r"
import json, os, sys
os.environ.clear()
from dotenv import dotenv_values
for path in json.load(sys.stdin):
    try:
        found = {name: value for name, value in dotenv_values(path).items() if value is not None}
    except UnicodeDecodeError:
        found = None
    print(json.dumps(found))
";

const NODE: &str = r"
const fs = require('node:fs'), { parseEnv } = require('node:util');
for (const path of JSON.parse(fs.readFileSync(0, 'utf8')))
  console.log(JSON.stringify(parseEnv(fs.readFileSync(path, 'utf8'))));
";

/// A program that reads a list of files and prints a line of JSON for each.
fn batch(command: &mut Command, files: &[PathBuf]) -> Vec<Option<Variables>> {
    let list = serde_json::to_string(files).expect("paths are UTF-8");
    let output = feed(command, list.as_bytes());
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = std::str::from_utf8(&output.stdout).expect("JSON is UTF-8").lines();
    let read: Vec<_> = lines.map(|line| serde_json::from_str(line).expect("it prints variables")).collect();
    assert_eq!(read.len(), files.len(), "{command:?}");
    read
}

fn feed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is available");
    let mut pipe = child.stdin.take().expect("it has an input");
    // All of the input is read before anything is printed.
    pipe.write_all(input).expect("it reads its input");
    drop(pipe);
    child.wait_with_output().expect("it ends")
}

/// A shell runs what it reads: it gets no program to call, and an empty directory to do so in.
fn by_shell(file: &Path) -> Option<Variables> {
    let empty = tempfile::tempdir().expect("there is room");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"set -a; . "$1" >/dev/null 2>&1; exec /usr/bin/env -0"#, "sh"]).arg(file);
    command
        .env_clear()
        .env("PATH", "/nonexistent")
        .env("HOME", "/home/of-this-test")
        .current_dir(empty.path());
    let output = command.stdin(Stdio::null()).output().expect("every system has a shell");
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let variables = text.split('\0').filter_map(|variable| variable.split_once('='));
    let own = ["PATH", "HOME", "PWD", "OLDPWD", "_", "SHLVL"];
    let variables = variables.filter(|(name, _)| !own.contains(name));
    Some(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn has_node() -> bool {
    let script = "process.exit(require('node:util').parseEnv ? 0 : 1)";
    Command::new("node").args(["-e", script]).output().is_ok_and(|output| output.status.success())
}

fn bytes(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

//! The module in each runtime against the oracle: every case of `tests/cases`, and generated questions, reasons included.

#[path = "runtimes/limits.rs"]
mod limits;

use pbac::wasm::{Limits, Runtime as _, wasmi, wasmtime};
use pbac_tests::runtime::{self, Runtime};
use pbac_tests::runtime_process::Program;
use pbac_tests::runtime_rust::Embedded;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many generated questions each runtime is asked at least.
const QUESTIONS: u64 = 100_000;

fn bytes() -> Vec<u8> {
    std::fs::read(runtime::module()).expect("the module can be read")
}

fn hold(name: &str, runtime: &mut dyn Runtime, questions: u64) {
    let cases = runtime::every_case(runtime);
    assert!(cases > 400, "{cases} cases");
    let asked = runtime::generated(runtime, questions);
    println!("{name}: {cases} cases, {asked} generated questions");
}

#[test]
fn wasmtime_means_what_the_oracle_means() {
    let module = wasmtime::Module::new(&bytes(), Limits::default()).unwrap();
    hold("wasmtime", &mut Embedded::new(module.instance().unwrap()), 10 * QUESTIONS);
}

#[test]
fn wasmi_means_what_the_oracle_means() {
    let module = wasmi::Module::new(&bytes(), Limits::default()).unwrap();
    hold("wasmi", &mut Embedded::new(module.instance().unwrap()), QUESTIONS);
}

/// A program of a file of the repository, told where the module is.
fn program(interpreter: &Path, script: &str) -> Program {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(script);
    Program::start(Command::new(interpreter).arg(script).arg(runtime::module()))
}

/// Where the set-up found a program, if it did; that it did not is said.
fn found(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: {variable} is not set (`scripts/test` looks for the program and sets it)");
    }
    path
}

/// Node, if the set-up did not say that there is none.
fn node() -> Option<PathBuf> {
    if std::env::var_os("PBAC_WITHOUT_NODE").is_some() {
        eprintln!("skipped: there is no Node (PBAC_WITHOUT_NODE)");
        return None;
    }
    Some(PathBuf::from("node"))
}

#[test]
fn node_means_what_the_oracle_means() {
    let Some(node) = node() else { return };
    hold("Node", &mut program(&node, "wasm/js/test/runner.mjs"), QUESTIONS);
}

#[test]
fn chromium_means_what_the_oracle_means() {
    let (Some(node), Some(_)) = (node(), found("PBAC_CHROMIUM")) else { return };
    hold("Chromium", &mut program(&node, "wasm/js/test/browser_runner.mjs"), QUESTIONS);
}

#[test]
fn python_means_what_the_oracle_means() {
    let Some(python) = found("PBAC_PYTHON_WASM") else { return };
    hold("Python", &mut program(&python, "wasm/python/tests/runner.py"), QUESTIONS);
}

#[test]
fn the_component_means_what_the_oracle_means() {
    let Some(node) = node() else { return };
    let component = runtime::module().with_file_name("component").join("pbac.js");
    assert!(
        component.is_file(),
        "`{}` is not there: build it with `scripts/wasm component`",
        component.display()
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasm/js/test/component_runner.mjs");
    let mut program = Program::start(Command::new(node).arg(script).arg(component));
    hold("the component", &mut program, QUESTIONS);
}

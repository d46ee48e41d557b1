//! Looks through everything that a run of the tests said for every secret that it used: see `pbac_tests::record`. The
//! arguments are the directory of the record, and more files to look through. Ends with status 1 when a secret is there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use pbac_tests::record::files;
use pbac_tests::secrecy::Search;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let record = arguments.next().expect("the directory of the record is named");
    let (secrets, mut said): (Vec<PathBuf>, Vec<PathBuf>) = files(&record).into_iter().partition(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("secrets."))
    });
    said.extend(arguments);
    let secrets: BTreeSet<Vec<u8>> = secrets.iter().flat_map(secrets_of).collect();
    assert!(!secrets.is_empty(), "a run of all tests uses secrets");

    let search = Search::new(secrets.iter().map(Vec::as_slice));
    let (mut bytes, mut hits) = (0, 0);
    for path in &said {
        let text = std::fs::read(path).expect("what was said can be read");
        bytes += text.len();
        if let Some((at, length)) = search.find(&text) {
            hits += 1;
            println!("{}: {length} bytes of a secret, {}", path.display(), entry(&text[..at]));
        }
    }
    println!(
        "{} secrets looked for in {bytes} bytes of {} files: {hits} files show one",
        secrets.len(),
        said.len()
    );
    if hits == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn secrets_of(path: &PathBuf) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).expect("secrets are kept as digits");
    let bytes = |line: &str| {
        let pair = |at| u8::from_str_radix(&line[at..at + 2], 16).expect("hexadecimal digits");
        (0..line.len()).step_by(2).map(pair).collect()
    };
    text.lines().map(bytes).collect()
}

/// What said the last of the text: the title of its entry, or its last line.
fn entry(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let title = text.rsplit_once("\n### ").map(|(_, rest)| rest.lines().next().unwrap_or_default());
    title.unwrap_or_else(|| text.lines().next_back().unwrap_or_default()).to_owned()
}

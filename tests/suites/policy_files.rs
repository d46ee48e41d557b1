//! Policy files that are refused: each fault with its exact message and place, and no panic whatever the text is.
//!
//! `tests/cases/policy_files/files/X.toml` is a whole policy file with the fault that its name says (a few have several), and
//! `X.err` is what is printed for it; `endpoints` holds the same for endpoint files. `PBAC_BLESS=1` writes the `.err` files anew, to be read before they are committed.

use pbac::endpoints;
use pbac::policy_file::{self, PolicyFile, PolicyFileError};
use pbac::toml_file::TomlFileError;
use policy_core::{Label, Pattern, PermissionName, RoleName};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn cases() -> PathBuf {
    root().join("cases/policy_files")
}

fn erp() -> String {
    fs::read_to_string(root().join("../examples/erp/policy.toml")).unwrap()
}

#[test]
fn every_malformed_policy_file_gets_its_exact_error() {
    check_folder("files", 60, |path| policy_file::load(path).map(drop));
}

#[test]
fn every_malformed_endpoint_file_gets_its_exact_error() {
    check_folder("endpoints", 15, |path| endpoints::load(path).map(drop));
}

fn check_folder(folder: &str, least: usize, load: impl Fn(&Path) -> Result<(), TomlFileError>) {
    let bless = std::env::var_os("PBAC_BLESS").is_some();
    let of_kind = |kind: &str| -> BTreeSet<PathBuf> {
        let files = fs::read_dir(cases().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|ending| ending == kind)).collect()
    };
    let files = of_kind("toml");
    let (mut wrong, mut messages) = (Vec::new(), BTreeSet::new());
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let expected = path.with_extension("err");
        // The folder differs from machine to machine.
        let error = match load(path) {
            Ok(()) => panic!("{name} is accepted"),
            Err(error) => format!("{}\n", error.to_string().replace(&path.display().to_string(), &name)),
        };
        if bless {
            fs::write(&expected, &error).unwrap();
        }
        let told = fs::read_to_string(&expected).unwrap_or_else(|_| panic!("{name} has no .err file"));
        if told != error {
            wrong.push(format!("{name}: expected\n{told}got\n{error}"));
        }
        messages.insert(error.split_once(' ').map(|(_, message)| message.to_owned()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() >= least, "only {} files", files.len());
    // Two cases with one message would be one case.
    assert!(messages.len() >= least, "only {} different messages", messages.len());
    let errors: BTreeSet<PathBuf> = of_kind("err").iter().map(|path| path.with_extension("toml")).collect();
    assert_eq!(errors, files, "every .err file belongs to a .toml file");
}

/// A name or pattern that is refused, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    kind: Kind,
    text: String,
    /// The error, after the text in backticks.
    error: String,
    /// Which character of the text the policy file's error marks, from 1; without it, the whole string.
    character: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Permission,
    Pattern,
    Role,
    Alias,
    Module,
    Conflict,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    refused: Vec<Refused>,
}

#[test]
fn every_malformed_name_and_pattern_gets_its_exact_error() {
    let text = fs::read_to_string(cases().join("names.toml")).unwrap();
    let rows: Rows = toml::from_str(&text).unwrap();
    assert!(rows.refused.len() >= 40, "only {} rows", rows.refused.len());
    for row in &rows.refused {
        let direct = match row.kind {
            Kind::Permission => PermissionName::parse(&row.text).unwrap_err().to_string(),
            Kind::Pattern => Pattern::parse(&row.text).unwrap_err().to_string(),
            Kind::Role | Kind::Alias => RoleName::parse(&row.text).unwrap_err().to_string(),
            Kind::Module | Kind::Conflict => Label::parse(&row.text).unwrap_err().to_string(),
        };
        let (_, reason) = direct.rsplit_once("` is not a ").unwrap();
        assert_eq!(reason, row.error, "`{}`", row.text);

        let (before, after) = around(row.kind);
        // JSON's strings are TOML's too, for these texts.
        let quoted = serde_json::to_string(&row.text).unwrap();
        let file = format!("{before}{quoted}{after}\n[policy]\nname = \"x\"\nversion = 1\n");
        let PolicyFileError::Faults { faults, more: 0 } = policy_file::parse(&file, "x.toml").unwrap_err()
        else {
            panic!("`{}` is not reported as a fault", row.text);
        };
        let [fault] = &faults[..] else { panic!("`{}`: {faults:?}", row.text) };
        assert!(fault.message.starts_with(&direct), "`{}`: {}", row.text, fault.message);
        assert_eq!(fault.line, 1, "`{}`", row.text);
        // One more for the quote; these texts have no escapes where the place counts.
        let column = before.chars().count() + 1 + row.character.unwrap_or(0);
        assert_eq!(fault.column, column, "`{}`: {fault}", row.text);
        let marked = fault.marker.chars().filter(|&c| c == '^').count();
        assert_eq!(marked == 1, row.character.is_some(), "`{}`: {fault}", row.text);
    }
}

/// One line of a policy file that holds a string of this kind and nothing else that could be wrong.
fn around(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Permission => ("modules.m.permissions = { ", " = \"\" }"),
        Kind::Pattern => ("roles.R.grants = [", "]"),
        Kind::Role => ("roles = { ", " = {} }"),
        Kind::Alias => ("roles.R.aliases = [", "]"),
        Kind::Module => ("modules = { ", ".permissions = {} }"),
        Kind::Conflict => ("conflicts = [{ patterns = [\"a.b\", \"a.c\"], name = ", " }]"),
    }
}

#[test]
fn a_file_of_any_size_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.toml");
    fs::write(&path, vec![b'#'; (16 << 20) + 1]).unwrap();
    let error = policy_file::load(&path).unwrap_err().to_string();
    assert!(error.ends_with("huge.toml` has more than 16777216 bytes, the most that is read"), "{error}");
    let missing = policy_file::load(&directory.path().join("none.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read `") && missing.contains("none.toml"), "{missing}");
}

#[test]
fn a_hostile_file_costs_what_its_size_justifies() {
    let count = 200_000;
    let head = "[policy]\nname = \"x\"\nversion = 1\n";
    let list = |what: &str| format!("{head}roles.R.grants = [{}]\n", vec![what; count].join(", "));
    let roles: String =
        (0..20_000).map(|i| format!("roles.\"R{i}\".inherits = [\"R{}\"]\n", i + 1)).collect();
    let circle = format!("{head}{roles}roles.R20000.inherits = [\"R0\"]\n");
    let typos: String = (0..20_000).map(|i| format!("roles.\"R{i}\".inherits = [\"Q{i}\"]\n")).collect();
    let files = [
        list("7"),
        list("\"po.x\""),
        "=\n".repeat(count),
        format!("{head}{}", "[".repeat(count)),
        format!("{head}a = {}", "[".repeat(count)),
        format!("{head}{} = 1", vec!["a"; count].join(".")),
        format!("{head}[{}]", vec!["a"; count].join(".")),
        format!("{head}a = \"{}\"", "\\u0061".repeat(count)),
        circle,
        format!("{head}{roles}"),
        format!("{head}{typos}"),
    ];
    for file in files {
        let started = std::time::Instant::now();
        let error = policy_file::parse(&file, "x").unwrap_err();
        let PolicyFileError::Faults { faults, .. } = &error else { panic!("{error}") };
        assert!((1..=50).contains(&faults.len()));
        assert!(error.to_string().len() < 100_000);
        assert!(started.elapsed().as_secs() < 10, "{:?}: {}", started.elapsed(), &file[..80.min(file.len())]);
    }
}

#[test]
fn no_mutation_of_the_erp_policy_panics() {
    let cases = std::env::var("PBAC_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4_000_u32);
    let cases = cases.clamp(1, 100_000);
    let text = erp();
    let mut random = fastrand::Rng::with_seed(20_260_120);
    let (mut accepted, mut refused) = (0, 0);
    for case in 0..cases {
        let mutated = mutate(&text, &mut random);
        match policy_file::parse(&mutated, "mutated.toml") {
            Ok(file) => {
                accepted += 1;
                assert_sound(&file, case);
            }
            Err(PolicyFileError::Faults { faults, .. }) => {
                refused += 1;
                let lines: Vec<&str> = mutated.split('\n').collect();
                for pair in faults.windows(2) {
                    assert!((pair[0].line, pair[0].column) <= (pair[1].line, pair[1].column), "case {case}");
                }
                for fault in faults {
                    let line = lines.get(fault.line - 1).unwrap_or_else(|| panic!("case {case}: {fault}"));
                    let mark = usize::from(fault.line == 1 && line.starts_with('\u{feff}'));
                    let room = line.chars().count() - mark + 1;
                    assert!(fault.column >= 1 && fault.column <= room, "case {case}: {fault}");
                    assert!(!fault.message.is_empty() && fault.marker.contains('^'), "case {case}: {fault}");
                }
            }
            Err(PolicyFileError::Unreadable(error)) => panic!("case {case}: {error}"),
        }
    }
    // Both branches must have been walked, or the test shows nothing.
    if cases >= 1_000 {
        assert!(accepted > cases / 50 && refused > cases / 4, "{accepted} accepted, {refused} refused");
    }
}

/// What holds of every file that is accepted.
fn assert_sound(file: &PolicyFile, case: u32) {
    assert!(!file.name.is_empty(), "case {case}");
    assert_eq!(file.text_hash.len(), 64, "case {case}");
    for role in file.policy.roles() {
        for inherited in &role.inherits {
            assert!(file.policy.roles().iter().any(|other| other.name == *inherited), "case {case}");
        }
    }
}

/// One to three small changes, of the kinds that people and machines make.
fn mutate(text: &str, random: &mut fastrand::Rng) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for _ in 0..random.usize(1..=3) {
        if lines.is_empty() {
            lines.push(String::new());
        }
        let at = random.usize(..lines.len());
        match random.u8(..8) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = random.usize(..lines.len());
                lines.swap(at, other);
            }
            3..=6 => {
                let mut chars: Vec<char> = lines[at].chars().collect();
                let place = random.usize(..=chars.len());
                let alphabet = [
                    '"', '\'', '[', ']', '{', '}', '=', '.', '*', ',', '\\', '#', 'a', 'A', '0', '_', '\t',
                    '\r', '\0', 'é', '\u{feff}', '\u{202e}', '😀',
                ];
                let c = alphabet[random.usize(..alphabet.len())];
                match random.u8(..3) {
                    0 if place < chars.len() => drop(chars.remove(place)),
                    1 if place < chars.len() => chars[place] = c,
                    _ => chars.insert(place, c),
                }
                lines[at] = chars.into_iter().collect();
            }
            _ => lines.truncate(at.max(1)),
        }
    }
    lines.join("\n")
}

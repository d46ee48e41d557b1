//! The cases as data.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pbac_tests::env_loaders::Loader;
use serde::Deserialize;

/// The variable that the cases are about.
pub const NAME: &str = "SECRET_KEY";
/// What an edit makes of a file.
pub const EDIT: [(&str, &str); 2] = [(NAME, "new-Key_1"), ("PBAC_KEYS", "a.b:c=,/+")];

/// A file, and what is true of it. `tests/cases/env_files/README.md` describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    pub name: String,
    pub text: String,
    pub latin1: bool,
    pub values: BTreeMap<String, String>,
    pub absent: Vec<String>,
    pub errors: BTreeMap<String, String>,
    pub others: Vec<Loader>,
    pub apart: Vec<Loader>,
    pub refer: Vec<String>,
    pub edited: Option<String>,
    pub edit_error: Option<String>,
}

impl Case {
    pub fn bytes(&self) -> Vec<u8> {
        self.encode(&self.text)
    }

    /// What the edit makes of it, or why it makes nothing.
    pub fn after_edit(&self) -> Result<Vec<u8>, &str> {
        match (&self.edited, self.edit_error.as_ref().or_else(|| self.errors.get(NAME))) {
            (Some(text), None) => Ok(self.encode(text)),
            (None, Some(error)) => Err(error),
            _ => panic!("{}: either it can be edited or it cannot", self.name),
        }
    }

    fn encode(&self, text: &str) -> Vec<u8> {
        if self.latin1 {
            text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
        } else {
            text.as_bytes().to_vec()
        }
    }
}

pub fn load() -> Vec<Case> {
    #[derive(Deserialize)]
    struct Cases {
        case: Vec<Case>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/env_files");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &PathBuf| {
        let cases: Cases = toml::from_str(&fs::read_to_string(path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        cases.case
    };
    let cases: Vec<Case> = paths.iter().flat_map(read).collect();
    assert!(cases.len() > 60, "only {} cases", cases.len());
    cases
}

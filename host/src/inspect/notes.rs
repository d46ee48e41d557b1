//! What an inspection says: what it found and why, what it guessed, what it is not sure of, and what a person must choose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use serde::Serialize;

use crate::error::HostError;
use crate::report::printable;

/// What can be chosen with `--choose KEY=VALUE`, and what each key is for.
pub const CHOICES: [(&str, &str); 11] = [
    ("active", "the column that says whether a user is active; `none`: all are"),
    ("claim", "the type of the claims that are permissions (ASP.NET Identity)"),
    ("guard", "the guard whose roles and permissions count (laravel-permission)"),
    ("model", "the class whose rows are the users (laravel-permission)"),
    ("realm", "the realm whose roles count (Keycloak)"),
    ("role", "the column of the roles, as `schema.table.column`"),
    ("role-denies", "`overrides`: a deny of a role becomes one of each of its present users (Casbin)"),
    ("schema", "the schema of the framework's tables"),
    ("team", "the team whose roles count (laravel-permission)"),
    ("users", "the table of users, as `schema.table`"),
    (
        "wildcards",
        "what `*` means in stored permissions: `shiro`, `laravel`, `keymatch`, `keymatch2` or `exact`",
    ),
];

/// What kind of remark it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkKind {
    /// A fact, and what was concluded from it.
    Found,
    /// A conclusion that the facts suggest and do not prove; it stands as a comment in the draft too.
    Guessed,
    /// Something that the database cannot say.
    Unsure,
    /// Something that was left out.
    NotLookedAt,
    /// Something that a person has to decide first: nothing is written.
    Stop,
}

/// One thing that an inspection has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// What kind it is.
    pub kind: RemarkKind,
    /// The tables, columns or rows that it is about.
    pub about: String,
    /// The sentence.
    pub text: String,
}

/// The remarks so far, and the choices that were made beforehand.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    remarks: Vec<Remark>,
    choices: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Notes {
    /// With the choices of the command line, each `KEY=VALUE`.
    ///
    /// # Errors
    ///
    /// When one has no `=`, an unknown key, or is there twice.
    pub fn new(choices: &[String]) -> Result<Self, HostError> {
        let mut notes = Self::default();
        for text in choices {
            let shown = printable(text);
            let Some((key, value)) = text.split_once('=') else {
                return Err(HostError::usage(format_args!("`{shown}` is not a choice"))
                    .help("write `--choose KEY=VALUE`, such as `--choose guard=web`"));
            };
            if !CHOICES.iter().any(|(known, _)| *known == key) {
                let known: Vec<&str> = CHOICES.iter().map(|(key, _)| *key).collect();
                return Err(HostError::usage(format_args!("`{}` is nothing to choose", printable(key)))
                    .help(format_args!("the keys are {}", known.join(", "))));
            }
            if notes.choices.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(HostError::usage(format_args!("`{}` is chosen twice", printable(key)))
                    .help("choose once"));
            }
        }
        Ok(notes)
    }

    /// A fact, and what follows from it.
    pub fn found(&mut self, about: impl Display, text: impl Display) {
        self.add(RemarkKind::Found, about, text);
    }

    /// A guess, and why.
    pub fn guessed(&mut self, about: impl Display, text: impl Display) {
        self.add(RemarkKind::Guessed, about, text);
    }

    /// What the database cannot say.
    pub fn unsure(&mut self, about: impl Display, text: impl Display) {
        self.add(RemarkKind::Unsure, about, text);
    }

    /// What was left out.
    pub fn not_looked_at(&mut self, about: impl Display, text: impl Display) {
        self.add(RemarkKind::NotLookedAt, about, text);
    }

    /// What a person has to decide first.
    pub fn stop(&mut self, about: impl Display, text: impl Display) {
        self.add(RemarkKind::Stop, about, text);
    }

    /// Whether anything has to be decided first.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.remarks.iter().any(|remark| remark.kind == RemarkKind::Stop)
    }

    /// What was chosen for `key`, if anything.
    pub fn chosen(&mut self, key: &'static str) -> Option<String> {
        let value = self.choices.get(key).cloned();
        self.used.extend(value.is_some().then(|| key.to_owned()));
        value
    }

    /// The only candidate, or the one that was chosen. Where there are several and none was chosen, or the choice is
    /// none of them, that stops.
    pub fn one_of(
        &mut self,
        key: &'static str,
        about: impl Display,
        candidates: &[String],
    ) -> Option<String> {
        let chosen = self.chosen(key);
        let listed = candidates.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match (chosen, candidates) {
            (Some(chosen), _) if candidates.contains(&chosen) => return Some(chosen),
            (Some(chosen), []) => {
                self.stop(about, format_args!("there is no `{chosen}` here; leave `--choose {key}=…` out"))
            }
            (Some(chosen), _) => {
                self.stop(about, format_args!("`{chosen}` is none of {listed}; correct `--choose {key}=…`"));
            }
            (None, [only]) => return Some(only.clone()),
            (None, []) => {}
            (None, _) => {
                self.stop(about, format_args!("which of {listed} is meant? say it with `--choose {key}=…`"));
            }
        }
        None
    }

    /// All remarks, after a stop for every choice that chose nothing.
    #[must_use]
    pub fn into_remarks(mut self) -> Vec<Remark> {
        let unused: Vec<String> =
            self.choices.keys().filter(|key| !self.used.contains(*key)).cloned().collect();
        // Where something else stops it, the choice may be for what comes later.
        if !self.stops() {
            for key in unused {
                self.stop(format_args!("--choose {key}"), "nothing here is chosen by it; leave it out");
            }
        }
        self.remarks
    }

    fn add(&mut self, kind: RemarkKind, about: impl Display, text: impl Display) {
        self.remarks.push(Remark { kind, about: about.to_string(), text: text.to_string() });
    }
}

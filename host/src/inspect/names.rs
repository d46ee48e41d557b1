//! Names of legacy permissions as names of this catalog. Every change is told; two that would become one stop.

use std::collections::BTreeMap;

use policy_core::PermissionName;
use serde::Serialize;

use super::notes::Notes;
use crate::legacy::foreign_wildcards::Entry;

/// What a legacy permission is called here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// What the framework calls it.
    pub legacy: String,
    /// What the draft calls it.
    pub name: PermissionName,
    /// Why.
    pub why: &'static str,
}

/// The permissions of a framework.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    /// In the byte order of our names.
    pub entries: Vec<Entry>,
    /// What a permission is for, by the legacy name.
    pub descriptions: BTreeMap<String, String>,
    /// Those whose name had to change, in the byte order of the legacy names.
    pub renamed: Vec<Renamed>,
}

impl Catalog {
    /// Gives every legacy permission a name of our grammar. `what` says where they are from.
    pub(super) fn draft(
        legacy: impl IntoIterator<Item = (String, String)>,
        what: &str,
        notes: &mut Notes,
    ) -> Self {
        let descriptions: BTreeMap<String, String> = legacy.into_iter().collect();
        let mut by_name: BTreeMap<PermissionName, Vec<String>> = BTreeMap::new();
        let mut renamed = Vec::new();
        for legacy in descriptions.keys() {
            match our_name(legacy) {
                Ok((name, None)) => by_name.entry(name).or_default().push(legacy.clone()),
                Ok((name, Some(why))) => {
                    renamed.push(Renamed { legacy: legacy.clone(), name: name.clone(), why });
                    by_name.entry(name).or_default().push(legacy.clone());
                }
                Err(reason) => notes.stop(
                    what,
                    format_args!(
                        "permission `{legacy}` cannot be a permission here: {reason}; rename it there first"
                    ),
                ),
            }
        }
        let mut entries = Vec::new();
        for (name, mut legacy) in by_name {
            if legacy.len() > 1 {
                let names = legacy.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                notes.stop(
                    what,
                    format_args!("{names} would both be `{name}` here; rename one of them there first"),
                );
            }
            entries.extend(legacy.pop().map(|legacy| Entry { legacy, name }));
        }
        if !renamed.is_empty() {
            notes.guessed(
                what,
                format_args!(
                    "{} permissions get other names here, since theirs are none of ours; each is listed",
                    renamed.len()
                ),
            );
        }
        Self { entries, descriptions, renamed }
    }

    /// What the draft calls a legacy permission.
    pub(super) fn name_of(&self, legacy: &str) -> Option<&PermissionName> {
        self.entries.iter().find(|entry| entry.legacy == legacy).map(|entry| &entry.name)
    }
}

/// The name, and why it is another one than there.
fn our_name(legacy: &str) -> Result<(PermissionName, Option<&'static str>), String> {
    if let Ok(name) = PermissionName::parse(legacy) {
        return Ok((name, None));
    }
    let words: Vec<&str> = legacy.split_whitespace().collect();
    let (text, why) = match words.as_slice() {
        [verb, object @ ..] if !object.is_empty() && !legacy.contains(['.', ':', '/']) => {
            (format!("{}.{verb}", object.join("_")), "the object first, then what is done with it")
        }
        _ => (legacy.to_owned(), "only small letters, digits, `_`, `-` and dots may stand in a name"),
    };
    let mut segments: Vec<String> =
        text.split(['.', ':', '/', '|', '\\']).map(segment).filter(|segment| !segment.is_empty()).collect();
    let mut why = why;
    if let [only] = segments.as_slice() {
        match only.split_once('_') {
            // `READ_PRIVILEGE`, `view_reports`.
            Some((verb, object)) if !verb.is_empty() && !object.is_empty() => {
                why = "the object first, then what is done with it";
                segments = vec![object.to_owned(), verb.to_owned()];
            }
            _ => {
                why = "a name has two segments or more";
                segments = vec!["general".to_owned(), only.clone()];
            }
        }
    }
    let text = segments.join(".");
    match PermissionName::parse(&text) {
        Ok(name) => Ok((name, Some(why))),
        Err(error) => Err(error.to_string()),
    }
}

/// A segment in small letters: `ViewAll` is `view_all`, what may not stand in a segment is `_`.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    let mut before = None;
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        let begins_word = letter.is_ascii_uppercase()
            && (before.is_some_and(|before: char| before.is_ascii_lowercase() || before.is_ascii_digit())
                || (before.is_some_and(|before: char| before.is_ascii_uppercase())
                    && letters.peek().is_some_and(char::is_ascii_lowercase)));
        if begins_word {
            segment.push('_');
        }
        match letter {
            'a'..='z' | '0'..='9' | '_' | '-' => segment.push(letter),
            'A'..='Z' => segment.push(letter.to_ascii_lowercase()),
            _ => segment.push('_'),
        }
        before = Some(letter);
    }
    segment.trim_start_matches(['_', '-']).trim_end_matches('_').to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn names_become_ours() {
        for (legacy, ours) in [
            ("orders.add_order", "orders.add_order"),
            ("documents:read", "documents.read"),
            ("edit posts", "posts.edit"),
            ("view all reports", "all_reports.view"),
            ("READ_PRIVILEGE", "privilege.read"),
            ("impersonate", "general.impersonate"),
            ("Permissions.Patients.View", "permissions.patients.view"),
            ("ViewHTMLReports", "html_reports.view"),
            ("/articles/list.read", "articles.list.read"),
            ("read:users profile", "read.users_profile"),
        ] {
            let (name, why) = our_name(legacy).unwrap();
            assert_eq!((name.as_str(), why.is_none()), (ours, legacy == ours), "{legacy}");
        }
        for none in ["", "***", " ", "a.b.c.d.e.f.g.h.i"] {
            assert!(our_name(none).is_err(), "{none}");
        }
    }

    #[test]
    fn two_that_become_one_stop() {
        let mut notes = Notes::default();
        let legacy = ["edit posts", "posts.edit", "posts:edit", "posts.view"];
        let catalog =
            Catalog::draft(legacy.map(|name| (name.to_owned(), String::new())), "permissions", &mut notes);
        assert!(notes.stops());
        assert_eq!(catalog.entries.len(), 2);
        assert_eq!(catalog.renamed.len(), 2);
    }
}

//! The cases: what is read, what is refused, and what an edit leaves alone, with what real loaders read before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use pbac::env_file::EnvText;
use pbac_tests::env_loaders::{Loader, Variables, by_node_itself};
use secrecy::ExposeSecret;

use crate::cases::{Case, EDIT, NAME, load};

fn parse(case: &Case) -> EnvText {
    EnvText::parse(&case.bytes()).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[test]
fn what_is_read_and_what_is_refused() {
    for case in load() {
        let text = parse(&case);
        assert_eq!(text.bytes(), case.bytes());
        let read = |name: &str| match text.value(name) {
            Ok(value) => Ok(value.map(|value| value.expose_secret().to_owned())),
            Err(error) => Err(error.to_string()),
        };
        for (name, value) in &case.values {
            assert_eq!(read(name), Ok(Some(value.clone())), "{}: {name}", case.name);
        }
        for name in &case.absent {
            assert_eq!(read(name), Ok(None), "{}: {name}", case.name);
        }
        for (name, error) in &case.errors {
            assert_eq!(read(name).as_ref(), Err(error), "{}: {name}", case.name);
        }
    }
}

#[test]
fn an_edit_changes_its_values_and_nothing_else() {
    for case in load() {
        let edited = parse(&case).with_values(&EDIT, Some(NAME));
        let edited = edited.as_ref().map(EnvText::bytes).map_err(ToString::to_string);
        let wanted = case.after_edit();
        let wanted = wanted.as_ref().map(Vec::as_slice).map_err(|error| (*error).to_owned());
        assert_eq!(edited, wanted, "{}", case.name);
    }
}

#[test]
fn loaders_read_the_same_before_and_after() {
    let cases = load();
    let directory = tempfile::tempdir().unwrap();
    let write = |(number, bytes): (usize, Vec<u8>)| -> PathBuf {
        let path = directory.path().join(format!("{number}.env"));
        fs::write(&path, bytes).unwrap();
        path
    };
    let before: Vec<PathBuf> = cases.iter().map(Case::bytes).enumerate().map(write).collect();
    let edited = |case: &Case| case.after_edit().unwrap_or_else(|_| case.bytes());
    let after: Vec<PathBuf> = (1000..).zip(cases.iter().map(edited)).map(write).collect();
    let mut apart: BTreeMap<&str, BTreeSet<Option<String>>> = BTreeMap::new();
    let loaders = Loader::available();
    for loader in &loaders {
        let (old, new) = (loader.read(&before), loader.read(&after));
        for ((case, old), new) in cases.iter().zip(old).zip(new) {
            let about = format!("{loader:?}: {}", case.name);
            if case.others.contains(loader) {
                assert_ne!(seen(case, &old), case.values, "{about}: it reads the file as we do after all");
            } else {
                check(case, &old, &new, &about);
            }
            if case.apart.contains(loader) {
                apart.entry(&case.name).or_default().insert(old.and_then(|read| read.get(NAME).cloned()));
            }
        }
    }
    for case in cases.iter().filter(|case| case.apart.iter().all(|loader| loaders.contains(loader))) {
        let different = apart.get(&*case.name).map_or(0, BTreeSet::len);
        assert_eq!(different, case.apart.len(), "{}: {:?} read {apart:?}", case.name, case.apart);
    }
}

/// What a loader reads of what we read.
fn seen(case: &Case, read: &Option<Variables>) -> Variables {
    let read = read.iter().flatten().filter(|(name, _)| case.values.contains_key(*name));
    read.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn check(case: &Case, old: &Option<Variables>, new: &Option<Variables>, about: &str) {
    assert_eq!(seen(case, old), case.values, "{about}");
    let (Ok(_), Some(old), Some(new)) = (case.after_edit(), old, new) else { return };
    let mut wanted = old.clone();
    for (name, value) in EDIT {
        wanted.insert(name.to_owned(), value.to_owned());
    }
    for name in &case.refer {
        assert_ne!(new.get(name), None, "{about}");
        wanted.remove(name);
    }
    let new: Variables = new.clone().into_iter().filter(|(name, _)| !case.refer.contains(name)).collect();
    assert_eq!(new, wanted, "{about}");
}

#[test]
fn node_reads_its_option_as_its_parser_does() {
    if !Loader::available().contains(&Loader::Node) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".env");
    for case in load().iter().filter(|case| case.edited.is_some() && !case.others.contains(&Loader::Node)) {
        fs::write(&path, case.after_edit().unwrap()).unwrap();
        let mut read = by_node_itself(&path).unwrap_or_else(|| panic!("{}", case.name));
        read.remove("PATH");
        let parsed = Loader::Node.read(std::slice::from_ref(&path)).remove(0).unwrap();
        assert_eq!(read, parsed, "{}", case.name);
    }
}

//! Random texts: nothing panics, nothing but the values changes, and what we read is what every loader reads that sees the
//! variable at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use fastrand::Rng;
use pbac::env_file::EnvText;
use pbac_tests::env_loaders::Loader;
use secrecy::ExposeSecret;

const NAMES: [&str; 3] = ["K", "L_2", "m"];
/// What texts are made of. A shell runs them: nothing here names a program.
const PIECES: [&str; 46] = [
    "K", "K", "K", "L_2", "m", "=", "=", "=", "=", "\n", "\n", "\n", "\n", "\r\n", "\r", " ", " ", "\t", "'",
    "'", "\"", "\"", "\\", "$", "${K}", "`", "#", " # ", "export ", "\u{feff}", "é", "\u{a0}", "\u{b}", "a",
    "b c", "0-9_", ":", "~", "&", ";", "<", ">", "(", "\nK=", "\nL_2='", "'\n",
];

fn cases() -> usize {
    let cases = std::env::var("PBAC_CASES").ok().and_then(|cases| cases.parse().ok());
    cases.unwrap_or(20_000).clamp(1, 1_000_000)
}

fn pieces(random: &mut Rng) -> Vec<u8> {
    let count = random.usize(..24);
    let text: String = (0..count).map(|_| random.choice(PIECES).unwrap()).collect();
    text.into_bytes()
}

/// Lines of which most are assignments, and many of those the same to everybody.
fn lines(random: &mut Rng) -> Vec<u8> {
    let mut text = String::new();
    for _ in 0..random.usize(1..6) {
        let mut pick = |from: &[&'static str]| random.choice(from).copied().unwrap();
        text += pick(&["", "", "", "  ", "export ", "\t", "# "]);
        text += pick(&["K", "L_2", "m", "N", "O", "P", "k"]);
        text += pick(&["=", "=", "=", "=", " = ", "= ", ": ", ""]);
        let quote = pick(&["", "", "\"", "'"]);
        text += quote;
        text += pick(&["a", "b-c", "0_9", "a/b+c==", "", "d\ne", "x y", "#", "$K"]);
        text += pick(&["", "", "", "\\", "\"", "'", "`", "~", ";", "f", ":", "é"]);
        text += quote;
        text += pick(&["", "", "", " ", " # it's", "#", "\t", "\r", "\\"]);
        text += pick(&["\n", "\n", "\n", "\n", "\r\n", "\n\n", ""]);
    }
    text.into_bytes()
}

fn any_bytes(random: &mut Rng) -> Vec<u8> {
    let likely = b"K=\n'\"\\\r \t#$exportK=\n";
    let count = random.usize(..60);
    let byte =
        |random: &mut Rng| if random.u8(..8) == 0 { random.u8(1..) } else { *random.choice(likely).unwrap() };
    (0..count).map(|_| byte(random)).collect()
}

/// The values of the names that can be read.
fn values(text: &EnvText) -> BTreeMap<&'static str, Option<String>> {
    let read = NAMES.into_iter().filter_map(|name| Some((name, text.value(name).ok()?)));
    read.map(|(name, value)| (name, value.map(|value| value.expose_secret().to_owned()))).collect()
}

#[test]
fn an_edit_of_any_text_changes_nothing_else() {
    let mut random = Rng::with_seed(20_260_120);
    let (mut changed, mut added, mut refused) = (0, 0, 0);
    for case in 0..cases() {
        let bytes = [pieces, lines, any_bytes][random.usize(..3)](&mut random);
        let text = EnvText::parse(&bytes).unwrap();
        let before = values(&text);
        let name = random.choice(NAMES).unwrap();
        let new = ["", "x", "A9_.,:+=/-", "much-longer-than-what-was-there"][random.usize(..4)];
        let anchor = [None, Some("K"), Some("L_2")][random.usize(..3)];
        let Ok(edited) = text.with_values(&[(name, new)], anchor) else {
            refused += 1;
            continue;
        };
        let about =
            || format!("case {case}: {name}={new} after {anchor:?} in {:?}", String::from_utf8_lossy(&bytes));
        let mut wanted = before.clone();
        wanted.insert(name, Some(new.to_owned()));
        let mut after = values(&edited);
        // What was named within the old value, and could not be read for that reason, can be read now.
        after.retain(|name, _| wanted.contains_key(name));
        assert_eq!(after, wanted, "{}", about());
        // What is left of both texts without the value, or without the added line, is the same.
        let (old, now) = (text.bytes(), edited.bytes());
        let same = old.iter().zip(now).take_while(|(old, now)| old == now).count();
        let kept = old.len() - before[name].as_ref().map_or(0, String::len);
        let grown = if before[name].is_some() {
            changed += 1;
            [new.len(), 2]
                .into_iter()
                .find(|length| now.len() == kept + length && (*length == new.len() || new.is_empty()))
        } else {
            added += 1;
            let line = |more: &usize| now.len() == kept + name.len() + 1 + new.len() + more;
            [1, 2, 8, 9].into_iter().find(line).map(|more| name.len() + 1 + new.len() + more)
        };
        let grown = grown.unwrap_or_else(|| panic!("{}: {:?}", about(), String::from_utf8_lossy(now)));
        let old_value = before[name].as_ref().map_or(0, String::len);
        let ends = (0..=same).any(|start| old.get(start + old_value..) == now.get(start + grown..));
        assert!(ends, "{}: {:?}", about(), String::from_utf8_lossy(now));
    }
    println!("{changed} changed, {added} added, {refused} refused");
    assert!(cases() < 10_000 || [changed, added, refused].iter().all(|count| *count > cases() / 40));
}

#[test]
fn what_we_read_is_what_every_loader_reads_that_sees_it() {
    let mut random = Rng::with_seed(20_260_121);
    let directory = tempfile::tempdir().unwrap();
    let mut texts = Vec::new();
    let write = |number: usize, bytes: &[u8]| -> PathBuf {
        let path = directory.path().join(format!("{number}.env"));
        fs::write(&path, bytes).unwrap();
        path
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    while texts.len() < (cases() / 20).clamp(1, 20_000) {
        let bytes = if random.u8(..4) == 0 { pieces(&mut random) } else { lines(&mut random) };
        let text = EnvText::parse(&bytes).unwrap();
        let read = values(&text);
        let name = random.choice(NAMES).unwrap();
        let edited = text.with_values(&[(name, "new-Key_1")], Some("K"));
        if let (Ok(edited), true) = (edited, read.values().any(Option::is_some)) {
            before.push(write(texts.len() * 2, text.bytes()));
            after.push(write(texts.len() * 2 + 1, edited.bytes()));
            texts.push((text, read, name));
        }
    }
    for loader in Loader::available() {
        let mut compared = 0;
        let all = texts.iter().zip(loader.read(&before)).zip(loader.read(&after));
        for (((text, read, name), old), new) in all {
            let shown = String::from_utf8_lossy(text.bytes());
            // To a shell the CR of a CRLF line belongs to the value.
            let (Some(old), Some(new)) = (old, new) else { continue };
            if loader == Loader::Sh && shown.contains('\r') {
                continue;
            }
            for (variable, value) in read {
                let seen = old.get(*variable);
                if seen.is_none() {
                    continue;
                }
                compared += 1;
                assert_eq!(seen, value.as_ref(), "{loader:?}: {variable} in {shown:?}");
                let wanted = if variable == name { "new-Key_1" } else { value.as_ref().unwrap() };
                assert_eq!(
                    new.get(*variable).unwrap(),
                    wanted,
                    "{loader:?}: {variable} after {name} in {shown:?}"
                );
            }
        }
        println!("{loader:?}: {compared} values are the same");
        // Half of what is random is no shell's.
        assert!(compared > texts.len() / 10, "{loader:?}: only {compared} values");
    }
}

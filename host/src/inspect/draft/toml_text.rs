//! Texts as TOML writes them.

use std::collections::BTreeSet;

use crate::report::printable;

/// A string. One with double quotes or backslashes and nothing worse is written as it is, in single quotes.
pub(super) fn string(text: &str) -> String {
    let plain = |c: char| !c.is_control() && c != '\'';
    if text.contains(['"', '\\']) && text.chars().all(plain) {
        return format!("'{text}'");
    }
    let mut written = String::with_capacity(text.len().saturating_add(2));
    written.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => written.extend(['\\', letter]),
            letter if letter.is_control() => written.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => written.push(letter),
        }
    }
    written.push('"');
    written
}

/// A key: bare where it can be.
pub(super) fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { string(text) }
}

/// A list of strings: on one line where it is short.
pub(super) fn list<T: AsRef<str>>(texts: &BTreeSet<T>) -> String {
    let written: Vec<String> = texts.iter().map(|text| string(text.as_ref())).collect();
    let line = format!("[{}]", written.join(", "));
    if line.len() <= 100 {
        return line;
    }
    format!("[\n{}]", written.iter().map(|text| format!("    {text},\n")).collect::<String>())
}

/// Comments, one line each.
pub(super) fn comments(lines: &[String]) -> String {
    lines.iter().map(|line| format!("# {}\n", printable(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_written_reads_back() {
        for text in [
            "",
            "a",
            "a b",
            "\"quoted\"",
            "App\\Models\\User",
            "it's \"both\"",
            "line\nbreak",
            "tab\t",
            "é\u{1}\u{85}",
        ] {
            let document = format!("{} = {}\n", key(text), string(text));
            let read = toml::de::DeTable::parse(&document);
            assert!(read.is_ok(), "{document}");
            let found = read.ok().and_then(|table| {
                let (key, value) = table.get_ref().iter().next()?;
                Some((key.get_ref().to_string(), value.get_ref().as_str()?.to_owned()))
            });
            assert_eq!(found, Some((text.to_owned(), text.to_owned())));
        }
    }
}

//! New values in an old text.

use std::ops::Range;

use zeroize::Zeroizing;

use super::entry::{Closing, Entry, Form, entries};
use super::lookup::{Found, check_name, find};
use super::text_error::EnvTextError;

/// The bytes of the new text.
pub(super) fn with_values(
    text: &[u8],
    entries: &[Entry],
    values: &[(&str, &str)],
    anchor: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, EnvTextError> {
    let mut edits = Vec::new();
    let mut added = Vec::new();
    for (place, &(name, value)) in values.iter().enumerate() {
        check_value(name, value)?;
        if values.iter().take(place).any(|(earlier, _)| *earlier == name) {
            return Err(EnvTextError::ChangedTwice { name: name.to_owned() });
        }
        match find(text, entries, name)? {
            Some(found) => edits.push(change(&found, value)),
            None => added.push((name, value)),
        }
    }
    let quoted = values.iter().filter(|(_, value)| !is_plain(value));
    if !added.is_empty() {
        let anchor = anchor.map(|name| find(text, entries, name)).transpose()?.flatten();
        edits.push(addition(text, entries, anchor, &added)?);
    }
    edits.sort_by_key(|edit| edit.at.start);
    let new = apply(text, &edits);
    // What needs quotes is believed only when it is read again.
    let entries = self::entries(&new);
    for (name, value) in quoted {
        let read = find(&new, &entries, name).ok().flatten();
        if read.map(|found| found.value) != Some(*value) {
            return Err(EnvTextError::NewValue { name: (*name).to_owned() });
        }
    }
    Ok(new)
}

/// Some bytes, and what stands there instead.
struct Edit<'a> {
    at: Range<usize>,
    pieces: Vec<&'a str>,
}

fn change<'a>(found: &Found<'_>, value: &'a str) -> Edit<'a> {
    let at = found.assignment.value.clone();
    match found.assignment.form {
        Form::Bare { comment: true, .. } if value.is_empty() => Edit { at, pieces: vec!["\"\""] },
        Form::Bare { .. } if !is_plain(value) => Edit { at, pieces: vec!["'", value, "'"] },
        // Its quotes go along: in them a value is not literal.
        Form::Double(_) if !is_plain(value) => {
            Edit { at: at.start.saturating_sub(1)..at.end.saturating_add(1), pieces: vec!["'", value, "'"] }
        }
        _ => Edit { at, pieces: vec![value] },
    }
}

/// The lines of the variables that are not there yet.
fn addition<'a>(
    text: &[u8],
    entries: &[Entry],
    anchor: Option<Found<'_>>,
    added: &[(&'a str, &'a str)],
) -> Result<Edit<'a>, EnvTextError> {
    let last = entries.last();
    if let (None, Some(last)) = (anchor, last) {
        check_end(text, last)?;
    }
    let before = anchor.map(|found| found.entry).or(last);
    let at = before.map_or(0, |entry| entry.span.end);
    let newline = newline(text, entries, before);
    let ended = before.is_none_or(|entry| newline_of(text, entry).is_some());
    let export = if anchor.is_some_and(|found| found.assignment.exported) { "export " } else { "" };
    let mut pieces = Vec::new();
    for (name, value) in added {
        let quote = if is_plain(value) { "" } else { "'" };
        let line = [export, name, "=", quote, value, quote];
        if ended {
            pieces.extend(line);
            pieces.push(newline);
        } else {
            pieces.push(newline);
            pieces.extend(line);
        }
    }
    Ok(Edit { at: at..at, pieces })
}

/// Makes sure that a line after the last one is a line of its own, and leaves that one as it is.
fn check_end(text: &[u8], last: &Entry) -> Result<(), EnvTextError> {
    let bytes = text.get(last.span.clone()).unwrap_or_default();
    let line = bytes.trim_ascii_end();
    // A newline behind a CR would make one end of a line of both.
    let half_ended = bytes.ends_with(b"\r");
    let open = match last.assignment.as_ref().map(|assignment| assignment.form) {
        Some(Form::Single(closing) | Form::Double(closing)) => closing != Closing::Clean,
        // A comment ends with its line.
        Some(Form::Bare { comment, .. }) => line.ends_with(b"\\") && !comment,
        None => line.ends_with(b"\\") && !line.trim_ascii_start().starts_with(b"#"),
    };
    if open || half_ended { Err(EnvTextError::NoPlace { line: last.line }) } else { Ok(()) }
}

/// How the line ends where something is added; where it does not end, how the others do.
fn newline(text: &[u8], entries: &[Entry], before: Option<&Entry>) -> &'static str {
    let near = before.and_then(|entry| newline_of(text, entry));
    near.or_else(|| entries.iter().rev().find_map(|entry| newline_of(text, entry))).unwrap_or("\n")
}

fn newline_of(text: &[u8], entry: &Entry) -> Option<&'static str> {
    match text.get(entry.span.clone()) {
        Some([.., b'\r', b'\n']) => Some("\r\n"),
        Some([.., b'\n']) => Some("\n"),
        _ => None,
    }
}

/// What [`super::EnvText::with_values`] promises to be read alike everywhere.
fn check_value(name: &str, value: &str) -> Result<(), EnvTextError> {
    check_name(name)?;
    // In single quotes all else is literal, but for what ends them or takes their meaning away.
    let literal = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\'' && byte != b'\\';
    if value.bytes().all(literal) { Ok(()) } else { Err(EnvTextError::NewValue { name: name.to_owned() }) }
}

/// Whether a value needs no quotes.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.,:+=/-".contains(&byte))
}

/// Copies into a buffer that is large enough from the beginning: one that grows leaves secrets behind.
fn apply(text: &[u8], edits: &[Edit<'_>]) -> Zeroizing<Vec<u8>> {
    let more: usize = edits.iter().flat_map(|edit| &edit.pieces).map(|piece| piece.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(more)));
    let mut done = 0;
    for edit in edits {
        bytes.extend_from_slice(text.get(done..edit.at.start).unwrap_or_default());
        for piece in &edit.pieces {
            bytes.extend_from_slice(piece.as_bytes());
        }
        done = edit.at.end;
    }
    bytes.extend_from_slice(text.get(done..).unwrap_or_default());
    bytes
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::super::text::{EnvText, MAX_BYTES};
    use super::*;

    fn edited(text: &str, values: &[(&str, &str)], anchor: Option<&str>) -> Result<String, EnvTextError> {
        let text = EnvText::parse(text.as_bytes())?.with_values(values, anchor)?;
        Ok(String::from_utf8(text.bytes().to_vec()).unwrap())
    }

    #[test]
    fn an_empty_value_stays_apart_from_its_comment() {
        for (old, new) in
            [("A=1 # x", "A=\"\" # x"), ("A=1", "A="), ("A='1' # x", "A='' # x"), ("A=1  \n", "A=  \n")]
        {
            assert_eq!(edited(old, &[("A", "")], None).as_deref(), Ok(new));
        }
    }

    #[test]
    fn what_is_added_comes_in_its_order_after_the_anchor() {
        let values = [("X", "1"), ("B", "2"), ("Y", "3")];
        let text = "A=0\nB=0\nC=0\n";
        assert_eq!(edited(text, &values, Some("A")).unwrap(), "A=0\nX=1\nY=3\nB=2\nC=0\n");
        assert_eq!(edited(text, &values, Some("Z")).unwrap(), "A=0\nB=2\nC=0\nX=1\nY=3\n");
        assert_eq!(edited("B=", &values, Some("B")).unwrap(), "B=2\nX=1\nY=3");
        assert_eq!(edited(text, &[], Some("A")).unwrap(), text);
    }

    #[test]
    fn what_loaders_could_read_apart_is_not_written() {
        for value in ["a'", "a\\", "a\n", "é", "a\t", "${a}"] {
            let error = edited("A=1", &[("A", value)], None).unwrap_err();
            assert_eq!(error, EnvTextError::NewValue { name: "A".to_owned() });
            assert!(!error.to_string().contains(&format!("`{value}`")));
        }
        for name in ["", "1A", "A-B", "A=", "Ä", "A B"] {
            assert_eq!(edited("", &[(name, "1")], None), Err(EnvTextError::Name { name: name.to_owned() }));
        }
        let twice = edited("A=1", &[("A", "1"), ("B", "2"), ("A", "1")], None);
        assert_eq!(twice, Err(EnvTextError::ChangedTwice { name: "A".to_owned() }));
        let long = "x".repeat(MAX_BYTES);
        assert_eq!(edited("A=1", &[("A", &long)], None), Err(EnvTextError::TooLong));
    }

    #[test]
    fn what_needs_quotes_gets_single_ones() {
        for value in ["a b", "a#", "$a", "a\"", "a;", "~", "`", "{}", "a*", "p@$$w0rd!%^&()#"] {
            let quoted = format!("'{value}'");
            for old in ["A=1 # x", "A='1' # x", "A=\"1\" # x", "export A=1 # x"] {
                let new = edited(old, &[("A", value)], None).unwrap();
                let start = if old.starts_with("export") { "export A=" } else { "A=" };
                assert_eq!(new, format!("{start}{quoted} # x"));
            }
            assert_eq!(edited("", &[("A", value)], None).unwrap(), format!("A={quoted}\n"));
        }
    }

    #[test]
    fn an_anchor_that_cannot_be_read_stops_only_what_needs_it() {
        let text = "A=1\nA=2\nB=0\n";
        assert_eq!(edited(text, &[("B", "1")], Some("A")).unwrap(), "A=1\nA=2\nB=1\n");
        assert!(matches!(edited(text, &[("C", "1")], Some("A")), Err(EnvTextError::Duplicate { .. })));
    }
}

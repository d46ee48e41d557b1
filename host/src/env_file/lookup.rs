//! Which line sets a variable; every line is looked at that some loader could take for one.

use super::entry::{Assignment, BYTE_ORDER_MARK, Closing, Entry, Form, is_blank};
use super::meaning::meaning;
use super::text_error::{EnvTextError, Unclear};

/// The one assignment of the name, with its entry and the value that every loader reads.
pub(super) fn find<'a>(
    text: &'a [u8],
    entries: &'a [Entry],
    name: &str,
) -> Result<Option<Found<'a>>, EnvTextError> {
    check_name(name)?;
    let mut mentions = entries.iter().flat_map(|entry| mentions(text, entry, name));
    let Some(mention) = mentions.next() else {
        return Ok(None);
    };
    let name = name.to_owned();
    if let Some(second) = mentions.next() {
        return Err(EnvTextError::Duplicate { name, first: mention.line, second: second.line });
    }
    let (entry, line) = (mention.entry, mention.line);
    match (mention.how, &entry.assignment) {
        (Ok(()), Some(assignment)) => match meaning(text, assignment) {
            Ok(value) => Ok(Some(Found { entry, assignment, value })),
            Err(why) => Err(EnvTextError::Unclear { name, line, why }),
        },
        _ if line > entry.line => Err(EnvTextError::WithinQuotes { name, line, opened: entry.line }),
        (how, _) => {
            let why = how.err().unwrap_or(Unclear::NoAssignment);
            Err(EnvTextError::Unclear { name, line, why })
        }
    }
}

/// A variable that can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) entry: &'a Entry,
    pub(super) assignment: &'a Assignment,
    pub(super) value: &'a str,
}

/// A name that every loader takes.
pub(super) fn check_name(name: &str) -> Result<(), EnvTextError> {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if letters && name.bytes().next().is_some_and(|first| !first.is_ascii_digit()) {
        Ok(())
    } else {
        Err(EnvTextError::Name { name: name.to_owned() })
    }
}

/// A place where a loader could see the variable set.
struct Mention<'a> {
    entry: &'a Entry,
    line: usize,
    /// Whether it is the assignment of the entry, or else what is odd about it.
    how: Result<(), Unclear>,
}

/// Python takes a CR alone for the end of a line, and loaders without quotes over several lines look at each of them.
fn mentions<'a>(text: &[u8], entry: &'a Entry, name: &str) -> Vec<Mention<'a>> {
    let bytes = text.get(entry.span.clone()).unwrap_or_default();
    let assigned = entry.assignment.as_ref().and_then(|assignment| text.get(assignment.name.clone()));
    let mut found = Vec::new();
    for (line, bytes) in (entry.line..).zip(bytes.split(|byte| *byte == b'\n')) {
        for (piece, bytes) in bytes.split(|byte| *byte == b'\r').enumerate() {
            let first = line == entry.line && piece == 0;
            let how = if first && assigned == Some(name.as_bytes()) {
                Ok(())
            } else if let Some(oddity) = mention(bytes, name.as_bytes()) {
                Err(oddity)
            } else {
                continue;
            };
            found.push(Mention { entry, line, how });
        }
    }
    if found.is_empty() && assigns(loose(text, entry), name.as_bytes()) {
        found.push(Mention { entry, line: entry.line, how: Err(Unclear::NoAssignment) });
    }
    found
}

/// What of an entry is neither the value nor a comment to every loader: a shell takes another assignment there, Compose does
/// after a quote.
fn loose<'a>(text: &'a [u8], entry: &Entry) -> &'a [u8] {
    let end = entry.span.end;
    let range = match &entry.assignment {
        None => entry.span.clone(),
        Some(Assignment { form: Form::Bare { .. }, value, .. }) => value.clone(),
        Some(Assignment {
            form: Form::Single(Closing::Followed) | Form::Double(Closing::Followed),
            value,
            ..
        }) => value.end..end,
        Some(_) => end..end,
    };
    let bytes = text.get(range).unwrap_or_default();
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.starts_with(b"#") {
        return &[];
    }
    let comment = bytes.windows(2).position(|pair| matches!(pair, [blank, b'#'] if is_blank(*blank)));
    comment.and_then(|comment| bytes.get(..comment)).unwrap_or(bytes)
}

/// Whether a word of these is `NAME=…`, or `NAME:…` as Compose has it.
fn assigns(bytes: &[u8], name: &[u8]) -> bool {
    let ends_word = |byte: u8| byte.is_ascii_whitespace() || b"'\";&|()`".contains(&byte);
    bytes.windows(name.len().saturating_add(1)).enumerate().any(|(place, window)| match window {
        [before, word @ ..] if ends_word(*before) && word == name => {
            let rest = bytes.get(place..).and_then(|bytes| bytes.get(window.len()..)).unwrap_or_default();
            matches!(after(rest, is_blank), [b'=' | b':', ..] | [b'+', b'=', ..])
        }
        _ => false,
    })
}

/// Whether a line looks like one that sets the variable, and why it is none that we read.
fn mention(line: &[u8], name: &[u8]) -> Option<Unclear> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let line = after(line, |byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
    let line = match line.strip_prefix(b"export") {
        Some(rest) if rest.first().is_some_and(|byte| is_blank(*byte)) => after(rest, is_blank),
        _ => line,
    };
    // The name in quotes is one to python-dotenv.
    let line = line.strip_prefix(b"'").unwrap_or(line);
    let (found, rest) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    let rest = after(rest.strip_prefix(b"'").unwrap_or(rest), is_blank);
    match rest {
        // A name alone takes the value away (python-dotenv) or takes that of the environment (Compose), and a colon is as
        // good as `=` to Compose.
        [] | [b'=' | b':' | b'#', ..] | [b'+', b'=', ..] => {
            Some(if found == name { Unclear::NoAssignment } else { Unclear::Case })
        }
        _ => None,
    }
}

fn after(bytes: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take_while(|byte| skipped(**byte)).count();
    bytes.get(length..).unwrap_or_default()
}

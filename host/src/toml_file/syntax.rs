//! What the TOML parser itself refuses, as faults.

use toml::Spanned;
use toml::de::{DeTable, Error};

use super::fault::Faults;
use crate::report::printable;

/// Up to this length, in bytes, the parser may go on after its first error. It can keep several errors for every two
/// bytes of a broken file, each many times as large; in a longer file only the first one is reported.
const MAX_RECOVERED_BYTES: usize = 1 << 20;

/// Parses the text, or reports why it is no TOML.
pub(super) fn parse<'t>(text: &'t str, faults: &mut Faults) -> Option<Spanned<DeTable<'t>>> {
    let first = match DeTable::parse(text) {
        Ok(document) => return Some(document),
        Err(error) => error,
    };
    let mut errors =
        if text.len() <= MAX_RECOVERED_BYTES { DeTable::parse_recoverable(text).1 } else { vec![first] };
    let place = |error: &Error| error.span().unwrap_or(text.len()..text.len());
    errors.sort_by_key(|error| place(error).start);
    let mut line_end = None;
    for error in errors {
        let place = place(&error);
        // What follows on the same line is most often a consequence.
        if line_end.is_some_and(|end| place.start <= end) {
            continue;
        }
        let rest = text.get(place.start..).unwrap_or_default();
        line_end = Some(rest.find('\n').map_or(text.len(), |length| place.start.saturating_add(length)));
        faults.add(place.clone(), message(&error, text.get(place).unwrap_or_default()));
        // A bracket that is not closed makes every line after it look wrong.
        if ["array", "inline table", "unclosed"].iter().any(|word| error.message().contains(word)) {
            break;
        }
    }
    None
}

/// The parser's words, and what they do not say: what to do.
fn message(error: &Error, quoted: &str) -> String {
    let said = error.message();
    if said == "duplicate key" {
        format!("`{}` is there twice; keep one of the two", printable(quoted))
    } else if said.starts_with("missing comma between array elements") {
        "this is not TOML: a `,` is missing before it, or a `]` at the end of the list".to_owned()
    } else {
        format!("this is not TOML: {}", said.trim_end_matches('.'))
    }
}

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
    let errors =
        if text.len() <= MAX_RECOVERED_BYTES { DeTable::parse_recoverable(text).1 } else { vec![first] };
    let mut last_line_end = None;
    for error in errors {
        let place = error.span().unwrap_or(text.len()..text.len());
        // What follows on the same line is most often a consequence.
        if last_line_end.is_some_and(|end| place.start <= end) {
            continue;
        }
        let rest = text.get(place.start..).unwrap_or_default();
        let line_end = rest.find('\n').map_or(text.len(), |length| place.start.saturating_add(length));
        last_line_end = Some(line_end);
        faults.add(place.clone(), message(&error, text.get(place).unwrap_or_default()));
    }
    None
}

fn message(error: &Error, quoted: &str) -> String {
    if error.message() == "duplicate key" {
        return format!("`{}` is there twice; keep one of the two", printable(quoted));
    }
    let text = error.message();
    format!("{}; this is not TOML", text.trim_end_matches('.'))
}

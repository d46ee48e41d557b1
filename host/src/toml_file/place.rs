//! Where in a text something is, and how the line is shown.

use std::ops::Range;

use crate::report::printable;

/// The most characters of a line that are quoted.
const MAX_QUOTED_CHARS: usize = 160;
/// How many of them stand before the place, where the line is longer.
const CHARS_BEFORE: usize = 60;

/// A text with its name and the offsets at which its lines begin.
pub(super) struct SourceText<'t> {
    pub(super) name: &'t str,
    text: &'t str,
    starts: Vec<usize>,
}

/// A place as a person counts: line and column from 1, the column in characters.
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    /// The line, or the part of it around the place, without its end.
    pub(super) quote: String,
    /// White space up to the place, then a `^` for each character of it.
    pub(super) marker: String,
}

impl<'t> SourceText<'t> {
    pub(super) fn new(text: &'t str, name: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        // A byte order mark is no character of the first line.
        let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let starts = std::iter::once(first).chain(ends.map(|(offset, _)| offset.saturating_add(1))).collect();
        Self { name, text, starts }
    }

    /// Describes the place of `span`, of which the part on its first line is marked.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let line = self.starts.partition_point(|&start| start <= span.start).max(1);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let rest = self.text.get(start..).unwrap_or_default();
        let content = rest.split('\n').next().unwrap_or_default();
        let content = content.strip_suffix('\r').unwrap_or(content);

        let chars_to = |offset: usize| {
            let length = offset.saturating_sub(start);
            content.char_indices().take_while(|&(at, _)| at < length).count()
        };
        let before = chars_to(span.start);
        let marked = chars_to(span.end.max(span.start)).saturating_sub(before).max(1);

        let total = content.chars().count();
        let skipped = if total <= MAX_QUOTED_CHARS { 0 } else { before.saturating_sub(CHARS_BEFORE) };
        let shown: Vec<char> = content.chars().skip(skipped).take(MAX_QUOTED_CHARS).map(harmless).collect();
        let cut_left = if skipped > 0 { "…" } else { "" };
        let cut_right = if skipped.saturating_add(shown.len()) < total { "…" } else { "" };

        let shift = before.saturating_sub(skipped);
        let mut marker: String = cut_left.chars().map(|_| ' ').collect();
        // A tab stays one, so that the mark stands below the place whatever its width.
        let padding = shown.iter().copied().chain(std::iter::repeat(' ')).take(shift);
        marker.extend(padding.map(|c| if c == '\t' { '\t' } else { ' ' }));
        let room = shown.len().saturating_sub(shift).max(1);
        marker.extend(std::iter::repeat_n('^', marked.min(room)));

        let body: String = shown.into_iter().collect();
        Place {
            line,
            column: before.saturating_add(1),
            quote: format!("{cut_left}{body}{cut_right}"),
            marker,
        }
    }
}

/// One character for one: what could forge what a terminal shows is replaced.
fn harmless(c: char) -> char {
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    if c == '\t' || printable(text) == text { c } else { char::REPLACEMENT_CHARACTER }
}

/// The offset of byte `byte` of a decoded string whose source, quotes and all, is `raw`, counted from the start of
/// `raw`. A bare key has no quotes.
pub(super) fn offset_in_string(raw: &str, decoded: &str, byte: usize) -> usize {
    let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|&quotes| raw.starts_with(quotes));
    let quotes = quotes.unwrap_or_default();
    let escapes = quotes.starts_with('"');
    let mut rest = raw.strip_prefix(quotes).unwrap_or(raw);
    if quotes.len() == 3 {
        // A line break right after the opening quotes is not part of the string.
        rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    }
    let mut at = 0_usize;
    for c in decoded.chars() {
        if escapes {
            rest = skip_folded_lines(rest);
        }
        if at >= byte {
            break;
        }
        at = at.saturating_add(c.len_utf8());
        let mut source = rest.chars();
        if source.next() == Some('\\') && escapes {
            let digits = match source.next() {
                Some('x') => 2,
                Some('u') => 4,
                Some('U') => 8,
                _ => 0,
            };
            for _ in 0..digits {
                source.next();
            }
        }
        rest = source.as_str();
    }
    raw.len().saturating_sub(rest.len())
}

/// What comes after a `\` at the end of a line and the white space that it swallows.
fn skip_folded_lines(text: &str) -> &str {
    match text.strip_prefix('\\') {
        Some(rest) if rest.starts_with(char::is_whitespace) => rest.trim_start(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, span: Range<usize>) -> (usize, usize, String, String) {
        let place = SourceText::new(text, "f").place(&span);
        (place.line, place.column, place.quote, place.marker)
    }

    #[test]
    fn counts_lines_and_characters_from_one() {
        assert_eq!(at("ab\ncd", 0..1), (1, 1, "ab".into(), "^".into()));
        assert_eq!(at("ab\r\n\tcd\r\n", 5..7), (2, 2, "\tcd".into(), "\t^^".into()));
        assert_eq!(at("é = ß", 5..7), (1, 5, "é = ß".into(), "    ^".into()));
        assert_eq!(at("\u{feff}ab", 3..5), (1, 1, "ab".into(), "^^".into()));
        assert_eq!(at("ab\n", 3..3), (2, 1, String::new(), "^".into()));
        assert_eq!(at("", 0..0), (1, 1, String::new(), "^".into()));
        assert_eq!(at("\u{feff}", 0..0), (1, 1, String::new(), "^".into()));
        assert_eq!(at("[a\nb]", 0..5), (1, 1, "[a".into(), "^^".into()));
    }

    #[test]
    fn shows_a_part_of_a_long_line_and_nothing_that_moves_the_cursor() {
        let text = format!("{}\u{1b}Ä{}", "x".repeat(500), "y".repeat(500));
        let (line, column, quote, marker) = at(&text, 501..503);
        assert_eq!((line, column), (1, 502));
        assert_eq!(quote.chars().count(), 162);
        assert!(quote.contains("x\u{fffd}Äy"));
        assert_eq!(quote.chars().nth(marker.chars().count() - 1), Some('Ä'));
    }

    #[test]
    fn finds_a_byte_of_a_string_in_its_source() {
        assert_eq!(offset_in_string("po.view", "po.view", 3), 3);
        assert_eq!(offset_in_string("\"po.View\"", "po.View", 3), 4);
        assert_eq!(offset_in_string("'a\\b'", "a\\b", 2), 3);
        assert_eq!(offset_in_string(r#""\u0061.\x41b""#, "a.Ab", 2), 8);
        assert_eq!(offset_in_string(r#""\u0061.\x41b""#, "a.Ab", 3), 12);
        assert_eq!(offset_in_string("\"\"\"\na.B\"\"\"", "a.B", 2), 6);
        assert_eq!(offset_in_string("\"\"\"a.\\\n   B\"\"\"", "a.B", 2), 10);
        assert_eq!(offset_in_string("\"a.\"", "a.", 2), 3);
        assert_eq!(offset_in_string("\"\"", "", 0), 1);
    }
}

//! Where the assignments of a `.env` file begin and end. Nothing is refused here: what is no assignment is a line that
//! says nothing.

use std::ops::Range;

/// What some editors put in front of UTF-8 text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line, or the lines of one quoted value. The entries of a text cover it without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of its first line, from 1.
    pub(super) line: usize,
    /// Its bytes, with the newline at its end.
    pub(super) span: Range<usize>,
    /// What it assigns.
    pub(super) assignment: Option<Assignment>,
}

/// `NAME=value`, as bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// Whether `export` stands in front of it.
    pub(super) exported: bool,
    /// The name.
    pub(super) name: Range<usize>,
    /// The value: what is within the quotes, or what is left without blanks and comment.
    pub(super) value: Range<usize>,
    /// How it is written.
    pub(super) form: Form,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Without quotes.
    Bare {
        /// Whether a comment follows.
        comment: bool,
        /// Whether a tab stands beside the value.
        tab: bool,
    },
    /// In single quotes.
    Single(Closing),
    /// In double quotes.
    Double(Closing),
}

/// What becomes of an opening quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It is closed, and nothing but blanks and a comment follows.
    Clean,
    /// It is closed, and other text follows in that line.
    Followed,
    /// It is never closed. The next line then counts as if nothing had been opened.
    Missing,
}

/// The entries of a text.
pub(super) fn entries(text: &[u8]) -> Vec<Entry> {
    let mut cursor = Cursor { text, at: 0 };
    let (mut entries, mut line) = (Vec::new(), 1_usize);
    while !cursor.rest().is_empty() {
        let start = cursor.at;
        if start == 0 {
            cursor.eat(BYTE_ORDER_MARK);
        }
        let assignment = assignment(&mut cursor);
        cursor.skip_while(|byte| byte != b'\n');
        cursor.eat(b"\n");
        let span = start..cursor.at;
        let newlines = text.get(span.clone()).unwrap_or_default().iter().filter(|byte| **byte == b'\n');
        let lines = newlines.count();
        entries.push(Entry { line, span, assignment });
        line = line.saturating_add(lines);
    }
    entries
}

/// Whether it separates words in a line.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Reads to the end of the value, or to what shows that there is none.
fn assignment(cursor: &mut Cursor) -> Option<Assignment> {
    cursor.skip_while(is_blank);
    let word = cursor.at;
    let exported = cursor.eat(b"export") && !cursor.skip_while(is_blank).is_empty();
    if !exported {
        cursor.at = word;
    }
    let name =
        cursor.skip_while(|byte| !matches!(byte, b'=' | b'#' | b'\'' | b'"') && !byte.is_ascii_whitespace());
    cursor.skip_while(is_blank);
    if name.is_empty() || !cursor.eat(b"=") {
        return None;
    }
    let bare = cursor.clone();
    cursor.skip_while(is_blank);
    let (value, form) = match cursor.rest().first() {
        Some(b'\'') => quoted(cursor, b'\'').map_closing(Form::Single),
        Some(b'"') => quoted(cursor, b'"').map_closing(Form::Double),
        _ => {
            *cursor = bare;
            unquoted(cursor)
        }
    };
    Some(Assignment { exported, name, value, form })
}

/// Reads a value that begins with `quote`.
fn quoted(cursor: &mut Cursor, quote: u8) -> Quoted {
    cursor.step();
    let mut inside = cursor.clone();
    loop {
        match inside.rest() {
            [] => {
                let value = cursor.skip_while(|byte| byte != b'\n');
                return Quoted { value, closing: Closing::Missing };
            }
            // Within single quotes a backslash is a backslash.
            [b'\\', ..] if quote == b'"' => {
                inside.step();
                inside.step();
            }
            [byte, ..] if *byte == quote => break,
            _ => inside.step(),
        }
    }
    let value = cursor.at..inside.at;
    inside.step();
    *cursor = inside;
    let blanks = cursor.skip_while(is_blank);
    let closing = match cursor.rest() {
        [] | [b'\n', ..] | [b'\r', b'\n', ..] => Closing::Clean,
        [b'#', ..] if !blanks.is_empty() => Closing::Clean,
        _ => Closing::Followed,
    };
    Quoted { value, closing }
}

struct Quoted {
    value: Range<usize>,
    closing: Closing,
}

impl Quoted {
    fn map_closing(self, form: impl FnOnce(Closing) -> Form) -> (Range<usize>, Form) {
        (self.value, form(self.closing))
    }
}

/// Reads what follows `=` to the end of the line.
fn unquoted(cursor: &mut Cursor) -> (Range<usize>, Form) {
    let start = cursor.at;
    let line = cursor.skip_while(|byte| byte != b'\n');
    let mut rest = cursor.text.get(line).unwrap_or_default();
    if !cursor.rest().is_empty() {
        rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    }
    let comment = rest.windows(2).position(|pair| matches!(pair, [before, b'#'] if is_blank(*before)));
    let around = comment.and_then(|end| rest.get(..=end)).unwrap_or(rest);
    let value = trim_blanks(around);
    // Where there is none, a new one has to follow the `=`: after a blank, `sh` would take it for a command.
    let before = if value.is_empty() { 0 } else { around.iter().take_while(|byte| is_blank(**byte)).count() };
    let start = start.saturating_add(before);
    let tabs = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\t').count();
    let form = Form::Bare { comment: comment.is_some(), tab: tabs(around) > tabs(value) };
    (start..start.saturating_add(value.len()), form)
}

/// Without blanks at both ends.
fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

/// A place in the text that moves forward.
#[derive(Clone, Debug)]
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1).min(self.text.len());
    }

    fn eat(&mut self, prefix: &[u8]) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at = self.at.saturating_add(prefix.len());
        }
        found
    }

    /// Passes the bytes that are wanted, and answers where they are.
    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let length = self.rest().iter().take_while(|byte| wanted(**byte)).count();
        self.at = start.saturating_add(length);
        start..self.at
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    /// The assignments of a text: name, value and form.
    fn read(text: &str) -> Vec<(&str, &str, Form)> {
        let entries = entries(text.as_bytes());
        let covered: Vec<usize> = entries.iter().flat_map(|entry| entry.span.clone()).collect();
        assert_eq!(covered, (0..text.len()).collect::<Vec<_>>(), "{text:?}");
        let assignments = entries.into_iter().filter_map(|entry| entry.assignment);
        let shown = |a: Assignment| (text.get(a.name).unwrap(), text.get(a.value).unwrap(), a.form);
        assignments.map(shown).collect()
    }

    const BARE: Form = Form::Bare { comment: false, tab: false };
    const COMMENTED: Form = Form::Bare { comment: true, tab: false };

    #[test]
    fn finds_the_bytes_of_a_value() {
        assert_eq!(read("A=b"), [("A", "b", BARE)]);
        assert_eq!(read("\u{feff}A=b\r\n  export\tC = d # e\n"), [("A", "b", BARE), ("C", "d", COMMENTED)]);
        assert_eq!(
            read("A=\nB=  \nC= # d\nD=#e"),
            [("A", "", BARE), ("B", "", BARE), ("C", "", COMMENTED), ("D", "#e", BARE)]
        );
        assert_eq!(read("A=b\t# c"), [("A", "b", Form::Bare { comment: true, tab: true })]);
        assert_eq!(read("A=b\tc"), [("A", "b\tc", BARE)]);
        assert_eq!(read("A=\"b # c\" # d"), [("A", "b # c", Form::Double(Closing::Clean))]);
        assert_eq!(read("A='b'# c"), [("A", "b", Form::Single(Closing::Followed))]);
        assert_eq!(
            read("A=\"b\\\"c\"\nB=1"),
            [("A", "b\\\"c", Form::Double(Closing::Clean)), ("B", "1", BARE)]
        );
        assert_eq!(read("A='b\\'\nB=1"), [("A", "b\\", Form::Single(Closing::Clean)), ("B", "1", BARE)]);
    }

    #[test]
    fn counts_the_lines_of_quoted_values() {
        let text = b"# x\nA=\"1\nB=2\n3\" # 4\nC=5\n";
        let lines: Vec<(usize, bool)> =
            entries(text).iter().map(|entry| (entry.line, entry.assignment.is_some())).collect();
        assert_eq!(lines, [(1, false), (2, true), (5, true)]);
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_with_its_line() {
        assert_eq!(read("A=\"b\nC=d\n"), [("A", "b", Form::Double(Closing::Missing)), ("C", "d", BARE)]);
        assert_eq!(read("A=\"b\\"), [("A", "b\\", Form::Double(Closing::Missing))]);
    }

    #[test]
    fn what_is_no_assignment_is_a_line() {
        for text in
            ["", "\n", "A", "export A", "# A=b", "  # A=b", "=b", "A B=c", "export =b", "'A'=b", "A: b"]
        {
            assert_eq!(read(text), [], "{text:?}");
        }
        assert_eq!(read("export=b"), [("export", "b", BARE)]);
    }
}

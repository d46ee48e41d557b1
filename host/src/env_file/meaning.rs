//! What a value means where all loaders agree, and where they do not.

use super::entry::{Assignment, Closing, Form};
use super::text_error::Unclear;

/// The value that every loader reads.
pub(super) fn meaning<'a>(text: &'a [u8], assignment: &Assignment) -> Result<&'a str, Unclear> {
    let value = text.get(assignment.value.clone()).unwrap_or_default();
    let value = std::str::from_utf8(value).map_err(|_| Unclear::NotUtf8)?;
    let unclear = match assignment.form {
        Form::Single(Closing::Missing) | Form::Double(Closing::Missing) => Some(Unclear::Unterminated),
        Form::Single(Closing::Followed) | Form::Double(Closing::Followed) => Some(Unclear::Followed),
        Form::Single(Closing::Clean) => in_single_quotes(value),
        Form::Double(Closing::Clean) => value.chars().find_map(in_double_quotes),
        Form::Bare { comment: true, .. } if value.is_empty() => Some(Unclear::OnlyComment),
        Form::Bare { tab, .. } => bare(value).or(tab.then_some(Unclear::Tab)),
    };
    unclear.map_or(Ok(value), Err)
}

/// A quoted value is literal, but for what python-dotenv does to it: `\\` and `\'` are escapes, `${…}` is replaced.
fn in_single_quotes(value: &str) -> Option<Unclear> {
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            // Before the closing quote it is an escape too.
            ('\\', None | Some('\\')) => return Some(Unclear::Backslash),
            ('$', Some('{')) => return Some(Unclear::Expansion),
            // Python reads a CR as the end of a line, Node drops it.
            ('\r', _) => return Some(Unclear::Control),
            _ => {}
        }
    }
    None
}

/// No escape means the same everywhere: `\n` is a newline but to `sh`, `\"` ends the value in Node.
fn in_double_quotes(letter: char) -> Option<Unclear> {
    match letter {
        '\\' => Some(Unclear::Backslash),
        '$' | '`' => Some(Unclear::Expansion),
        '\r' => Some(Unclear::Control),
        _ => None,
    }
}

fn bare(value: &str) -> Option<Unclear> {
    let mut before = None;
    for letter in value.chars() {
        let unclear = match letter {
            '$' | '`' => Some(Unclear::Expansion),
            '\\' => Some(Unclear::Backslash),
            ' ' | '\t' => Some(Unclear::Blank),
            '#' => Some(Unclear::Hash),
            '\'' | '"' => Some(Unclear::Quote),
            '&' | ';' | '|' | '(' | ')' | '<' | '>' => Some(Unclear::ShellSign),
            '~' if matches!(before, None | Some(':')) => Some(Unclear::Tilde),
            // Python trims every kind of blank, the others some.
            _ if letter.is_control() || letter.is_whitespace() => Some(Unclear::Control),
            _ => None,
        };
        if unclear.is_some() {
            return unclear;
        }
        before = Some(letter);
    }
    None
}

//! The rules of Docker Compose for `.env` files, written anew from its documentation ("Syntax for environment files"), for
//! reading and not for speed.

use crate::env_loaders::Variables;

/// What Compose reads from a file; nothing where it refuses it.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Variables> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut variables = Variables::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(variables);
        }
        if rest.starts_with('#') {
            rest = after_line(rest);
            continue;
        }
        let line = rest.lines().next().unwrap_or_default();
        let start = line.strip_prefix("export ").map_or(line, str::trim_start);
        let name = start.split(['=', ':']).next().unwrap_or_default();
        let trimmed = name.trim();
        if trimmed.is_empty()
            || !trimmed.chars().all(|letter| letter.is_alphanumeric() || "_.-".contains(letter))
        {
            return None;
        }
        let value_at = line.len() - start.len() + name.len() + 1;
        let Some(value) = rest.get(value_at..).filter(|_| name.len() < start.len()) else {
            // A name alone is taken from the environment, which is empty here.
            rest = after_line(rest);
            continue;
        };
        let value = value.trim_start_matches([' ', '\t']);
        let (value, left) = match value.chars().next() {
            Some('\'') => single(&value[1..])?,
            Some('"') => double(&value[1..], &variables)?,
            _ => {
                let line = value.split('\n').next().unwrap_or_default();
                (expand(without_comment(line).trim(), &variables), after_line(value))
            }
        };
        variables.insert(trimmed.to_owned(), value);
        rest = left;
    }
}

fn after_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// A comment begins with `#` after a blank; a value may begin with `#`.
fn without_comment(line: &str) -> &str {
    let end = line
        .char_indices()
        .zip(line.chars().skip(1))
        .find(|((_, before), here)| *here == '#' && before.is_whitespace());
    end.map_or(line, |((place, _), _)| &line[..place])
}

/// Literal to the closing quote, which a backslash takes its meaning.
fn single(text: &str) -> Option<(String, &str)> {
    let (inside, rest) = closing(text, '\'')?;
    Some((inside.replace("\\'", "'"), rest))
}

fn double<'a>(text: &'a str, variables: &Variables) -> Option<(String, &'a str)> {
    let (inside, rest) = closing(text, '"')?;
    let mut value = String::new();
    let mut letters = inside.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                // It is left to the replacement of variables.
                Some('$') => value.push_str("\\$"),
                Some(other) => value.push(other),
                None => value.push('\\'),
            },
            (plain, false) => value.push(plain),
        }
    }
    Some((expand(&value, variables), rest))
}

/// What is before the first quote without a backslash, and what is after it. No end is an error.
fn closing(text: &str, quote: char) -> Option<(&str, &str)> {
    let mut before = None;
    for (place, letter) in text.char_indices() {
        if letter == quote && before != Some('\\') {
            return Some((&text[..place], &text[place + 1..]));
        }
        before = Some(letter);
    }
    None
}

/// `$NAME` and `${NAME}`; of the forms with an operator only the name counts here.
fn expand(text: &str, variables: &Variables) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        value.push_str(before);
        let braces = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let length =
            after.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(after.len());
        let (name, left) = braces.unwrap_or_else(|| after.split_at(length));
        if name.is_empty() {
            value.push('$');
        }
        value.push_str(variables.get(name).map_or("", String::as_str));
        rest = left;
    }
    value + rest
}

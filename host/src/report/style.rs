//! Colours, and the one place where foreign text is made safe to print.

use std::borrow::Cow;
use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// Green: allowed, done, gained.
#[must_use]
pub fn good(text: impl Display) -> String {
    paint(AnsiColor::Green.on_default().bold(), text)
}

/// Red: denied, failed, lost.
#[must_use]
pub fn bad(text: impl Display) -> String {
    paint(AnsiColor::Red.on_default().bold(), text)
}

/// Yellow: worth a look.
#[must_use]
pub fn caution(text: impl Display) -> String {
    paint(AnsiColor::Yellow.on_default().bold(), text)
}

/// Bold: a heading.
#[must_use]
pub fn heading(text: impl Display) -> String {
    paint(Style::new().bold(), text)
}

/// The text with its control characters escaped, since a user id that moves the cursor or recolours the screen
/// could forge an answer.
///
/// ```
/// use pbac::report::printable;
///
/// assert_eq!(printable("Zoë"), "Zoë");
/// assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
/// ```
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(misleads) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if misleads(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that turn the direction of writing.
fn misleads(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The escapes are taken out again by `anstream` where no terminal reads them.
fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

//! Why a variable of a `.env` file cannot be read or changed. Names and lines are told, values never.

use thiserror::Error;

use crate::error::HostError;
use crate::exit::Exit;

use super::text::MAX_BYTES;

/// Why a text, or a variable in it, cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvTextError {
    /// The text is longer than anything that is read.
    #[error("it has more than {MAX_BYTES} bytes, the most that is read")]
    TooLong,
    /// A zero byte, which no variable can hold: the file is no text, or UTF-16.
    #[error("line {line} has a zero byte")]
    ZeroByte {
        /// Where.
        line: usize,
    },
    /// A name that no loader would take.
    #[error("`{name}` is no name of a variable")]
    Name {
        /// The name.
        name: String,
    },
    /// Two lines that set the same variable.
    #[error("`{name}` is in line {first} and again in line {second}")]
    Duplicate {
        /// The variable.
        name: String,
        /// The first line.
        first: usize,
        /// The second.
        second: usize,
    },
    /// A line that sets the variable, but within the quotes of another.
    #[error("`{name}` is in line {line}, within the quotes that line {opened} opens")]
    WithinQuotes {
        /// The variable.
        name: String,
        /// The line.
        line: usize,
        /// The line where the quotes begin.
        opened: usize,
    },
    /// A line whose meaning depends on who reads it.
    #[error("line {line}: `{name}` {why}")]
    Unclear {
        /// The variable.
        name: String,
        /// The line.
        line: usize,
        /// What it is about it.
        why: Unclear,
    },
    /// A new value that loaders would read differently, however it is quoted.
    #[error("the new value of `{name}` has a character that loaders read differently, even in single quotes")]
    NewValue {
        /// The variable.
        name: String,
    },
    /// Two new values for one variable.
    #[error("`{name}` is to be changed twice")]
    ChangedTwice {
        /// The variable.
        name: String,
    },
    /// The last line would swallow a line that is added, or be another one with it.
    #[error("no variable can be added after line {line}, whose end is not clear")]
    NoPlace {
        /// The last line.
        line: usize,
    },
}

/// What makes loaders disagree on a line, or keeps every one from reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unclear {
    /// An opening quote without its end.
    #[error("has an opening quote that is never closed")]
    Unterminated,
    /// Text after the closing quote.
    #[error("has text right after the closing quote")]
    Followed,
    /// Bytes that are not UTF-8.
    #[error("has a value that is not UTF-8")]
    NotUtf8,
    /// `$` or a backtick where some loaders replace it by what it names.
    #[error("has a `$` or a backtick, which some loaders replace and others keep")]
    Expansion,
    /// A backslash.
    #[error("has a backslash, which some loaders take away and others keep")]
    Backslash,
    /// Blanks within a value without quotes.
    #[error("has a blank within a value without quotes")]
    Blank,
    /// A tab beside a value without quotes.
    #[error("has a tab beside a value without quotes, which some loaders take for a part of it")]
    Tab,
    /// `#` within a value without quotes.
    #[error("has a `#` in a value without quotes, where some loaders begin a comment")]
    Hash,
    /// A comment where a value could be.
    #[error("is empty but for a comment, which some loaders take for the value")]
    OnlyComment,
    /// Quotes within a value that does not begin with one.
    #[error("has a quote within a value without quotes, which some loaders take away and others keep")]
    Quote,
    /// A character that ends a word in `sh`.
    #[error("has a character in a value without quotes at which a shell ends it")]
    ShellSign,
    /// `~` where `sh` puts a home directory.
    #[error("has a `~` in a value without quotes, which a shell replaces")]
    Tilde,
    /// A control character, or a blank outside ASCII.
    #[error("has a control character or an unusual blank, which some loaders take away and others keep")]
    Control,
    /// No `=` after the name, or a name in quotes.
    #[error("is named in a way that is no `NAME=value`, which some loaders take for one")]
    NoAssignment,
    /// The same name in another case.
    #[error("is there in other letters, upper and lower, which some loaders take for the same name")]
    Case,
}

impl EnvTextError {
    /// What to do about it, in one sentence without a full stop.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::TooLong => "check that it is the right file",
            Self::ZeroByte { .. } => "save the file as UTF-8 text",
            Self::Name { .. } => "use letters, digits and `_`, and no digit first",
            Self::Duplicate { .. } => {
                "keep the line that is meant (loaders mostly take the last) and remove the other"
            }
            Self::WithinQuotes { .. } => "close those quotes, or write that value in one line",
            Self::Unclear { why, .. } => why.advice(),
            Self::NewValue { .. } => "give it in base64url or another form without such characters",
            Self::ChangedTwice { .. } => "give each variable one name of its own",
            Self::NoPlace { .. } => "add an empty line at the end of the file",
        }
    }

    const fn exit(&self) -> Exit {
        match self {
            Self::TooLong | Self::ZeroByte { .. } => Exit::Failed,
            Self::Name { .. } | Self::NewValue { .. } | Self::ChangedTwice { .. } => Exit::Usage,
            Self::Duplicate { .. }
            | Self::WithinQuotes { .. }
            | Self::Unclear { .. }
            | Self::NoPlace { .. } => Exit::Refused,
        }
    }
}

impl Unclear {
    const fn advice(self) -> &'static str {
        match self {
            Self::Unterminated => "close the quote",
            Self::Followed => "put a blank in front of a comment, or everything within the quotes",
            Self::NotUtf8 => "write the value as UTF-8 text",
            Self::Expansion | Self::Backslash => {
                "put the value as it is meant in single quotes, without `${` and `\\`"
            }
            Self::Blank | Self::Hash | Self::ShellSign | Self::Tilde => "put the value in single quotes",
            Self::Quote => "put the whole value in quotes, or none of it",
            Self::Tab => "write spaces there",
            Self::OnlyComment => "write `\"\"` in front of the comment, or put it in a line of its own",
            Self::Control => "remove it, or put the value in quotes if it is meant",
            Self::NoAssignment => "write `NAME=value`, or make a comment of the line",
            Self::Case => "write the name in the letters that are configured, or configure those of the file",
        }
    }
}

impl From<EnvTextError> for HostError {
    fn from(error: EnvTextError) -> Self {
        Self::new(error.exit(), &error).help(error.advice())
    }
}

//! A crontab: its lines, which of them are ours, and edits that leave every other byte as it is.

mod line;
mod old;
mod program;

pub use line::line;
pub use old::{OldLine, old_lines};
pub use program::{CrontabProgram, backup_path};

use std::path::{Path, PathBuf};

use super::job::ScheduleName;

/// How our lines end; the schedule's name follows.
const MARK: &str = "# pbac schedule: ";

/// A line of a crontab that runs something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// When: five fields, or one such as `@daily`.
    pub fields: Vec<String>,
    /// What it runs, with everything after it; foreign bytes replaced.
    pub command: String,
}

impl Entry {
    /// The schedule whose line it is.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        Some(self.command.rsplit_once(MARK)?.1.trim_end())
    }

    /// Whether it is the line of this schedule.
    #[must_use]
    pub fn is_of(&self, name: &ScheduleName) -> bool {
        self.schedule() == Some(name.as_str())
    }

    /// The program that it runs, where it is a line of ours.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        self.schedule()?;
        line::program_of(&self.command)
    }

    /// Whether the command names this file.
    #[must_use]
    pub fn names(&self, path: &Path) -> bool {
        path.to_str().is_some_and(|path| old::names(&self.command, path))
    }

    /// The minute and the hour, where it runs once every day.
    #[must_use]
    pub fn daily_at(&self) -> Option<(u8, u8)> {
        let [minute, hour, day, month, weekday] = self.fields.as_slice() else { return None };
        let daily = [day, month, weekday].iter().all(|field| *field == "*");
        let number = |text: &str, most: u8| text.parse().ok().filter(|number| *number <= most);
        daily.then_some((number(minute, 59)?, number(hour, 23)?))
    }
}

/// The lines that run something. A system's crontab, such as those in `/etc/cron.d`, has the user as a sixth field.
#[must_use]
pub fn entries(text: &[u8], with_user: bool) -> Vec<Entry> {
    let lines = text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    lines.enumerate().filter_map(|(index, line)| entry(index.saturating_add(1), &line, with_user)).collect()
}

fn entry(line: usize, text: &str, with_user: bool) -> Option<Entry> {
    let text = text.trim();
    // Anything else is blank, a comment, or sets a variable.
    if !text.starts_with(|letter: char| letter.is_ascii_digit() || matches!(letter, '*' | '@' | '~' | '-')) {
        return None;
    }
    let mut rest = text;
    let mut word = || {
        let (first, others) = rest.split_once(char::is_whitespace)?;
        rest = others.trim_start();
        Some(first.to_owned())
    };
    let count = if text.starts_with('@') { 1 } else { 5 };
    let fields: Option<Vec<String>> = (0..count).map(|_| word()).collect();
    let fields = fields?;
    if with_user {
        word()?;
    }
    Some(Entry { line, fields, command: rest.to_owned() })
}

/// The crontab with our line in it, and without the lines that go. Our line takes the place of the first that is ours
/// already, or stands at the end; nothing instead of it takes it away. Every other line stays byte for byte.
#[must_use]
pub fn edit(text: &[u8], ours: &[usize], gone: &[usize], line: Option<&str>) -> Vec<u8> {
    let mut edited = Vec::with_capacity(text.len());
    let mut line = line;
    for (index, old) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index.saturating_add(1);
        if ours.contains(&number) {
            put(&mut edited, line.take());
        } else if !gone.contains(&number) {
            edited.extend_from_slice(old);
        }
    }
    if line.is_some() && edited.last().is_some_and(|byte| *byte != b'\n') {
        edited.push(b'\n');
    }
    put(&mut edited, line);
    edited
}

fn put(text: &mut Vec<u8>, line: Option<&str>) {
    if let Some(line) = line {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const BEFORE: &[u8] = b"# mine\r\nMAILTO=ops@example.com\n\n";
    const OURS: &[u8] = b"17 2 * * * cd / && x % y # pbac schedule: a\n";
    const BETWEEN: &[u8] = b"\xff\xfe \n*/5 * * * * z\n";
    // Without an end of line.
    const LAST: &[u8] = b"0 2 */90 * *\tpython rotate_secret_key.py";

    fn text() -> Vec<u8> {
        [BEFORE, OURS, BETWEEN, LAST].concat()
    }

    fn name(text: &str) -> ScheduleName {
        text.parse().unwrap()
    }

    #[test]
    fn finds_what_runs() {
        let found = entries(&text(), false);
        let lines: Vec<usize> = found.iter().map(|entry| entry.line).collect();
        assert_eq!(lines, [4, 6, 7]);
        let (first, last) = (found.first().unwrap(), found.last().unwrap());
        assert!(first.is_of(&name("a")) && !first.is_of(&name("b")));
        assert_eq!(first.daily_at(), Some((17, 2)));
        assert_eq!((last.command.as_str(), last.daily_at()), ("python rotate_secret_key.py", None));
    }

    #[test]
    fn knows_the_forms_of_lines() {
        let of = |text: &str, with_user| entries(text.as_bytes(), with_user).pop();
        assert_eq!(of("@daily x y", false).unwrap().command, "x y");
        assert_eq!(of("  1 2 * * * root x y", true).unwrap().command, "x y");
        for none in
            ["# 1 2 * * * x", "A=1 2 * * * x", "\"A\" = 1", "1 2 * * *", "@daily", "", "1 2 * * * root"]
        {
            assert_eq!(of(none, true), None, "{none}");
        }
        assert_eq!(of("61 2 * * * x", false).unwrap().daily_at(), None);
    }

    #[test]
    fn edits_leave_every_other_byte() {
        let text = text();
        assert_eq!(edit(&text, &[4], &[], Some("NEW")), [BEFORE, b"NEW\n", BETWEEN, LAST].concat());
        assert_eq!(edit(&text, &[4], &[], None), [BEFORE, BETWEEN, LAST].concat());
        assert_eq!(edit(&text, &[], &[7], Some("NEW")), [BEFORE, OURS, BETWEEN, b"NEW\n"].concat());
        assert_eq!(edit(&text, &[], &[], Some("NEW")), [text.as_slice(), b"\nNEW\n"].concat());
        assert_eq!(edit(&text, &[], &[], None), text);
        assert_eq!(edit(b"", &[], &[], Some("NEW")), b"NEW\n");
        // Two of ours become one.
        assert_eq!(edit(b"A\nB\nA\n", &[1, 3], &[], Some("N")), b"N\nB\n");
    }
}

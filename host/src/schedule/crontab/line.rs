//! Our line, quoted for `sh` and for cron.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::MARK;
use crate::schedule::error::ScheduleError;
use crate::schedule::job::{JOB_PATH, Job};

/// The most bytes of a command that every cron takes: the one of Debian reads 1,000 with the end.
const MAX_COMMAND_BYTES: usize = 990;
/// The hour at which it runs, as in the document.
const HOUR: u8 = 2;

/// The line of the job. `at` is the minute and the hour; without it the hour is 2 and the minute follows from `seed`, so
/// that not every machine starts in the same one.
///
/// Answers go nowhere, so that cron mails what went wrong and nothing else.
///
/// # Errors
///
/// When a path cannot be written into a crontab, or the line is longer than every cron takes.
pub fn line(job: &Job, at: Option<(u8, u8)>, seed: &str) -> Result<String, ScheduleError> {
    let (minute, hour) = at.unwrap_or_else(|| (minute_of(seed), HOUR));
    let config = plain(&job.config)?;
    let words: Vec<String> = job.arguments(config).iter().map(|word| quoted(word)).collect();
    let command = format!(
        "cd {} && PATH={JOB_PATH} {} --quiet {} >/dev/null {MARK}{}",
        quoted(plain(&job.directory())?),
        quoted(plain(&job.program)?),
        words.join(" "),
        job.name
    );
    if command.len() > MAX_COMMAND_BYTES {
        return Err(ScheduleError::Line { bytes: command.len(), most: MAX_COMMAND_BYTES });
    }
    Ok(format!("{minute} {hour} * * * {command}"))
}

/// The program that a line of ours runs.
pub(super) fn program_of(command: &str) -> Option<PathBuf> {
    let (_, rest) = command.split_once(&format!(" PATH={JOB_PATH} "))?;
    let program = match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next()?,
        None => rest.split(' ').next()?,
    };
    Some(PathBuf::from(program.replace("\\%", "%")))
}

fn minute_of(seed: &str) -> u8 {
    let digest = Sha256::digest(seed.as_bytes());
    digest.first().map_or(0, |byte| byte.wrapping_rem(60))
}

/// The path, when cron and every shell read it as it is written. Crons disagree on what a backslash before anything but
/// `%` means, and a line ends at a line break, whatever is around it.
fn plain(path: &Path) -> Result<&str, ScheduleError> {
    let wrong = |why| ScheduleError::Path { path: path.to_path_buf(), into: "a crontab", why };
    let text = path.to_str().ok_or_else(|| wrong("is not UTF-8"))?;
    if text.contains(char::is_control) {
        Err(wrong("holds a control character"))
    } else if text.contains(['\\', '\'']) {
        Err(wrong("holds `\\` or `'`"))
    } else {
        Ok(text)
    }
}

/// A word in single quotes where it needs them; `%` would begin a new line, and cron takes the backslash away.
fn quoted(word: &str) -> String {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@:=,".contains(letter);
    if word.chars().all(is_safe) { word.to_owned() } else { format!("'{}'", word.replace('%', "\\%")) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::config::Schedule;
    use crate::keys::KeySettings;
    use crate::schedule::{KeyPlaces, ScheduleName};

    fn job(directory: &str) -> Job {
        Job {
            name: ScheduleName::DEFAULT.parse().unwrap(),
            program: "/usr/bin/pbac".into(),
            config: Path::new(directory).join("pbac.toml"),
            settings: Schedule::default(),
            places: KeyPlaces::new(&KeySettings::default(), Path::new(directory)),
        }
    }

    #[test]
    fn is_one_line_that_says_all() {
        assert_eq!(
            line(&job("/srv/erp"), Some((4, 5)), "").unwrap(),
            format!(
                "4 5 * * * cd /srv/erp && PATH={JOB_PATH} /usr/bin/pbac --quiet --config /srv/erp/pbac.toml --no-input schedule run --name pbac-rotate >/dev/null # pbac schedule: pbac-rotate"
            )
        );
        let odd = line(&job("/srv/50% of \"it\" $x"), None, "a").unwrap();
        assert!(odd.contains(" cd '/srv/50\\% of \"it\" $x' && "), "{odd}");
        assert!(odd.contains(" '/srv/50\\% of \"it\" $x/pbac.toml' "), "{odd}");
        assert_eq!(program_of(&odd).as_deref(), Some(Path::new("/usr/bin/pbac")));
    }

    #[test]
    fn machines_differ_in_the_minute_and_keep_theirs() {
        let minute = |seed: &str| line(&job("/a"), None, seed).unwrap().split(' ').next().unwrap().to_owned();
        assert_eq!(minute("a"), minute("a"));
        let different: std::collections::BTreeSet<String> =
            (0..20).map(|machine| minute(&machine.to_string())).collect();
        assert!(different.len() > 10, "{different:?}");
        assert!(different.iter().all(|minute| minute.parse::<u8>().unwrap() < 60));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for wrong in ["/a\n* * * * * evil", "/it's", "/a\\b", "/a\rb"] {
            assert!(line(&job(wrong), None, "").is_err(), "{wrong:?}");
        }
        let long = format!("/{}", "a".repeat(500));
        assert!(line(&job(&long), None, "").unwrap_err().to_string().contains("not every cron"));
    }
}

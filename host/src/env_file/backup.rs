//! Backups: the file as it was, under the time, beside it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use policy_core::Timestamp;
use tempfile::NamedTempFile;

use super::error::EnvFileError;
use super::fresh::remove;
use super::place::{Content, Owner, Place};

/// A backup is for its owner alone, to be read and to be removed.
const MODE: u32 = 0o600;
/// More than this many in one second are none that a person asked for.
const MOST_IN_A_SECOND: u32 = 1000;

impl Place {
    /// Writes what the file holds to another that has no name of its own yet.
    pub(super) fn draft_backup(&self, content: &Content) -> Result<NamedTempFile, EnvFileError> {
        let mut file = self.fresh(Owner { mode: MODE, ..content.owner })?;
        self.fill(&mut file, content.text.bytes())?;
        self.sync(&file)?;
        Ok(file)
    }

    /// Gives it the first name that is free: `NAME.backup.YYYYMMDD_HHMMSS` in UTC, then the same with `_2` and so on.
    pub(super) fn name_backup(
        &self,
        mut file: NamedTempFile,
        now: Timestamp,
    ) -> Result<PathBuf, EnvFileError> {
        let stamp = stamp(now);
        for number in 1..=MOST_IN_A_SECOND {
            let suffix = if number == 1 { String::new() } else { format!("_{number}") };
            let path = self.beside(&self.name_with(&format!(".backup.{stamp}{suffix}")));
            match file.persist_noclobber(&path) {
                Ok(_) => {
                    self.sync_directory()?;
                    return Ok(path);
                }
                Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => file = taken.file,
                Err(failed) => return Err(EnvFileError::io("write", &path)(failed.error)),
            }
        }
        let path = self.beside(&self.name_with(&format!(".backup.{stamp}")));
        Err(EnvFileError::io("write", &path)(ErrorKind::AlreadyExists.into()))
    }

    /// Removes the oldest backups until `keep` are left, never `newest`, and nothing that is not named as a backup.
    pub(super) fn prune(&self, newest: &PathBuf, keep: usize) -> Result<(), EnvFileError> {
        let fail = || EnvFileError::io("read", &self.directory);
        let mut backups = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(fail())? {
            let entry = entry.map_err(fail())?;
            let age =
                self.age(&entry.file_name()).filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file()));
            if let Some(age) = age
                && entry.path() != *newest
            {
                backups.push((age, entry.path()));
            }
        }
        backups.sort();
        let surplus = backups.len().saturating_sub(keep.saturating_sub(1));
        for (_, path) in backups.iter().take(surplus) {
            remove(path)?;
        }
        if surplus > 0 { self.sync_directory() } else { Ok(()) }
    }

    /// The time and the number in the name of a backup; none where the name is none.
    fn age(&self, name: &OsStr) -> Option<(String, u32)> {
        let prefix: OsString = self.name_with(".backup.");
        let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes())?;
        let rest = std::str::from_utf8(rest).ok()?;
        let (stamp, rest) = rest.split_at_checked("YYYYMMDD_HHMMSS".len())?;
        let (day, time) = stamp.split_once('_')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = match rest.strip_prefix('_') {
            Some(number) if digits(number) && !number.starts_with('0') => number.parse().ok()?,
            None if rest.is_empty() => 1,
            _ => return None,
        };
        (day.len() == 8 && digits(day) && digits(time)).then(|| (stamp.to_owned(), number))
    }
}

/// The second as `YYYYMMDD_HHMMSS`, in UTC.
fn stamp(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_microsecond(now.micros()).unwrap_or_default();
    time.strftime("%Y%m%d_%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_backups() {
        let place = Place { path: "/x/.env".into(), directory: "/x".into(), name: ".env".into() };
        let age = |name: &str| place.age(OsStr::new(name));
        let stamp = || "20260120_103045".to_owned();
        assert_eq!(age(".env.backup.20260120_103045"), Some((stamp(), 1)));
        assert_eq!(age(".env.backup.20260120_103045_12"), Some((stamp(), 12)));
        for other in [
            ".env",
            ".env.backup",
            ".env.backup.",
            ".env.backup.20260120",
            ".env.backup.20260120_10304",
            ".env.backup.20260120_103045_",
            ".env.backup.20260120_103045_02",
            ".env.backup.20260120_103045.gz",
            ".env.backup.20260120-103045",
            ".env.backup.2026012_0103045",
            ".env.backup.+0260120_103045",
            "x.env.backup.20260120_103045",
            ".env.backup.20260120_103045_99999999999",
        ] {
            assert_eq!(age(other), None, "{other}");
        }
    }

    #[test]
    fn names_the_second_in_utc() {
        assert_eq!(stamp(Timestamp::from_seconds(1_768_905_045)), "20260120_103045");
        assert_eq!(stamp(Timestamp::from_micros(1_768_905_045_999_999)), "20260120_103045");
    }
}

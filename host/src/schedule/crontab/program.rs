//! The program `crontab`: reads the user's crontab, and writes it so that nothing is lost.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy_core::Timestamp;
use tokio::process::Command;

use crate::schedule::error::ScheduleError;
use crate::subprocess::{Captured, capture};

/// The longest that the program may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest crontab that is read.
const MOST_BYTES: usize = 1 << 20;
/// How often another name for the backup is tried.
const NAMES: u32 = 100;

/// The user's crontab, behind the program that reads and writes it.
#[derive(Clone, Copy, Debug)]
pub struct CrontabProgram<'a> {
    program: &'a Path,
}

impl<'a> CrontabProgram<'a> {
    /// Behind this program.
    #[must_use]
    pub const fn new(program: &'a Path) -> Self {
        Self { program }
    }

    /// The crontab; empty where the user has none.
    ///
    /// # Errors
    ///
    /// When the program fails otherwise.
    pub async fn read(self) -> Result<Vec<u8>, ScheduleError> {
        let captured = self.call("-l", b"").await?;
        if captured.succeeded() {
            return Ok(captured.stdout);
        }
        let words = String::from_utf8_lossy(&captured.stderr).to_lowercase();
        // Debian and cronie say the first, busybox the second.
        let none = words.contains("no crontab for")
            || (words.contains("can't open") && words.contains("no such file"));
        if none && captured.stdout.is_empty() { Ok(Vec::new()) } else { Err(failed("-l", &captured)) }
    }

    /// Replaces the crontab `old` with `new`, when it is still `old`: writes `old`, if there was one, into a new file of
    /// mode 0600 first, reads back what was written, and puts `old` back where that is something else. The file is
    /// called `backup`, or like it where one is there; its path is the answer.
    ///
    /// # Errors
    ///
    /// When it is not `old` any more, a program or a file fails, or what was read back is something else.
    pub async fn replace(
        self,
        old: &[u8],
        new: &[u8],
        backup: &Path,
    ) -> Result<Option<PathBuf>, ScheduleError> {
        if self.read().await? != old {
            return Err(ScheduleError::Changed);
        }
        let backup = if old.is_empty() { None } else { Some(write_backup(backup, old)?) };
        let written = self.write(new).await;
        let wrong = match &written {
            Ok(()) => self.read().await.map_or(true, |now| now != new),
            // Some programs fail after they have written.
            Err(_) => self.read().await.map_or(true, |now| now != old),
        };
        if wrong {
            let put_back = self.write(old).await.is_ok() && self.read().await.is_ok_and(|now| now == old);
            return Err(ScheduleError::ReadBack { backup, put_back });
        }
        written.map(|()| backup)
    }

    async fn write(self, text: &[u8]) -> Result<(), ScheduleError> {
        let captured = self.call("-", text).await?;
        if captured.succeeded() { Ok(()) } else { Err(failed("-", &captured)) }
    }

    async fn call(self, argument: &str, input: &[u8]) -> Result<Captured, ScheduleError> {
        let mut command = Command::new(self.program);
        command.arg(argument).env("LC_ALL", "C");
        capture(command, input, LIMIT, MOST_BYTES)
            .await
            .map_err(|error| ScheduleError::file("run", self.program, error))
    }
}

/// The name of a backup that is made now, as the document names those of the `.env` file.
#[must_use]
pub fn backup_path(directory: &Path, now: Timestamp) -> PathBuf {
    let time = jiff::Timestamp::from_microsecond(now.micros()).unwrap_or_default();
    directory.join(format!("crontab.backup.{}", time.strftime("%Y%m%d_%H%M%S")))
}

fn failed(argument: &str, captured: &Captured) -> ScheduleError {
    ScheduleError::Program {
        command: format!("crontab {argument}"),
        ending: captured.ending(),
        words: String::from_utf8_lossy(&captured.stderr).trim().to_owned(),
    }
}

/// Never over a file that is there: it may be the backup of a run in the same second.
fn write_backup(path: &Path, bytes: &[u8]) -> Result<PathBuf, ScheduleError> {
    let mut last = None;
    for number in 0..NAMES {
        let mut name = path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let name = PathBuf::from(name);
        let fail = |error| ScheduleError::file("write", &name, error);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
            Ok(mut file) => {
                file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
                return Ok(name);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(fail(error)),
        }
    }
    Err(ScheduleError::file("write", path, last.unwrap_or_else(|| std::io::ErrorKind::AlreadyExists.into())))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_backup_is_private_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = backup_path(directory.path(), Timestamp::from_seconds(1_764_000_000));
        assert_eq!(path.file_name().unwrap(), "crontab.backup.20251124_160000");
        assert_eq!(write_backup(&path, b"one").unwrap(), path);
        let second = write_backup(&path, b"two").unwrap();
        assert_eq!(second.file_name().unwrap(), "crontab.backup.20251124_160000.1");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(second.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

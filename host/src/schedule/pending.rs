//! What is left between runs beside the keys: that a restart is owed, and the lock of a run.
//!
//! A key that is rotated and never reaches the processes that sign does harm: they go on signing with the old one, whose
//! tokens are refused from its retirement on. The next rotation is months away, so that a restart that failed would not
//! be tried again; nor would one that a crash between rotation and restart left out. So the debt is written down before
//! anything is rotated, and paid off by a restart that succeeds.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::ScheduleError;
use crate::held_lock::HeldLock;

/// The file that says that a restart is owed, in the directory of the rotation reports.
const DEBT: &str = ".restart-pending";
/// The file that a run holds locked, in the same directory.
const LOCK: &str = ".schedule-run.lock";

/// A run that has the directory to itself.
#[derive(Debug)]
pub(super) struct Pending {
    debt: PathBuf,
    _lock: HeldLock,
}

impl Pending {
    /// Makes the directory where it is missing, and locks it.
    pub(super) fn lock(directory: &Path) -> Result<Self, ScheduleError> {
        let fail = |path: &Path, error| ScheduleError::file("write", path, error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| fail(directory, error))?;
        let path = directory.join(LOCK);
        let lock = private(&path).map_err(|error| fail(&path, error))?;
        match HeldLock::take(lock) {
            Ok(lock) => Ok(Self { debt: directory.join(DEBT), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ScheduleError::Running { lock: path }),
            Err(TryLockError::Error(error)) => Err(fail(&path, error)),
        }
    }

    /// Whether a restart is owed.
    pub(super) fn is_owed(&self) -> bool {
        self.debt.exists()
    }

    /// Writes down that one is, so that it outlasts a crash of the machine.
    pub(super) fn owe(&self) -> Result<(), ScheduleError> {
        private(&self.debt)
            .and_then(|file| file.sync_all())
            .and_then(|()| self.sync())
            .map_err(|error| ScheduleError::file("write", &self.debt, error))
    }

    /// Writes down that none is.
    pub(super) fn pay(&self) -> Result<(), ScheduleError> {
        let removed = match std::fs::remove_file(&self.debt) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        removed.map_err(|error| ScheduleError::file("remove", &self.debt, error))
    }

    fn sync(&self) -> Result<(), Error> {
        self.debt.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    }
}

/// Whether a restart is owed, by the reports in this directory.
pub(super) fn is_owed(directory: &Path) -> bool {
    directory.join(DEBT).exists()
}

fn private(path: &Path) -> Result<File, Error> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_debt_stays_until_it_is_paid() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs/reports");
        let pending = Pending::lock(&logs).unwrap();
        assert!(!pending.is_owed());
        pending.owe().unwrap();
        drop(pending);
        let pending = Pending::lock(&logs).unwrap();
        assert!(pending.is_owed() && is_owed(&logs));
        pending.pay().unwrap();
        pending.pay().unwrap();
        assert!(!pending.is_owed());
    }

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Pending::lock(directory.path()).unwrap();
        assert!(matches!(Pending::lock(directory.path()), Err(ScheduleError::Running { .. })));
        drop(first);
        assert!(Pending::lock(directory.path()).is_ok());
    }
}

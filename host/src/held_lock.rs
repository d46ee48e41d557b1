//! A file's lock that one process holds.

use std::fs::{File, TryLockError};

/// The lock of an open file, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct HeldLock(File);

impl HeldLock {
    /// Takes it, when nobody else has it.
    pub(crate) fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for HeldLock {
    /// Closing alone would not do: a program that another thread is just starting has a copy of the file until it runs.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn goes_when_it_is_dropped_though_a_copy_of_the_file_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let file = File::create(&path).unwrap();
        let copy = file.try_clone().unwrap();
        let held = HeldLock::take(file).unwrap();
        let other = || HeldLock::take(File::open(&path).unwrap());
        assert!(matches!(other(), Err(TryLockError::WouldBlock)));
        drop(held);
        assert!(other().is_ok());
        drop(copy);
    }
}

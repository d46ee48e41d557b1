//! New files beside the old one: private from birth, and found again after a crash.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, fchown};

use tempfile::NamedTempFile;

use super::error::EnvFileError;
use super::place::{Owner, Place};

/// How many letters a passing name ends with.
const RANDOM_LETTERS: usize = 8;

impl Place {
    /// An empty file under a passing name, which goes when it is dropped. Nobody else can ever have opened it: it gets its
    /// owner and mode, here no wider than that of the file it is about, before anything is in it.
    pub(super) fn fresh(&self, owner: Owner) -> Result<NamedTempFile, EnvFileError> {
        let fail = || EnvFileError::io("write beside", &self.path);
        let mut builder = tempfile::Builder::new();
        let prefix = self.fresh_prefix();
        builder.prefix(&prefix).rand_bytes(RANDOM_LETTERS).permissions(Permissions::from_mode(0o600));
        let file = builder.tempfile_in(&self.directory).map_err(fail())?;
        fchown(file.as_file(), Some(owner.user), Some(owner.group)).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                EnvFileError::NotOwner { path: self.path.clone(), owner: owner.user, group: owner.group }
            }
            _ => fail()(error),
        })?;
        file.as_file().set_permissions(Permissions::from_mode(owner.mode)).map_err(fail())?;
        Ok(file)
    }

    /// Writes the bytes into a fresh file.
    pub(super) fn fill(&self, file: &mut NamedTempFile, bytes: &[u8]) -> Result<(), EnvFileError> {
        file.write_all(bytes).map_err(EnvFileError::io("write beside", &self.path))
    }

    /// Makes what is in a fresh file last.
    pub(super) fn sync(&self, file: &NamedTempFile) -> Result<(), EnvFileError> {
        file.as_file().sync_all().map_err(EnvFileError::io("sync", file.path()))
    }

    /// Removes the files under passing names that a killed run left behind. For whoever holds the lock.
    pub(super) fn tidy(&self) -> Result<(), EnvFileError> {
        let fail = || EnvFileError::io("read", &self.directory);
        let prefix = self.fresh_prefix();
        for entry in fs::read_dir(&self.directory).map_err(fail())? {
            let entry = entry.map_err(fail())?;
            let name = entry.file_name();
            let letters = name.as_bytes().strip_prefix(prefix.as_bytes()).unwrap_or_default();
            let ours = letters.len() == RANDOM_LETTERS && letters.iter().all(u8::is_ascii_alphanumeric);
            if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                remove(&self.beside(&name))?;
            }
        }
        Ok(())
    }

    fn fresh_prefix(&self) -> OsString {
        let mut prefix = OsString::from(if self.name.as_bytes().starts_with(b".") { "" } else { "." });
        prefix.push(self.name_with(".pbac-tmp-"));
        prefix
    }
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &std::path::Path) -> Result<(), EnvFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(EnvFileError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

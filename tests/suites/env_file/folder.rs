//! A directory with a `.env` file, and what is left in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pbac::env_file::EnvText;
use secrecy::ExposeSecret;
use tempfile::TempDir;

/// A directory with a `.env` file in it.
pub struct Folder {
    directory: TempDir,
}

impl Folder {
    pub fn with(bytes: impl AsRef<[u8]>) -> Self {
        let folder = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(folder.env(), bytes).unwrap();
        folder.set_mode(0o600);
        folder
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn env(&self) -> PathBuf {
        self.path().join(".env")
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.env()).unwrap()
    }

    pub fn set_mode(&self, mode: u32) {
        fs::set_permissions(self.env(), Permissions::from_mode(mode)).unwrap();
    }

    /// What is in it, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The nine bits of a file's mode.
pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// A value that can be read.
pub fn value(text: &EnvText, name: &str) -> String {
    text.value(name).unwrap().unwrap().expose_secret().to_owned()
}

/// Told of every step, and says nothing.
pub fn quiet(_: pbac::env_file::Step) {}

/// A probe that finds no fault.
pub fn fine(_: &EnvText) -> Result<(), pbac::error::HostError> {
    Ok(())
}

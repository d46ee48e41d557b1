//! Where a `.env` file is, and whether another file could take its place.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::error::EnvFileError;
use super::mount;
use super::text::{EnvText, MAX_BYTES};

/// Reads a `.env` file, without a lock and whoever owns it.
///
/// # Errors
///
/// When it cannot be read, is no regular file, or no text of at most [`MAX_BYTES`].
pub fn read(path: &Path) -> Result<EnvText, EnvFileError> {
    let place = Place::resolve(path)?;
    Ok(place.read()?.text)
}

/// A file behind all symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

/// What a file holds, and whose it is.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) text: EnvText,
    pub(super) owner: Owner,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
    /// What may be done to it by whom: the nine bits.
    pub(super) mode: u32,
}

impl Place {
    pub(super) fn resolve(path: &Path) -> Result<Self, EnvFileError> {
        let path = fs::canonicalize(path).map_err(EnvFileError::io("read", path))?;
        match (path.parent(), path.file_name()) {
            (Some(directory), Some(name)) => {
                Ok(Self { directory: directory.to_owned(), name: name.to_owned(), path })
            }
            _ => Err(EnvFileError::NotRegular { path }),
        }
    }

    /// Another file in the same directory.
    pub(super) fn beside(&self, name: &OsStr) -> PathBuf {
        self.directory.join(name)
    }

    /// The file's name with something behind it.
    pub(super) fn name_with(&self, suffix: &str) -> OsString {
        let mut name = self.name.clone();
        name.push(suffix);
        name
    }

    /// What the file holds now.
    pub(super) fn read(&self) -> Result<Content, EnvFileError> {
        let fail = || EnvFileError::io("read", &self.path);
        // A pipe that nobody writes to would be waited for; a link was followed already.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::open(&self.path, flags, Mode::empty()).map_err(|error| fail()(error.into()))?;
        let mut file = File::from(file);
        let data = file.metadata().map_err(fail())?;
        if !data.is_file() {
            return Err(EnvFileError::NotRegular { path: self.path.clone() });
        }
        let bytes = bounded(&mut file).map_err(fail())?;
        let text = EnvText::new(bytes).map_err(|error| error.in_file(&self.path))?;
        Ok(Content { text, owner: Owner::of(&data) })
    }

    /// Makes sure that a new file can take its place, as far as the file itself says.
    pub(super) fn check_replaceable(&self) -> Result<Owner, EnvFileError> {
        let data = fs::symlink_metadata(&self.path).map_err(EnvFileError::io("read", &self.path))?;
        let path = || self.path.clone();
        if !data.is_file() {
            return Err(EnvFileError::NotRegular { path: path() });
        }
        if data.nlink() > 1 {
            return Err(EnvFileError::HardLinks { path: path(), count: data.nlink() });
        }
        if mount::is_mount_point(&self.path) {
            return Err(EnvFileError::MountPoint { path: path() });
        }
        Ok(Owner::of(&data))
    }

    /// Makes names in the directory last.
    pub(super) fn sync_directory(&self) -> Result<(), EnvFileError> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(EnvFileError::io("sync", &self.directory))
    }
}

impl Owner {
    pub(super) fn of(data: &Metadata) -> Self {
        Self { user: data.uid(), group: data.gid(), mode: data.mode() & 0o777 }
    }

    /// The mode of a file with secrets: that of the old one, and nothing for anybody but its owner.
    pub(super) const fn narrow_mode(self) -> u32 {
        self.mode & 0o600
    }
}

/// Reads into a buffer that is large enough from the beginning (one that grows leaves secrets behind), at most one byte
/// more than is taken.
fn bounded(file: &mut File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = MAX_BYTES.saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

//! Why a `.env` file cannot be read or changed.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::HostError;
use crate::exit::Exit;

use super::text_error::EnvTextError;

/// Why a `.env` file cannot be read or changed. Where [`super::LockedEnvFile`] ends with one, the file is as it was.
#[derive(Debug, Error)]
pub enum EnvFileError {
    /// The operating system refuses something.
    #[error("cannot {doing} `{}`: {error}", path.display())]
    Io {
        /// What it refuses.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("`{}` is no regular file", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// The file has other names.
    #[error("`{}` has {count} hard links: the other names would keep the old text", path.display())]
    HardLinks {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        count: u64,
    },
    /// The file is mounted on its own, and no other can take its place.
    #[error("`{}` is mounted on its own, as Docker mounts a single file into a container, and cannot be replaced from within", path.display())]
    MountPoint {
        /// The file.
        path: PathBuf,
    },
    /// A new file cannot be given the owner of the old one.
    #[error("`{}` belongs to user {owner} and group {group}, to whom a new file cannot be given from here", path.display())]
    NotOwner {
        /// The file.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Its group's number.
        group: u32,
    },
    /// Another process holds the lock.
    #[error("another process is changing `{}`: it holds the lock of `{}`", path.display(), lock.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
    },
    /// The file is not what it was when it was read.
    #[error("`{}` was changed by another program since it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The text cannot be read or changed.
    #[error("`{}`: {error}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EnvTextError,
    },
}

impl EnvFileError {
    /// What keeps `doing` (a verb, such as `read`) from being done to the file.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }
}

impl EnvTextError {
    /// The same about the text of this file.
    #[must_use]
    pub fn in_file(self, path: &Path) -> EnvFileError {
        EnvFileError::Text { path: path.to_owned(), error: self }
    }
}

impl From<EnvFileError> for HostError {
    fn from(error: EnvFileError) -> Self {
        let (exit, help) = match &error {
            EnvFileError::Io { doing, path, error } => return Self::file(doing, path, error),
            EnvFileError::Text { error: text, .. } => {
                return Self::new(Self::from(text.clone()).exit(), &error).help(text.advice());
            }
            EnvFileError::NotRegular { .. } => (Exit::Refused, "name the file itself".to_owned()),
            EnvFileError::HardLinks { .. } => {
                (Exit::Refused, "remove the other names, or make symbolic links of them".to_owned())
            }
            EnvFileError::MountPoint { .. } => (
                Exit::Refused,
                "change the file outside the container and then recreate it (`docker compose up -d --force-recreate`), \
                 or mount its directory instead of it"
                    .to_owned(),
            ),
            EnvFileError::NotOwner { owner, .. } => (Exit::Refused, format!("run this as user {owner} or as root")),
            EnvFileError::Busy { .. } => (Exit::Busy, "try again when it is done".to_owned()),
            EnvFileError::Changed { .. } => (Exit::Busy, "let the other program finish, then try again".to_owned()),
        };
        Self::new(exit, &error).help(help)
    }
}

/// Why a file does not hold its new text.
#[derive(Debug)]
pub enum ReplaceError<E> {
    /// The new text never was in its place.
    Unchanged(EnvFileError),
    /// It was, and the old text is back.
    PutBack(Cause<E>),
    /// It was, and the file is not what it was before.
    Stuck {
        /// What was wrong with it.
        cause: Cause<E>,
        /// Why the old text could not be put back.
        error: Box<EnvFileError>,
    },
}

/// What is wrong with a new text that is in its place.
#[derive(Debug)]
pub enum Cause<E> {
    /// It cannot be synced or read back.
    File(EnvFileError),
    /// The caller's probe says so.
    Probe(E),
}

impl<E> From<EnvFileError> for ReplaceError<E> {
    fn from(error: EnvFileError) -> Self {
        Self::Unchanged(error)
    }
}

impl<E: Into<HostError>> From<Cause<E>> for HostError {
    fn from(cause: Cause<E>) -> Self {
        match cause {
            Cause::File(error) => error.into(),
            Cause::Probe(error) => error.into(),
        }
    }
}

impl<E: Into<HostError>> From<ReplaceError<E>> for HostError {
    fn from(error: ReplaceError<E>) -> Self {
        match error {
            ReplaceError::Unchanged(error) => error.into(),
            ReplaceError::PutBack(cause) => {
                let cause = Self::from(cause);
                let told =
                    Self::new(cause.exit(), format_args!("{cause}; the old text is back in its place"));
                match cause.advice() {
                    Some(help) => told.help(help),
                    None => told,
                }
            }
            ReplaceError::Stuck { cause, error } => Self::new(
                Exit::NeedsPerson,
                format_args!("{}; the old text could not be put back: {error}", Self::from(cause)),
            )
            .help("compare the file with its newest backup, and keep what is right"),
        }
    }
}

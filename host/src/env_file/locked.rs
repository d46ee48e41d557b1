//! A `.env` file that nobody else may change, and how another text takes the place of its text.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use rustix::fs::{Mode, OFlags};

use crate::held_lock::HeldLock;
use crate::migrate::step::Observer;

use super::error::{Cause, EnvFileError, ReplaceError};
use super::mount::{MountedElsewhere, mounted_elsewhere};
use super::place::{Content, Owner, Place};
use super::step::Step;
use super::text::EnvText;

/// A `.env` file whose lock is held: that of a file beside it, `NAME.lock`, which stays. The lock goes when this is dropped
/// or the process ends.
pub struct LockedEnvFile<'a> {
    place: Place,
    content: Content,
    observer: Observer<'a, Step>,
    _lock: HeldLock,
}

/// A mode that a new file does not get, since it holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeChange {
    /// The bits of the file that is there.
    pub from: u32,
    /// The bits of the file that takes its place.
    pub to: u32,
}

impl<'a> LockedEnvFile<'a> {
    /// Takes the lock of the file and reads it. Where `path` is a symbolic link, its target is the file.
    ///
    /// # Errors
    ///
    /// [`EnvFileError::Busy`] when another process holds the lock; when no other file could take its place (it has hard links,
    /// is a mount point, or belongs to somebody else), before anything is changed; when it cannot be read.
    pub fn lock(path: &Path, observer: Observer<'a, Step>) -> Result<Self, EnvFileError> {
        observer(Step::Check);
        let place = Place::resolve(path)?;
        let owner = place.check_replaceable()?;
        // What this tries is done for good later, when backing out would be late.
        drop(place.fresh(owner)?);
        observer(Step::Lock);
        let lock = take_lock(&place, owner)?;
        observer(Step::Tidy);
        place.tidy()?;
        observer(Step::Read);
        // Whoever had the lock before may have changed everything.
        if Place::resolve(path)? != place {
            return Err(EnvFileError::Changed { path: place.path });
        }
        place.check_replaceable()?;
        let content = place.read()?;
        Ok(Self { place, content, observer, _lock: lock })
    }

    /// The file itself, behind all symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// What it holds.
    #[must_use]
    pub const fn text(&self) -> &EnvText {
        &self.content.text
    }

    /// Whether the file that takes its place lets fewer read it: it is for its owner alone, whoever could read the old one.
    #[must_use]
    pub fn mode_change(&self) -> Option<ModeChange> {
        let owner = self.content.owner;
        let change = ModeChange { from: owner.mode, to: owner.narrow_mode() };
        (change.from != change.to).then_some(change)
    }

    /// Who sees the file through a mount of it alone, as containers do, and goes on seeing the old text when another file
    /// takes its place.
    #[must_use]
    pub fn mounted_elsewhere(&self) -> Vec<MountedElsewhere> {
        mounted_elsewhere(&self.place.path)
    }

    /// Writes what the file holds to `NAME.backup.YYYYMMDD_HHMMSS` beside it (UTC; `_2` and so on behind it where that name
    /// is taken), for its owner alone, and synced. With `keep`, the oldest backups are removed until that many are left,
    /// the new one in any case.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or an old one cannot be removed.
    pub fn backup(&self, now: Timestamp, keep: Option<usize>) -> Result<PathBuf, EnvFileError> {
        (self.observer)(Step::Backup);
        let draft = self.place.draft_backup(&self.content)?;
        (self.observer)(Step::NameBackup);
        let path = self.place.name_backup(draft, now)?;
        (self.observer)(Step::Prune);
        if let Some(keep) = keep {
            self.place.prune(&path, keep)?;
        }
        Ok(path)
    }

    /// Writes another file beside it whole or not at all, `NAME` with this suffix: of the same owner, and for nobody else.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_beside(&self, suffix: &str, bytes: &[u8]) -> Result<(), EnvFileError> {
        let path = self.place.beside(&self.place.name_with(suffix));
        let mut file = self.place.fresh(Owner { mode: 0o600, ..self.content.owner })?;
        self.place.fill(&mut file, bytes)?;
        self.place.sync(&file)?;
        file.persist(&path).map_err(|failed| EnvFileError::io("write", &path)(failed.error))?;
        self.place.sync_directory()
    }

    /// Puts a new file with this text in the place of the old one: whole or not at all, of the same owner, and with its mode
    /// within `0600`. It is read back and compared, and handed to `probe`; where either finds fault, the old text is put back.
    ///
    /// # Errors
    ///
    /// [`ReplaceError::Unchanged`] when it did not come so far, also since another program changed the file;
    /// [`ReplaceError::PutBack`] when the old text is back; [`ReplaceError::Stuck`] when it could not be put back,
    /// also since another program wrote to the new file.
    pub fn replace<E>(
        &mut self,
        new: EnvText,
        probe: impl FnOnce(&EnvText) -> Result<(), E>,
    ) -> Result<(), ReplaceError<E>> {
        let owner = Owner { mode: self.content.owner.narrow_mode(), ..self.content.owner };
        let new = Content { text: new, owner };
        self.put(&self.content, &new)?;
        let checked = self.settle(&new).map_err(Cause::File).and_then(|there| {
            (self.observer)(Step::Probe);
            probe(&there.text).map_err(Cause::Probe)
        });
        let Err(cause) = checked else {
            self.content = new;
            return Ok(());
        };
        (self.observer)(Step::PutBack);
        match self.put(&new, &self.content).and_then(|()| self.settle(&self.content)) {
            Ok(_) => Err(ReplaceError::PutBack(cause)),
            Err(error) => Err(ReplaceError::Stuck { cause, error: Box::new(error) }),
        }
    }

    /// Renames a file that holds `new` over the one that is there, if that still holds `old`.
    fn put(&self, old: &Content, new: &Content) -> Result<(), EnvFileError> {
        (self.observer)(Step::Write);
        let mut file = self.place.fresh(new.owner)?;
        self.place.fill(&mut file, new.text.bytes())?;
        (self.observer)(Step::Sync);
        self.place.sync(&file)?;
        (self.observer)(Step::Compare);
        self.place.check_replaceable()?;
        self.expect(old)?;
        (self.observer)(Step::Rename);
        file.persist(&self.place.path).map_err(|failed| match failed.error.kind() {
            ErrorKind::ResourceBusy => EnvFileError::MountPoint { path: self.place.path.clone() },
            _ => EnvFileError::io("replace", &self.place.path)(failed.error),
        })?;
        Ok(())
    }

    /// Makes the new name last, and makes sure that it stands for this.
    fn settle(&self, new: &Content) -> Result<Content, EnvFileError> {
        (self.observer)(Step::SyncDirectory);
        self.place.sync_directory()?;
        (self.observer)(Step::ReadBack);
        self.expect(new)
    }

    /// Makes sure that this is what the file holds.
    fn expect(&self, content: &Content) -> Result<Content, EnvFileError> {
        let there = self.place.read()?;
        if there.text.bytes() == content.text.bytes() && there.owner == content.owner {
            Ok(there)
        } else {
            Err(EnvFileError::Changed { path: self.place.path.clone() })
        }
    }
}

impl std::fmt::Debug for LockedEnvFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockedEnvFile").field("path", &self.place.path).finish_non_exhaustive()
    }
}

/// The lock of a file that is never renamed nor removed: a lock of the file itself would go with it.
fn take_lock(place: &Place, owner: Owner) -> Result<HeldLock, EnvFileError> {
    let path = place.beside(&place.name_with(".lock"));
    let fail = || EnvFileError::io("lock", &path);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| fail()(error.into()))?;
    let file = File::from(file);
    let data = file.metadata().map_err(fail())?;
    if !data.is_file() {
        return Err(EnvFileError::NotRegular { path });
    }
    if data.uid() != owner.user {
        // Whose the file is has to be able to lock it later, also when root was the first to do it. Who may not give it
        // away does not own it, and needs to do nothing.
        let _ = fchown(&file, Some(owner.user), Some(owner.group));
    }
    let busy = |lock: PathBuf| EnvFileError::Busy { path: place.path.clone(), lock };
    let lock = match HeldLock::take(file) {
        Ok(lock) => lock,
        Err(TryLockError::WouldBlock) => return Err(busy(path)),
        Err(TryLockError::Error(error)) => return Err(fail()(error)),
    };
    // Somebody may have removed it meanwhile, and a third have locked another of its name.
    let there = fs::symlink_metadata(&path).map_err(fail())?;
    if (there.dev(), there.ino()) == (data.dev(), data.ino()) { Ok(lock) } else { Err(busy(path)) }
}

//! Keys in a `.env` file: the two variables of the source document, and one of our own that old readers ignore.
//!
//! `SECRET_KEY` is the key that signs; `SECRET_KEYS_HISTORY` holds the retired keys from the newest, and behind them the
//! staged one, since old readers try all of them. Names, states and times, which those two cannot hold, are in a third
//! variable ([`metadata`]). It knows a key by a tag that is computed from the key, never by a place in the list; a key that
//! it does not know is one that somebody else put there, and is read as the source document reads it.
//!
//! A revocation is also written to a file beside it ([`revocations`]), so that a `.env` that comes back from a backup does
//! not bring the key back.

mod audit_row;
mod decode;
mod encode;
mod metadata;
mod names;
mod revocations;

use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use policy_core::keys::KeyEvent;
use secrecy::SecretString;

use self::revocations::Revocations;
use super::key_set::KeySet;
use super::operation::{Operation, Planned};
use super::report::RotationReport;
use super::settings::KeySettings;
use super::store::{Applied, Applying};
use crate::env_file::{self, EnvText, LockedEnvFile, Step};
use crate::error::HostError;
use crate::exit::Exit;
use crate::migrate::step::WorkStep;
use crate::report::printable;
use crate::token::probe;

pub(super) use audit_row::AuditRow;
pub use names::EnvNames;

/// A `.env` file that holds keys.
#[derive(Clone, Debug)]
pub struct EnvStore {
    path: PathBuf,
    names: EnvNames,
    audit: Option<Box<AuditRow>>,
}

impl EnvStore {
    /// The file, and what its variables are called. Nothing is read yet.
    #[must_use]
    pub fn new(path: &Path, names: &EnvNames) -> Self {
        Self { path: path.to_owned(), names: names.clone(), audit: None }
    }

    /// The same, with a row in the audit log for each change.
    pub(super) fn with_audit(self, audit: Option<AuditRow>) -> Self {
        Self { audit: audit.map(Box::new), ..self }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that it holds.
    ///
    /// # Errors
    ///
    /// When it cannot be read, a variable is there twice or could be read in two ways, or its keys contradict each other.
    pub fn load(&self, settings: &KeySettings) -> Result<KeySet, HostError> {
        let text = env_file::read(&self.path)?;
        let revocations = Revocations::read(&self.target()?)?;
        self.decode(&text, &revocations, settings)
    }

    /// Does it: a backup, one new file in the place of the old one, a report, and a row in the audit log where there is one.
    pub(super) async fn apply(&self, applying: Applying<'_>) -> Result<Applied, HostError> {
        let mut applied = self.change(applying)?;
        if let Some(audit) = &self.audit {
            audit.append(applying, &mut applied).await;
        }
        Ok(applied)
    }

    fn change(&self, applying: Applying<'_>) -> Result<Applied, HostError> {
        let Applying { operation, settings, now, who, watch } = applying;
        let observer = |step: Step| watch(step.name());
        // What the one who asks has in mind: a rotation that somebody else has made meanwhile is not to be made again.
        let seen = env_file::read(&self.path)?;
        let mut file = LockedEnvFile::lock(&self.path, &observer)?;
        if matches!(operation, Operation::Rotate { .. }) && file.text().bytes() != seen.bytes() {
            return Err(HostError::new(
                Exit::Busy,
                format_args!("another program has changed `{}` meanwhile", self.path.display()),
            )
            .help("look with `pbac keys status` whether there is anything left to do"));
        }
        drop(seen);
        let mut revocations = Revocations::read(file.path())?;
        if revocations.adopt(&self.metadata(file.text())?.revoked) {
            revocations.write(&file)?;
        }
        let keys = self.decode(file.text(), &revocations, settings)?;
        let rules = settings.rotation_rules(keys.rotation_days());
        let Some(planned) = operation.plan(&keys, &rules, settings.algorithm, now)? else {
            return Ok(Applied::default());
        };
        let revokes = revocations.extend(&planned);
        let new = self.encode(file.text(), &planned, &revocations, operation)?;
        let mut notes = notes(&file, &keys, &planned, operation);
        let backup = file.backup(now, settings.keep_backups)?;
        let replaced = file.replace(new, |there| self.check(there, &revocations, settings, &planned, now));
        replaced.map_err(HostError::from)?;
        // After the file, which names what it revokes by itself: before it, whoever is killed in between would leave a file
        // whose only key is revoked, and nobody could sign.
        if revokes {
            watch("revocations");
            if let Err(error) = revocations.write(&file) {
                notes.push(format!(
                    "the key is revoked, but a backup that comes back could bring it back until the next change: {error}"
                ));
            }
        }
        watch("report");
        let report = RotationReport::new(operation, &planned, &rules, now, who);
        let report = report.write(&settings.logs).map(|path| (report, path));
        Ok(Applied {
            planned: Some(planned),
            backup: Some(backup),
            report: Some(report),
            audit_head: None,
            notes,
        })
    }

    /// The backups of the file that hold the secret of this key, for whoever revokes it.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn backups_that_hold(
        &self,
        keys: &KeySet,
        id: &policy_core::keys::KeyId,
    ) -> Result<Vec<PathBuf>, HostError> {
        let Some(material) = keys.material(id) else { return Ok(Vec::new()) };
        let secret = material.text()?;
        let target = self.target()?;
        let directory = target.parent().unwrap_or(Path::new("."));
        let prefix = format!("{}.backup.", target.file_name().unwrap_or_default().to_string_lossy());
        let entries =
            std::fs::read_dir(directory).map_err(|error| HostError::file("read", directory, &error))?;
        let named = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path());
        let holds = |path: &PathBuf| {
            env_file::read(path).is_ok_and(|text| {
                text.bytes().windows(secret.len().max(1)).any(|window| window == secret.as_bytes())
            })
        };
        let mut found: Vec<PathBuf> = named.filter(holds).collect();
        found.sort();
        Ok(found)
    }

    /// The file behind all symbolic links.
    fn target(&self) -> Result<PathBuf, HostError> {
        std::fs::canonicalize(&self.path).map_err(|error| HostError::file("read", &self.path, &error))
    }

    /// What was written says what was meant, and every key of it works.
    fn check(
        &self,
        there: &EnvText,
        revocations: &Revocations,
        settings: &KeySettings,
        planned: &Planned,
        now: Timestamp,
    ) -> Result<(), HostError> {
        let keys = self.decode(there, revocations, settings)?;
        if keys.history() != planned.after.history() {
            return Err(HostError::new(Exit::Mismatch, "the file does not say what was written to it")
                .help("report this as a fault of pbac"));
        }
        probe(&keys, now)
    }

    /// The value of a variable, with errors that name the file.
    fn value(&self, text: &EnvText, name: &str) -> Result<Option<SecretString>, HostError> {
        text.value(name).map_err(|error| error.in_file(&self.path).into())
    }
}

/// What a person should know of a change that is about to be written.
fn notes(file: &LockedEnvFile<'_>, keys: &KeySet, planned: &Planned, operation: &Operation) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(change) = file.mode_change() {
        notes.push(format!(
            "`{}` had mode {:04o} and has {:04o} now",
            file.path().display(),
            change.from,
            change.to
        ));
    }
    for mount in file.mounted_elsewhere() {
        notes.push(format!(
            "process {} sees the file as `{}` through a mount of it alone, and goes on seeing the old one: start it \
             again (`docker compose up -d --force-recreate`), or mount the directory instead",
            mount.process,
            printable(&mount.path.to_string_lossy())
        ));
    }
    if tidies(operation, planned) {
        for refused in keys.refused() {
            notes.push(format!(
                "{} {}: it is dropped, and what it signed is refused",
                refused.place, refused.why
            ));
        }
    }
    notes
}

/// Whether a change ends the use of a key, so that weak secrets beside it are not carried on.
fn tidies(operation: &Operation, planned: &Planned) -> bool {
    !matches!(operation, Operation::Stage)
        && planned.change.events().iter().any(|event| !matches!(event, KeyEvent::Staged { .. }))
}

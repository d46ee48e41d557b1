//! The report of a rotation: what the source document writes, without anything of a key in it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use policy_core::Timestamp;
use policy_core::keys::{KeyEvent, KeyId, RotationRules};
use serde::Serialize;

use super::operation::{Operation, Planned};
use crate::error::HostError;
use crate::report::time::{serialize_moment, serialize_time, show_time};

/// What was done to the keys: names and times only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RotationReport {
    /// What was done, such as `keys.rotate`.
    pub action: &'static str,
    /// When.
    #[serde(serialize_with = "serialize_moment")]
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// The key that signed before.
    pub old_kid: Option<KeyId>,
    /// The key that signs now.
    pub new_kid: Option<KeyId>,
    /// What happened, in order.
    pub events: Vec<ReportedEvent>,
    /// Every key afterwards.
    pub keys: Vec<ReportedKey>,
    /// When the next rotation is due.
    #[serde(serialize_with = "serialize_time")]
    pub next_due: Option<Timestamp>,
}

/// One thing that happened to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedEvent {
    /// `staged`, `promoted`, `retired`, `gone`, `pushed_out` or `revoked`.
    pub event: &'static str,
    /// The key.
    pub kid: KeyId,
    /// From then on it verifies nothing, or would have verified nothing.
    #[serde(serialize_with = "serialize_time")]
    pub not_after: Option<Timestamp>,
}

impl From<&KeyEvent> for ReportedEvent {
    fn from(event: &KeyEvent) -> Self {
        let (event, id, not_after) = match event {
            KeyEvent::Staged { id } => ("staged", id, None),
            KeyEvent::Promoted { id } => ("promoted", id, None),
            KeyEvent::Retired { id, not_after } => ("retired", id, Some(*not_after)),
            KeyEvent::Gone { id } => ("gone", id, None),
            KeyEvent::PushedOut { id, not_after } => ("pushed_out", id, *not_after),
            KeyEvent::Revoked { id } => ("revoked", id, None),
        };
        Self { event, kid: id.clone(), not_after }
    }
}

/// A key, as a report names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportedKey {
    /// Its name.
    pub kid: KeyId,
    /// What it is for.
    pub algorithm: &'static str,
    /// Where it stands.
    pub state: &'static str,
    /// Since when.
    #[serde(serialize_with = "serialize_time")]
    pub since: Option<Timestamp>,
    /// From then on it verifies nothing.
    #[serde(serialize_with = "serialize_time")]
    pub not_after: Option<Timestamp>,
}

impl RotationReport {
    /// The report of a change that was stored.
    #[must_use]
    pub fn new(
        operation: &Operation,
        planned: &Planned,
        rules: &RotationRules,
        now: Timestamp,
        by: &str,
    ) -> Self {
        let active = |keys: &super::KeySet| keys.history().active().map(|key| key.id.clone());
        let keys = planned.after.history().keys().iter().map(|key| ReportedKey {
            kid: key.id.clone(),
            algorithm: key.algorithm.name(),
            state: key.phase.name(),
            since: key.phase.since(),
            not_after: key.not_after(),
        });
        Self {
            action: operation.name(),
            at: now,
            by: by.to_owned(),
            old_kid: active(&planned.before),
            new_kid: active(&planned.after),
            events: planned.change.events().iter().map(ReportedEvent::from).collect(),
            keys: keys.collect(),
            next_due: planned.after.history().next_due(rules),
        }
    }

    /// The report as text, a fact a line.
    #[must_use]
    pub fn text(&self) -> String {
        let kid = |id: &Option<KeyId>| id.as_ref().map_or("none", KeyId::as_str).to_owned();
        let time = |time: Option<Timestamp>| time.map_or_else(|| "not known".to_owned(), show_time);
        let mut text = format!(
            "action: {}\nat: {}\nby: {}\nold kid: {}\nnew kid: {}\n",
            self.action,
            show_time(self.at),
            crate::report::printable(&self.by),
            kid(&self.old_kid),
            kid(&self.new_kid),
        );
        for key in &self.keys {
            let until = match key.state {
                "retired" => format!(", verifies until {}", time(key.not_after)),
                _ => String::new(),
            };
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "key: {} {} {} since {}{until}",
                key.kid,
                key.algorithm,
                key.state,
                time(key.since)
            );
        }
        let _ = writeln!(text, "next rotation due: {}", time(self.next_due));
        text
    }

    /// Writes it into `directory` as `rotation_YYYYMMDD_HHMMSS.log`, which it never writes over.
    ///
    /// # Errors
    ///
    /// When the directory or the file cannot be made.
    pub fn write(&self, directory: &Path) -> Result<PathBuf, HostError> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(directory)
            .map_err(|error| HostError::file("create", directory, &error))?;
        let stamp = jiff::Timestamp::from_microsecond(self.at.micros())
            .map(|at| at.strftime("%Y%m%d_%H%M%S").to_string())
            .unwrap_or_else(|_| self.at.micros().to_string());
        for number in 1..1000_u32 {
            let name = match number {
                1 => format!("rotation_{stamp}.log"),
                _ => format!("rotation_{stamp}_{number}.log"),
            };
            let path = directory.join(name);
            let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path);
            match made {
                Ok(mut file) => {
                    std::io::Write::write_all(&mut file, self.text().as_bytes())
                        .and_then(|()| file.sync_all())
                        .map_err(|error| HostError::file("write", &path, &error))?;
                    return Ok(path);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(HostError::file("write", &path, &error)),
            }
        }
        Err(HostError::failed(format_args!("`{}` holds too many reports of one second", directory.display()))
            .help("look at who rotates all the time"))
    }
}

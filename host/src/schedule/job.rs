//! What is scheduled: which program, for which settings, under which name, and what it writes to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::ScheduleError;
use crate::config::{Check, Config, Schedule};
use crate::keys::{KeySettings, StoreKind};

/// The `PATH` of everything that the schedule runs, whatever cron or systemd would give it.
pub const JOB_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest name.
const MAX_NAME_BYTES: usize = 64;

/// The name of a schedule: that of its systemd units, and the mark of its crontab line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScheduleName(String);

impl ScheduleName {
    /// The name when none is given.
    pub const DEFAULT: &'static str = "pbac-rotate";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ScheduleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let well_formed = text.starts_with(letters)
            && text.chars().all(|letter| letters(letter) || matches!(letter, '-' | '_'))
            && text.len() <= MAX_NAME_BYTES;
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no name for a schedule: use up to {MAX_NAME_BYTES} of a-z, 0-9, `-` and `_`, beginning with a letter or a digit"
            ))
        }
    }
}

/// What is scheduled.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name.
    pub name: ScheduleName,
    /// The `pbac` that is called, as an absolute path.
    pub program: PathBuf,
    /// The settings file, as an absolute path.
    pub config: PathBuf,
    /// `[schedule]` of the settings.
    pub settings: Schedule,
    /// Where the keys lie.
    pub places: KeyPlaces,
}

/// What `[keys]` says about files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlaces {
    /// Whether the keys lie in a `.env` file, and not in the database.
    pub in_env_file: bool,
    /// The `.env` file.
    pub env_file: PathBuf,
    /// The directory of the rotation reports.
    pub logs: PathBuf,
}

impl KeyPlaces {
    /// The places that the settings name; what does not count from the root counts from `directory`.
    #[must_use]
    pub fn new(keys: &KeySettings, directory: &Path) -> Self {
        Self {
            in_env_file: keys.store == StoreKind::Env,
            env_file: directory.join(&keys.env_file),
            logs: directory.join(&keys.logs),
        }
    }
}

impl Job {
    /// The job of these settings.
    ///
    /// # Errors
    ///
    /// When no settings file was read, or it has no table `[keys]`: a scheduled run does not see the variables of the
    /// shell that installs it, so the file has to say where the keys are.
    pub fn new(name: ScheduleName, program: PathBuf, config: &Config) -> Result<Self, ScheduleError> {
        let file = config.file.as_deref().ok_or(ScheduleError::NoSettings)?;
        let file = absolute(file)?;
        if !config.has_keys {
            return Err(ScheduleError::NoKeys { config: file });
        }
        let directory = parent(&file);
        let mut settings = config.schedule.clone();
        settings.textfile = settings.textfile.map(|path| absolute(&path)).transpose()?;
        Ok(Self {
            places: KeyPlaces::new(&config.keys, &directory),
            name,
            program: absolute(&program)?,
            config: file,
            settings,
        })
    }

    /// The directory of the settings file, in which everything runs.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        parent(&self.config)
    }

    /// The commands of the operator that the job may run, by name.
    pub(super) fn commands(&self) -> impl Iterator<Item = (&'static str, &Check)> {
        let named = [("restart", &self.settings.restart), ("alert", &self.settings.alert)];
        named.into_iter().filter_map(|(name, check)| Some((name, check.as_ref()?)))
    }

    /// The arguments of the program.
    pub(super) fn arguments<'a>(&'a self, config: &'a str) -> [&'a str; 7] {
        ["--config", config, "--no-input", "schedule", "run", "--name", self.name.as_str()]
    }

    /// The directories that the job writes to, none within another.
    pub(super) fn writes_to(&self) -> Vec<PathBuf> {
        let places = &self.places;
        let mut directories = vec![real(&places.logs)];
        if places.in_env_file {
            // A rename replaces the target of a link, in the target's directory.
            directories.push(parent(&real(&places.env_file)));
        }
        directories.extend(self.settings.textfile.iter().map(|file| real(&parent(file))));
        directories.sort();
        let mut outermost: Vec<PathBuf> = Vec::new();
        for directory in directories {
            if !outermost.iter().any(|outer| directory.starts_with(outer)) {
                outermost.push(directory);
            }
        }
        outermost
    }
}

/// The path from the root; links stay as they are.
fn absolute(path: &Path) -> Result<PathBuf, ScheduleError> {
    std::path::absolute(path).map_err(|error| ScheduleError::file("find", path, error))
}

/// The path without links and `..`, as far as it is there.
fn real(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) => real(directory).join(name),
        // It ends in `..`.
        (Some(directory), None) => parent(&real(directory)),
        (None, _) => path.to_path_buf(),
    }
}

/// The directory of a file of which the whole path is known.
pub(super) fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_path_buf()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn job(keys: &str) -> Job {
        Job {
            name: ScheduleName::DEFAULT.parse().unwrap(),
            program: "/usr/bin/pbac".into(),
            config: "/srv/erp/pbac.toml".into(),
            settings: Schedule::default(),
            places: KeyPlaces::new(&toml::from_str(keys).unwrap(), Path::new("/srv/erp")),
        }
    }

    #[test]
    fn names_are_those_of_units() {
        assert!("erp-2_a".parse::<ScheduleName>().is_ok());
        for wrong in ["", "-a", "A", "a b", "a.b", "a%", "é", &"a".repeat(65)] {
            assert!(wrong.parse::<ScheduleName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn writes_to_the_outermost_directories() {
        assert_eq!(job("").writes_to(), [Path::new("/srv/erp")]);
        let elsewhere = job("env_file = '/etc/erp/env'\nlogs = '/var/log/erp'");
        assert_eq!(elsewhere.writes_to(), [Path::new("/etc/erp"), Path::new("/var/log/erp")]);
        let above = job("logs = '../reports'");
        assert_eq!(above.writes_to(), [Path::new("/srv/erp"), Path::new("/srv/reports")]);
        let stored = job("store = 'postgres'");
        assert_eq!(stored.writes_to(), [Path::new("/srv/erp/logs/secret_key_rotation")]);
    }
}

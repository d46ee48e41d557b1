//! What a machine has to run things daily with.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::commands::find_program;
use super::crontab::{entries, old_lines};
use super::error::ScheduleError;
use super::finding::Finding;
use super::job::ScheduleName;
use super::systemd::{Scope, Systemd};
use crate::config::Environment;
use crate::report::files::read_bytes;

/// What is there when systemd has started the machine, by sd_booted(3).
const SYSTEMD_RUNS: &str = "/run/systemd/system";
/// The units that an administrator writes.
const SYSTEM_UNITS: &str = "/etc/systemd/system";
/// The users whose timers run while they are not logged in.
const LINGER: &str = "/var/lib/systemd/linger";
/// Crontabs that packages and administrators write; the user stands in each line.
const SYSTEM_CRONTABS: [&str; 2] = ["/etc/crontab", "/etc/cron.d"];
/// The machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The longest crontab of the system that is read.
const MOST_BYTES: u64 = 1 << 20;

/// What runs something every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A timer of systemd.
    Systemd,
    /// A line of the user's crontab.
    Crontab,
}

/// What a machine has to run things daily with. Tests make one of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The places for units: the system's, then the user's; none where systemd does not run.
    pub systemd: Vec<Systemd>,
    /// The program `crontab`, if there is one.
    pub crontab: Option<PathBuf>,
    /// The crontabs that belong to no user: files, and directories of them.
    pub system_crontabs: Vec<PathBuf>,
    /// Whether we are root.
    pub root: bool,
    /// The machine's name, so that not all of them start in the same minute.
    pub host: String,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this(environment: Environment<'_>) -> Self {
        let text = |name: &str| environment(name)?.into_string().ok().filter(|text| !text.is_empty());
        let path = text("PATH").unwrap_or_default();
        let program = |name: &str| {
            // Programs of administrators are on the schedule's path, whatever is on that of the shell.
            let places = format!("{path}:{}", super::JOB_PATH);
            find_program(name, &places, Path::new("/"))
        };
        let mut systemd = Vec::new();
        if Path::new(SYSTEMD_RUNS).is_dir()
            && let Some(control) = program("systemctl")
        {
            let place = |scope, unit_directory, linger_file| Systemd {
                scope,
                unit_directory,
                control: Some(control.clone()),
                linger_file,
            };
            systemd.push(place(Scope::System, PathBuf::from(SYSTEM_UNITS), None));
            let home = text("HOME").map(|home| Path::new(&home).join(".config"));
            if let Some(home) = text("XDG_CONFIG_HOME").map(PathBuf::from).or(home) {
                let linger = text("USER").map(|user| Path::new(LINGER).join(user));
                systemd.push(place(Scope::User, home.join("systemd/user"), linger));
            }
        }
        Self {
            systemd,
            crontab: program("crontab"),
            system_crontabs: SYSTEM_CRONTABS.map(PathBuf::from).to_vec(),
            root: rustix::process::geteuid().is_root(),
            host: std::fs::read_to_string(HOST_NAME).unwrap_or_default().trim().to_owned(),
        }
    }

    /// With this directory for units, of an image for instance: nobody is told of them, and the crontabs of this machine
    /// say nothing about that one.
    #[must_use]
    pub fn with_units_in(self, scope: Scope, directory: PathBuf) -> Self {
        let place = Systemd { scope, unit_directory: directory, control: None, linger_file: None };
        Self { systemd: vec![place], crontab: None, system_crontabs: Vec::new(), ..self }
    }

    /// The place for units of this scope.
    ///
    /// # Errors
    ///
    /// When it is the system's and we are not root, or there is none.
    pub fn place(&self, scope: Scope) -> Result<&Systemd, ScheduleError> {
        let place = self.systemd.iter().find(|place| place.scope == scope);
        let place = place.ok_or(ScheduleError::NoSystemd)?;
        self.may_write(place).map(|()| place)
    }

    /// Whether we may write there. A directory without a manager is anybody's.
    pub(super) fn may_write(&self, place: &Systemd) -> Result<(), ScheduleError> {
        if place.scope == Scope::System && place.control.is_some() && !self.root {
            return Err(ScheduleError::NotRoot { directory: place.unit_directory.clone() });
        }
        Ok(())
    }

    /// What would be used when nobody chooses: systemd where it runs.
    ///
    /// # Errors
    ///
    /// When there is nothing at all.
    pub fn target(&self) -> Result<Target, ScheduleError> {
        match (self.systemd.is_empty(), &self.crontab) {
            (false, _) => Ok(Target::Systemd),
            (true, Some(_)) => Ok(Target::Crontab),
            (true, None) => Err(ScheduleError::NoScheduler),
        }
    }

    /// What is worth a word in the system's crontabs, by the schedule of these settings. Nothing of it stops: the lines
    /// may be another application's, and nobody has asked to change those files.
    pub(super) fn system_lines(&self, name: &ScheduleName, config: Option<&Path>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for path in self.system_crontabs.iter().flat_map(|path| files(path)) {
            let Ok(text) = read_bytes(&path, MOST_BYTES) else { continue };
            let place = path.display().to_string();
            let config = config.and_then(Path::to_str);
            let found = old_lines(&entries(&text, true), &place, name.as_str(), config);
            findings.extend(found.into_iter().map(|line| Finding {
                stops: false,
                help: None,
                ..line.finding
            }));
        }
        findings
    }

    /// What the minute of a crontab line follows from.
    pub(super) fn seed(&self, name: &ScheduleName) -> String {
        format!("{} {name}", self.host)
    }
}

/// The file, or those of the directory in order; anything but files is left out.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut paths = match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.to_path_buf()],
    };
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}

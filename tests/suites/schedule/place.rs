//! A directory with settings, keys, and programs that do as they are told.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pbac::cli::Global;
use pbac::config::Config;
use pbac::schedule::change::{Change, ChangeReport, InstallOptions, OldLines};
use pbac::schedule::status::StatusReport;
use pbac::schedule::systemd::{Scope, Systemd};
use pbac::schedule::{FindingCode, Job, Machine, ScheduleError, ScheduleName, Target};
use policy_core::Timestamp;
use tempfile::TempDir;

/// When everything happens: 2025-11-24T16:00:00Z.
pub const NOW: Timestamp = Timestamp::from_micros(1_764_000_000_000_000);

pub struct Place {
    directory: TempDir,
    /// Below the directory, where the settings lie.
    within: &'static str,
}

impl Place {
    /// With these settings beside `[keys]`.
    pub fn new(settings: &str) -> Self {
        Self::within("erp", settings)
    }

    /// In a directory of this name.
    pub fn within(name: &'static str, settings: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap(), within: name };
        std::fs::create_dir(place.directory.path().join(name)).unwrap();
        std::fs::create_dir(place.directory.path().join("bin")).unwrap();
        std::fs::create_dir(place.directory.path().join("units")).unwrap();
        for program in ["crontab", "systemctl", "pbac"] {
            place.link(program, program);
        }
        place.settings(settings);
        std::fs::write(place.path(".env"), "SECRET_KEY=Rw6Zt3Yb9Vq1of-the-test-0123456789abc\n").unwrap();
        place
    }

    pub fn settings(&self, settings: &str) {
        std::fs::write(self.path("pbac.toml"), format!("[keys]\nstore = 'env'\n{settings}")).unwrap();
    }

    /// Links the program of the fixtures; written as a file, it might be busy when it is run.
    pub fn link(&self, fixture: &str, program: &str) {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("schedule/bin").join(fixture);
        symlink(fixture, self.bin(program)).unwrap();
    }

    /// A path beside the settings.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(self.within).join(name)
    }

    /// A path beside the programs.
    pub fn bin(&self, name: &str) -> PathBuf {
        self.directory.path().join("bin").join(name)
    }

    pub fn units(&self) -> PathBuf {
        self.directory.path().join("units")
    }

    /// What lies beside the programs, as text.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.bin(name)).unwrap_or_default()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.bin(name), text).unwrap();
    }

    /// What the rotation will do.
    pub fn rotation(&self, status: u8, stdout: &str, stderr: &str) {
        self.write("pbac.status", &status.to_string());
        self.write("pbac.stdout", stdout);
        self.write("pbac.stderr", stderr);
    }

    pub fn config(&self) -> Config {
        let flags = Global { config: Some(self.path("pbac.toml")), ..Global::default() };
        Config::load(&flags, &|_| None).unwrap()
    }

    pub fn job(&self) -> Job {
        self.job_of(&self.bin("pbac"))
    }

    pub fn job_of(&self, program: &Path) -> Job {
        Job::new(name("erp"), program.to_path_buf(), &self.config()).unwrap()
    }

    /// A machine with a crontab alone.
    pub fn without_systemd(&self) -> Machine {
        Machine {
            systemd: Vec::new(),
            crontab: Some(self.bin("crontab")),
            system_crontabs: vec![self.directory.path().join("cron.d")],
            root: true,
            host: "test".to_owned(),
        }
    }

    /// A machine with both.
    pub fn with_systemd(&self) -> Machine {
        let system = Systemd {
            scope: Scope::System,
            unit_directory: self.units(),
            control: Some(self.bin("systemctl")),
            linger_file: None,
        };
        Machine { systemd: vec![system], ..self.without_systemd() }
    }

    /// What a directory of the system's crontabs holds.
    pub fn system_crontab(&self, text: &str) {
        let directory = self.directory.path().join("cron.d");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("erp"), text).unwrap();
    }

    pub async fn plan(&self, machine: &Machine, old_lines: OldLines) -> Result<Change, ScheduleError> {
        let options = InstallOptions { target: None, scope: Scope::System, old_lines };
        Change::install(machine, &self.job(), options).await
    }

    pub async fn install(&self, machine: &Machine) -> Result<ChangeReport, ScheduleError> {
        self.plan(machine, OldLines::Ask).await?.carry_out(NOW).await
    }

    pub async fn install_with(
        &self,
        machine: &Machine,
        target: Target,
    ) -> Result<ChangeReport, ScheduleError> {
        let options = InstallOptions { target: Some(target), scope: Scope::System, old_lines: OldLines::Ask };
        Change::install(machine, &self.job(), options).await?.carry_out(NOW).await
    }

    pub async fn remove(&self, machine: &Machine) -> Result<ChangeReport, ScheduleError> {
        Change::remove(machine, &name("erp"), &self.path("")).await?.carry_out(NOW).await
    }

    pub async fn status(&self, machine: &Machine) -> StatusReport {
        StatusReport::new(machine, &name("erp"), Some(&self.job()), NOW).await.unwrap()
    }

    /// The codes of what is wrong, as the status says.
    pub async fn wrong(&self, machine: &Machine) -> Vec<FindingCode> {
        let status = self.status(machine).await;
        status.findings.iter().filter(|finding| finding.stops).map(|finding| finding.code).collect()
    }

    /// The names of the files beside the settings.
    pub fn beside_settings(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        pbac_tests::record::directory(self.directory.path());
    }
}

pub fn name(text: &str) -> ScheduleName {
    text.parse().unwrap()
}

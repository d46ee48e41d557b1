//! `pbac.toml`: its keys, and errors that name line and column.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::HostError;
use crate::keys::KeySettings;
use crate::report::files::{line_and_column, read_text};

/// The most bytes a settings file may have.
const MAX_SETTINGS_BYTES: u64 = 64 * 1024;

/// The keys of `pbac.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) database_url: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) policy: Option<PathBuf>,
    pub(super) endpoints: Option<PathBuf>,
    pub(super) lock_timeout_ms: Option<u64>,
    #[serde(default)]
    pub(super) rollback: Rollback,
    pub(super) keys: Option<KeySettings>,
    #[serde(default)]
    pub(super) schedule: Schedule,
}

/// What a rollback runs when the tables are gone: each is a command with a time-out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Restarts the application.
    pub restart: Option<Check>,
    /// Succeeds when the application is up.
    pub health_check: Option<Check>,
    /// Succeeds when a user can log in.
    pub login_check: Option<Check>,
}

/// What the scheduled rotation of keys does beside rotating.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Makes running processes take the new keys; runs when a key was changed.
    pub restart: Option<Check>,
    /// Runs when something failed, with `PBAC_STATUS`, `PBAC_MESSAGE` and more in its environment.
    pub alert: Option<Check>,
    /// The file of figures for the textfile collector of Prometheus's node exporter.
    pub textfile: Option<PathBuf>,
}

/// A command that must succeed within its time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is run.
    pub command: CommandLine,
    /// How long it may take, in milliseconds.
    #[serde(default = "Check::default_timeout_ms")]
    pub timeout_ms: u64,
}

impl Check {
    /// A minute.
    const fn default_timeout_ms() -> u64 {
        60_000
    }
}

/// A command as the settings give it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of arguments, such as [\"systemctl\", \"restart\", \"erp\"], or one string for the shell"
)]
pub enum CommandLine {
    /// The program and its arguments, run as they are.
    Arguments(Vec<String>),
    /// A line for `sh -c`.
    Shell(String),
}

/// Reads and checks the file.
pub(super) fn read(path: &Path) -> Result<Settings, HostError> {
    let text = read_text(path, MAX_SETTINGS_BYTES)?;
    let settings: Settings = toml::from_str(&text).map_err(|error| {
        // The line itself is not quoted: it may hold the database's password.
        let place = match error.span() {
            Some(span) => {
                let (line, column) = line_and_column(&text, span.start);
                format!("{}:{line}:{column}", path.display())
            }
            None => path.display().to_string(),
        };
        let message = error.message().lines().next().unwrap_or_default();
        HostError::usage(format_args!("{place}: {message}")).help(
            "the keys are database_url, schema, policy, endpoints, lock_timeout_ms and the tables [keys], [rollback] and [schedule]",
        )
    })?;
    if let Some(keys) = &settings.keys {
        keys.check(path)?;
    }
    let checks = [
        ("rollback.restart", &settings.rollback.restart),
        ("rollback.health_check", &settings.rollback.health_check),
        ("rollback.login_check", &settings.rollback.login_check),
        ("schedule.restart", &settings.schedule.restart),
        ("schedule.alert", &settings.schedule.alert),
    ];
    for (name, check) in checks {
        let Some(check) = check else { continue };
        let empty = match &check.command {
            CommandLine::Arguments(arguments) => arguments.first().is_none_or(String::is_empty),
            CommandLine::Shell(line) => line.trim().is_empty(),
        };
        if empty || check.timeout_ms == 0 {
            let what = if empty { "no command" } else { "a time-out of 0 ms" };
            return Err(HostError::usage(format_args!("`{}`: `{name}` has {what}", path.display()))
                .help("name a program, or leave the key out"));
        }
    }
    Ok(settings)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn read_str(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pbac.toml");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| {
            let directory = format!("{}/", directory.path().display());
            error.to_string().replace(&directory, "")
        })
    }

    #[test]
    fn reads_commands_in_both_forms() {
        let settings = read_str(
            "[rollback]\nrestart = { command = ['systemctl', 'restart', 'erp'], timeout_ms = 5 }\nhealth_check.command = 'curl -f http://x'",
        )
        .unwrap();
        assert_eq!(
            settings.rollback.restart,
            Some(Check {
                command: CommandLine::Arguments(vec![
                    "systemctl".to_owned(),
                    "restart".to_owned(),
                    "erp".to_owned()
                ]),
                timeout_ms: 5
            })
        );
        assert_eq!(
            settings.rollback.health_check,
            Some(Check { command: CommandLine::Shell("curl -f http://x".to_owned()), timeout_ms: 60_000 })
        );
    }

    #[test]
    fn reads_what_the_schedule_does() {
        let settings =
            read_str("[keys]\nstore = 'env'\n[schedule]\nrestart.command = 'x'\ntextfile = 'k.prom'")
                .unwrap();
        assert_eq!(settings.schedule.textfile.as_deref(), Some(Path::new("k.prom")));
        assert!(settings.schedule.restart.is_some() && settings.keys.is_some());
        assert_eq!(
            read_str("schedule.alert = { command = ' ' }").unwrap_err(),
            "`pbac.toml`: `schedule.alert` has no command"
        );
    }

    #[test]
    fn names_line_and_column() {
        let error = read_str("schema = 'a'\n  shcema = 'b'\n").unwrap_err();
        assert!(error.starts_with("pbac.toml:2:3: unknown field `shcema`"), "{error}");
        let error = read_str("rollback.restart.command = 5").unwrap_err();
        assert!(error.contains("expected a list of arguments"), "{error}");
        assert_eq!(
            read_str("rollback.restart.command = []").unwrap_err(),
            "`pbac.toml`: `rollback.restart` has no command"
        );
    }

    #[test]
    fn an_error_never_quotes_the_line() {
        let error = read_str("database_url = 'postgres://u:SENTINEL@h/d").unwrap_err();
        assert!(error.starts_with("pbac.toml:1:"), "{error}");
        assert!(!error.contains("SENTINEL"), "{error}");
    }
}

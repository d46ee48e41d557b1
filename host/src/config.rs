//! The settings: flags over environment over `pbac.toml` over defaults.

mod database_url;
mod file;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::Global;
use crate::error::HostError;
use crate::keys::{KeySettings, StoreKind};
use crate::postgres::{DatabaseUrl, Identifier};
use crate::report::printable;

pub use file::{Check, CommandLine, Rollback, Schedule};

/// The file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "pbac.toml";
/// The policy when none is named.
pub const DEFAULT_POLICY: &str = "policy.toml";
/// The schema of our tables when none is named.
pub const DEFAULT_SCHEMA: &str = "pbac";
/// How long one statement waits for a lock before it gives way, in milliseconds: others queue behind whoever waits.
pub const DEFAULT_LOCK_TIMEOUT_MS: u64 = 100;
/// The longest lock time-out that is accepted, in milliseconds.
pub const MAX_LOCK_TIMEOUT_MS: u64 = 600_000;

/// Where one setting of the environment comes from: the process's own, or a test's.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// All settings, after every source was read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The settings file that was read.
    pub file: Option<PathBuf>,
    /// The policy as a file.
    pub policy: PathBuf,
    /// The legacy endpoint rules as a file.
    pub endpoints: Option<PathBuf>,
    /// The schema that holds our tables.
    pub schema: Identifier,
    /// How long one statement waits for a lock before it gives way.
    pub lock_timeout: Duration,
    /// What a rollback runs when it is done.
    pub rollback: Rollback,
    /// The signing keys: where they lie, and what rotations go by.
    pub keys: KeySettings,
    /// Whether the settings file has a table of them.
    pub has_keys: bool,
    /// What the scheduled rotation of keys does beside rotating; its path counts from where we are.
    pub schedule: Schedule,
    /// What is odd about the settings without being wrong, for a person to read.
    pub warnings: Vec<String>,
    // An error waits here until a command needs the database: many do not.
    database_url: Result<DatabaseUrl, HostError>,
}

impl Config {
    /// Reads every source.
    ///
    /// # Errors
    ///
    /// When a named file cannot be read, a key is unknown, or a value makes no sense.
    pub fn load(flags: &Global, environment: Environment<'_>) -> Result<Self, HostError> {
        let (path, file) = settings_file(flags, environment)?;
        let directory = path.as_deref().and_then(Path::parent);
        // A path in the file counts from the file's own directory.
        let beside = |name: PathBuf| match directory {
            Some(directory) => directory.join(name),
            None => name,
        };
        let schema = schema(flags, &file, environment)?;
        let lock_timeout = lock_timeout(&file, environment)?;
        let has_keys = file.keys.is_some();
        let keys = keys(file.keys.clone().unwrap_or_default(), directory, environment)?;
        let mut warnings = Vec::new();
        let database_url = database_url(flags, &file, path.as_deref(), environment, &mut warnings)?;
        Ok(Self {
            policy: variable_path(environment, "PBAC_POLICY")
                .or(file.policy.map(beside))
                .unwrap_or_else(|| PathBuf::from(DEFAULT_POLICY)),
            endpoints: variable_path(environment, "PBAC_ENDPOINTS").or(file.endpoints.map(beside)),
            schema,
            lock_timeout,
            rollback: file.rollback,
            keys,
            has_keys,
            schedule: Schedule { textfile: file.schedule.textfile.map(beside), ..file.schedule },
            warnings,
            database_url,
            file: path,
        })
    }

    /// The database to work on.
    ///
    /// # Errors
    ///
    /// When no source names one, or the first that does names none that can be understood.
    pub fn database_url(&self) -> Result<&DatabaseUrl, HostError> {
        self.database_url.as_ref().map_err(Clone::clone)
    }

    /// The same settings with another database, for a command that brings its own.
    #[must_use]
    pub fn with_database_url(mut self, url: DatabaseUrl) -> Self {
        self.database_url = Ok(url);
        self
    }
}

/// The settings file: the one that is named, or `pbac.toml` where it exists.
fn settings_file(
    flags: &Global,
    environment: Environment<'_>,
) -> Result<(Option<PathBuf>, file::Settings), HostError> {
    let named = flags.config.clone().or_else(|| variable_path(environment, "PBAC_CONFIG"));
    let path = match named {
        Some(path) => path,
        None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
        None => return Ok((None, file::Settings::default())),
    };
    let settings = file::read(&path)?;
    Ok((Some(path), settings))
}

/// The first source that names a database. What is wrong with a flag is an error at once; with the rest, when needed.
fn database_url(
    flags: &Global,
    file: &file::Settings,
    path: Option<&Path>,
    environment: Environment<'_>,
    warnings: &mut Vec<String>,
) -> Result<Result<DatabaseUrl, HostError>, HostError> {
    if let Some(url) = database_url::from_flags(flags)? {
        return Ok(Ok(url));
    }
    if let Some(url) = database_url::from_environment(environment).transpose() {
        return Ok(url);
    }
    if let (Some(text), Some(path)) = (&file.database_url, path) {
        return Ok(database_url::from_file(text, path).map(|(url, warning)| {
            warnings.extend(warning);
            url
        }));
    }
    Ok(Err(HostError::usage("no database is named")
        .help("set DATABASE_URL, or `database_url` in pbac.toml, or give --database-url-file")))
}

fn schema(
    flags: &Global,
    file: &file::Settings,
    environment: Environment<'_>,
) -> Result<Identifier, HostError> {
    let (name, from) = if let Some(name) = &flags.schema {
        (name.clone(), "--schema")
    } else if let Some(name) = text(environment, "PBAC_SCHEMA")? {
        (name, "PBAC_SCHEMA")
    } else {
        (file.schema.clone().unwrap_or_else(|| DEFAULT_SCHEMA.to_owned()), "`schema` in the settings")
    };
    Identifier::new(name).map_err(|error| {
        HostError::usage(format_args!("{from}: {error}"))
            .help("name the schema of pbac's tables, such as `pbac`")
    })
}

/// The settings of the keys, with the store and the file that the environment names.
fn keys(
    file: KeySettings,
    directory: Option<&Path>,
    environment: Environment<'_>,
) -> Result<KeySettings, HostError> {
    let mut keys = match directory {
        Some(directory) => file.beside(directory),
        None => file,
    };
    if let Some(path) = variable_path(environment, "PBAC_ENV_FILE") {
        keys.env_file = path;
    }
    if let Some(name) = text(environment, "PBAC_KEYS_STORE")? {
        keys.store = match name.as_str() {
            "env" => StoreKind::Env,
            "postgres" => StoreKind::Postgres,
            _ => {
                let name = printable(&name);
                return Err(HostError::usage(format_args!("PBAC_KEYS_STORE: `{name}` is no store"))
                    .help("write `env` or `postgres`"));
            }
        };
    }
    Ok(keys)
}

fn lock_timeout(file: &file::Settings, environment: Environment<'_>) -> Result<Duration, HostError> {
    let millis = match text(environment, "PBAC_LOCK_TIMEOUT_MS")? {
        Some(text) => text.parse().map_err(|_| {
            let text = printable(&text);
            HostError::usage(format_args!("PBAC_LOCK_TIMEOUT_MS: `{text}` is not a number of milliseconds"))
                .help("give a whole number, such as 100")
        })?,
        None => file.lock_timeout_ms.unwrap_or(DEFAULT_LOCK_TIMEOUT_MS),
    };
    if (1..=MAX_LOCK_TIMEOUT_MS).contains(&millis) {
        Ok(Duration::from_millis(millis))
    } else {
        Err(HostError::usage(format_args!("the lock time-out of {millis} ms is out of range"))
            .help(format_args!("give 1 to {MAX_LOCK_TIMEOUT_MS}; 0 would wait for ever")))
    }
}

/// A variable as a path; empty counts as not set.
fn variable_path(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A variable as text; empty counts as not set, as shells leave it.
fn text(environment: Environment<'_>, name: &str) -> Result<Option<String>, HostError> {
    match environment(name) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value.into_string().map(Some).map_err(|_| {
            HostError::usage(format_args!("{name} is not UTF-8 text")).help("set it again, or unset it")
        }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn load(flags: &Global, variables: &[(&str, &str)]) -> Result<Config, HostError> {
        Config::load(flags, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn with_file(text: &str) -> (tempfile::TempDir, Global) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        let flags = Global { config: Some(path), ..Global::default() };
        (directory, flags)
    }

    #[test]
    fn flags_over_environment_over_file_over_defaults() {
        let (directory, mut flags) =
            with_file("schema = 'from_file'\npolicy = 'p.toml'\nlock_timeout_ms = 5");
        let config = load(&flags, &[]).unwrap();
        assert_eq!(config.schema.as_str(), "from_file");
        assert_eq!(config.policy, directory.path().join("p.toml"));
        assert_eq!(config.lock_timeout, Duration::from_millis(5));

        let environment = [("PBAC_SCHEMA", "from_env"), ("PBAC_LOCK_TIMEOUT_MS", "7")];
        let config = load(&flags, &environment).unwrap();
        assert_eq!(config.schema.as_str(), "from_env");
        assert_eq!(config.lock_timeout, Duration::from_millis(7));

        flags.schema = Some("from_flag".to_owned());
        assert_eq!(load(&flags, &environment).unwrap().schema.as_str(), "from_flag");

        let (_directory, flags) = with_file("");
        let config = load(&flags, &[("PBAC_SCHEMA", "")]).unwrap();
        assert_eq!(config.schema.as_str(), DEFAULT_SCHEMA);
        assert_eq!(config.policy, Path::new(DEFAULT_POLICY));
    }

    #[test]
    fn our_variable_is_asked_before_the_common_one() {
        let (_directory, flags) = with_file("database_url = 'postgres://file/d'");
        let shown = |variables: &[(&str, &str)]| {
            let config = load(&flags, variables).unwrap();
            config.database_url().unwrap().to_string()
        };
        assert_eq!(shown(&[]), "postgres://file/d");
        assert_eq!(shown(&[("DATABASE_URL", "postgres://env/d")]), "postgres://env/d");
        assert_eq!(
            shown(&[("DATABASE_URL", "postgres://env/d"), ("PBAC_DATABASE_URL", "postgres://ours/d")]),
            "postgres://ours/d"
        );
    }

    #[test]
    fn a_url_that_nobody_needs_stops_nobody() {
        let (_directory, flags) = with_file("");
        let config = load(&flags, &[("DATABASE_URL", "sqlite://x")]).unwrap();
        let error = config.database_url().unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_URL: "), "{error}");
        let error = load(&flags, &[]).unwrap().database_url().unwrap_err();
        assert_eq!(error.to_string(), "no database is named");
    }

    #[test]
    fn a_time_out_that_never_ends_is_refused() {
        let (_directory, flags) = with_file("lock_timeout_ms = 0");
        let error = load(&flags, &[]).unwrap_err();
        assert_eq!(error.to_string(), "the lock time-out of 0 ms is out of range");
    }
}

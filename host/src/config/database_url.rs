//! The URL of the database, whose password is shown to nobody.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Environment, text};
use crate::cli::Global;
use crate::error::HostError;
use crate::report::{holds_password, is_database_scheme, redact_url};

/// The most bytes a URL may have.
const MAX_URL_BYTES: usize = 8 * 1024;

/// Where a PostgreSQL database is. Shown with its passwords masked.
#[derive(Clone)]
pub struct DatabaseUrl {
    secret: SecretString,
    holds_password: bool,
}

impl DatabaseUrl {
    /// Reads `postgres://user:password@host:port/database`; `from` says in an error where the text came from.
    ///
    /// # Errors
    ///
    /// When the text is no such URL. The error shows nothing of the text.
    pub fn parse(text: &str, from: &str) -> Result<Self, HostError> {
        let help = "write `postgres://user@host:5432/database`, with special characters percent-encoded";
        if text.len() > MAX_URL_BYTES {
            return Err(HostError::usage(format_args!(
                "the database URL from {from} has {} bytes; the most is {MAX_URL_BYTES}",
                text.len()
            ))
            .help(help));
        }
        let url = Url::parse(text).map_err(|error| {
            HostError::usage(format_args!("the database URL from {from} cannot be read: {error}")).help(help)
        })?;
        if !is_database_scheme(&url) {
            return Err(HostError::usage(format_args!(
                "the database URL from {from} does not begin with `postgres://`"
            ))
            .help(help));
        }
        Ok(Self { holds_password: holds_password(&url), secret: SecretString::from(text) })
    }

    /// The URL with its password, for connecting and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// A warning when `path`, which holds this URL and its password, can be read by others.
    pub(super) fn warn_if_others_read(&self, path: &Path) -> Option<String> {
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (self.holds_password && mode & 0o077 != 0).then(|| {
            format!(
                "`{}` holds a password and others may read it (mode {:o}); run `chmod 600`, or use DATABASE_URL",
                path.display(),
                mode & 0o777
            )
        })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(self.expose()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// `--database-url` (without a password: arguments are seen by every user of the machine) or `--database-url-file`.
pub(super) fn from_flags(flags: &Global) -> Result<Option<DatabaseUrl>, HostError> {
    if let Some(text) = &flags.database_url {
        let url = DatabaseUrl::parse(text, "--database-url")?;
        if url.holds_password {
            return Err(HostError::usage(
                "--database-url holds a password, and every user of this machine can read arguments",
            )
            .help("take the password out of the argument: use DATABASE_URL, --database-url-file, PGPASSWORD or ~/.pgpass"));
        }
        return Ok(Some(url));
    }
    let Some(path) = &flags.database_url_file else {
        return Ok(None);
    };
    let (source, from): (Box<dyn Read>, _) = if path == Path::new("-") {
        (Box::new(std::io::stdin()), "the standard input".to_owned())
    } else {
        let file = std::fs::File::open(path)
            .map_err(|error| HostError::file("read the database URL from", path, &error))?;
        (Box::new(file), format!("`{}`", path.display()))
    };
    let mut text = String::new();
    source
        .take(MAX_URL_BYTES as u64 + 2)
        .read_to_string(&mut text)
        .map_err(|error| HostError::file("read the database URL from", path, &error))?;
    DatabaseUrl::parse(text.trim_end_matches(['\r', '\n']), &from).map(Some)
}

/// `PBAC_DATABASE_URL`, or else `DATABASE_URL`.
pub(super) fn from_environment(environment: Environment<'_>) -> Result<Option<DatabaseUrl>, HostError> {
    for name in ["PBAC_DATABASE_URL", "DATABASE_URL"] {
        if let Some(url) = text(environment, name)? {
            return DatabaseUrl::parse(&url, name).map(Some);
        }
    }
    Ok(None)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn flag(url: &str) -> Global {
        Global { database_url: Some(url.to_owned()), ..Global::default() }
    }

    #[test]
    fn an_argument_never_holds_a_password() {
        for url in ["postgres://u:SENTINEL@h/d", "postgres://h/d?password=SENTINEL"] {
            let error = from_flags(&flag(url)).unwrap_err();
            assert!(error.to_string().contains("holds a password"), "{error}");
            assert!(!format!("{error:?}").contains("SENTINEL"));
        }
        assert!(from_flags(&flag("postgres://u@h/d")).unwrap().is_some());
    }

    #[test]
    fn no_error_or_debug_output_shows_the_secret() {
        for text in ["postgres://u:SENTINEL@h:notaport/d", "u:SENTINEL@h", "mysql://u:SENTINEL@h"] {
            let error = DatabaseUrl::parse(text, "DATABASE_URL").unwrap_err();
            assert!(!format!("{error:?}").contains("SENTINEL"), "{error:?}");
        }
        let url = DatabaseUrl::parse("postgres://u:SENTINEL@h/d", "DATABASE_URL").unwrap();
        assert_eq!(format!("{url:?}"), "DatabaseUrl(postgres://u:***@h/d)");
        assert_eq!(url.expose(), "postgres://u:SENTINEL@h/d");
    }

    #[test]
    fn a_file_may_end_in_a_newline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("url");
        std::fs::write(&path, "postgres://u:p@h/d\r\n").unwrap();
        let flags = Global { database_url_file: Some(path), ..Global::default() };
        assert_eq!(from_flags(&flags).unwrap().unwrap().expose(), "postgres://u:p@h/d");
    }
}

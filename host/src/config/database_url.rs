//! Where the database's URL comes from, and who may read it there.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Environment, text};
use crate::cli::Global;
use crate::error::HostError;
use crate::postgres::DatabaseUrl;

/// The most bytes a URL may have.
const MAX_URL_BYTES: u64 = 8 * 1024;

/// `--database-url` (without a password: arguments are seen by every user of the machine) or `--database-url-file`.
pub(super) fn from_flags(flags: &Global) -> Result<Option<DatabaseUrl>, HostError> {
    if let Some(text) = &flags.database_url {
        let text = SecretString::from(text.as_str());
        if holds_password(&text) {
            return Err(HostError::usage(
                "--database-url holds a password, and every user of this machine can read arguments",
            )
            .help(
                "take it out of the argument: use DATABASE_URL, --database-url-file, PGPASSWORD or ~/.pgpass",
            ));
        }
        return parse(&text, "--database-url").map(Some);
    }
    let Some(path) = &flags.database_url_file else {
        return Ok(None);
    };
    let unreadable = |error: std::io::Error| HostError::file("read the database URL from", path, &error);
    let (source, from): (Box<dyn Read>, _) = if path == Path::new("-") {
        (Box::new(std::io::stdin()), "standard input".to_owned())
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        (Box::new(file), format!("`{}`", path.display()))
    };
    let mut text = String::new();
    source.take(MAX_URL_BYTES.saturating_add(1)).read_to_string(&mut text).map_err(unreadable)?;
    let text = SecretString::from(text.trim_end_matches(['\r', '\n']));
    parse(&text, &from).map(Some)
}

/// `PBAC_DATABASE_URL`, or else `DATABASE_URL`.
pub(super) fn from_environment(environment: Environment<'_>) -> Result<Option<DatabaseUrl>, HostError> {
    for name in ["PBAC_DATABASE_URL", "DATABASE_URL"] {
        if let Some(url) = text(environment, name)? {
            return parse(&SecretString::from(url), name).map(Some);
        }
    }
    Ok(None)
}

/// The URL in the settings file, and a warning when it holds a password that others may read there.
pub(super) fn from_file(url: &str, path: &Path) -> Result<(DatabaseUrl, Option<String>), HostError> {
    let secret = SecretString::from(url);
    let url = parse(&secret, &format!("`{}`", path.display()))?;
    let mode = std::fs::metadata(path).map_or(0, |data| data.permissions().mode());
    let warning = (holds_password(&secret) && mode & 0o077 != 0).then(|| {
        format!(
            "`{}` holds a password and others may read it (mode {:o}); run `chmod 600`, or use DATABASE_URL",
            path.display(),
            mode & 0o777
        )
    });
    Ok((url, warning))
}

/// An error says where the text came from and nothing of the text.
fn parse(text: &SecretString, from: &str) -> Result<DatabaseUrl, HostError> {
    let help = "write `postgres://user@host:5432/database`";
    if text.expose_secret().len() as u64 > MAX_URL_BYTES {
        return Err(HostError::usage(format_args!(
            "{from}: a database URL has at most {MAX_URL_BYTES} bytes"
        ))
        .help(help));
    }
    DatabaseUrl::parse(text).map_err(|error| HostError::usage(format_args!("{from}: {error}")).help(help))
}

/// Whether a password stands in the authority or in a parameter. A text that is no URL holds whatever it holds.
fn holds_password(text: &SecretString) -> bool {
    Url::parse(text.expose_secret()).is_ok_and(|url| {
        url.password().is_some_and(|password| !password.is_empty())
            || url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("password"))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn an_argument_never_holds_a_password() {
        let flag =
            |url: &str| from_flags(&Global { database_url: Some(url.to_owned()), ..Global::default() });
        for url in [
            "postgres://u:SENTINEL@h/d",
            "postgresql+psycopg2://u:SENTINEL@h/d",
            "postgres://h/d?password=SENTINEL",
            "postgres://h/d?%70assword=SENTINEL",
        ] {
            let error = flag(url).unwrap_err();
            assert!(error.to_string().contains("holds a password"), "{error}");
            assert!(!format!("{error:?}").contains("SENTINEL"));
        }
        assert!(flag("postgres://u@h/d").unwrap().is_some());
    }

    #[test]
    fn no_error_shows_the_secret() {
        for text in ["postgres://u:SENTINEL@h:port/d", "u:SENTINEL@h", "mysql://u:SENTINEL@h"] {
            let error = parse(&SecretString::from(text), "DATABASE_URL").unwrap_err();
            assert!(error.to_string().starts_with("DATABASE_URL: "), "{error}");
            assert!(!format!("{error:?}").contains("SENTINEL"), "{error:?}");
        }
    }

    #[test]
    fn a_file_may_end_in_a_newline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("url");
        std::fs::write(&path, "postgres://u:p@h/d\r\n").unwrap();
        let flags = Global { database_url_file: Some(path), ..Global::default() };
        assert_eq!(from_flags(&flags).unwrap().unwrap().to_string(), "postgres://u:***@h/d");
    }

    #[test]
    fn a_password_in_a_file_that_others_read_is_warned_about() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pbac.toml");
        std::fs::write(&path, "").unwrap();
        let warning = |url: &str, mode: u32| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            from_file(url, &path).unwrap().1
        };
        assert!(warning("postgres://u:p@h/d", 0o644).unwrap().contains("(mode 644)"));
        assert_eq!(warning("postgres://u:p@h/d", 0o600), None);
        assert_eq!(warning("postgres://u@h/d", 0o644), None);
    }
}

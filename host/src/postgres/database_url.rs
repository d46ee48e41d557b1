//! `DATABASE_URL`: read once, shown only without its secrets.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::error::HostError;

/// What pbac calls itself to the server, unless the URL says otherwise.
pub const APPLICATION_NAME: &str = "pbac";

/// Parameters that are passed on. The second value says whether theirs may be shown: what is not known to be
/// harmless is not.
const PARAMETERS: [(&str, bool); 13] = [
    ("host", true),
    ("hostaddr", true),
    ("port", true),
    ("dbname", true),
    ("user", true),
    ("sslmode", true),
    ("sslrootcert", true),
    ("sslcert", true),
    ("application_name", true),
    ("password", false),
    ("sslkey", false),
    ("options", false),
    (CONNECT_TIMEOUT, true),
];
/// Ours to keep, since sqlx does not know it.
const CONNECT_TIMEOUT: &str = "connect_timeout";
const HIDDEN: &str = "***";

/// Where a database is and how to log in to it. Neither `Display` nor `Debug` shows a password.
///
/// ```
/// use pbac::postgres::DatabaseUrl;
///
/// let url: DatabaseUrl = "postgres://app:s3cret@db.example/erp?sslmode=require".parse().unwrap();
/// assert_eq!(url.to_string(), "postgres://app:***@db.example/erp?sslmode=require");
/// assert_eq!(url.database(), "erp");
/// ```
#[derive(Clone)]
pub struct DatabaseUrl {
    options: PgConnectOptions,
    /// The URL with every secret replaced.
    shown: Url,
    connect_timeout: Option<Duration>,
    ignored: Vec<String>,
}

impl DatabaseUrl {
    /// Reads a URL as libpq does: `postgres://user:password@host:port/database?parameter=value`, every part
    /// optional, a Unix socket as `?host=/directory`. `postgresql://` and the `postgresql+driver://` of SQLAlchemy
    /// mean the same. What is missing comes from `PGHOST`, `PGUSER`, `PGPASSWORD`, … and `~/.pgpass`.
    ///
    /// # Errors
    ///
    /// When the text is no such URL, or a password in it is not percent-encoded so that parts of it might be taken
    /// for something else. The message never shows the text.
    pub fn parse(text: &SecretString) -> Result<Self, DatabaseUrlError> {
        let mut url = read(text.expose_secret())?;
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut passed = Vec::new();
        let mut shown = Vec::new();
        let mut ignored = Vec::new();
        let mut connect_timeout = None;
        for (name, value) in pairs {
            let known = PARAMETERS.iter().find(|(parameter, _)| *parameter == name);
            let Some((_, visible)) = known else {
                ignored.push(name);
                continue;
            };
            let display = if *visible { value.clone() } else { HIDDEN.to_owned() };
            shown.push((name.clone(), display));
            if name == CONNECT_TIMEOUT {
                connect_timeout = Some(read_timeout(&value)?);
            } else {
                passed.push((name, value));
            }
        }
        set_query(&mut url, &passed);
        let options = PgConnectOptions::from_str(url.as_str())
            .map_err(|error| DatabaseUrlError::Parameter { reason: error.to_string() })?;
        // The server's own setting is as exact, and a pool may refuse to pass this one on.
        let options = options.extra_float_digits(None);
        let options = match options.get_application_name() {
            None => options.application_name(APPLICATION_NAME),
            Some(_) => options,
        };
        set_query(&mut url, &shown);
        if url.password().is_some() && url.set_password(Some(HIDDEN)).is_err() {
            return Err(DatabaseUrlError::Malformed { reason: "a password without a host".to_owned() });
        }
        Ok(Self { options, shown: url, connect_timeout, ignored })
    }

    /// The same server and login with another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let mut other = self.clone();
        other.options = other.options.database(database);
        let shown: Vec<(String, String)> =
            self.shown.query_pairs().into_owned().filter(|(name, _)| name != "dbname").collect();
        set_query(&mut other.shown, &shown);
        other.shown.set_path(database);
        other
    }

    /// What sqlx needs to connect. Its `Debug` form shows the password: never print it.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The database's name, which is the user's where none is given.
    #[must_use]
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// The `connect_timeout` parameter, where there is one.
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// Names of parameters that mean nothing here (such as Prisma's `schema`), for a warning.
    #[must_use]
    pub fn ignored_parameters(&self) -> &[String] {
        &self.ignored
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Directories stay readable; whoever wants to connect has the text this came from.
        match self.shown.as_str().split_once('?') {
            Some((before, query)) => write!(f, "{before}?{}", query.replace("%2F", "/")),
            None => f.write_str(self.shown.as_str()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(&SecretString::from(text))
    }
}

/// Why a text is no database URL. No variant holds the text: it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseUrlError {
    /// Not the shape of a URL.
    #[error("the database URL cannot be read: {reason}; {EXPECTED}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// A URL of something else.
    #[error("the database URL does not begin with `postgres://`; {EXPECTED}")]
    Scheme,
    /// Blanks, line ends or control characters, which URL parsers drop in silence.
    #[error(
        "the database URL holds white space or a control character; remove it, or write it percent-encoded"
    )]
    Blank,
    /// An `@` or `#` where a password that is not encoded would have left it.
    #[error("the database URL has a bare `{found}` after the host; {EXPECTED}")]
    Ambiguous {
        /// The character.
        found: char,
    },
    /// More than a database name in the path.
    #[error("the database URL has a bare `/` after the database name; {EXPECTED}")]
    Path,
    /// A parameter has a value it cannot have.
    #[error("the database URL has a parameter that cannot be used: {reason}")]
    Parameter {
        /// Which, and why.
        reason: String,
    },
}

impl From<DatabaseUrlError> for HostError {
    fn from(error: DatabaseUrlError) -> Self {
        Self::usage(error)
    }
}

const EXPECTED: &str = "expected `postgres://user:password@host:port/database`, with `@`, `/`, `?`, `#` and `%` \
    in a password written as `%40`, `%2F`, `%3F`, `%23` and `%25`";

fn read(text: &str) -> Result<Url, DatabaseUrlError> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(DatabaseUrlError::Blank);
    }
    let (scheme, rest) = text.split_once("://").ok_or(DatabaseUrlError::Scheme)?;
    let dialect = scheme.split('+').next().unwrap_or_default();
    if !matches!(dialect, "postgres" | "postgresql") {
        return Err(DatabaseUrlError::Scheme);
    }
    let url = Url::parse(&format!("postgres://{rest}"))
        .map_err(|error| DatabaseUrlError::Malformed { reason: error.to_string() })?;
    if url.fragment().is_some() {
        return Err(DatabaseUrlError::Ambiguous { found: '#' });
    }
    if url.path().contains('@') || url.query().is_some_and(|query| query.contains('@')) {
        return Err(DatabaseUrlError::Ambiguous { found: '@' });
    }
    if url.path().trim_start_matches('/').contains('/') {
        return Err(DatabaseUrlError::Path);
    }
    Ok(url)
}

fn read_timeout(value: &str) -> Result<Duration, DatabaseUrlError> {
    let reason = || format!("`{CONNECT_TIMEOUT}` is a number of seconds, not `{}`", value.escape_debug());
    let seconds: u32 = value.parse().map_err(|_| DatabaseUrlError::Parameter { reason: reason() })?;
    Ok(Duration::from_secs(seconds.into()))
}

fn set_query(url: &mut Url, pairs: &[(String, String)]) {
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

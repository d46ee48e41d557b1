//! A private PostgreSQL server of one process: made in a moment, reached by a Unix socket only, gone with its owner.
//!
//! The server runs below a small shell that holds the other end of a pipe. When the pipe closes (the owner dropped
//! the [`Cluster`], ended, or was killed with SIGKILL) the shell stops the server and removes its directory, so no
//! death of the owner leaves a server behind.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Access;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::form_urlencoded;

use super::binaries::{Binaries, BinariesError};
use super::identifier::Identifier;
use crate::error::HostError;

/// What to make of a private server.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Keep `fsync` on, for data that is meant to last; off, a crash of the machine loses everything.
    pub durable: bool,
    /// The directory below which the server's own directory is made; a temporary one by default.
    pub parent: Option<PathBuf>,
    /// Further server settings, such as `("max_connections", "200")`.
    pub settings: Vec<(String, String)>,
}

/// A running private server, with the superuser `postgres` and no password. Dropping it stops the server at once
/// and removes its directory; [`Cluster::keep`] leaves both.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    watcher: Child,
    kept: bool,
}

/// A private server that outlives this process.
#[derive(Clone, Debug)]
pub struct KeptCluster {
    /// Holds the data, the log and the socket; may be removed once the server is stopped.
    pub directory: PathBuf,
    /// A shell command that stops the server and leaves the data.
    pub stop_command: String,
}

impl Cluster {
    /// Makes and starts a server. Blocks the thread for the half second this takes.
    ///
    /// # Errors
    ///
    /// When there are no server programs, no fit directory or (for root) no user to run the server as, or when the
    /// server does not come up; the end of its log is in the message then.
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let binaries = Binaries::find()?;
        let user = ServerUser::choose()?;
        let directory = choose_parent(options.parent.as_deref(), user.as_ref())?.join(random_name());
        // What the watcher has to say when the server ends; a file without a name, which nobody need remove.
        let mut report = tempfile::tempfile().map_err(ClusterError::Spawn)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCHER, "pbac-cluster"])
            .arg(&directory)
            .args([binaries.initdb(), binaries.postgres()])
            .arg(if options.durable { "--data-checksums" } else { "--no-sync" })
            .args(server_arguments(options))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(report.try_clone().map_err(ClusterError::Spawn)?)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
            // A known time zone spares initdb the search through all of them; C keeps the log readable for all.
            .envs([("TZ", "UTC"), ("LC_ALL", "C")])
            // Its own group: a Ctrl-C at the terminal is for the owner, who decides what becomes of the server.
            .process_group(0);
        if let Some(user) = &user {
            command.uid(user.uid).gid(user.gid);
        }
        let watcher = command.spawn().map_err(ClusterError::Spawn)?;
        let mut cluster = Self { directory, watcher, kept: false };
        cluster.wait_until_ready(&mut report)?;
        Ok(cluster)
    }

    /// The URL of one of the server's databases. `postgres` is always there; it holds no secret.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url_in(&self.directory, database)
    }

    /// The directory of the server's socket, as libpq's `host` takes it.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.directory
    }

    /// The port in the name of the socket; the server listens on no network address.
    #[must_use]
    pub fn port(&self) -> u16 {
        PORT
    }

    /// The process id of the server.
    ///
    /// # Errors
    ///
    /// When the server has ended.
    pub fn server_pid(&self) -> Result<u32, ClusterError> {
        let path = pid_file(&self.directory);
        let text = fs::read_to_string(&path).map_err(|source| ClusterError::Directory { path, source })?;
        text.lines()
            .next()
            .and_then(|line| line.parse().ok())
            .ok_or(ClusterError::Ended { log: String::new() })
    }

    /// Creates an empty database.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or refuses, for instance because there is one of this name.
    pub async fn create_database(&self, name: &Identifier) -> Result<(), ClusterError> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let statement = format!("CREATE DATABASE {}", name.quoted());
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Lets the server and its directory outlive this process.
    ///
    /// # Errors
    ///
    /// When the server has already ended.
    pub fn keep(mut self) -> Result<KeptCluster, ClusterError> {
        let ended = || ClusterError::Ended { log: String::new() };
        let mut pipe = self.watcher.stdin.take().ok_or_else(ended)?;
        pipe.write_all(b"keep\n").map_err(ClusterError::Spawn)?;
        self.kept = true;
        let pid_file = pid_file(&self.directory);
        Ok(KeptCluster {
            directory: self.directory.clone(),
            stop_command: format!("kill -INT $(head -n 1 '{}')", pid_file.display()),
        })
    }

    /// The server writes how far it is into the eighth line of its pid file.
    fn wait_until_ready(&mut self, report: &mut File) -> Result<(), ClusterError> {
        let began = Instant::now();
        let pid_file = pid_file(&self.directory);
        loop {
            let state = fs::read_to_string(&pid_file).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|line| line.trim_end() == "ready") {
                return Ok(());
            }
            if self.watcher.try_wait().map_err(ClusterError::Spawn)?.is_some() {
                return Err(ClusterError::Ended { log: read_report(report) });
            }
            if began.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                return Err(ClusterError::TooSlow { seconds: START_LIMIT.as_secs(), log: last_lines(&log) });
            }
            thread::sleep(Duration::from_millis(4));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.kept {
            drop(self.watcher.stdin.take());
            // Nothing to be done about a failure here: the watcher goes on by itself.
            let _ = self.watcher.wait();
        }
    }
}

impl KeptCluster {
    /// The URL of one of the server's databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url_in(&self.directory, database)
    }
}

/// Why there is no private server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// No programs to run.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// PostgreSQL refuses to run as root, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root, and `/etc/passwd` knows neither `postgres` nor `nobody`; add one of them, or run as another user"
    )]
    NoUser,
    /// No directory that the server can use.
    #[error(
        "no directory for a private server: {tried}; let `TMPDIR` name a short path that the server's user can reach"
    )]
    NoDirectory {
        /// Each one tried, and why it does not do.
        tried: String,
    },
    /// A directory or file could not be made or read.
    #[error("`{}` cannot be used for a private server: {source}", .path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The shell above the server could not be run or spoken to.
    #[error("a private server cannot be run: {0}")]
    Spawn(#[source] io::Error),
    /// The server ended by itself.
    #[error("the private server has ended; the end of its log: {log}")]
    Ended {
        /// Its last lines.
        log: String,
    },
    /// The server did not come up in time, and was stopped.
    #[error("the private server was not ready after {seconds} s; the end of its log: {log}")]
    TooSlow {
        /// How long it was waited for.
        seconds: u64,
        /// Its last lines.
        log: String,
    },
    /// The running server refused something.
    #[error("the private server refused: {0}")]
    Server(#[from] sqlx::Error),
}

impl From<ClusterError> for HostError {
    fn from(error: ClusterError) -> Self {
        Self::failed(error)
    }
}

/// Only a part of the socket's name, since nothing listens on the network.
const PORT: u16 = 54_329;
const START_LIMIT: Duration = Duration::from_secs(60);
/// The kernel's limit for the path of a Unix socket, its last NUL not counted.
const MAX_SOCKET_PATH: usize = 107;
const PREFIX: &str = "pbac-";
const RANDOM_CHARS: usize = 8;

/// Arguments: directory, initdb, postgres, one flag for initdb, then the server's arguments.
///
/// It makes the directory itself, so that from the first moment somebody is there to remove it. The stop signal is
/// repeated because it is ignored until the server itself has replaced the subshell.
const WATCHER: &str = r#"
trap '' HUP INT
umask 077
directory=$1 initdb=$2 postgres=$3 flag=$4
shift 4
mkdir "$directory" || exit
exec 3<&0 4>&2 </dev/null >"$directory/log" 2>&1
cd "$directory" || exit
(
    exec 3<&- 4>&-
    "$initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C "$flag" &&
        exec "$postgres" -D "$directory/data" -k "$directory" "$@"
) &
server=$!
(
    read -r word <&3
    if [ "$word" = keep ]; then
        : >"$directory/kept"
        exit
    fi
    while kill -QUIT "$server" 2>/dev/null; do sleep 0.1; done
) &
watch=$!
wait "$server"
status=$?
kill "$watch" 2>/dev/null
cat "$directory/log" >&4
cd /
[ -e "$directory/kept" ] || rm -rf "$directory"
exit "$status"
"#;

fn server_arguments(options: &ClusterOptions) -> Vec<String> {
    let mut settings = vec![("listen_addresses".to_owned(), String::new())];
    if !options.durable {
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            settings.push((setting.to_owned(), "off".to_owned()));
        }
    }
    settings.extend(options.settings.iter().cloned());
    let mut arguments = vec!["-p".to_owned(), PORT.to_string()];
    for (name, value) in settings {
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    arguments
}

/// The user to run the server as, where that is not the user of this process.
struct ServerUser {
    uid: u32,
    gid: u32,
}

impl ServerUser {
    fn choose() -> Result<Option<Self>, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = ["postgres", "nobody"].iter().find_map(|name| Self::find(&passwd, name));
        user.map(Some).ok_or(ClusterError::NoUser)
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self { uid, gid })
        })
    }
}

/// The first place for the server's directory that is short enough and that its user can write to.
fn choose_parent(parent: Option<&Path>, user: Option<&ServerUser>) -> Result<PathBuf, ClusterError> {
    let candidates = match parent {
        Some(parent) => vec![parent.to_owned()],
        None => vec![std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")],
    };
    let mut tried = Vec::new();
    for candidate in candidates {
        match fitness(&candidate, user) {
            Ok(()) => return Ok(candidate),
            Err(reason) => tried.push(format!("`{}` {reason}", candidate.display())),
        }
    }
    tried.dedup();
    Err(ClusterError::NoDirectory { tried: tried.join(", ") })
}

fn random_name() -> String {
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(RANDOM_CHARS);
    PREFIX.chars().chain(random).collect()
}

/// Whether a server's directory can stand in `parent`, or the reason why not.
fn fitness(parent: &Path, user: Option<&ServerUser>) -> Result<(), String> {
    if !parent.is_absolute() {
        return Err("is not an absolute path".to_owned());
    }
    let socket = format!("/{PREFIX}{}/.s.PGSQL.{PORT}", "x".repeat(RANDOM_CHARS));
    let length = parent.as_os_str().as_bytes().len().saturating_add(socket.len());
    if length > MAX_SOCKET_PATH {
        return Err(format!("is too long (a socket in it has {length} bytes, of {MAX_SOCKET_PATH} allowed)"));
    }
    let metadata = fs::metadata(parent).map_err(|error| format!("cannot be read ({error})"))?;
    if !metadata.is_dir() {
        return Err("is no directory".to_owned());
    }
    let Some(user) = user else {
        let writable = rustix::fs::access(parent, Access::WRITE_OK | Access::EXEC_OK);
        return writable.map_err(|error| format!("cannot be written to ({error})"));
    };
    let canonical = fs::canonicalize(parent).map_err(|error| format!("cannot be read ({error})"))?;
    for (distance, step) in canonical.ancestors().enumerate() {
        let metadata = fs::metadata(step).map_err(|error| format!("cannot be read ({error})"))?;
        let needed = if distance == 0 { 0o3 } else { 0o1 };
        let granted = if metadata.uid() == user.uid { metadata.mode() >> 6 } else { metadata.mode() };
        if granted & needed != needed {
            let step = step.display();
            return Err(format!(
                "is closed to user {}, whom the server runs as (mode of `{step}`)",
                user.uid
            ));
        }
    }
    Ok(())
}

fn read_report(report: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read cannot be shown; the error this goes into matters more.
    let _ = report.rewind().and_then(|()| report.read_to_end(&mut bytes));
    last_lines(&String::from_utf8_lossy(&bytes))
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let skip = lines.len().saturating_sub(LOG_LINES);
    lines.into_iter().skip(skip).collect::<Vec<_>>().join(" | ")
}

const LOG_LINES: usize = 6;

fn pid_file(directory: &Path) -> PathBuf {
    directory.join("data").join("postmaster.pid")
}

fn url_in(directory: &Path, database: &str) -> String {
    let encode = |value: &OsStr| form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
    // In a path `+` is a plus sign, so a space has to be `%20` there.
    let database = encode(OsStr::new(database)).replace('+', "%20");
    format!("postgres:///{database}?host={}&port={PORT}&user=postgres", encode(directory.as_os_str()))
}

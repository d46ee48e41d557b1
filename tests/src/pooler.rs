//! PgBouncer before a private server, on a Unix socket in the server's directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pbac::postgres::Cluster;

/// The variable by which `scripts/setup` says that there is no PgBouncer on this machine and none could be installed.
pub const WITHOUT_PGBOUNCER: &str = "PBAC_WITHOUT_PGBOUNCER";

/// How the pool lends its backends.
#[derive(Clone, Copy, Debug)]
pub enum PoolMode {
    /// For one transaction.
    Transaction,
    /// For one statement.
    Statement,
}

/// A running PgBouncer; it ends when this is dropped, or with this process.
#[derive(Debug)]
pub struct Pooler {
    directory: PathBuf,
    watcher: Child,
}

impl Pooler {
    /// Starts one with at most `backends` connections to a database of the server. Nothing where the machine has none
    /// and [`WITHOUT_PGBOUNCER`] says so.
    ///
    /// # Panics
    ///
    /// When it cannot be found or does not come up.
    #[must_use]
    pub fn start(cluster: &Cluster, mode: PoolMode, backends: u32) -> Option<Self> {
        if std::env::var_os(WITHOUT_PGBOUNCER).is_some() {
            eprintln!("skipped: {WITHOUT_PGBOUNCER} says that there is no pgbouncer on this machine");
            return None;
        }
        let directory = cluster.socket_dir().to_owned();
        let configuration = directory.join("pgbouncer.ini");
        let mode = match mode {
            PoolMode::Transaction => "transaction",
            PoolMode::Statement => "statement",
        };
        let text = format!(
            "[databases]\n* = host={place} port={port} user=postgres\n\
             [pgbouncer]\nlisten_port = {PORT}\nunix_socket_dir = {place}\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = {backends}\nserver_round_robin = 1\n",
            place = directory.display(),
            port = cluster.port(),
        );
        fs::write(&configuration, text).expect("the configuration can be written");
        let owner = fs::metadata(&directory).expect("the server's directory is there");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WATCHER, "pooler"])
            .arg(program())
            .arg(&configuration)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("pgbouncer.log")).expect("its log can be written"))
            .process_group(0);
        // It refuses to run as root, as the server does.
        if fs::metadata("/proc/self").is_ok_and(|us| us.uid() != owner.uid()) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let watcher = command.spawn().expect("a shell can be run");
        let pooler = Self { directory, watcher };
        pooler.wait();
        Some(pooler)
    }

    /// The URL of a database through the pool.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={PORT}&user=postgres", self.directory.display())
    }

    fn wait(&self) {
        let socket = self.directory.join(format!(".s.PGSQL.{PORT}"));
        let deadline = Instant::now() + Duration::from_secs(20);
        // The file is there a moment before anybody listens, and one pooler leaves it to the next.
        while UnixStream::connect(&socket).is_err() {
            let log = fs::read_to_string(self.directory.join("pgbouncer.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "pgbouncer does not come up: {log}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

const PORT: u16 = 6432;

/// Ends it when the other end of the pipe is closed, by whatever death of the owner.
const WATCHER: &str =
    "exec 3<&0; \"$1\" \"$2\" </dev/null & pooler=$!; read -r word <&3; kill -KILL $pooler; wait $pooler";

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join("pgbouncer"))
        .find(|program| program.exists())
        .unwrap_or_else(|| {
            panic!("there is no pgbouncer: run `scripts/setup` or install it; {WITHOUT_PGBOUNCER}=1 skips what needs it")
        })
}

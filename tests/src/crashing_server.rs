//! A private PostgreSQL server that can be shut down at once, as a crash does, and started again on the same data.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pbac::postgres::{Binaries, Cluster, ClusterOptions};

/// Such a server. What is committed is on its way to the disk when it is said to be: an immediate shutdown loses nothing.
#[derive(Debug)]
pub struct CrashingServer {
    directory: PathBuf,
    url: String,
    port: u16,
    watcher: Child,
}

/// Above the server: when the test is gone, however it went, so is the server, and its directory.
const WATCHER: &str = r#"
trap '' HUP INT
directory=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- >>"$directory/log" 2>&1 &
server=$!
(
    read -r word <&3
    : >"$directory/over"
    kill -QUIT "$server" 2>/dev/null
) &
watch=$!
wait "$server"
kill "$watch" 2>/dev/null
cd /
if [ -e "$directory/over" ]; then rm -rf "$directory"; fi
"#;

const LIMIT: Duration = Duration::from_secs(60);

impl CrashingServer {
    /// Makes and starts one.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    #[must_use]
    pub fn start() -> Self {
        // The cluster's defaults spare the disk, and with it what was committed last.
        let settings = vec![("synchronous_commit".to_owned(), "on".to_owned())];
        let options = ClusterOptions { settings, ..ClusterOptions::default() };
        let cluster = Cluster::start(&options).unwrap_or_else(|error| panic!("{error}"));
        let (url, port) = (cluster.url("postgres"), cluster.port());
        let kept = cluster.keep().expect("it has only just been started");
        signal(&kept.directory, "-INT");
        wait_until(|| !kept.directory.join("data/postmaster.pid").exists(), "it ends");
        let watcher = launch(&kept.directory, port);
        Self { directory: kept.directory, url, port, watcher }
    }

    /// The URL of the database that is always there.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends all of its processes at once, without a word to any client.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn crash(&mut self) {
        // Waiting would close it, and end the server for good.
        let pipe = self.watcher.stdin.take();
        signal(&self.directory, "-QUIT");
        self.watcher.wait().expect("the watcher ends with its server");
        drop(pipe);
    }

    /// Starts it again: it recovers, and answers when this returns.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start_again(&mut self) {
        // What an immediate shutdown leaves behind would be read as the new server's.
        let _ = fs::remove_file(self.directory.join("data/postmaster.pid"));
        self.watcher = launch(&self.directory, self.port);
    }
}

impl Drop for CrashingServer {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
        // Where it was down, nobody else removes it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn launch(directory: &Path, port: u16) -> Child {
    let binaries = Binaries::find().expect("there is a server on this machine");
    let data = directory.join("data");
    let owner = data.metadata().expect("there is a data directory");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", WATCHER, "pbac-crashing-server"])
        .arg(directory)
        .arg(binaries.postgres())
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(directory)
        .args(["-p", &port.to_string(), "-c", "listen_addresses="])
        .args(["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=on"])
        .current_dir("/")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let watcher = command.spawn().expect("a shell can be run");
    let state = || fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    wait_until(|| state().lines().nth(7).is_some_and(|line| line.trim_end() == "ready"), "it answers");
    watcher
}

fn signal(directory: &Path, signal: &str) {
    let text = fs::read_to_string(directory.join("data/postmaster.pid")).expect("it runs");
    let pid = text.lines().next().expect("it says who it is");
    let done = Command::new("kill").args([signal, pid]).status().expect("kill can be run");
    assert!(done.success());
}

fn wait_until(mut done: impl FnMut() -> bool, what: &str) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "the server was waited for in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

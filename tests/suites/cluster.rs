//! The private server: it starts, answers, and is gone with its owner, however that ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pbac::postgres::{Cluster, ClusterError, ClusterOptions, Identifier};
use sqlx::{Connection, PgConnection};

fn schema(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

/// A directory that whoever the server runs as may write to.
fn open_parent() -> tempfile::TempDir {
    let parent = tempfile::Builder::new().prefix("parent-").tempdir().unwrap();
    std::fs::set_permissions(parent.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    parent
}

fn alive(pid: u32) -> bool {
    // A zombie still has its directory, but no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    // Far more than it takes: a busy machine may need a while for an `initdb` that had just begun.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what} after a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn it_starts_answers_and_leaves_nothing_behind() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let (directory, pid) = (cluster.socket_dir().to_owned(), cluster.server_pid().unwrap());
    assert!(directory.join(format!(".s.PGSQL.{}", cluster.port())).as_os_str().len() <= 107);
    cluster.create_database(&schema("Own \"base\"/%")).await.unwrap();
    let mut connection = PgConnection::connect(&cluster.url("Own \"base\"/%")).await.unwrap();
    let shown: Vec<String> = sqlx::query_scalar(
        "SELECT current_setting(s) FROM unnest(ARRAY['listen_addresses', 'fsync', 'server_encoding']) s",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(shown, ["", "off", "UTF8"]);
    assert!(matches!(cluster.create_database(&schema("postgres")).await, Err(ClusterError::Server(_))));
    drop(cluster);
    assert!(!directory.exists());
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_durable_one_syncs_and_takes_settings() {
    let parent = open_parent();
    let cluster = Cluster::start(&ClusterOptions {
        durable: true,
        parent: Some(parent.path().to_owned()),
        settings: vec![("work_mem".to_owned(), "5MB".to_owned())],
    })
    .unwrap();
    assert!(cluster.socket_dir().starts_with(parent.path()));
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    let shown: Vec<String> = sqlx::query_scalar(
        "SELECT current_setting(s) FROM unnest(ARRAY['fsync', 'full_page_writes', 'work_mem']) s",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(shown, ["on", "on", "5MB"]);
}

#[test]
fn a_server_that_does_not_come_up_shows_its_log_and_leaves_nothing() {
    let parent = open_parent();
    let error = Cluster::start(&ClusterOptions {
        parent: Some(parent.path().to_owned()),
        settings: vec![("shared_buffers".to_owned(), "nonsense".to_owned())],
        ..ClusterOptions::default()
    })
    .unwrap_err();
    let ClusterError::Ended { log } = &error else { panic!("{error:?}") };
    assert!(log.contains("shared_buffers"), "{log}");
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_too_long_for_a_socket_is_refused_by_name() {
    let parent = tempfile::Builder::new().prefix(&"x".repeat(90)).tempdir().unwrap();
    let error = Cluster::start(&ClusterOptions {
        parent: Some(parent.path().to_owned()),
        ..ClusterOptions::default()
    })
    .unwrap_err();
    assert!(error.to_string().contains("is too long"), "{error}");
}

#[tokio::test]
async fn a_kept_one_outlives_its_owner_and_stops_on_request() {
    let cluster = Cluster::start(&ClusterOptions { durable: true, ..ClusterOptions::default() }).unwrap();
    let pid = cluster.server_pid().unwrap();
    let kept = cluster.keep().unwrap();
    thread::sleep(Duration::from_millis(500));
    PgConnection::connect(&kept.url("postgres")).await.unwrap().close().await.unwrap();
    assert!(Command::new("sh").args(["-c", &kept.stop_command]).status().unwrap().success());
    wait_for("the kept server runs", || !alive(pid));
    assert!(kept.directory.join("data/PG_VERSION").exists());
    std::fs::remove_dir_all(&kept.directory).unwrap();
}

/// Runs as a child process of the test below, which kills it.
#[test]
#[ignore = "the other half of `a_killed_owner_leaves_no_server`"]
fn owner_to_be_killed() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    println!("\nserver {} {}", cluster.server_pid().unwrap(), cluster.socket_dir().display());
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_killed_owner_leaves_no_server() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "owner_to_be_killed"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("server ").map(str::to_owned))
        .expect("the owner starts a server");
    let (pid, directory) = line.split_once(' ').unwrap();
    let (pid, directory) = (pid.parse().unwrap(), PathBuf::from(directory));
    assert!(alive(pid) && directory.exists());
    // SIGKILL: nothing of the owner's own runs any more.
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for("the server of a killed owner runs", || !alive(pid));
    wait_for("the directory of a killed owner is there", || !directory.exists());
}

#[test]
fn an_owner_killed_while_starting_leaves_no_server() {
    let parent = open_parent();
    for delay in [20, 60, 150, 300, 450] {
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "owner_to_be_killed"])
            .env("TMPDIR", parent.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(delay));
        owner.kill().unwrap();
        owner.wait().unwrap();
    }
    wait_for("a directory of a killed owner is there", || {
        std::fs::read_dir(parent.path()).unwrap().count() == 0
    });
}

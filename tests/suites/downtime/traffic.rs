//! People log in and rows are written all the while, and none of them waits for us.

use std::path::Path;
use std::time::Duration;

use pbac::postgres::{Cluster, ClusterOptions, Identifier};
use pbac_tests::site::{CYCLE, Site};
use pbac_tests::traffic::{APPLICATION, Load, Statement, Traffic};

const LOAD: Load = Load { writers: 3, readers: 3, users: 100_000, pause: Duration::from_millis(2) };
const BACK_AGAIN: &[&str] = &["rollback", "--yes", "--drop", "--accept-data-loss"];

/// Every wait for a lock of more than 10 ms, as the server's log has it. Writers that make the table longer take turns
/// at that, with or without us.
fn waits(cluster: &Cluster) -> Vec<String> {
    let log = std::fs::read_to_string(Path::new(cluster.socket_dir()).join("log")).unwrap();
    log.lines()
        .filter(|line| line.starts_with(&format!("{APPLICATION}|")) && line.contains("still waiting for"))
        .filter(|line| !line.contains("on extension of relation"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_fails_and_none_waits_for_a_lock() {
    // Without the server's own vacuum, which shortens tables under a lock that nobody of us has asked for.
    let settings = [
        ("autovacuum", "off"),
        ("log_lock_waits", "on"),
        ("deadlock_timeout", "10ms"),
        ("log_line_prefix", "%a|"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = ClusterOptions { settings: settings.to_vec(), ..ClusterOptions::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options).unwrap()).await.unwrap();
    cluster.create_database(&Identifier::new("erp").unwrap()).await.unwrap();
    let site = Site::new(&cluster.url("erp"));
    site.fill(u32::try_from(LOAD.users).unwrap()).await;

    let traffic = Traffic::start(&cluster.url("erp"), LOAD).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let commands: Vec<&[&str]> =
        CYCLE.into_iter().filter(|arguments| arguments[0] != "validate").chain([BACK_AGAIN]).collect();
    for _ in 0..2 {
        for (at, arguments) in commands.iter().enumerate() {
            traffic.during(at + 1);
            // On a thread of its own, since those of the runtime are the application's.
            tokio::task::block_in_place(|| site.pbac(arguments, 0));
        }
    }
    assert_eq!(waits(&cluster), [""; 0]);
    // The detector sees a lock that somebody does wait for.
    site.run("BEGIN; LOCK TABLE public.users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.3); COMMIT").await;
    let record = traffic.stop().await;
    assert!(!waits(&cluster).is_empty());

    assert_eq!(record.failures, [""; 0]);
    for phase in 0..=commands.len() {
        for statement in [Statement::Login, Statement::Update] {
            let count =
                record.samples.iter().filter(|s| s.phase == phase && s.statement == statement).count();
            assert!(count > 10, "{count} of {statement:?} in phase {phase}");
        }
    }
    assert!(record.samples.iter().any(|sample| sample.statement == Statement::Insert));
}

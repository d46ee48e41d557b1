//! A standby, which can only be read: questions are answered there, and whatever would write is refused at once.

use std::time::{Duration, Instant};

use pbac::postgres::{Cluster, ClusterOptions, Identifier};
use pbac_tests::site::{CYCLE, Site};
use pbac_tests::standby::Standby;

const READING: [(&[&str], i32); 9] = [
    (&["status"], 0),
    (&["plan"], 0),
    (&["validate"], 0),
    (&["check", "1", "po.approve"], 0),
    (&["check", "1", "po.aprove"], 3),
    (&["explain", "1", "po.approve"], 0),
    (&["who-can", "po.approve"], 0),
    (&["audit", "verify"], 0),
    (&["access-diff"], 0),
];
const WRITING: [&[&str]; 7] = [
    &["migrate"],
    &["migrate", "--dry-run"],
    &["rollback", "--yes"],
    &["rollback", "--yes", "--drop"],
    &["restore"],
    &["grant", "20", "po.approve", "--by", "1"],
    &["revoke", "20", "po.approve", "--by", "1"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_works_on_a_standby_and_what_writes_is_refused() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(&ClusterOptions::default()).unwrap()).await.unwrap();
    cluster.create_database(&Identifier::new("erp").unwrap()).await.unwrap();
    let primary = Site::new(&cluster.url("erp"));
    primary.fill(300).await;
    primary.pbac(CYCLE[0], 0);
    let standby = Standby::of(&cluster).await;
    let site = Site::new(&standby.url("erp"));
    for (arguments, status) in READING {
        site.pbac(arguments, status);
    }
    let log = "SELECT count(*)::text FROM pbac.audit_log";
    let before = primary.texts(log).await;
    for arguments in WRITING {
        let printed = site.pbac(arguments, 1);
        assert!(
            printed.contains("read-only standby; give the URL of the primary"),
            "{arguments:?}: {printed}"
        );
    }
    assert_eq!(primary.texts(log).await, before);
    assert!(site.backups().is_empty());

    // What is done on the primary arrives.
    primary.pbac(CYCLE[1], 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    while site.json(&["status"], 0)["stage"] != "audit_only" {
        assert!(Instant::now() < deadline, "the standby does not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.pbac(&["restore"], 1);
}

/// A session that may only read, as after a failover that the application's URL has not followed.
#[tokio::test]
async fn a_read_only_database_is_left_as_it_is() {
    let database = pbac_tests::database::TestDatabase::create().await;
    let site = Site::new(database.url_text());
    site.fill(30).await;
    site.pbac(CYCLE[0], 0);
    let rows = "SELECT count(*)::text FROM pbac.audit_log";
    let before = site.texts(rows).await;
    site.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name().quoted()))
        .await;
    for arguments in WRITING {
        let printed = site.pbac(arguments, 1);
        assert!(printed.contains("`default_transaction_read_only` is on"), "{arguments:?}: {printed}");
    }
    for (arguments, status) in READING {
        site.pbac(arguments, status);
    }
    assert_eq!(site.texts(rows).await, before);
}

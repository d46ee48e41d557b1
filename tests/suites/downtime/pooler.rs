//! Through PgBouncer, whose backends serve somebody else after every transaction.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pbac::postgres::{Cluster, ClusterOptions, DatabaseUrl, Identifier, LockError, SchemaLock};
use pbac_tests::pooler::{PoolMode, Pooler};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};

use pbac_tests::site::{CYCLE, Site};

const BACKENDS: u32 = 3;

/// Every command that uses the database, after a migration and without changing what the next one finds.
const QUESTIONS: [(&[&str], i32); 11] = [
    (&["status"], 0),
    (&["validate"], 0),
    (&["check", "1", "po.approve"], 0),
    (&["check", "1", "po.aprove"], 3),
    (&["explain", "1", "po.approve"], 0),
    (&["permissions", "1"], 0),
    (&["who-can", "po.approve"], 0),
    (&["audit", "list"], 0),
    (&["audit", "verify"], 0),
    (&["plan"], 0),
    (&["access-diff"], 0),
];

/// Somebody else on the same pool, all the time, so that no backend is the same twice.
struct Crowd {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<u64>>,
}

impl Crowd {
    fn gather(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..2).map(|_| tokio::spawn(Self::push(url.to_owned(), Arc::clone(&stop)))).collect();
        Self { stop, tasks }
    }

    async fn push(url: String, stop: Arc<AtomicBool>) -> u64 {
        let mut connection = plain(&url).await;
        let mut rounds = 0;
        while !stop.load(Ordering::Relaxed) {
            sqlx::raw_sql("BEGIN; SELECT count(*) FROM public.users; COMMIT")
                .execute(&mut connection)
                .await
                .unwrap();
            rounds += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        rounds
    }

    async fn go_home(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            assert!(task.await.unwrap() > 0);
        }
    }
}

/// A client as PgBouncer lets it in.
async fn plain(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url).unwrap().extra_float_digits(None).connect().await.unwrap()
}

/// What every backend of the pool has kept of those who used it.
async fn left_behind(url: &str) -> Vec<(String, String, String, String)> {
    let mut held = Vec::new();
    let mut found = Vec::new();
    for _ in 0..BACKENDS {
        // A transaction that stays open, so that the next one gets another backend.
        let mut connection = plain(url).await;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
        let row = sqlx::raw_sql(
            "SELECT pg_backend_pid()::text, (SELECT string_agg(name || '=' || setting, ' ') FROM pg_settings \
             WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', \
             'standard_conforming_strings')), \
             (SELECT count(*) FROM pg_prepared_statements)::text, \
             (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())::text",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        let text = |at: usize| row.get::<Option<String>, _>(at).unwrap_or_default();
        found.push((text(0), text(1), text(2), text(3)));
        held.push(connection);
    }
    found.sort();
    found.dedup_by(|one, other| one.0 == other.0);
    assert_eq!(found.len(), usize::try_from(BACKENDS).unwrap());
    found
}

async fn server(database: &str) -> (Cluster, Site) {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(&ClusterOptions::default()).unwrap()).await.unwrap();
    cluster.create_database(&Identifier::new(database).unwrap()).await.unwrap();
    let direct = Site::new(&cluster.url(database));
    direct.fill(300).await;
    (cluster, direct)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_works_in_transaction_mode() {
    let (cluster, direct) = server("erp").await;
    let Some(pooler) = Pooler::start(&cluster, PoolMode::Transaction, BACKENDS) else { return };
    let site = Site::new(&pooler.url("erp"));
    let crowd = Crowd::gather(&pooler.url("erp"));
    site.pbac(&["plan"], 0);
    site.pbac(&["migrate", "--dry-run"], 0);
    for arguments in CYCLE {
        site.pbac(arguments, 0);
        if matches!(arguments[0], "migrate" | "restore") {
            for (question, status) in QUESTIONS {
                site.pbac(question, status);
            }
        }
    }
    site.pbac(&["grant", "20", "po.approve", "--by", "1", "--expires", "+8h"], 0);
    site.pbac(&["check", "20", "po.approve"], 0);
    site.pbac(&["revoke", "20", "po.approve", "--by", "1"], 0);
    site.pbac(&["grant", "20", "no.such", "--by", "1"], 6);
    site.pbac(&["rollback", "--yes", "--dry-run"], 0);
    crowd.go_home().await;
    assert_eq!(direct.json(&["validate"], 0), site.json(&["validate"], 0));
    for (pid, settings, prepared, locks) in left_behind(&pooler.url("erp")).await {
        assert_eq!((settings.as_str(), prepared.as_str(), locks.as_str()), ("", "0", "0"), "backend {pid}");
    }
}

/// Whether one comes through the pool and the other does not: they exclude each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_lock_holds_on_both_sides_of_the_pool() {
    let (cluster, direct) = server("erp").await;
    let Some(pooler) = Pooler::start(&cluster, PoolMode::Transaction, 2) else { return };
    let crowd = Crowd::gather(&pooler.url("erp"));
    let schema = Identifier::new("pbac").unwrap();
    let urls = [pooler.url("erp"), cluster.url("erp")].map(|url| DatabaseUrl::from_str(&url).unwrap());
    for (holder, other) in [(0, 1), (1, 0), (0, 0)] {
        let mut held = SchemaLock::acquire(&urls[holder], &schema, Duration::ZERO).await.unwrap();
        let refused =
            SchemaLock::acquire(&urls[other], &schema, Duration::from_millis(300)).await.unwrap_err();
        assert!(matches!(refused, LockError::Busy { holder: Some(_), .. }), "{refused}");
        held.check().await.unwrap();
        held.release().await.unwrap();
        SchemaLock::acquire(&urls[other], &schema, Duration::ZERO).await.unwrap().release().await.unwrap();
    }
    crowd.go_home().await;
    drop(direct);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_cannot_do_is_named() {
    let (cluster, direct) = server("erp").await;
    let before =
        direct.texts("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' ORDER BY 1").await;
    {
        let Some(pooler) = Pooler::start(&cluster, PoolMode::Statement, 3) else { return };
        let site = Site::new(&pooler.url("erp"));
        for arguments in [&["plan"][..], &["migrate"], &["status"], &["rollback", "--yes"]] {
            let printed = site.pbac(arguments, 6);
            assert!(
                printed.contains("pool_mode") && printed.contains("keeps no transaction together"),
                "{printed}"
            );
        }
    }
    // The lock takes the only backend, and the work waits for another.
    let Some(pooler) = Pooler::start(&cluster, PoolMode::Transaction, 1) else { return };
    let site = Site::new(&format!("{}&connect_timeout=3", pooler.url("erp")));
    site.pbac(&["plan"], 0);
    let printed = site.pbac(&["migrate"], 1);
    assert!(
        printed.contains("no answer within 3 s") && printed.contains("a connection pool may"),
        "{printed}"
    );
    let after = direct.texts("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' ORDER BY 1").await;
    assert_eq!(after, before);
}

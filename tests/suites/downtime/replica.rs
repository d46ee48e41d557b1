//! A standby, which can only be read: questions are answered there, and whatever would write is refused at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pbac::postgres::{Binaries, Cluster, ClusterOptions, Identifier};
use pbac_tests::site::{CYCLE, Site};
use sqlx::{Connection, PgConnection, Row};

const PORT: u16 = 54_330;

/// A server that follows another one's log. Killed when this is dropped; its files go with the other server's.
struct Standby {
    directory: PathBuf,
    server: Child,
}

impl Standby {
    async fn of(cluster: &Cluster) -> Self {
        let directory = cluster.socket_dir().to_owned();
        let data = directory.join("standby");
        let copy = |from: &str, to: &PathBuf| {
            let done = Command::new("cp").arg("-a").arg(directory.join(from)).arg(to).status().unwrap();
            assert!(done.success());
        };
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let (start, stop) = match version {
            ..150_000 => ("pg_start_backup('standby', true, false)", "pg_stop_backup(false, false)"),
            _ => ("pg_backup_start('standby', true)", "pg_backup_stop(false)"),
        };
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT {start}"))).execute(&mut connection).await.unwrap();
        copy("data", &data);
        let label = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SELECT labelfile FROM {stop}")))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        fs::remove_file(data.join("postmaster.pid")).unwrap();
        fs::write(data.join("backup_label"), label.get::<String, _>(0)).unwrap();
        fs::write(data.join("standby.signal"), "").unwrap();
        let primary = format!("host={} port={} user=postgres", directory.display(), cluster.port());
        fs::write(data.join("postgresql.auto.conf"), format!("primary_conninfo = '{primary}'\n")).unwrap();
        let owner = fs::metadata(&directory).unwrap();
        for file in ["backup_label", "standby.signal", "postgresql.auto.conf"] {
            std::os::unix::fs::chown(data.join(file), Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let mut command = Command::new(Binaries::find().unwrap().postgres());
        command
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&directory)
            .args(["-p", &PORT.to_string(), "-c", "listen_addresses="])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("standby.log")).unwrap());
        if fs::metadata("/proc/self").is_ok_and(|us| us.uid() != owner.uid()) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let standby = Self { server: command.spawn().unwrap(), directory };
        let deadline = Instant::now() + Duration::from_secs(30);
        while PgConnection::connect(&standby.url("postgres")).await.is_err() {
            let log = fs::read_to_string(standby.directory.join("standby.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the standby does not come up: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        standby
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={PORT}&user=postgres", self.directory.display())
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

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

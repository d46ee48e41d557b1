//! A server that follows a private server, and can only be read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pbac::postgres::{Binaries, Cluster};
use sqlx::{Connection, PgConnection, Row};

const PORT: u16 = 54_330;

/// A server that follows another one's log. Killed when this is dropped; its files go with the other server's.
#[derive(Debug)]
pub struct Standby {
    directory: PathBuf,
    server: Child,
}

impl Standby {
    /// Copies a running server and starts the copy.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn of(cluster: &Cluster) -> Self {
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

    /// The URL of a database on it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={PORT}&user=postgres", self.directory.display())
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

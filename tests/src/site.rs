//! The ERP's legacy database, and the command as its people run it: a process of its own.
//!
//! Whatever does not go as it must panics, as a test does.
#![expect(clippy::missing_panics_doc, reason = "said once, above")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::binary::pbac;
use crate::record::Recorded;

/// There and back, and there again by each of the two ways; each ends with status 0 after the one before.
pub const CYCLE: [&[&str]; 6] = [
    &["migrate"],
    &["rollback", "--yes"],
    &["restore"],
    &["rollback", "--yes", "--drop", "--accept-data-loss"],
    &["restore", "--yes", "--backup", "BACKUP"],
    &["validate"],
];

/// A database by its URL, and a directory for files and settings.
#[derive(Debug)]
pub struct Site {
    url: String,
    /// Where the settings are, the command runs and backups are written.
    pub files: TempDir,
}

impl Site {
    /// With the ERP's policy and endpoint rules in the settings.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let settings = format!(
            "policy = \"{}\"\nendpoints = \"{}\"\n",
            example("policy.toml").display(),
            example("endpoints.toml").display()
        );
        std::fs::write(files.path().join("pbac.toml"), settings).unwrap();
        Self { url: url.to_owned(), files }
    }

    /// Fills an empty database with the legacy tables.
    pub async fn fill(&self, users: u32) {
        let legacy = std::fs::read_to_string(example("legacy.sql")).unwrap();
        self.run(&format!("SELECT set_config('erp.users', '{users}', false); {legacy}")).await;
    }

    /// A connection of our own.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.unwrap();
    }

    /// The first column of a query, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let texts = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        texts
    }

    /// The command, with `BACKUP` standing for the newest backup in the directory of the files.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(pbac());
        command
            .args(arguments.iter().map(|argument| match *argument {
                "BACKUP" => self.backups().pop().unwrap().display().to_string(),
                other => other.to_owned(),
            }))
            .current_dir(self.files.path())
            .env_remove("PBAC_CONFIG")
            .env_remove("PBAC_DATABASE_URL")
            .env("DATABASE_URL", &self.url)
            .env("NO_COLOR", "1");
        command
    }

    /// Runs it, checks its status and returns all that it printed.
    pub fn pbac(&self, arguments: &[&str], status: i32) -> String {
        let output = self.command(arguments).output().unwrap().recorded();
        let printed = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{printed}");
        printed
    }

    /// The same with `--json`, whose answer is returned.
    #[must_use]
    pub fn json(&self, arguments: &[&str], status: i32) -> Value {
        let output = self.command(arguments).arg("--json").output().unwrap().recorded();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The backups that lie in the directory of the files, oldest first.
    #[must_use]
    pub fn backups(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(self.files.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .collect();
        found.sort();
        found
    }
}

/// A file of the ERP example.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/erp").join(name)
}

//! A database with keys, and what the tests ask of it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use pbac::error::HostError;
use pbac::keys::postgres_store::{PostgresStore, SealingKeys};
use pbac::keys::{Applied, Applying, KeySet, KeySettings, Operation};
use pbac::postgres::audit::{self, Record};
use pbac::postgres::{DatabaseUrl, Identifier};
use pbac_tests::database::TestDatabase;
use pbac_tests::key_stepper::{KeyChange, KeyJob};
use pbac_tests::record;
use pbac_tests::secrecy::Search;
use pbac_tests::stepper::{Ended, Stepper};
use policy_core::Timestamp;
use policy_core::keys::{KeyId, KeyRecord};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// The process that is led.
pub const STEPPER: &str = env!("CARGO_BIN_EXE_key_stepper");
pub const SCHEMA: &str = "pbac";
/// Two key-encryption keys.
pub const KEK: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff1";
pub const OTHER_KEK: &str = "+/Tc3Z0kq1v7m9QeYb2sJ4hX6uLw8nRtPaVgCiDoKfE=";
/// Day 0, in seconds since 1970.
const START: i64 = 1_800_000_000;

pub const ROTATE: Operation = Operation::Rotate { force: false };
pub const PROMOTE: Operation = Operation::Promote { force: false };

/// A database, a directory for reports, and the settings.
pub struct Bench {
    pub database: TestDatabase,
    pub files: TempDir,
    pub settings: KeySettings,
}

impl Bench {
    /// Without any table.
    pub async fn empty() -> Self {
        Self::of(TestDatabase::create().await)
    }

    pub fn of(database: TestDatabase) -> Self {
        let files = tempfile::tempdir().unwrap();
        let settings = KeySettings { logs: files.path().join("logs"), ..KeySettings::default() };
        Self { database, files, settings }
    }

    /// With one key, which signs since day 0.
    pub async fn with_a_key() -> Self {
        let bench = Self::empty().await;
        bench.apply(&ROTATE, 0).await.unwrap();
        bench
    }

    pub fn store(&self) -> PostgresStore {
        self.store_with(self.database.url_text(), KEK)
    }

    pub fn store_with(&self, url: &str, keys: &str) -> PostgresStore {
        store(url, SCHEMA, keys)
    }

    /// The change on that day.
    pub async fn apply(&self, operation: &Operation, day: i64) -> Result<Applied, HostError> {
        self.apply_to(&self.store(), operation, day).await
    }

    pub async fn apply_to(
        &self,
        store: &PostgresStore,
        operation: &Operation,
        day: i64,
    ) -> Result<Applied, HostError> {
        let applying = Applying {
            operation,
            settings: &self.settings,
            now: day_of(day),
            who: "the test",
            watch: &|_| {},
        };
        store.apply(applying).await
    }

    pub async fn load(&self) -> KeySet {
        self.store().load().await.unwrap()
    }

    /// The key that signs.
    pub async fn active(&self) -> KeyId {
        self.load().await.history().active().unwrap().id.clone()
    }

    pub async fn run(&self, sql: &str) {
        pbac_tests::database::run_sql(&self.database, sql).await;
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.database.connect().await;
        let found = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
        found.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// `kid state` of every row, in the order of the states.
    pub async fn rows(&self) -> Vec<String> {
        self.texts("SELECT kid || ' ' || state FROM pbac.signing_keys ORDER BY state, since DESC").await
    }

    /// The audit log, whose chain is whole; nothing where there is none yet.
    pub async fn log(&self) -> Vec<Record> {
        if self.texts("SELECT 'x' WHERE to_regclass('pbac.audit_log') IS NOT NULL").await.is_empty() {
            return Vec::new();
        }
        let mut connection = self.database.connect().await;
        let schema = Identifier::new(SCHEMA).unwrap();
        assert_eq!(audit::verify(&mut connection, &schema, None).await.unwrap().fault, None);
        audit::list(&mut connection, &schema, None).await.unwrap()
    }

    /// `action outcome` of every row of it.
    pub async fn deeds(&self) -> Vec<String> {
        self.log().await.iter().map(|row| format!("{} {}", row.action, row.outcome)).collect()
    }

    /// A process that makes this change.
    pub fn job(&self, change: &KeyChange, day: i64, pauses: bool) -> KeyJob {
        job(self.database.url_text(), self.files.path(), change, day, pauses)
    }

    pub fn start(&self, change: &KeyChange, day: i64) -> Stepper {
        Stepper::start(Path::new(STEPPER), &self.job(change, day, true))
    }

    pub fn finish(&self, change: &KeyChange, day: i64) -> Ended {
        Stepper::start(Path::new(STEPPER), &self.job(change, day, false)).finish()
    }

    /// Everything that the database holds, as pg_dump writes it.
    pub fn dump(&self) -> String {
        let output = std::process::Command::new(pbac_tests::dump::program("pg_dump"))
            .args(["--dbname", self.database.url_text()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The reports that were written, oldest first.
    pub fn reports(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.settings.logs).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

pub fn store(url: &str, schema: &str, keys: &str) -> PostgresStore {
    let sealing = SealingKeys::parse(keys).unwrap();
    PostgresStore::new(DatabaseUrl::from_str(url).unwrap(), Identifier::new(schema).unwrap(), sealing)
}

pub fn job(url: &str, directory: &Path, change: &KeyChange, day: i64, pauses: bool) -> KeyJob {
    KeyJob {
        url: url.to_owned(),
        schema: SCHEMA.to_owned(),
        change: change.clone(),
        sealing: KEK.to_owned(),
        directory: directory.join("logs"),
        now: day_of(day).micros() / 1_000_000,
        pauses,
    }
}

pub fn day_of(day: i64) -> Timestamp {
    Timestamp::from_seconds(START + day * 86_400)
}

pub fn revoke(id: &KeyId) -> Operation {
    Operation::Revoke { id: id.clone(), unknown: false }
}

/// What must stand nowhere: the secrets.
pub fn secrets(keys: &KeySet) -> Vec<Vec<u8>> {
    let secret = |key: &KeyRecord| {
        let bytes = keys.material(&key.id).unwrap().bytes();
        record::secret(bytes);
        bytes.to_vec()
    };
    keys.history().keys().iter().map(secret).collect()
}

/// Nothing of them does.
pub fn holds_none(text: &str, secrets: &[Vec<u8>], what: &str) {
    assert!(!secrets.is_empty());
    record::said(what, text.as_bytes());
    let found = Search::new(secrets.iter().map(Vec::as_slice)).find(text.as_bytes());
    assert_eq!(found.map(|(_, length)| length), None, "{what} holds so many bytes of a secret");
}

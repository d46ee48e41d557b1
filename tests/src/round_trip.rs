//! There and back and there again: what every migration is put through, by whoever migrates in a test and without having
//! to remember it.
//!
//! migrate → rollback → migrate → restore, with an override that only our tables know. A restoration overwrites nothing,
//! so the second migration is rolled back before what the first one left comes back, once from the parked tables and
//! once from the backup. After each step the legacy schemas are what they were, as pg_dump writes them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use pbac::config::Rollback as Commands;
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::migrate::apply::{Ending, Manner, Target, migrate};
use pbac::migrate::plan::Wanted;
use pbac::migrate::preflight::Tolerance;
use pbac::migrate::restore::{Restore, RestoreFrom, RestoreStatus};
use pbac::migrate::rollback::{Mode, Rollback, RollbackOptions, RollbackReport, RollbackStatus};
use pbac::migrate::status::validate;
use pbac::migrate::undo_session::UndoSettings;
use pbac::policy_file::{self, PolicyFile};
use pbac::postgres::{Identifier, RetryPolicy, audit};
use policy_core::Timestamp;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::dump::{dump, program, same, same_shape};

/// Where the cases of the tree are taken over to.
const SCHEMA: &str = "pbac";

/// A database of somebody's application and the policy that is to take it over.
#[derive(Clone, Debug)]
pub struct Case {
    /// The directory's name.
    pub name: String,
    /// SQL that makes the legacy tables in an empty database.
    pub legacy: String,
    /// The policy.
    pub file: PolicyFile,
}

/// Every case that lies in the tree: the example, and each directory of `tests/schemas`.
///
/// # Panics
///
/// When a directory has no `legacy.sql` or no `policy.toml`, or a policy is no policy.
#[must_use]
pub fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let schemas = root.join("tests/schemas").read_dir().expect("there are schemas");
    let mut directories: Vec<PathBuf> =
        schemas.map(|entry| entry.expect("it can be read").path()).filter(|path| path.is_dir()).collect();
    directories.push(root.join("examples/erp"));
    directories.sort();
    directories.iter().map(|directory| case(directory)).collect()
}

fn case(directory: &Path) -> Case {
    let legacy = directory.join("legacy.sql");
    let legacy =
        std::fs::read_to_string(&legacy).unwrap_or_else(|error| panic!("{}: {error}", legacy.display()));
    let file = policy_file::load(&directory.join("policy.toml")).unwrap_or_else(|error| panic!("{error}"));
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Case { name, legacy, file }
}

impl Case {
    /// Its legacy tables in a database of their own, and the whole way.
    ///
    /// # Panics
    ///
    /// When something is not as it was.
    pub async fn run(&self) {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        // What the example's generator reads; nobody else does.
        let sql = format!("SELECT set_config('erp.users', '200', false); {}", self.legacy);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        connection.close().await.expect("it can be closed");
        let schema = Identifier::new(SCHEMA).expect("a name");
        Trip::new(&database, &schema, &self.file).go(&self.name).await;
    }
}

/// The same from a migrated database on, in a copy of it: for a harness that has just migrated. Each policy is tried once
/// a process, however many tests migrate to it, and those of [`cases`] are left to the suite that runs all of them.
///
/// # Panics
///
/// When something is not as it was.
pub async fn from_migrated(database: &TestDatabase, schema: &Identifier, file: &PolicyFile) {
    static TRIED: LazyLock<Mutex<BTreeSet<String>>> =
        LazyLock::new(|| Mutex::new(cases().iter().map(|case| what(SCHEMA, &case.file)).collect()));
    if !TRIED.lock().unwrap_or_else(PoisonError::into_inner).insert(what(schema.as_str(), file)) {
        return;
    }
    // Others may be connected, which a copy by template does not allow.
    let copy = TestDatabase::create().await;
    copy_database(database.url_text(), copy.url_text());
    Trip::new(&copy, schema, file).go(&file.name).await;
}

/// What is tried once: a policy, and where the legacy roles lie, in one schema.
fn what(schema: &str, file: &PolicyFile) -> String {
    format!("{schema} {:?} {:?}", file.policy, file.source)
}

/// Everything of one database into another that is empty.
fn copy_database(from: &str, to: &str) {
    let output =
        Command::new(program("pg_dump")).args(["--dbname", from]).output().expect("pg_dump can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A pg_dump that is newer than the server sets what the server does not know.
    let text = String::from_utf8(output.stdout).expect("pg_dump writes UTF-8");
    let text: String =
        text.split_inclusive('\n').filter(|line| !line.starts_with("SET transaction_timeout")).collect();
    let mut filling = Command::new(program("psql"))
        .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", to])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql can be run");
    let written = filling.stdin.take().expect("it has an input").write_all(text.as_bytes());
    let filled = filling.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&filled.stderr);
    assert!(filled.status.success() && written.is_ok(), "the database cannot be copied: {said}");
}

/// One way there and back.
struct Trip<'a> {
    database: &'a TestDatabase,
    schema: &'a Identifier,
    file: &'a PolicyFile,
    backups: TempDir,
}

impl<'a> Trip<'a> {
    fn new(database: &'a TestDatabase, schema: &'a Identifier, file: &'a PolicyFile) -> Self {
        let backups = tempfile::tempdir().expect("a directory can be made");
        Self { database, schema, file, backups }
    }

    async fn go(&self, name: &str) {
        println!("{name}: migrate, rollback, migrate, restore");
        let theirs = self.theirs().await;
        let fresh = self.migrate().await == Ending::Migrated;
        self.is_valid().await;
        self.untouched(&theirs).await;
        let (alone, first) = (made_by_migrating(&self.ours()), self.held().await);
        self.grant().await;
        let (ours, held) = (self.ours(), self.held().await);

        let parked = self.roll_back(Mode::Park).await.parked_in.expect("it is parked");
        self.is_gone();
        self.untouched(&theirs).await;

        assert_eq!(self.migrate().await, Ending::Migrated);
        self.is_valid().await;
        self.untouched(&theirs).await;
        same_shape(&made_by_migrating(&self.ours()), &alone);
        // Where nothing had been granted before, everybody may do again what the first migration let them do.
        assert!(!fresh || self.held().await == first, "{name}: the second migration is not as the first");

        // What is in force is not overwritten.
        let second = self.ours();
        let refused = self.restore(RestoreFrom::Parked(parked.clone())).await.expect_err("it is in the way");
        assert_eq!(refused.exit(), Exit::Refused, "{refused}");
        same(&self.ours(), &second);

        self.roll_back(Mode::Drop).await;
        self.is_gone();
        assert_eq!(self.restore(RestoreFrom::Parked(parked)).await.ok(), Some(RestoreStatus::Restored));
        same(&self.ours(), &ours);
        assert_eq!(self.held().await, held, "{name}: somebody may do something else than before");
        self.is_valid().await;
        self.untouched(&theirs).await;

        let backup = self.roll_back(Mode::Drop).await.backup.expect("there is a backup").path;
        self.is_gone();
        assert_eq!(self.restore(RestoreFrom::Backup(backup)).await.ok(), Some(RestoreStatus::Restored));
        same_shape(&self.ours(), &ours);
        assert_eq!(self.held().await, held, "{name}: somebody may do something else than before");
        self.is_valid().await;
        self.untouched(&theirs).await;

        let mut connection = self.database.connect().await;
        let verified = audit::verify(&mut connection, self.schema, None).await.expect("the log can be read");
        assert_eq!(verified.fault, None);
    }

    fn target(&self) -> Target<'_> {
        Target {
            url: self.database.url(),
            schema: self.schema,
            lock_timeout: Duration::from_millis(500),
            retry: RetryPolicy::default(),
            patience: Duration::from_secs(20),
            now: Timestamp::from_seconds(1_700_000_000),
        }
    }

    fn undo(&self) -> UndoSettings {
        let Target { url, schema, lock_timeout, patience, now, .. } = self.target();
        UndoSettings {
            url: url.clone(),
            schema: schema.clone(),
            lock_timeout,
            wait: patience,
            now,
            dry_run: false,
        }
    }

    async fn migrate(&self) -> Ending {
        let tolerance = Tolerance { no_administrator: true, ..Tolerance::default() };
        let wanted = Wanted { file: self.file, endpoints: None, tolerance };
        let done = migrate(&self.target(), &wanted, Manner::default(), &|_| {}).await;
        done.unwrap_or_else(|error| panic!("{}: {error}", self.file.name)).ending
    }

    async fn roll_back(&self, mode: Mode) -> RollbackReport {
        let options = RollbackOptions {
            mode,
            accept_data_loss: true,
            backup_directory: self.backups.path().to_owned(),
            checks: Commands::default(),
        };
        let rollback = Rollback::prepare(self.undo(), options, &|_| {}).await.map_err(HostError::from);
        let report = rollback.unwrap_or_else(|error| panic!("{}: {error}", self.file.name)).run().await;
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", self.file.name));
        assert_eq!(report.status, RollbackStatus::RolledBack);
        report
    }

    async fn restore(&self, from: RestoreFrom) -> Result<RestoreStatus, HostError> {
        let report = Restore::prepare(self.undo(), from, false, &|_| {}).await?.run().await?;
        assert!(report.verified || report.status != RestoreStatus::Restored);
        Ok(report.status)
    }

    async fn is_valid(&self) {
        let validation = validate(&self.target(), self.file).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(validation.holds, "{}: {:#?}", self.file.name, validation.checks);
    }

    /// Allows and denies something to whoever comes first, so that there is something that no migration makes.
    async fn grant(&self) {
        let ours = self.schema.quoted();
        let sql = format!(
            "INSERT INTO {ours}.user_custom_permissions (user_id, pattern, effect, expires_at, reason, granted_by) \
             SELECT coalesce((SELECT min(user_id) FROM {ours}.all_users()), 'nobody'), name, effect, \
             '2999-01-01', 'a ''reason'' with \\ and a\ttab', 'somebody' \
             FROM (VALUES ('allow'), ('deny')) AS e (effect), (SELECT coalesce(min(name), '*') AS name FROM {ours}.permissions) AS p \
             ON CONFLICT DO NOTHING"
        );
        let mut connection = self.database.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it can be granted");
    }

    /// Everything that everybody may do, as the database answers.
    async fn held(&self) -> Vec<String> {
        let ours = self.schema.quoted();
        let sql = format!(
            "SELECT u.user_id || ' ' || p FROM (SELECT DISTINCT user_id FROM {ours}.all_users()) u, \
             {ours}.effective_permissions(u.user_id) p ORDER BY 1"
        );
        let mut connection = self.database.connect().await;
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("it answers")
    }

    fn ours(&self) -> String {
        dump(self.database.url_text(), self.schema.as_str(), self.schema)
    }

    /// The dumps of every schema that is not ours.
    async fn theirs(&self) -> Vec<(String, String)> {
        let mut connection = self.database.connect().await;
        let schemas: Vec<String> = sqlx::query_scalar(
            "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \
             AND nspname <> $1 AND NOT starts_with(nspname, $1 || '_parked_') ORDER BY 1",
        )
        .bind(self.schema.as_str())
        .fetch_all(&mut connection)
        .await
        .expect("the catalogs can be read");
        schemas
            .into_iter()
            .map(|schema| {
                let text = dump(self.database.url_text(), &schema, self.schema);
                (schema, text)
            })
            .collect()
    }

    async fn untouched(&self, before: &[(String, String)]) {
        let now = self.theirs().await;
        assert_eq!(now.len(), before.len());
        for ((schema, now), (_, before)) in now.iter().zip(before) {
            assert!(now == before, "the schema `{schema}` of the application was changed");
        }
    }

    /// Of ours only the audit log is left.
    fn is_gone(&self) {
        let left = self.ours();
        assert!(left.contains("audit_log"));
        for table in pbac::migrate::state::TABLES {
            assert!(!left.contains(&format!("TABLE {}.{table} ", self.schema)), "`{table}` is left");
        }
    }
}

/// The dump without the ledger's rows, which hold the time, and without what was granted.
fn made_by_migrating(dump: &str) -> String {
    let row = |line: &&str| {
        line.contains(".pbac_migrations VALUES") || line.contains(".user_custom_permissions VALUES")
    };
    dump.lines().filter(|line| !row(line)).collect::<Vec<_>>().join("\n")
}

//! A migrated database, the command, and dumps to compare.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use pbac::migrate::apply::{Ending, Manner, Target, migrate};
use pbac::migrate::plan::Wanted;
use pbac::migrate::preflight::Tolerance;
use pbac::policy_file::{self, PolicyFile};
use pbac::postgres::{DatabaseUrl, Identifier, RetryPolicy};
use pbac_tests::binary::pbac;
use pbac_tests::database::TestDatabase;
pub use pbac_tests::dump::{dump, program, same, same_shape};
use pbac_tests::record::Recorded;
use policy_core::Timestamp;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

pub const POLICY: &str = r#"
[policy]
name = "shop"
version = 1
[modules.buying.permissions]
"po.view" = "tab\t, quote ', backslash \\ and \\."
"po.approve" = "\\.\nCOPY roles FROM stdin;\n\\.\n"
"stock.view" = "$pbac$ $$ $1 %s :name"
[roles.HEAD]
description = "a\u00e9\u4e2d\U0001F511 \\N"
grants = ["po.*"]
inherits = ["BUYER"]
aliases = ["Head", "'); DROP SCHEMA public; --"]
[roles.BUYER]
grants = ["po.view"]
[roles."\"; DROP TABLE users; --"]
grants = ["*"]
[[conflicts]]
name = "four ' eyes"
patterns = ["po.view", "po.approve"]
reason = "-- \\' E'\\x'"
[source]
kind = "role-column"
table = "public.users"
user_id = "id"
role = "role"
active = "is_active"
null_active = "inactive"
"#;

const LEGACY: &str = r#"
CREATE TABLE public.users (id serial PRIMARY KEY, role text NOT NULL, is_active boolean);
CREATE TABLE public.orders (id serial PRIMARY KEY, by_user integer REFERENCES public.users (id));
INSERT INTO public.users (role, is_active)
    SELECT CASE i % 3 WHEN 0 THEN 'HEAD' WHEN 1 THEN 'BUYER' ELSE '"; DROP TABLE users; --' END, i % 5 <> 0
    FROM generate_series(1, 60) i;
"#;

/// What a hostile or careless person may put into every column that takes free text.
const HOSTILE: [&str; 9] = [
    "\\.",
    "\\.\n",
    "line\nbreak\r\n\ttab",
    "\\N",
    "'; DROP SCHEMA pbac CASCADE; --",
    "\"quoted\" $pbac$ $function$",
    "\u{1}\u{7f}\u{8}",
    "中文 \u{1F511} e\u{301} \u{202e}",
    "\\\\' \\x41 \\101",
];

/// A database with legacy users, and a directory for files.
pub struct Bench {
    pub database: Arc<TestDatabase>,
    pub files: Arc<TempDir>,
    pub schema: Identifier,
    /// How the command and the connections log in; dumps are the superuser's.
    text: String,
}

impl Bench {
    /// With the legacy tables only.
    pub async fn legacy(schema: &str) -> Self {
        let database = Arc::new(TestDatabase::create().await);
        let bench = Self {
            text: database.url_text().to_owned(),
            database,
            files: Arc::new(tempfile::tempdir().unwrap()),
            schema: Identifier::new(schema).unwrap(),
        };
        bench.run(LEGACY).await;
        bench
    }

    /// The same for another user of the server.
    pub fn login(&self, user: &str) -> Self {
        let more = if self.text.contains('?') { '&' } else { '?' };
        Self {
            text: format!("{}{more}user={user}", self.text),
            database: Arc::clone(&self.database),
            files: Arc::clone(&self.files),
            schema: self.schema.clone(),
        }
    }

    pub fn url(&self) -> DatabaseUrl {
        self.text.parse().unwrap()
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(self.url().options()).await.unwrap()
    }

    /// Migrated, without overrides.
    pub async fn migrated() -> Self {
        let bench = Self::legacy("pbac").await;
        bench.migrate().await;
        bench
    }

    /// Migrated, with overrides that hold every hostile text.
    pub async fn hostile(schema: &str) -> Self {
        let bench = Self::legacy(schema).await;
        bench.migrate().await;
        let mut connection = bench.connect().await;
        let insert = bench.sql(
            "INSERT INTO SCHEMA.user_custom_permissions (user_id, pattern, effect, expires_at, reason, granted_by) \
             VALUES ($1, $2, $3, now() + interval '1.000001 day', $1, $1)",
        );
        for text in HOSTILE {
            for (pattern, effect) in [("po.*", "allow"), ("*", "deny")] {
                sqlx::query(AssertSqlSafe(insert.clone()))
                    .bind(text)
                    .bind(pattern)
                    .bind(effect)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
        bench
    }

    pub async fn migrate(&self) {
        let policy: PolicyFile = policy_file::parse(POLICY, "shop.toml").unwrap();
        let target = Target {
            url: &self.url(),
            schema: &self.schema,
            lock_timeout: Duration::from_millis(500),
            retry: RetryPolicy::default(),
            patience: Duration::from_secs(10),
            now: Timestamp::from_seconds(1_800_000_000),
        };
        let wanted = Wanted { file: &policy, endpoints: None, tolerance: Tolerance::default() };
        let done = migrate(&target, &wanted, Manner::default(), &|_| {}).await.unwrap();
        assert_eq!(done.ending, Ending::Migrated);
    }

    /// The statement with `SCHEMA.` as the schema's name.
    pub fn sql(&self, sql: &str) -> String {
        sql.replace("SCHEMA.", &format!("{}.", self.schema.quoted()))
    }

    pub async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        run(&mut connection, &self.sql(sql)).await;
    }

    pub async fn strings(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(self.sql(sql))).fetch_all(&mut connection).await.unwrap()
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let mut connection = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(self.sql(sql))).fetch_one(&mut connection).await.unwrap()
    }

    /// The schemas that hold parked tables, oldest first.
    pub async fn parked(&self) -> Vec<String> {
        self.strings("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%\\_parked\\_%' ORDER BY 1")
            .await
    }

    /// Actions and outcomes of the audit log, oldest first, without those of the migration.
    pub async fn audit(&self) -> Vec<String> {
        self.strings(
            "SELECT action || ' ' || outcome FROM SCHEMA.audit_log WHERE action LIKE 'r%' ORDER BY seq",
        )
        .await
    }

    /// The command with these arguments, in the directory of the files.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(pbac());
        command
            .args(arguments)
            .current_dir(self.files.path())
            .env_remove("PBAC_CONFIG")
            .env("DATABASE_URL", &self.text)
            .env("PBAC_SCHEMA", self.schema.as_str())
            .env("PBAC_LOCK_TIMEOUT_MS", "100")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs the command and checks its status.
    pub fn pbac(&self, arguments: &[&str], status: i32) -> Answer {
        Answer::of(self.command(arguments).output().unwrap().recorded(), arguments, status)
    }

    /// The same with `--json`, whose answer is returned.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.pbac(&arguments, 0).stdout).unwrap()
    }

    /// The backups that lie in the directory of the files.
    pub fn backups(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = std::fs::read_dir(self.files.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .collect();
        found.sort();
        found
    }

    /// Writes an executable script and returns its path.
    pub fn script(&self, name: &str, body: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Definitions and rows of a schema but the audit log's, as pg_dump writes them.
    pub fn dump(&self, schema: &str) -> String {
        dump(self.database.url_text(), schema, &self.schema)
    }

    /// The dump of our schema.
    pub fn ours(&self) -> String {
        self.dump(self.schema.as_str())
    }

    /// The dump of the legacy schema.
    pub fn theirs(&self) -> String {
        self.dump("public")
    }
}

/// What a run of the command gave.
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn of(output: Output, arguments: &[&str], status: i32) -> Self {
        let answer = Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{}\n{}", answer.stdout, answer.stderr);
        answer
    }

    /// Whether all the words stand in what was said.
    pub fn says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(
                self.stdout.contains(word) || self.stderr.contains(word),
                "no `{word}` in:\n{}\n{}",
                self.stdout,
                self.stderr
            );
        }
        self
    }
}

pub async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

//! A legacy database, and `pbac` beside a directory of its own.

use std::path::PathBuf;
use std::process::Command;

use pbac::policy_file;
use pbac::postgres::Identifier;
use pbac_tests::binary;
use pbac_tests::database::TestDatabase;
use pbac_tests::record::Recorded;
use pbac_tests::round_trip;
use serde_json::Value;
use sqlx::AssertSqlSafe;

pub struct World {
    pub database: TestDatabase,
    pub directory: tempfile::TempDir,
}

/// Status, standard output and standard error.
pub struct Ran {
    pub status: i32,
    pub output: String,
    pub errors: String,
}

impl World {
    pub async fn with(legacy: &str) -> Self {
        let world = Self { database: TestDatabase::create().await, directory: tempfile::tempdir().unwrap() };
        let mut connection = world.database.connect().await;
        sqlx::raw_sql(AssertSqlSafe(legacy.to_owned())).execute(&mut connection).await.unwrap();
        world
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(binary::pbac())
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("DATABASE_URL", self.database.url_text())
            .output()
            .unwrap()
            .recorded();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran {
            status: output.status.code().unwrap(),
            output: text(output.stdout),
            errors: text(output.stderr),
        }
    }

    /// What `init --json` answers, and its status.
    pub fn init(&self, arguments: &[&str]) -> (i32, Value) {
        let ran = self.run(&[&["init", "--json", "--name", "test"], arguments].concat());
        let line = if ran.output.is_empty() { &ran.errors } else { &ran.output };
        (ran.status, serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The text of a file that was written, or nothing.
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    /// Two columns of a query, in byte order.
    pub async fn pairs(&self, sql: &str) -> Vec<(String, String)> {
        let mut connection = self.database.connect().await;
        let found = sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
        let mut pairs: Vec<(String, String)> = found.unwrap();
        pairs.sort();
        pairs
    }

    /// Puts the draft in force, with the framework's own rules beside it where there are any. It goes there and back too,
    /// in a copy of the database.
    pub async fn migrate(&self, more: &[&str]) {
        let rules = self.directory.path().join("legacy-permissions.toml");
        let endpoints: &[&str] =
            if rules.exists() { &["--endpoints", "legacy-permissions.toml"] } else { &[] };
        let ran = self.run(&[&["migrate", "--yes", "--no-administrator"], endpoints, more].concat());
        assert_eq!(ran.status, 0, "{}{}", ran.output, ran.errors);
        let file = policy_file::load(&self.directory.path().join("policy.toml")).unwrap();
        let schema = Identifier::new("pbac").unwrap();
        round_trip::from_migrated(&self.database, &schema, &file).await;
    }

    /// Who may do what by the functions of pbac. Subjects that are roles themselves are left out.
    pub async fn effective(&self) -> Vec<(String, String)> {
        self.pairs(
            "SELECT u.user_id, p FROM (SELECT DISTINCT user_id FROM pbac.all_users()) u, \
             pbac.effective_permissions(u.user_id) p \
             WHERE u.user_id NOT IN (SELECT name FROM pbac.roles)",
        )
        .await
    }
}

pub fn schemas() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas"))
}

/// The messages of one kind.
pub fn remarks(answer: &Value, kind: &str) -> Vec<String> {
    let remarks = answer["remarks"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let of_kind = remarks.iter().filter(|remark| remark["kind"] == kind);
    of_kind
        .map(|remark| format!("{}: {}", remark["about"].as_str().unwrap(), remark["text"].as_str().unwrap()))
        .collect()
}

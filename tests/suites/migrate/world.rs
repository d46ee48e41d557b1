//! A database to migrate, and ways to look at all of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pbac::endpoints::Endpoints;
use pbac::error::HostError;
use pbac::migrate::apply::{Ending, Manner, Migration, Target, migrate};
use pbac::migrate::fault::Fault;
use pbac::migrate::plan::{Plan, Wanted};
use pbac::migrate::preflight::Tolerance;
use pbac::migrate::state::State;
use pbac::policy_file::{self, PolicyFile};
use pbac::postgres::audit::{self, Record};
use pbac::postgres::{Identifier, RetryPolicy};
use pbac_tests::database::TestDatabase;
use pbac_tests::round_trip;
use policy_core::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection};

/// Three permissions, a boss and a clerk; [`World::small`] has the users.
pub const SMALL: &str = r#"
[modules.purchasing.permissions]
"po.view" = "See orders"
"po.approve" = "Approve orders"
[modules.warehouse.permissions]
"stock.view" = "See the stock"
[roles.BOSS]
grants = ["*"]
[roles.CLERK]
grants = ["po.view"]
aliases = ["clerk"]
[source]
kind = "role-column"
table = "public.users"
user_id = "id"
role = "role"
active = "active"
"#;

/// Gives up after a moment.
pub const HASTY: RetryPolicy = RetryPolicy {
    attempts: 3,
    first_pause: Duration::from_millis(5),
    longest_pause: Duration::from_millis(10),
};

pub struct World {
    pub database: TestDatabase,
    pub schema: Identifier,
}

impl World {
    pub async fn empty() -> Self {
        Self { database: TestDatabase::create().await, schema: Identifier::new("pbac").unwrap() }
    }

    /// Users 1 (boss), 2 and 3 (clerks, the third inactive).
    pub async fn small() -> Self {
        let world = Self::empty().await;
        world
            .run(
                "CREATE TABLE public.users (id int PRIMARY KEY, role text, active boolean); \
                 INSERT INTO public.users VALUES (1, 'BOSS', true), (2, 'clerk', true), (3, 'CLERK', false)",
            )
            .await;
        world
    }

    pub async fn erp(users: u32) -> Self {
        let world = Self::empty().await;
        let legacy = std::fs::read_to_string(example("legacy.sql")).unwrap();
        world.run(&format!("SELECT set_config('erp.users', '{users}', false); {legacy}")).await;
        world
    }

    pub async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.database.connect().await).await.unwrap();
    }

    pub async fn one<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.database.connect().await).await.unwrap()
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.database.connect().await).await.unwrap()
    }

    pub fn target(&self) -> Target<'_> {
        Target {
            url: self.database.url(),
            schema: &self.schema,
            lock_timeout: Duration::from_millis(200),
            retry: RetryPolicy::default(),
            patience: Duration::from_secs(20),
            now: Timestamp::from_seconds(1_700_000_000),
        }
    }

    pub async fn migrate(&self, file: &PolicyFile) -> Result<Migration, HostError> {
        self.migrate_with(file, None, Manner::default()).await
    }

    /// Migrates. Whatever could be migrated goes there and back too, in a copy of the database.
    pub async fn migrate_with(
        &self,
        file: &PolicyFile,
        endpoints: Option<&Endpoints>,
        manner: Manner<'_>,
    ) -> Result<Migration, HostError> {
        let wanted = Wanted { file, endpoints, tolerance: Tolerance::default() };
        let migration = migrate(&self.target(), &wanted, manner, &|_| {}).await?;
        if migration.ending == Ending::Migrated {
            round_trip::from_migrated(&self.database, &self.schema, file).await;
        }
        Ok(migration)
    }

    pub async fn plan(&self, file: &PolicyFile) -> Result<Plan, Fault> {
        let wanted = Wanted { file, endpoints: None, tolerance: Tolerance::default() };
        Plan::make(
            &mut self.database.connect().await,
            &self.schema,
            &wanted,
            self.target().now,
            self.target().limits(),
        )
        .await
    }

    pub async fn state(&self) -> State {
        State::read(&mut self.database.connect().await, &self.schema).await.unwrap()
    }

    pub async fn audit(&self) -> Vec<Record> {
        let mut connection = self.database.connect().await;
        let verified = audit::verify(&mut connection, &self.schema, None).await.unwrap();
        assert_eq!(verified.fault, None);
        audit::list(&mut connection, &self.schema, None).await.unwrap()
    }

    /// The audit log as `action outcome`.
    pub async fn deeds(&self) -> Vec<String> {
        self.audit().await.iter().map(|row| format!("{} {}", row.action, row.outcome)).collect()
    }

    /// Every definition in the catalogs and every row of every table, each with the transaction that wrote it.
    pub async fn snapshot(&self) -> Vec<String> {
        let mut connection = self.database.connect().await;
        let mut found = lines(&mut connection, DEFINITIONS).await;
        let tables = lines(
            &mut connection,
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1",
        )
        .await;
        assert!(!tables.is_empty());
        for table in tables {
            let sql = format!(
                "SELECT '{0} ' || t.xmin || ' ' || t::text FROM {0} t ORDER BY 1",
                table.replace('\'', "''")
            );
            found.extend(lines(&mut connection, &sql).await);
        }
        found
    }

    /// The names of what is in our schema.
    pub async fn ours(&self) -> Vec<String> {
        self.texts(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'pbac' AND c.relkind = 'r' \
             UNION ALL SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
             WHERE n.nspname = 'pbac' ORDER BY 1",
        )
        .await
    }
}

/// What the audit log leaves in the schema.
pub const AUDIT_ONLY: [&str; 6] =
    ["audit_append", "audit_chain", "audit_field", "audit_hash", "audit_log", "audit_refuse"];

async fn lines(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap()
}

/// What autovacuum writes (counts and ages of tables) is left out; everything else is in.
const DEFINITIONS: &str = "SELECT 'schema ' || xmin || n::text FROM pg_namespace n \
    UNION ALL SELECT concat_ws(' ', 'relation', oid, relname, relnamespace, relowner, relkind, relacl, relhasrules, relrowsecurity) FROM pg_class \
    UNION ALL SELECT 'column ' || xmin || concat_ws(' ', attrelid, attname, atttypid, attnum, attnotnull, attacl) FROM pg_attribute \
    UNION ALL SELECT 'function ' || xmin || p::text FROM pg_proc p \
    UNION ALL SELECT 'constraint ' || xmin || c::text FROM pg_constraint c \
    UNION ALL SELECT 'trigger ' || xmin || t::text FROM pg_trigger t \
    UNION ALL SELECT 'comment ' || xmin || d::text FROM pg_description d WHERE xmin::text::bigint > 2 \
    UNION ALL SELECT 'dependency ' || d::text FROM pg_depend d \
    ORDER BY 1";

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/erp").join(name)
}

pub fn erp_policy() -> PolicyFile {
    policy_file::load(&example("policy.toml")).unwrap()
}

pub fn erp_endpoints() -> Endpoints {
    pbac::endpoints::load(&example("endpoints.toml")).unwrap()
}

pub fn policy(text: &str) -> PolicyFile {
    policy_file::parse(&format!("[policy]\nname = \"test\"\nversion = 1\n{text}"), "test.toml").unwrap()
}

pub fn small() -> PolicyFile {
    policy(SMALL)
}

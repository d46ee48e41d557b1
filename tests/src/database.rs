//! A database of its own for every test that needs one.
//!
//! They lie in one private server a test process, or in the server that `PBAC_TEST_DATABASE_URL` names.

use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pbac::postgres::{Cluster, ClusterOptions, DatabaseUrl, Identifier};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

/// The variable that names a server to test on; its user must be allowed to create databases.
pub const TEST_DATABASE_URL: &str = "PBAC_TEST_DATABASE_URL";

/// An empty database, dropped with its last connections when this is.
#[derive(Debug)]
pub struct TestDatabase {
    /// The URL of a database of the same server that is always there.
    server: String,
    name: Identifier,
    text: String,
    url: DatabaseUrl,
}

impl TestDatabase {
    /// Creates one.
    ///
    /// # Panics
    ///
    /// When there is no server, as every test that asked for it would.
    pub async fn create() -> Self {
        Self::create_on(&server_url()).await
    }

    /// Creates one on the server that this URL leads to.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn create_on(server: &str) -> Self {
        Self::create_of(server, "").await
    }

    /// Creates one on the same server that holds what this one holds.
    ///
    /// # Panics
    ///
    /// When it cannot be copied, as where somebody is still connected to it.
    pub async fn copy(&self) -> Self {
        Self::create_of(&self.server, &format!(" TEMPLATE {}", self.name.quoted())).await
    }

    async fn create_of(server: &str, template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pbac_test_{}_{number}", std::process::id());
        let name = Identifier::new(name).expect("the name is short");
        administer(server, format!("CREATE DATABASE {}{template}", name.quoted()))
            .await
            .expect("the test database can be created");
        let text = with_database(server, name.as_str());
        let url = DatabaseUrl::from_str(&text).expect("the URL of the test server can be read");
        Self { server: server.to_owned(), name, text, url }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// The same as text, for the environment of a child process.
    #[must_use]
    pub fn url_text(&self) -> &str {
        &self.text
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &Identifier {
        &self.name
    }

    /// A new connection to it.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(self.url.options()).await.expect("the test database can be reached")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name.quoted());
        let server = self.server.clone();
        // A thread, since this may run inside a runtime, where blocking on another is forbidden.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(administer(&server, statement))
        })
        .join();
        if !thread::panicking() {
            dropped.expect("the thread ends").expect("the test database can be dropped");
        }
    }
}

/// Runs statements on a connection of their own.
///
/// # Panics
///
/// When the server refuses.
pub async fn run_sql(database: &TestDatabase, sql: &str) {
    let mut connection = database.connect().await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.expect("the connection ends");
}

/// Waits until nobody else is connected: a server ends what a dead client began when it notices.
///
/// # Panics
///
/// When somebody stays.
pub async fn settle(database: &TestDatabase) {
    let mut connection = database.connect().await;
    let began = Instant::now();
    loop {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .fetch_one(&mut connection)
        .await
        .expect("the server answers");
        if others == 0 {
            return connection.close().await.expect("the connection ends");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{others} connections stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The URL of a database that is always there, on the server that the tests of this process use.
///
/// # Panics
///
/// When a private server is needed and cannot be started.
pub fn server_url() -> String {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    std::env::var(TEST_DATABASE_URL).unwrap_or_else(|_| {
        let start = || Cluster::start(&ClusterOptions::default()).unwrap_or_else(|error| panic!("{error}"));
        CLUSTER.get_or_init(start).url("postgres")
    })
}

fn with_database(url: &str, database: &str) -> String {
    let mut url = Url::parse(url).expect("the URL of the test server can be read");
    url.set_path(database);
    url.into()
}

async fn administer(server: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

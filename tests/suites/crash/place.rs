//! A server and databases on it: the one that the tests share, or one that may be crashed.

use std::time::{Duration, Instant};

use pbac_tests::crashing_server::CrashingServer;
use pbac_tests::database::{TestDatabase, server_url};
use sqlx::{AssertSqlSafe, Connection};

/// Where databases are made.
pub struct Place {
    url: String,
    server: Option<CrashingServer>,
}

impl Place {
    pub fn shared() -> Self {
        Self { url: server_url(), server: None }
    }

    pub fn of_its_own() -> Self {
        let server = CrashingServer::start();
        Self { url: server.url().to_owned(), server: Some(server) }
    }

    pub fn server(&mut self) -> &mut CrashingServer {
        self.server.as_mut().expect("a server that may be crashed")
    }

    pub async fn create(&self) -> TestDatabase {
        TestDatabase::create_on(&self.url).await
    }
}

/// Runs statements on a connection of their own.
pub async fn run_sql(database: &TestDatabase, sql: &str) {
    let mut connection = database.connect().await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Waits until nobody else is connected: a server ends what a dead client began when it notices.
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
        .unwrap();
        if others == 0 {
            return connection.close().await.unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{others} connections stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

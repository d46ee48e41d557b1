//! A server and databases on it: the one that the tests share, or one that may be crashed.

use pbac_tests::crashing_server::CrashingServer;
use pbac_tests::database::{TestDatabase, server_url};
pub use pbac_tests::database::{run_sql, settle};

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

//! The whole job on a throwaway database: what `pbac demo` shows.
//!
//! Every step but the first two is the command that a person would type, run as a process of its own against the
//! private server, so that what the demo shows is what its reader gets.

mod cast;
mod legacy;
mod script;
mod stage;

pub use cast::Cast;
pub use legacy::LegacySize;
pub use script::{Scene, script};
pub use stage::{Performed, Stage};

use sqlx::{Connection, PgConnection};

use crate::error::HostError;

/// The policy, the endpoint rules and the legacy database that the demo migrates: `examples/erp`.
pub mod files {
    /// The policy of the application.
    pub const POLICY: &str = include_str!("../../../examples/erp/policy.toml");
    /// Its legacy endpoint rules.
    pub const ENDPOINTS: &str = include_str!("../../../examples/erp/endpoints.toml");
    /// Its legacy database, and the people in it.
    pub const LEGACY: &str = include_str!("../../../examples/erp/legacy.sql");
}

/// A connection to the demo's database.
pub(crate) async fn open(url: &str) -> Result<PgConnection, HostError> {
    PgConnection::connect(url).await.map_err(|error| unexpected(&error))
}

/// The private server did not do what it always does.
pub(crate) fn unexpected(error: &sqlx::Error) -> HostError {
    HostError::failed(format_args!("the private PostgreSQL server: {error}"))
}

//! What pbac stands on: a connection to PostgreSQL, locks, names, and a private server where there is none.

pub mod audit;
mod binaries;
mod cluster;
mod connect;
mod database_url;
mod identifier;
pub mod ledger;
mod lock;
mod moment;
pub mod policy_store;
mod refusal;
mod retry;
pub mod schema;
pub mod source_functions;
pub mod transaction;
mod work;

pub use binaries::{Binaries, BinariesError, PG_BIN};
pub use cluster::{Cluster, ClusterError, ClusterOptions, KeptCluster};
pub use connect::{
    ConnectError, ConnectErrorKind, ConnectSettings, OLDEST_SERVER, Server, SessionLimits, connect,
    session_user,
};
pub use database_url::{APPLICATION_NAME, DatabaseUrl, DatabaseUrlError};
pub use identifier::{Identifier, IdentifierError, IdentifierErrorKind, MAX_IDENTIFIER_BYTES, QualifiedName};
pub use lock::{Holder, LockError, SchemaLock, lock_key};
pub(crate) use lock::{advisory_key, is_held};
pub(crate) use moment::Moment;
pub use refusal::{REFUSAL_HELP, refusal_help};
pub use retry::{LOCK_NOT_AVAILABLE, RetryError, RetryPolicy, SqlState, retry_when_locked};
pub use work::{mark_work, was_committed, work_key};

//! What pbac stands on: a connection to PostgreSQL, locks, names, and a private server where there is none.

mod binaries;
mod cluster;
mod connect;
mod database_url;
mod identifier;
mod lock;
mod retry;

pub use binaries::{Binaries, BinariesError, PG_BIN};
pub use cluster::{Cluster, ClusterError, ClusterOptions, KeptCluster};
pub use connect::{
    ConnectError, ConnectErrorKind, ConnectSettings, OLDEST_SERVER, Server, SessionLimits, connect,
    shares_backends,
};
pub use database_url::{APPLICATION_NAME, DatabaseUrl, DatabaseUrlError};
pub use identifier::{Identifier, IdentifierError, IdentifierErrorKind, MAX_IDENTIFIER_BYTES, QualifiedName};
pub use lock::{Holder, LockError, SchemaLock, lock_key};
pub use retry::{LOCK_NOT_AVAILABLE, RetryError, RetryPolicy, SqlState, retry_when_locked};

//! The signing keys of an application: where they are kept, what a rotation does to them, and how processes learn of it.
//!
//! What a history of keys means is in [`policy_core::keys`]. Here are the secrets, the stores (a `.env` file, or the table
//! `signing_keys`), the reports, and [`LiveKeys`] for applications.

mod env_store;
mod export;
mod key_set;
mod live;
mod material;
mod memory;
mod operation;
pub mod postgres_store;
mod report;
mod settings;
mod store;

pub use env_store::{EnvNames, EnvStore};
pub use export::{Jwks, RingFile, jwks, ring_file};
pub use key_set::{KeySet, KeySetError, RefusedKey};
pub use live::{LiveKeys, Reload};
pub use material::{KeyMaterial, MaterialError};
pub use memory::forbid_core_dumps;
pub use operation::{Operation, Planned};
pub use report::{ReportedEvent, ReportedKey, RotationReport};
pub(crate) use settings::parse_span;
pub use settings::{KeySettings, StoreKind};
pub use store::{Applied, Applying, Store};

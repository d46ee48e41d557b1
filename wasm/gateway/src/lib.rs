//! A proxy-wasm filter that guards an API: who asks (a token), what for (the route table), and whether the policy lets
//! them. README.md beside this crate says how a proxy is told to use it.
//!
//! Everything that decides is here without the proxy: [`Gateway::judge`] takes a request's headers and a moment and says what
//! becomes of it. Only `filter`, which exists in WebAssembly alone, calls the proxy.

mod answer;
mod config;
mod counters;
mod gateway;
mod identity;
mod judge;
mod live;
mod published;
mod request;
mod settings;

#[cfg(target_arch = "wasm32")]
mod filter;

pub use answer::Answer;
pub use config::{Config, ConfigError, Mode, Refresh, RoleSource, Source};
pub use counters::{Counter, hash_number};
pub use gateway::Gateway;
pub use identity::{IDENTITY_HEADERS, Identity};
pub use judge::{Denial, Kind, Verdict};
pub use live::{LivePolicy, LoadError};
pub use published::{Freshness, Published};
pub use request::{Request, Unusable, spoofed};
pub use settings::{LiveSettings, MAX_SETTINGS_BYTES};

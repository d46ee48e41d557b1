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
mod request;

#[cfg(target_arch = "wasm32")]
mod filter;

pub use answer::Answer;
pub use config::{Config, ConfigError, Mode, Refresh, RoleSource};
pub use counters::{Counter, hash_number};
pub use gateway::Gateway;
pub use identity::{IDENTITY_HEADERS, Identity};
pub use judge::{Denial, Kind, Verdict};
pub use live::{LivePolicy, LoadError};
pub use request::{Request, Unusable, spoofed};

//! What the suites share: the oracles that every way to evaluate is held to, worlds in plain strings, their generator,
//! the cases that are kept as data, and whatever else ours is held to.

pub mod binary;
pub mod cases;
pub mod compose_env;
pub mod convert;
pub mod counting;
pub mod crashing_server;
pub mod database;
pub mod dump;
pub mod env_loaders;
pub mod env_stepper;
pub mod envoy;
pub mod fleet;
pub mod generate;
pub mod http;
pub mod key_cases;
pub mod key_line;
pub mod key_oracle;
pub mod key_stepper;
pub mod numbers;
pub mod oracle;
pub mod oracle_reports;
pub mod picture;
pub mod pooler;
pub mod python;
pub mod round_trip;
pub mod shrink;
pub mod site;
pub mod standby;
pub mod stepper;
pub mod token_cases;
pub mod token_oracle;
pub mod tokens;
pub mod traffic;
pub mod world;

//! Takes an application from hard-coded roles to permissions, and back: everything behind the `pbac` command.

pub mod access_diff;
pub mod cli;
pub mod command;
pub mod config;
pub mod context;
pub mod delegation;
pub mod demo;
pub mod endpoints;
pub mod env_file;
pub mod error;
pub mod exit;
mod held_lock;
pub mod inspect;
pub mod interrupt;
pub mod keys;
pub mod legacy;
pub mod migrate;
pub mod policy_file;
pub mod postgres;
pub mod python;
pub mod report;
pub mod schedule;
pub mod shadow;
pub mod subprocess;
pub mod token;
pub mod toml_file;
#[cfg(feature = "wasm")]
pub mod wasm;

//! The workload that every path answers, and the peers beside them.
//!
//! A path is timed only after it gave the same answer as all others to every question of the stream: see
//! [`Workload::assert_answers`].

mod peers;
mod workload;

pub use peers::{NameSets, RolePatterns};
pub use workload::{Question, Workload};

//! The workload that every path answers, and the peers beside them; the tokens that every path verifies.
//!
//! A path is timed only after it gave the same answer as all others to every question of the stream: see
//! [`Workload::assert_answers`].

mod peers;
mod stream;
mod tokens;
mod workload;

pub use peers::{NameSets, RolePatterns};
pub use stream::stream;
pub use tokens::{Claims, KEYS, Tokens};
pub use workload::{Question, Workload};

//! Tokens for applications: signed through jsonwebtoken, verified with the ring of [`policy_core::token`].

mod issue;
mod probe;

pub use issue::{IssueError, NewToken, UserId, issue};
pub use probe::probe;

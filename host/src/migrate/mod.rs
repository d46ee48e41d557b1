//! From roles to permissions: what is there, what would be done, doing it, and checking it.

pub mod preflight;
pub mod state;

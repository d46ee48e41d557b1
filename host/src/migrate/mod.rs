//! From roles to permissions: what is there, what would be done, doing it, and checking it.

mod access_findings;
pub mod after_checks;
pub mod apply;
pub mod backup;
pub mod breaches;
pub mod changes;
pub mod dependents;
mod drop;
pub mod earlier;
pub mod fault;
pub mod legacy_check;
pub mod owned;
mod park;
pub mod plan;
pub mod preflight;
pub mod restore;
pub mod rollback;
pub mod state;
pub mod status;
pub mod step;
mod table_lock;
mod tables;
pub mod undo_error;
pub mod undo_session;
pub mod validate;

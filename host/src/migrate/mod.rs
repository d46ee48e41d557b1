//! From roles to permissions: what is there, what would be done, doing it, and checking it.

pub mod after_checks;
pub mod backup;
pub mod dependents;
mod drop;
pub mod legacy_check;
pub mod owned;
mod park;
pub mod preflight;
pub mod restore;
pub mod rollback;
pub mod state;
mod table_lock;
pub mod undo_error;
pub mod undo_session;
pub mod apply;
pub mod changes;
pub mod fault;
pub mod plan;
pub mod status;
pub mod step;
mod tables;
pub mod validate;

//! The way forward, held against a real server: the policy is in force afterwards, or nothing has changed but the
//! audit log.

#[path = "migrate/command.rs"]
mod command;
#[path = "migrate/drift.rs"]
mod drift;
#[path = "migrate/erp.rs"]
mod erp;
#[path = "migrate/failures.rs"]
mod failures;
#[path = "migrate/others.rs"]
mod others;
#[path = "migrate/refusals.rs"]
mod refusals;
#[path = "migrate/text.rs"]
mod text;
#[path = "migrate/world.rs"]
mod world;

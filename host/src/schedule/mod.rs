//! Signing keys rotated when they are due, without anybody thinking of it: a systemd timer, or a line of a crontab, that
//! runs every day and does nothing on most of them.
//!
//! What runs is `pbac schedule run` ([`run`]): `pbac keys rotate --if-due`, then the restart that lets running processes
//! take the new key, then the figures for Prometheus, and an alert where something failed.

pub mod change;
mod checks;
mod commands;
pub mod crontab;
mod error;
mod finding;
mod job;
mod machine;
pub mod metrics;
mod pending;
pub mod run;
pub mod status;
pub mod systemd;

pub use checks::check;
pub use error::ScheduleError;
pub use finding::{Finding, FindingCode};
pub use job::{JOB_PATH, Job, KeyPlaces, ScheduleName};
pub use machine::{Machine, Target};

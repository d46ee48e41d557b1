//! Nobody notices: which locks a migration and its way back take, through what they work, and with which rights.

#[path = "downtime/locks.rs"]
mod locks;
#[path = "downtime/pooler.rs"]
mod pooler;
#[path = "downtime/preflight.rs"]
mod preflight;
#[path = "downtime/traffic.rs"]
mod traffic;

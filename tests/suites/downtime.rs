//! Nobody notices: which locks a migration and its way back take, through what they work, and with which rights.

#[path = "downtime/disk.rs"]
mod disk;
#[path = "downtime/locks.rs"]
mod locks;
#[path = "downtime/pooler.rs"]
mod pooler;
#[path = "downtime/preflight.rs"]
mod preflight;
#[path = "downtime/replica.rs"]
mod replica;
#[path = "downtime/rights.rs"]
mod rights;
#[path = "downtime/traffic.rs"]
mod traffic;

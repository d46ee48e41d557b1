//! Keys in the database, held against a real server: what a change does, that it is whole, who may see what, and that no
//! copy of the database holds a key.

#[path = "keys_postgres/backups.rs"]
mod backups;
#[path = "keys_postgres/bench.rs"]
mod bench;
#[path = "keys_postgres/ended.rs"]
mod ended;
#[path = "keys_postgres/lifecycle.rs"]
mod lifecycle;
#[path = "keys_postgres/notified.rs"]
mod notified;
#[path = "keys_postgres/rights.rs"]
mod rights;
#[path = "keys_postgres/sealed.rs"]
mod sealed;
#[path = "keys_postgres/together.rs"]
mod together;

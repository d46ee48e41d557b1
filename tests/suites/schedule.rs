//! The schedule of rotations: what is written into units and crontabs, that everything else in them stays, what a run
//! does, and that nothing about it is lost or said twice.

#[path = "schedule/command.rs"]
mod command;
#[path = "schedule/crontab.rs"]
mod crontab;
#[path = "schedule/place.rs"]
mod place;
#[path = "schedule/runs.rs"]
mod runs;
#[path = "schedule/systemd.rs"]
mod systemd;

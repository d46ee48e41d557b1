//! The targets' functions and the oracle that they ask, without the rest of `pbac-tests`: it would bring runtimes along that are
//! not what is looked at here.

#[path = "../src/fuzz.rs"]
pub mod fuzz;
#[path = "../src/oracle.rs"]
pub mod oracle;
#[path = "../src/world.rs"]
pub mod world;

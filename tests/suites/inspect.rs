//! `pbac init` on real databases: what it says and writes about the schema of every framework, word for word; that the
//! drafts migrate and give every user what the framework gave; the plain shapes; and where it stops.

#[path = "inspect/frameworks.rs"]
mod frameworks;
#[path = "inspect/shapes.rs"]
mod shapes;
#[path = "inspect/stops.rs"]
mod stops;
#[path = "inspect/world.rs"]
mod world;

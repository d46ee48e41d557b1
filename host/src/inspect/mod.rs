//! What `pbac init` does with a database: looks at it, says what it found and why, and drafts a policy. It never writes to
//! the database, and what it concludes without proof it says to be a guess.

mod database;
mod notes;
mod presets;

pub use database::{Column, ColumnKind, Database, ForeignKey, Table};
pub use notes::{CHOICES, Notes, Remark, RemarkKind};
pub use presets::Preset;

//! `.env` files: read as every common loader reads them, edited byte by byte, replaced whole or not at all.
//!
//! [`EnvText`] is the text, [`read`] takes it from a file, and [`LockedEnvFile`] is the file while nobody else may change
//! it. What the variables mean is not known here.
//!
//! **Which values are read.** There is no standard, and which loader an application uses cannot be known here. So a value
//! is read only where python-dotenv, Node's `--env-file`, Docker Compose and `sh` agree on it; where one of them would
//! see another value without a word, the line is named and what to write instead is said. A loader that does not see the
//! variable at all is not the application's, so that blanks around `=` (which `sh` takes for a command) or a byte order
//! mark in front of the name are no fault. `sh` takes the CR of a CRLF line for a part of the value; such a file is no
//! shell's, and is read as the other three do.

mod backup;
mod edit;
mod entry;
mod error;
mod fresh;
mod locked;
mod lookup;
mod meaning;
mod mount;
mod place;
mod step;
mod text;
mod text_error;

pub use error::{Cause, EnvFileError, ReplaceError};
pub use locked::{LockedEnvFile, ModeChange};
pub use mount::MountedElsewhere;
pub use place::read;
pub use step::Step;
pub use text::{EnvText, MAX_BYTES};
pub use text_error::{EnvTextError, Unclear};

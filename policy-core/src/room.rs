//! How much memory reading a policy may take, asked before it is taken.

use crate::error::LimitError;

/// Whether there is room for so many bytes more: asked before they are allocated, by whoever must not fail half-way. The bytes are an
/// upper bound for what is allocated until the next question, old forms that still have to be freed among them.
pub type Room<'r> = &'r dyn Fn(u64) -> Result<(), LimitError>;

/// There is always room: where running out of it is the operating system's business.
pub(crate) fn unlimited(_: u64) -> Result<(), LimitError> {
    Ok(())
}

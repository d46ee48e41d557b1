//! Why the module gave no answer.

/// Why the module gave no answer. Whoever asked has to deny.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WasmError {
    /// The runtime does not take the module, or has no room for an instance.
    #[error("the module cannot be run: {0}")]
    Module(String),
    /// The module does not export what it should.
    #[error("the module is none of pbac's: {0}")]
    NotOurs(String),
    /// It speaks another ABI.
    #[error("the module speaks version {0} of the ABI, and version {spoken} is spoken here", spoken = super::ABI_VERSION)]
    OtherAbi(u32),
    /// The module refused what it was given.
    #[error("{message} (code {code})")]
    Refused {
        /// The code (`wasm/ABI.md`, "Error codes").
        code: i32,
        /// The module's words for it.
        message: String,
    },
    /// What was given has more bytes than the module can be told of.
    #[error("{0} bytes are more than a module can take")]
    TooLong(usize),
    /// The call did not come to its end: it ran out of fuel, or the module has a fault. The instance is of no use any more.
    #[error("the module did not come to an end: {0}")]
    Trap(String),
    /// The instance has trapped before.
    #[error("the instance is of no use since a call in it did not come to an end; make a new one")]
    Broken,
    /// The module answered what its ABI does not say.
    #[error("the module answered what its ABI does not say: {0}")]
    BadAnswer(String),
}

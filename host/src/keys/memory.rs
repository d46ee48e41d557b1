//! Where the memory of a process that holds keys may go.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Keeps the memory of this process out of core files, for as long as it runs and for the programs it starts. The commands
/// that read keys call it first; an application that keeps signing keys in memory does well to do the same.
///
/// A process that was told to leave core files again, or whose memory root reads, is none of its business.
pub fn forbid_core_dumps() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    // Lowering it is always allowed.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
}

//! The limit that the host sets.

use core::sync::atomic::{AtomicUsize, Ordering};
use pbac_wasm::Limit;

static MAX_BYTES: AtomicUsize = AtomicUsize::new(Limit::DEFAULT.0);

/// The limit that holds now.
pub(crate) fn limit() -> Limit {
    Limit(MAX_BYTES.load(Ordering::Relaxed))
}

/// Sets it.
pub(crate) fn set_limit(max_bytes: u32) {
    MAX_BYTES.store(usize::try_from(max_bytes).unwrap_or(usize::MAX), Ordering::Relaxed);
}

/// What is said where an error is a text.
pub(crate) const OUT_OF_MEMORY: &str = "there is no memory for it within the limit";

//! A global allocator that counts, thread by thread, for the suites that bound what an answer or a hostile input may allocate.
//!
//! A suite installs it with `#[global_allocator] static COUNTING: Counting = Counting;`. It is the one place of the tests that
//! needs `unsafe`: the trait asks for it, and every call is passed on unchanged.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator with counters.
#[derive(Debug)]
pub struct Counting;

/// What a piece of work asked of the allocator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// How often it asked for memory, growing included.
    pub allocations: u64,
    /// The most bytes that it held at one time.
    pub peak_bytes: i64,
    live_bytes: i64,
}

thread_local! {
    static USAGE: Cell<Usage> = const { Cell::new(Usage { allocations: 0, peak_bytes: 0, live_bytes: 0 }) };
}

/// Does the work and says what this thread allocated for it.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Usage) {
    USAGE.set(Usage::default());
    let result = work();
    (result, USAGE.get())
}

fn count(allocations: u64, bytes: i64) {
    let mut usage = USAGE.get();
    usage.allocations += allocations;
    usage.live_bytes += bytes;
    usage.peak_bytes = usage.peak_bytes.max(usage.live_bytes);
    USAGE.set(usage);
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// SAFETY: every method passes its arguments on to the system's allocator and returns what that returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        unsafe { System.realloc(block, layout, size) }
    }
}

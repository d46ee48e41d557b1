//! How much memory is in use, and whether more may be.
//!
//! The limit is asked before memory is taken and not while it is: an allocation that fails half-way would be a trap. So
//! every call that takes more than a few words reckons first what it could take at most.

use crate::code::Code;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are allocated through a [`Counting`] allocator.
static USED: AtomicUsize = AtomicUsize::new(0);

/// An allocator that counts what is in use. The module's own; a test that wants to see limits at work makes it the process's.
#[derive(Debug)]
pub struct Counting<A>(pub A);

#[expect(unsafe_code, reason = "an allocator is unsafe to call, whoever passes calls on to it included")]
// SAFETY: every call is passed on as it came to an allocator that keeps the contract; counting allocates nothing.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        let pointer = unsafe { self.0.alloc(layout) };
        if !pointer.is_null() {
            USED.fetch_add(layout.size(), Ordering::Relaxed);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        let pointer = unsafe { self.0.alloc_zeroed(layout) };
        if !pointer.is_null() {
            USED.fetch_add(layout.size(), Ordering::Relaxed);
        }
        pointer
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        let moved = unsafe { self.0.realloc(pointer, layout, size) };
        if !moved.is_null() {
            USED.fetch_sub(layout.size(), Ordering::Relaxed);
            USED.fetch_add(size, Ordering::Relaxed);
        }
        moved
    }
}

/// How many bytes are in use.
#[must_use]
pub fn used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// The most that may be in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) usize);

impl Limit {
    /// Without one from the host: 64 MiB.
    pub(crate) const DEFAULT: Self = Self(64 << 20);

    /// Whether so many bytes more may be taken, and can be: the host may let the memory grow less than the limit is. What it once let
    /// grow stays, so whatever is allocated after this finds its place.
    pub(crate) fn room(self, bytes: u64) -> Result<(), Code> {
        let wanted = usize::try_from(bytes).ok().and_then(|bytes| Some((bytes, used().checked_add(bytes)?)));
        let Some((bytes, _)) = wanted.filter(|&(_, all)| all <= self.0) else {
            return Err(Code::OutOfMemory);
        };
        let mut trial = Vec::<u8>::new();
        let found = trial.try_reserve_exact(bytes);
        // An allocation that nobody looks at might be left out.
        black_box(&trial);
        found.map_err(|_| Code::OutOfMemory)
    }
}

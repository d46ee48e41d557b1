//! How much memory is in use, and whether more may be.
//!
//! The limit is asked before memory is taken and not while it is: an allocation that fails half-way would be a trap. So
//! every call that takes more than a few words reckons first what it could take at most.

use crate::code::Code;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use policy_core::token::MAX_TOKEN_BYTES;
use policy_core::{BundleError, Index, LimitError};

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

/// The most that may be in use, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limit(pub usize);

impl Limit {
    /// Without one from the host: 64 MiB.
    pub const DEFAULT: Self = Self(64 << 20);

    /// Whether so many bytes more may be taken, and can be: the host may let the memory grow less than the limit is. What it once let
    /// grow stays, so whatever is allocated after this finds its place.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfMemory`] when not.
    pub fn room(self, bytes: u64) -> Result<(), Code> {
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

    /// Reads a bundle within the limit.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfMemory`] without a reason, [`Code::BadBundle`] with it.
    pub fn read_bundle(self, bytes: &[u8]) -> Result<Index, (Code, Option<BundleError>)> {
        let full = Cell::new(false);
        let room = |bytes: u64| {
            self.room(bytes).map_err(|_| {
                full.set(true);
                LimitError { limit: "bytes of memory", max: self.0 as u64, value: bytes }
            })
        };
        Index::from_bundle_within(bytes, &room).map_err(|error| {
            if full.get() { (Code::OutOfMemory, None) } else { (Code::BadBundle, Some(error)) }
        })
    }
}

/// What resolving a session over so many permissions may take in bytes: its set, and another one to make it.
#[must_use]
pub const fn of_session(permissions: usize) -> u64 {
    (permissions as u64 / 8).saturating_add(64).saturating_mul(3)
}

/// What the holders of a permission may take: two lists that grow by doubling.
#[must_use]
pub fn of_holders(index: &Index) -> u64 {
    let names = index.user_ids().len().saturating_add(index.role_names().len());
    (names as u64).saturating_mul(size_of::<[&str; 3]>() as u64)
}

/// What a key ring of a document of so many bytes may take: a byte may become values of members that are not there, in a list that
/// grows, for `{},`.
#[must_use]
pub const fn of_ring(document: usize) -> u64 {
    (document as u64).saturating_mul(320).saturating_add(4096)
}

/// What verifying a token of so many bytes may take: a byte may become lists of claims that grow, of short texts with escapes.
#[must_use]
pub fn of_token(token: usize) -> u64 {
    (token.min(MAX_TOKEN_BYTES) as u64).saturating_mul(96).saturating_add(4096)
}

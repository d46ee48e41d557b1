//! The two buffers between host and module.

use crate::code::Code;
use crate::memory::Limit;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use policy_core::Roles;
use zeroize::Zeroize;

/// What the host writes and the module reads.
#[derive(Default)]
pub(crate) struct Input(Vec<u8>);

impl Input {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes the buffer at least so long. Of what was in it nothing is left where it moves.
    pub(crate) fn reserve(&mut self, length: usize, limit: Limit) -> Result<&mut [u8], Code> {
        if length > self.0.len() {
            limit.room(length as u64)?;
            self.0.zeroize();
            self.0 = vec![0; length];
        }
        Ok(&mut self.0)
    }

    pub(crate) fn release(&mut self) {
        self.0.zeroize();
        self.0 = Vec::new();
    }

    /// Wipes what a call took for its first argument, as far as there is so much.
    pub(crate) fn wipe(&mut self, length: i32) {
        let length = usize::try_from(length).unwrap_or(0).min(self.0.len());
        self.0.iter_mut().take(length).for_each(Zeroize::zeroize);
    }

    /// The arguments of one call, from the beginning.
    pub(crate) const fn arguments(&self) -> Arguments<'_> {
        Arguments(self.0.as_slice())
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// What of the input buffer no argument was taken from yet.
pub(crate) struct Arguments<'i>(&'i [u8]);

impl<'i> Arguments<'i> {
    /// The next argument, of so many bytes.
    #[inline(always)]
    pub(crate) fn bytes(&mut self, length: i32) -> Result<&'i [u8], Code> {
        let length = usize::try_from(length).map_err(|_| Code::BadLength)?;
        let (argument, rest) = self.0.split_at_checked(length).ok_or(Code::BadLength)?;
        self.0 = rest;
        Ok(argument)
    }

    /// The next argument, which is a text.
    #[inline(always)]
    pub(crate) fn text(&mut self, length: i32) -> Result<&'i str, Code> {
        text(self.bytes(length)?)
    }

    /// The next argument, which is a list.
    pub(crate) fn list(&mut self, length: i32) -> Result<List<'i>, Code> {
        List::new(self.bytes(length)?)
    }

    /// The next argument, which is a list of roles, or, where the length is -1, none: those that the policy stores.
    pub(crate) fn roles(&mut self, length: i32) -> Result<Option<List<'i>>, Code> {
        if length == -1 { Ok(None) } else { self.list(length).map(Some) }
    }
}

/// The items of a list, which are known to add up to it.
#[derive(Clone, Copy)]
pub(crate) struct List<'i> {
    bytes: &'i [u8],
    pub(crate) length: usize,
}

impl<'i> List<'i> {
    fn new(bytes: &'i [u8]) -> Result<Self, Code> {
        let mut rest = bytes;
        let mut length = 0_usize;
        while !rest.is_empty() {
            (_, rest) = split(rest).ok_or(Code::BadList)?;
            length = length.saturating_add(1);
        }
        Ok(Self { bytes, length })
    }

    pub(crate) fn items(self) -> impl Iterator<Item = &'i [u8]> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (item, after) = split(rest)?;
            rest = after;
            Some(item)
        })
    }
}

/// The first item of a list, and the others.
#[inline]
fn split(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = list.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// How many roles are named without an allocation.
const FEW: usize = 32;

/// Calls `ask` with the roles that a call names.
#[inline(always)]
pub(crate) fn with_roles<R>(
    roles: Option<List<'_>>,
    limit: Limit,
    ask: impl FnOnce(Roles<'_>) -> R,
) -> Result<R, Code> {
    let Some(list) = roles else { return Ok(ask(Roles::Stored)) };
    let mut few = [""; FEW];
    let mut many = Vec::new();
    let names = match few.get_mut(..list.length) {
        Some(few) => few,
        None => {
            limit.room((size_of::<&str>() as u64).saturating_mul(list.length as u64))?;
            many.resize(list.length, "");
            many.as_mut_slice()
        }
    };
    for (name, item) in names.iter_mut().zip(list.items()) {
        *name = text(item)?;
    }
    Ok(ask(Roles::Named(names)))
}

#[inline]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Code> {
    core::str::from_utf8(bytes).map_err(|_| Code::BadText)
}

/// What the module writes and the host reads.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    limit: usize,
}

impl Output {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), limit: 0 }
    }

    /// Begins a new output, for which no more memory is taken than the limit lets.
    pub(crate) fn begin(&mut self, limit: Limit) -> &mut Self {
        self.bytes.clear();
        self.limit = limit.0;
        self
    }

    pub(crate) fn release(&mut self) {
        self.bytes = Vec::new();
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length, as calls answer it.
    pub(crate) fn length(&self) -> i32 {
        i32::try_from(self.bytes.len()).unwrap_or(i32::MAX)
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Code> {
        let free = self.bytes.capacity().saturating_sub(self.bytes.len());
        if free < bytes.len() {
            let grown = self.bytes.len().saturating_add(bytes.len()).saturating_mul(2).max(MIN_OUTPUT);
            // Lengths are signed, and it may lie in memory twice while it grows.
            if i32::try_from(grown).is_err() || crate::memory::used().saturating_add(grown) > self.limit {
                return Err(Code::OutOfMemory);
            }
            let more = grown.saturating_sub(self.bytes.len());
            self.bytes.try_reserve_exact(more).map_err(|_| Code::OutOfMemory)?;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes names one below the other.
    pub(crate) fn lines<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> Result<i32, Code> {
        let mut count = 0_i32;
        for name in names {
            if count > 0 {
                self.push(b"\n")?;
            }
            self.push(name.as_bytes())?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// Leaves nothing of an output that was not finished.
    pub(crate) fn finish<T>(&mut self, result: Result<T, Code>) -> Result<T, Code> {
        if result.is_err() {
            self.bytes.clear();
        }
        result
    }
}

/// What an output takes at least, so that short ones never make it grow.
const MIN_OUTPUT: usize = 256;

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

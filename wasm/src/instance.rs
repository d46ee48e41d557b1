//! What one instance of the module holds, and how the host reaches it.

mod policies;
mod questions;
mod rings;
mod sessions;

use crate::buffer::{Input, Output};
use crate::code::{Code, describe};
use crate::memory::{self, Limit};
use crate::slots::Slots;
use alloc::boxed::Box;
use policies::Loaded;
use policy_core::token::{KeyRing, TokenBuffer};
pub use questions::Subject;
use sessions::OpenSession;

/// All that the exported functions work on. Each of them is a method here, with the same numbers, so that what a host
/// can do to the module can be tried without one; what they take and answer says `ABI.md`.
pub struct Instance {
    input: Input,
    output: Output,
    objects: Slots<Object>,
    limit: Limit,
    /// Room for a token's parts, used again for each.
    token: Option<Box<TokenBuffer>>,
}

/// What a handle stands for.
enum Object {
    Policy(Box<Loaded>),
    Session(OpenSession),
    Ring(Box<KeyRing>),
}

impl Instance {
    /// One that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            input: Input::new(),
            output: Output::new(),
            objects: Slots::new(),
            limit: Limit::DEFAULT,
            token: None,
        }
    }

    /// `pbac_init`
    pub fn init(&mut self, max_bytes: u32) -> i32 {
        let limit = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        if memory::used() > limit {
            return Code::OutOfMemory.number();
        }
        self.limit = Limit(limit);
        0
    }

    /// `pbac_input`, with the buffer itself where that has an address; `None` when there is not so much memory.
    pub fn reserve_input(&mut self, length: u32) -> Option<&mut [u8]> {
        self.input.reserve(usize::try_from(length).ok()?, self.limit).ok()
    }

    /// The input buffer as it is.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn input(&mut self) -> &mut [u8] {
        self.input.bytes_mut()
    }

    /// `pbac_output` and `pbac_output_length`
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// `pbac_trim`
    pub fn trim(&mut self) -> i32 {
        self.input.release();
        self.output.release();
        self.token = None;
        0
    }

    /// `pbac_describe`
    pub fn describe(&mut self, code: i32) -> i32 {
        let output = self.output.begin(self.limit);
        let pushed = output.push(describe(code).as_bytes());
        flat(pushed.map(|()| output.length()))
    }

    /// `pbac_free`
    pub fn free(&mut self, handle: i32) -> i32 {
        let freed = self.objects.remove(handle).map(|object| {
            if matches!(object, Object::Policy(_)) {
                self.close_sessions(handle);
            }
            0
        });
        flat(freed)
    }

    fn close_sessions(&mut self, policy: i32) {
        let of_policy =
            |object: &Object| matches!(object, Object::Session(session) if session.policy == policy);
        self.objects.remove_where(of_policy);
    }
}

impl Default for Instance {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Instance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Instance")
    }
}

/// A result as the one number that crosses.
fn flat(result: Result<i32, Code>) -> i32 {
    result.unwrap_or_else(Code::number)
}

//! The policy core as a WebAssembly module that imports nothing. `ABI.md` says how a host uses it.
//!
//! [`Instance`] has all that the module does, and is plain Rust: in the workspace it is an ordinary library, and its tests run without a
//! WebAssembly runtime. For the target `exports` makes functions of it, and the module brings the allocator and the panic
//! handler that no host provides.
#![no_std]

extern crate alloc;

mod buffer;
mod code;
#[cfg(all(target_arch = "wasm32", feature = "abi"))]
mod exports;
mod instance;
mod json;
mod memory;
mod numbers;
mod slots;

pub use code::{Code, describe};
pub use instance::{Instance, Subject};
pub use json::to_json;
pub use memory::{Counting, Limit, of_holders, of_ring, of_session, of_token, used};
pub use numbers::Numbers;
pub use policy_core;
/// A text or bytes that are wiped when dropped.
pub use zeroize::Zeroizing as Secret;

/// The version of the exported functions, their types and error codes: a host refuses a module that speaks another
/// one.
pub const ABI_VERSION: u32 = 1;

#[cfg(target_arch = "wasm32")]
mod bare {
    //! What std would have brought.

    #[global_allocator]
    static ALLOCATOR: crate::memory::Counting<talc::wasm::WasmDynamicTalc> =
        crate::memory::Counting(talc::wasm::new_wasm_dynamic_allocator());

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }
}

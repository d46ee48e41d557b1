//! The policy core for WebAssembly hosts. So far it carries the core and says which ABI it speaks; nothing else is
//! exported yet.
//!
//! In the workspace it is an ordinary library. `scripts/test` builds it for `wasm32-unknown-unknown` as a module, where
//! it brings the allocator and the panic handler that no host provides, so that the module imports nothing.
#![no_std]

pub use policy_core;

/// The version of the exported functions, their types and error codes: a host refuses a module that speaks another
/// one. 0 promises nothing.
pub const ABI_VERSION: u32 = 0;

/// [`ABI_VERSION`] for hosts: export `pbac_abi_version`, `() -> i32`.
#[expect(
    unsafe_code,
    reason = "an exported name must be unique in the module, which the compiler cannot check"
)]
#[unsafe(no_mangle)]
pub extern "C" fn pbac_abi_version() -> u32 {
    ABI_VERSION
}

#[cfg(target_arch = "wasm32")]
mod bare {
    //! What std would have brought.

    #[global_allocator]
    static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }
}

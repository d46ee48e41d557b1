//! The policy core as a WebAssembly component: the world `pbac:policy/policy-core` of `wit/policy.wit`, which says what each function
//! means. It imports nothing. Allocator and panic handler are those of the core module.
#![no_std]

extern crate alloc;

mod keys;
mod memory;
mod policies;

wit_bindgen::generate!({ path: "wit", world: "policy-core", std_feature });

struct Component;

export!(Component);

//! The memory of an instance: checks take none, and no load, however made, takes more than the limit while it lasts. One test a process,
//! since the process's allocator counts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what fails here is a failed test"
)]

use pbac_wasm::policy_core::{
    Effect, Label, Override, Pattern, Permission, PermissionName, Policy, PolicyParts, Role, RoleName,
    Timestamp, UserId, UserRoles, encode,
};
use pbac_wasm::{Code, Counting, Instance, Subject, used};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts as the module does, and keeps the most that was in use and how often anything was allocated.
struct Watching(Counting<System>);

static PEAK: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

fn watch() {
    PEAK.fetch_max(used(), Ordering::Relaxed);
    CALLS.fetch_add(1, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator is unsafe to call")]
// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        let pointer = unsafe { self.0.alloc(layout) };
        watch();
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { self.0.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A list that moves is there twice for a moment.
        PEAK.fetch_max(used() + size, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        let moved = unsafe { self.0.realloc(pointer, layout, size) };
        watch();
        moved
    }
}

#[global_allocator]
static WATCHING: Watching = Watching(Counting(System));

fn put(instance: &mut Instance, parts: &[&[u8]]) -> i32 {
    let all = parts.concat();
    instance.reserve_input(u32::try_from(all.len()).unwrap()).unwrap()[..all.len()].copy_from_slice(&all);
    i32::try_from(all.len()).unwrap()
}

fn role(name: &str) -> RoleName {
    RoleName::parse(name).unwrap()
}

/// Policies that are large in each way that a policy can be.
fn policies() -> Vec<(&'static str, PolicyParts)> {
    let permissions = |count: usize| -> Vec<Permission> {
        let name = |at| PermissionName::parse(&format!("p.{at}")).unwrap();
        let module = Label::parse(&"m".repeat(128)).unwrap();
        (0..count)
            .map(|at| Permission { name: name(at), module: module.clone(), description: String::new() })
            .collect()
    };
    let long = |at: usize| role(&format!("{at:0128}"));
    let users = |count: usize, each: usize| -> Vec<UserRoles> {
        let user = |at: usize| UserId::parse(&at.to_string()).unwrap();
        (0..count).map(|at| UserRoles { user: user(at), roles: (0..each).map(long).collect() }).collect()
    };
    let overrides = |count: usize| -> Vec<Override> {
        let one = |at: usize| Override {
            user: UserId::parse(&(at / 4).to_string()).unwrap(),
            effect: if at.is_multiple_of(2) { Effect::Allow } else { Effect::Deny },
            pattern: Pattern::parse(&format!("p.{at}")).unwrap(),
            expires_at: Some(Timestamp::from_micros(i64::try_from(at).unwrap())),
            reason: String::new(),
        };
        (0..count).map(one).collect()
    };
    // Each holds what all before it hold, by names of the greatest length.
    let inheriting: Vec<Role> = (0..400)
        .map(|at| Role {
            inherits: if at >= 200 { (0..200).map(long).collect() } else { Vec::new() },
            grants: vec![Pattern::parse(&format!("p.{at}*")).unwrap()],
            ..Role::named(long(at))
        })
        .collect();
    let sets: Vec<Role> = (0..500)
        .map(|at| Role {
            grants: (0..20)
                .map(|other| Pattern::parse(&format!("p.{}", at * 7 + other * 31)).unwrap())
                .collect(),
            ..Role::named(role(&at.to_string()))
        })
        .collect();
    let all = |permissions, roles, overrides, users| PolicyParts {
        permissions,
        roles,
        overrides,
        users,
        ..PolicyParts::default()
    };
    vec![
        ("permissions", all(permissions(20_000), vec![], vec![], vec![])),
        ("inheriting roles", all(permissions(500), inheriting, vec![], vec![])),
        ("sets", all(permissions(4_000), sets, vec![], vec![])),
        ("overrides", all(permissions(10), vec![], overrides(20_000), vec![])),
        ("users", all(vec![], vec![], vec![], users(20_000, 1))),
        ("users with many roles", all(vec![], vec![], vec![], users(300, 300))),
    ]
}

#[test]
fn memory_stays_within_the_limit_and_checks_take_none() {
    for (name, parts) in policies() {
        let bundle = encode(&Policy::new(parts).unwrap()).unwrap();
        let mut instance = Instance::new();
        assert_eq!(instance.init(u32::MAX), 0);
        let length = put(&mut instance, &[&bundle]);
        let mut extra = 1 << 14;
        let mut refused = 0;
        loop {
            let limit = used() + extra;
            assert_eq!(instance.init(u32::try_from(limit).unwrap()), 0);
            PEAK.store(used(), Ordering::Relaxed);
            let handle = instance.policy_load(length);
            let peak = PEAK.load(Ordering::Relaxed);
            assert!(peak <= limit, "{name}: {peak} bytes at most, {limit} allowed, {extra} of them for it");
            if handle > 0 {
                println!(
                    "{name}: bundle {length}, let in with {extra}, at most {} at once",
                    peak + extra - limit
                );
                break;
            }
            assert_eq!(handle, Code::OutOfMemory.number(), "{name}");
            refused += 1;
            extra += extra / 4;
        }
        assert!(refused > 0, "{name}");
    }

    let (_, parts) = policies().swap_remove(1);
    let bundle = encode(&Policy::new(parts).unwrap()).unwrap();
    let mut instance = Instance::new();
    let length = put(&mut instance, &[&bundle]);
    let policy = instance.policy_load(length);
    assert!(policy > 0);
    let mut list = Vec::new();
    for at in 0..32 {
        list.extend(128_u32.to_le_bytes());
        list.extend(format!("{at:0128}").into_bytes());
    }
    let roles = i32::try_from(list.len()).unwrap();
    put(&mut instance, &[b"42", &list, b"p.31"]);
    let number = {
        let mut other = Instance::new();
        let length = put(&mut other, &[&bundle]);
        let other_policy = other.policy_load(length);
        let length = put(&mut other, &[b"p.31"]);
        other.permission_id(other_policy, length)
    };
    let session = instance.session(Subject { policy, user: 2, roles }, 0);
    let before = (used(), CALLS.load(Ordering::Relaxed));
    for now in 0..10_000 {
        assert_eq!(instance.check(Subject { policy, user: 2, roles }, 4, now), 1);
        assert_eq!(instance.check_id(Subject { policy, user: 2, roles: -1 }, number, now), 0);
        assert_eq!(instance.session_check(session, number, now), 1);
    }
    assert_eq!((used(), CALLS.load(Ordering::Relaxed)), before);
}

//! The proof that policy-core needs no std. It is linked for wasm32-unknown-unknown with a panic handler and an
//! allocator of its own, so a std anywhere below it is a build error: where the target's std is installed, the
//! handler would be defined twice; where only core and alloc were built, there is none to be found.
//!
//! [`proof`] calls what a host calls, from text to answer, and says which step gave a wrong result, so that the
//! module can also be run.
#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use policy_core::{
    Decision, Effect, Grant, Index, Label, Override, Pattern, Permission, PermissionName, Policy,
    PolicyParts, Request, Role, RoleName, Roles, Timestamp, UserId, UserRoles,
};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

const ROLE: &str = "PURCHASING_HEAD";
const USER: &str = "42";

/// Builds a policy, sends it through a bundle, compiles it and asks it questions at `now` (seconds since 1970; the
/// denying override ends at 1,000). Returns 0 when every answer is the one that SPEC section 3 gives, else the
/// number of the first step that went wrong.
#[unsafe(no_mangle)]
pub extern "C" fn proof(now: u32) -> u32 {
    match run(Timestamp::from_seconds(i64::from(now)), now < 1_000) {
        Ok(()) => 0,
        Err(step) => step,
    }
}

fn run(now: Timestamp, denied: bool) -> Result<(), u32> {
    check(Pattern::parse("po.a**").err().is_some_and(|error| error.byte == 5), 1)?;
    let policy = policy().ok_or(2u32)?;
    let bundle: Vec<u8> = policy_core::encode(&policy).map_err(|_| 3u32)?;
    let policy = policy_core::decode(&bundle).map_err(|_| 4u32)?;
    check(policy_core::decode(bundle.get(1..).unwrap_or_default()).is_err(), 5)?;
    let index = Index::compile(&policy).map_err(|_| 6u32)?;

    let request = Request { user: USER, roles: Roles::Stored, permission: "po.approve", now };
    let allowed = Decision::Allow(Grant::Role { role: ROLE, pattern: "po.*" });
    check((index.decide(&request) == allowed) != denied, 7)?;
    check(index.explain(&request).decision == index.decide(&request), 8)?;
    let id = index.permission_id("po.approve").ok_or(9u32)?;
    check(index.session(USER, Roles::Stored, now).allows(id) != denied, 10)?;
    check(index.permissions_of(USER, Roles::Stored, now).contains(&"po.approve") != denied, 11)?;
    check(index.who_can("po.view", now).is_ok_and(|holders| holders.users == [USER]), 12)?;
    // The only grant gives the whole catalog.
    check(policy_core::lint(&policy).iter().map(policy_core::Lint::code).eq(["over_broad"]), 13)?;
    check(policy_core::diff(&policy, &policy, now).is_ok_and(|diff| diff.is_empty()), 14)
}

fn policy() -> Option<Policy> {
    let permission = |name| {
        Some(Permission {
            name: PermissionName::parse(name).ok()?,
            module: Label::parse("purchasing").ok()?,
            description: String::new(),
        })
    };
    let role = RoleName::parse(ROLE).ok()?;
    Policy::new(PolicyParts {
        permissions: vec![permission("po.approve")?, permission("po.view")?],
        roles: vec![Role { grants: vec![Pattern::parse("po.*").ok()?], ..Role::named(role.clone()) }],
        overrides: vec![Override {
            user: UserId::parse(USER).ok()?,
            effect: Effect::Deny,
            pattern: Pattern::parse("po.approve").ok()?,
            expires_at: Some(Timestamp::from_seconds(1_000)),
            reason: String::new(),
        }],
        users: vec![UserRoles { user: UserId::parse(USER).ok()?, roles: vec![role] }],
        ..PolicyParts::default()
    })
    .ok()
}

fn check(holds: bool, step: u32) -> Result<(), u32> {
    if holds { Ok(()) } else { Err(step) }
}

//! The functions that a host sees. `ABI.md` says what they take and answer; each passes its numbers on to [`Instance`].

use crate::ABI_VERSION;
use crate::instance::{Instance, Subject};
use core::cell::UnsafeCell;

struct Shared(UnsafeCell<Instance>);

#[expect(unsafe_code, reason = "a static has to say that threads may share it")]
// SAFETY: a module without shared memory has one thread, so nothing is ever shared.
unsafe impl Sync for Shared {}

static INSTANCE: Shared = Shared(UnsafeCell::new(Instance::new()));

/// Calls with the one instance.
#[expect(unsafe_code, reason = "the instance has to outlive the calls of the host")]
#[inline(always)]
fn with<R>(call: impl FnOnce(&mut Instance) -> R) -> R {
    // SAFETY: there is one thread, and no call comes within another: the module imports nothing it could call, and no function here
    // calls another one.
    call(unsafe { &mut *INSTANCE.0.get() })
}

/// Declares an exported function.
macro_rules! export {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty = $body:expr;)*) => {$(
        #[expect(unsafe_code, reason = "an exported name must be unique in the module, which the compiler cannot check")]
        // SAFETY: no other function of the module has this name.
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $kind),*) -> $result {
            $body
        }
    )*};
}

/// The numbers that say of whom a question is.
#[inline(always)]
const fn subject(policy: i32, user: i32, roles: i32) -> Subject {
    Subject { policy, user, roles }
}

export! {
    pbac_abi_version() -> u32 = ABI_VERSION;
    pbac_init(max_bytes: u32) -> i32 = with(|i| i.init(max_bytes));
    pbac_memory_used() -> u32 = u32::try_from(crate::memory::used()).unwrap_or(u32::MAX);
    pbac_input(length: u32) -> *mut u8 = with(|i| {
        i.reserve_input(length).map_or(core::ptr::null_mut(), <[u8]>::as_mut_ptr)
    });
    pbac_output() -> *const u8 = with(|i| i.output().as_ptr());
    pbac_output_length() -> i32 = with(|i| i32::try_from(i.output().len()).unwrap_or(i32::MAX));
    pbac_trim() -> i32 = with(Instance::trim);
    pbac_describe(code: i32) -> i32 = with(|i| i.describe(code));
    pbac_free(handle: i32) -> i32 = with(|i| i.free(handle));

    pbac_policy_load(bundle: i32) -> i32 = with(|i| i.policy_load(bundle));
    pbac_policy_replace(policy: i32, bundle: i32) -> i32 = with(|i| i.policy_replace(policy, bundle));
    pbac_policy_hash(policy: i32) -> i32 = with(|i| i.policy_hash(policy));
    pbac_permission_count(policy: i32) -> i32 = with(|i| i.permission_count(policy));
    pbac_permission_id(policy: i32, permission: i32) -> i32 = with(|i| i.permission_id(policy, permission));
    pbac_permission_name(policy: i32, permission: i32) -> i32 = with(|i| i.permission_name(policy, permission));
    pbac_catalog(policy: i32) -> i32 = with(|i| i.catalog(policy));

    pbac_check(policy: i32, user: i32, roles: i32, permission: i32, now: i64) -> i32 =
        with(|i| i.check(subject(policy, user, roles), permission, now));
    pbac_check_id(policy: i32, user: i32, roles: i32, permission: i32, now: i64) -> i32 =
        with(|i| i.check_id(subject(policy, user, roles), permission, now));
    pbac_check_batch(policy: i32, user: i32, roles: i32, permissions: i32, now: i64) -> i32 =
        with(|i| i.check_batch(subject(policy, user, roles), permissions, now));
    pbac_decide(policy: i32, user: i32, roles: i32, permission: i32, now: i64) -> i32 =
        with(|i| i.decide(subject(policy, user, roles), permission, now));
    pbac_explain(policy: i32, user: i32, roles: i32, permission: i32, now: i64) -> i32 =
        with(|i| i.explain(subject(policy, user, roles), permission, now));
    pbac_permissions(policy: i32, user: i32, roles: i32, now: i64) -> i32 =
        with(|i| i.permissions(subject(policy, user, roles), now));
    pbac_who_can(policy: i32, permission: i32, now: i64) -> i32 = with(|i| i.who_can(policy, permission, now));

    pbac_session(policy: i32, user: i32, roles: i32, now: i64) -> i32 =
        with(|i| i.session(subject(policy, user, roles), now));
    pbac_session_set(policy: i32, user: i32, roles: i32, now: i64) -> i32 =
        with(|i| i.session_set(subject(policy, user, roles), now));
    pbac_session_check(session: i32, permission: i32, now: i64) -> i32 =
        with(|i| i.session_check(session, permission, now));
    pbac_session_read(session: i32) -> i32 = with(|i| i.session_read(session));

    pbac_ring_load(ring: i32) -> i32 = with(|i| i.ring_load(ring));
    pbac_ring_replace(ring: i32, document: i32) -> i32 = with(|i| i.ring_replace(ring, document));
    pbac_ring_candidates(ring: i32, kid: i32, algorithm: i32, now: i64) -> i32 =
        with(|i| i.ring_candidates(ring, kid, algorithm, now));
    pbac_token_verify(ring: i32, token: i32, now: i64) -> i32 = with(|i| i.token_verify(ring, token, now));
}

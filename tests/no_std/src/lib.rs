//! The proof that policy-core needs no std. It is linked for wasm32-unknown-unknown with a panic handler and an
//! allocator of its own, so a std anywhere below it is a build error: where the target's std is installed, the
//! handler would be defined twice; where only core and alloc were built, there is none to be found.
//!
//! [`proof`] calls what a host calls, from text to answer, and says which step gave a wrong result, so that the
//! module can also be run. A gateway verifies tokens with the same ring: [`token_proof`] does, with base64, HMAC, JSON and
//! the wiping of secrets linked in, and its history of keys rotates, all with no clock and no randomness of its own.
#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use policy_core::keys::{Algorithm, Fresh, HmacSecret, KeyHistory, KeyId, RotationRules};
use policy_core::token::{KeyRing, TokenBuffer, TokenError, TokenRules, VerifyingKey};
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

/// A token of RFC 7515 appendix A.1 (HS256), which ends at 1,300,819,380, and its secret, 64 bytes.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const SECRET: [u8; 64] = [
    3, 35, 53, 75, 43, 15, 165, 188, 131, 126, 6, 101, 119, 123, 166, 143, 90, 179, 40, 230, 240, 84, 201,
    40, 169, 15, 132, 178, 210, 80, 46, 191, 211, 251, 90, 146, 210, 6, 71, 239, 150, 138, 180, 195, 119, 98,
    61, 34, 61, 46, 33, 114, 5, 46, 79, 8, 192, 205, 154, 245, 103, 208, 128, 163,
];

/// Makes a history of one key, then of two, and verifies a token with the older one at `now` (seconds since 1970). Returns 0 when
/// every answer is that of SPEC section 5, else the number of the first step that went wrong.
#[unsafe(no_mangle)]
pub extern "C" fn token_proof(now: u32) -> u32 {
    match verify(Timestamp::from_seconds(i64::from(now)), now < 1_300_819_380) {
        Ok(()) => 0,
        Err(step) => step,
    }
}

fn verify(now: Timestamp, valid: bool) -> Result<(), u32> {
    let fresh = |bytes| Fresh { id: KeyId::from_random([bytes; 16]), algorithm: Algorithm::Hs256 };
    let (first, second) = (fresh(1), fresh(2));
    let rules = RotationRules::document();
    let history = KeyHistory::default().rotate(&first, &rules, now, false).map_err(|_| 1u32)?;
    let history = history.history().rotate(&second, &rules, now, false).map_err(|_| 2u32)?;
    check(HmacSecret::new(&[0; 64]).is_err(), 3)?;
    let mut other = SECRET;
    other.reverse();
    let keys = [(first.id, SECRET), (second.id, other)]
        .map(|(id, secret)| Some((id, VerifyingKey::Hs256(HmacSecret::new(&secret).ok()?))));
    let keys = keys.into_iter().collect::<Option<Vec<_>>>().ok_or(4u32)?;
    let ring = KeyRing::new(history.history(), keys, TokenRules::default()).map_err(|_| 5u32)?;
    let mut buffer = TokenBuffer::default();
    let answer = ring.verify(TOKEN, now, &mut buffer);
    check(answer.as_ref().is_ok_and(|found| !found.named_key && found.claims.user_id.is_none()) == valid, 6)?;
    check(valid || answer == Err(TokenError::Expired), 7)?;
    let cut = TOKEN.get(1..).unwrap_or_default();
    check(ring.verify(cut, now, &mut buffer) == Err(TokenError::MalformedHeader), 8)
}

fn run(now: Timestamp, denied: bool) -> Result<(), u32> {
    check(Pattern::parse("po.a**").err().is_some_and(|error| error.byte == 5), 1)?;
    let policy = policy().ok_or(2u32)?;
    let bundle: Vec<u8> = policy_core::encode(&policy).map_err(|_| 3u32)?;
    let policy = policy_core::decode(&bundle).map_err(|_| 4u32)?;
    check(policy_core::decode(bundle.get(1..).unwrap_or_default()).is_err(), 5)?;
    let index = Index::from_bundle(&bundle).map_err(|_| 6u32)?;
    check(Index::compile(&policy).is_ok_and(|other| other.content_hash() == index.content_hash()), 6)?;

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

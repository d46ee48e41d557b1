//! What a module may take, bundles that come and go, and what is not a module.

use pbac::wasm::{Instance, Limits, Pool, Question, Runtime, WasmError, wasmi, wasmtime};
use pbac_tests::{convert, generate};
use policy_core::{Timestamp, encode};
use std::thread;

use super::bytes;

const NOW: Timestamp = Timestamp::from_micros(0);

/// A policy in which the user `u` may do `a.b`, or may not.
fn bundle(allowed: bool) -> Vec<u8> {
    let mut world = generate::world(&mut fastrand::Rng::with_seed(1));
    world.permissions = vec!["a.b".to_owned()];
    world.overrides = vec![pbac_tests::world::Override {
        user: "u".to_owned(),
        effect: if allowed { pbac_tests::world::Effect::Allow } else { pbac_tests::world::Effect::Deny },
        pattern: "a.b".to_owned(),
        expires_at: None,
        reason: String::new(),
    }];
    encode(&convert::policy(&world).unwrap()).unwrap()
}

const fn question() -> Question<'static> {
    Question { user: "u", roles: None, now: NOW }
}

fn a_bad_bundle_leaves_the_old_one<R: Runtime>(runtime: &R) {
    let mut instance = runtime.instance().unwrap();
    let policy = instance.load(&bundle(true)).unwrap();
    let mut broken = bundle(false);
    *broken.last_mut().unwrap() ^= 1;
    for bad in [&broken[..], b"", b"PBAC", &[0; 100]] {
        let error = instance.replace(policy, bad).unwrap_err();
        assert!(
            matches!(&error, WasmError::Refused { code: -21, message } if !message.is_empty()),
            "{error:?}"
        );
        assert!(instance.check(policy, question(), "a.b").unwrap().is_allowed());
    }
    instance.replace(policy, &bundle(false)).unwrap();
    assert!(!instance.check(policy, question(), "a.b").unwrap().is_allowed());
    instance.free(policy).unwrap();
    assert!(matches!(instance.check(policy, question(), "a.b"), Err(WasmError::Refused { code: -16, .. })));
}

#[test]
fn bad_bundles_leave_the_old_one() {
    a_bad_bundle_leaves_the_old_one(&wasmtime::Module::new(&bytes(), Limits::default()).unwrap());
    a_bad_bundle_leaves_the_old_one(&wasmi::Module::new(&bytes(), Limits::default()).unwrap());
}

fn memory_has_an_end<R: Runtime>(runtime: &R) {
    let mut instance = runtime.instance().unwrap();
    let mut loaded = 0;
    let error = loop {
        match instance.load(&bundle(true)) {
            Ok(_) => loaded += 1,
            Err(error) => break error,
        }
        assert!(loaded < 100_000);
    };
    assert!(loaded > 0 && matches!(error, WasmError::Refused { code: -23 | -24, .. }), "{error:?}");
    assert!(instance.memory_used().unwrap() <= 1 << 20);
}

#[test]
fn memory_has_the_end_that_was_given() {
    let limits = Limits { memory: 1 << 20, fuel: None };
    memory_has_an_end(&wasmtime::Module::new(&bytes(), limits).unwrap());
    memory_has_an_end(&wasmi::Module::new(&bytes(), limits).unwrap());
}

fn work_has_an_end<R: Runtime>(runtime: &R) {
    let mut instance = runtime.instance().unwrap();
    let error = instance.load(&bundle(true)).unwrap_err();
    assert!(matches!(error, WasmError::Trap(_)), "{error:?}");
    assert_eq!(instance.memory_used(), Err(WasmError::Broken));
}

#[test]
fn work_has_the_end_that_was_given() {
    let limits = Limits { fuel: Some(20_000), ..Limits::default() };
    work_has_an_end(&wasmtime::Module::new(&bytes(), limits).unwrap());
    work_has_an_end(&wasmi::Module::new(&bytes(), limits).unwrap());
    let plenty = Limits { fuel: Some(100_000_000), ..Limits::default() };
    a_bad_bundle_leaves_the_old_one(&wasmtime::Module::new(&bytes(), plenty).unwrap());
}

#[test]
fn what_is_no_module_of_ours_is_refused() {
    assert!(matches!(wasmtime::Module::new(b"no module", Limits::default()), Err(WasmError::Module(_))));
    assert!(matches!(wasmi::Module::new(b"no module", Limits::default()), Err(WasmError::Module(_))));
    let empty = b"\0asm\x01\0\0\0";
    let module = wasmtime::Module::new(empty, Limits::default()).unwrap();
    assert!(matches!(module.instance().unwrap_err(), WasmError::NotOurs(_)));
}

#[test]
fn a_pool_answers_many_threads_by_the_newest_policy() {
    let module = wasmtime::Module::new(&bytes(), Limits::default()).unwrap();
    let pool = Pool::new(module, &bundle(true), 2).unwrap();
    let allowed =
        || pool.with(|instance, policy| instance.check(policy, question(), "a.b")).unwrap().is_allowed();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).for_each(|_| assert!(allowed())));
        }
    });
    assert!(pool.replace(b"no bundle").is_err() && allowed());
    for newest in [false, true, false] {
        pool.replace(&bundle(newest)).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(allowed(), newest)));
            }
        });
    }
}

#[test]
fn what_was_compiled_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let module = wasmtime::Module::cached(&bytes(), Limits::default(), directory.path()).unwrap();
        let mut instance = module.instance().unwrap();
        let policy = instance.load(&bundle(true)).unwrap();
        assert!(instance.check(policy, question(), "a.b").unwrap().is_allowed());
    }
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_some());
}

//! The module in wasmtime and wasmi, beside the same checks in native code and beside a call that does nothing.
//!
//! `scripts/wasm`, which builds the module, then `cargo bench -p pbac-benches --features runtimes --bench runtimes`. It is a feature since
//! it brings two runtimes along. `elem/s` counts questions.

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use pbac::wasm::{Instance, Limits, Runtime, SessionSet};
use pbac_benches::{Workload, stream};
use policy_core::{PermissionId, Request, Roles, Session};
use std::path::Path;
use wasmtime::{Engine, Memory, Module, Store, TypedFunc};

fn checks(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/pbac.wasm");
    let bytes = std::fs::read(path).expect("scripts/wasm builds target/wasm/pbac.wasm");
    let work = Workload::erp();
    let (index, now) = (&work.index, work.now);
    let mut group = criterion.benchmark_group("runtimes");

    stream(&mut group, &work, "native, by name", |question| {
        index.allows(&Request {
            user: &work.users[question.user],
            roles: Roles::Stored,
            permission: &work.names[question.permission],
            now,
        })
    });
    let sessions: Vec<Session> =
        work.users.iter().map(|user| index.session(user, Roles::Stored, now)).collect();
    let ids: Vec<PermissionId> = work.names.iter().map(|name| index.permission_id(name).unwrap()).collect();
    stream(&mut group, &work, "native, session", |question| {
        sessions[question.user].allows(ids[question.permission])
    });

    let module = pbac::wasm::wasmtime::Module::new(&bytes, Limits::default()).unwrap();
    by_loader(&mut group, &work, "wasmtime", module.instance().unwrap());
    let module = pbac::wasm::wasmi::Module::new(&bytes, Limits::default()).unwrap();
    by_loader(&mut group, &work, "wasmi", module.instance().unwrap());

    let mut bare = Bare::new(&bytes);
    // Whoever may do a thing is told by the workload: the call itself answers nothing.
    let nothing = bare.export::<(), i32>("pbac_abi_version");
    stream(&mut group, &work, "wasmtime, a call that does nothing", |question| {
        nothing.call(&mut bare.store, ()).unwrap() == 1 && question.allowed
    });
    let policy = bare.load(&work.bundle);
    let sessions: Vec<i32> = work.users.iter().map(|user| bare.session(policy, user, now.micros())).collect();
    let ids: Vec<i32> = work.names.iter().map(|name| bare.permission(policy, name)).collect();
    let check = bare.export::<(i32, i32, i64), i32>("pbac_session_check");
    stream(&mut group, &work, "wasmtime, session in the module", |question| {
        let arguments = (sessions[question.user], ids[question.permission], now.micros());
        check.call(&mut bare.store, arguments).unwrap() > 0
    });
    group.finish();
}

fn by_loader(
    group: &mut BenchmarkGroup<'_, WallTime>,
    work: &Workload,
    runtime: &str,
    mut instance: impl Instance,
) {
    let policy = instance.load(&work.bundle).unwrap();
    let question = |user: usize| pbac::wasm::Question { user: &work.users[user], roles: None, now: work.now };
    stream(group, work, &format!("{runtime}, by name"), |asked| {
        instance.check(policy, question(asked.user), &work.names[asked.permission]).unwrap().is_allowed()
    });
    let ids: Vec<i32> = work.names.iter().map(|name| instance.permission_id(policy, name).unwrap()).collect();
    stream(group, work, &format!("{runtime}, by id"), |asked| {
        instance.check_id(policy, question(asked.user), ids[asked.permission]).unwrap().is_allowed()
    });
    let sets: Vec<SessionSet> =
        (0..work.users.len()).map(|user| instance.session(policy, question(user)).unwrap()).collect();
    stream(group, work, &format!("{runtime}, session taken out of the module"), |asked| {
        sets[asked.user].allows_id(ids[asked.permission])
    });
}

/// The module without our loader.
struct Bare {
    store: Store<()>,
    instance: wasmtime::Instance,
    memory: Memory,
}

impl Bare {
    fn new(bytes: &[u8]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, bytes).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self { store, instance, memory }
    }

    fn export<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(&mut self, name: &str) -> TypedFunc<P, R> {
        self.instance.get_typed_func(&mut self.store, name).unwrap()
    }

    /// Writes it into the input buffer and gives its length.
    fn put(&mut self, bytes: &[u8]) -> i32 {
        let length = i32::try_from(bytes.len()).unwrap();
        let address = self.export::<i32, u32>("pbac_input").call(&mut self.store, length).unwrap();
        self.memory.write(&mut self.store, address as usize, bytes).unwrap();
        length
    }

    fn load(&mut self, bundle: &[u8]) -> i32 {
        let length = self.put(bundle);
        let policy = self.export::<i32, i32>("pbac_policy_load").call(&mut self.store, length).unwrap();
        assert!(policy > 0, "{policy}");
        policy
    }

    fn session(&mut self, policy: i32, user: &str, now: i64) -> i32 {
        let length = self.put(user.as_bytes());
        let open = self.export::<(i32, i32, i32, i64), i32>("pbac_session");
        let session = open.call(&mut self.store, (policy, length, -1, now)).unwrap();
        assert!(session > 0, "{session}");
        session
    }

    fn permission(&mut self, policy: i32, name: &str) -> i32 {
        let length = self.put(name.as_bytes());
        self.export::<(i32, i32), i32>("pbac_permission_id").call(&mut self.store, (policy, length)).unwrap()
    }
}

criterion_group!(runtimes, checks);
criterion_main!(runtimes);

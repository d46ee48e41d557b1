//! The native paths and two hand-written peers, on one stream of questions in one run.
//!
//! `cargo bench -p pbac-benches` prints the time for the whole stream; `elem/s` counts questions. With `cargo test` each
//! path runs once, after it was held to the right answers.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pbac_benches::{NameSets, Question, RolePatterns, Workload, stream};
use policy_core::{Index, PermissionId, Request, Roles, Session};
use std::hash::RandomState;
use std::hint::black_box;

type FastHash = foldhash::fast::RandomState;

/// How many of the stream's questions are explained: an explanation looks at every rule.
const EXPLAINED: usize = 1_000;

fn checks(criterion: &mut Criterion) {
    let work = Workload::erp();
    let (index, now) = (&work.index, work.now);
    let mut group = criterion.benchmark_group("check");

    let request = |question: &Question| Request {
        user: &work.users[question.user],
        roles: Roles::Stored,
        permission: &work.names[question.permission],
        now,
    };
    stream(&mut group, &work, "by name", |question| index.allows(&request(question)));
    stream(&mut group, &work, "by name, with reason", |question| {
        index.decide(&request(question)).is_allowed()
    });

    let tokens: Vec<Vec<&str>> =
        work.roles.iter().map(|roles| roles.iter().map(String::as_str).collect()).collect();
    stream(&mut group, &work, "by name, roles of a token", |question| {
        index.allows(&Request { roles: Roles::Named(&tokens[question.user]), ..request(question) })
    });

    let sessions: Vec<Session> =
        work.users.iter().map(|user| index.session(user, Roles::Stored, now)).collect();
    let ids: Vec<PermissionId> = work.names.iter().map(|name| index.permission_id(name).unwrap()).collect();
    stream(&mut group, &work, "session, by id", |question| {
        sessions[question.user].allows(ids[question.permission])
    });
    stream(&mut group, &work, "session, by name", |question| {
        index
            .permission_id(&work.names[question.permission])
            .is_some_and(|id| sessions[question.user].allows(id))
    });

    let sets = NameSets::<FastHash>::new(&work.policy, index, now);
    stream(&mut group, &work, "peer: set of names per user, fast hash", |question| {
        sets.allows(&work.users[question.user], &work.names[question.permission])
    });
    let sets = NameSets::<RandomState>::new(&work.policy, index, now);
    stream(&mut group, &work, "peer: set of names per user, default hash", |question| {
        sets.allows(&work.users[question.user], &work.names[question.permission])
    });
    let patterns = RolePatterns::new(&work.policy);
    stream(&mut group, &work, "peer: roles to patterns, matched", |question| {
        patterns.allows(&work.users[question.user], &work.names[question.permission], now)
    });
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let work = Workload::erp();
    let (index, now) = (&work.index, work.now);

    let mut group = criterion.benchmark_group("user");
    group.throughput(Throughput::Elements(work.users.len() as u64));
    group.bench_function("resolve a session", |bencher| {
        bencher.iter(|| {
            work.users.iter().map(|user| index.session(user, Roles::Stored, now).words().len()).sum::<usize>()
        });
    });
    group.throughput(Throughput::Elements(EXPLAINED as u64));
    group.bench_function("explain", |bencher| {
        bencher.iter(|| {
            for question in &work.questions[..EXPLAINED] {
                black_box(index.explain(&Request {
                    user: &work.users[question.user],
                    roles: Roles::Stored,
                    permission: &work.names[question.permission],
                    now,
                }));
            }
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Bytes(work.bundle.len() as u64));
    group.bench_function("bundle to policy", |bencher| {
        bencher.iter(|| policy_core::decode(black_box(&work.bundle)).unwrap());
    });
    group.bench_function("bundle to index", |bencher| {
        bencher.iter(|| Index::from_bundle(black_box(&work.bundle)).unwrap());
    });
    group.bench_function("policy to index", |bencher| {
        bencher.iter(|| Index::compile(black_box(&work.policy)).unwrap());
    });
    group.finish();
}

criterion_group!(native, checks, others);
criterion_main!(native);

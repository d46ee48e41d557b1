//! Verifying tokens: the ring, and beside it jsonwebtoken with the right key known and in a loop that tries each key.
//!
//! `cargo bench -p pbac-benches --bench tokens` prints the time for the whole stream; `elem/s` counts tokens. With `cargo test`
//! each path runs once, after it was held to the right answers.

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use pbac_benches::{Claims, KEYS, Tokens};
use policy_core::token::{TokenBuffer, UserClaim};
use std::hint::black_box;

fn verify(criterion: &mut Criterion) {
    let work = Tokens::new();
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Elements(work.users.len() as u64));

    let four = work.ring(KEYS);
    let one = work.ring(1);
    let mut buffer = TokenBuffer::default();
    let mut by_ring = |ring: &policy_core::token::KeyRing, token: &str| match ring
        .verify(token, work.now, &mut buffer)
        .ok()?
        .claims
        .user_id?
    {
        UserClaim::Number(number) => Some(number),
        UserClaim::Text(_) => None,
    };
    stream(&mut group, &work, "ring: kid known", &work.named(0), |token| by_ring(&four, token));
    stream(&mut group, &work, "ring: kid known, oldest of four", &work.named(KEYS - 1), |token| {
        by_ring(&four, token)
    });
    stream(&mut group, &work, "ring: no kid, one key", &work.nameless(0), |token| by_ring(&one, token));
    stream(&mut group, &work, "ring: no kid, active of four", &work.nameless(0), |token| {
        by_ring(&four, token)
    });
    stream(&mut group, &work, "ring: no kid, oldest of four", &work.nameless(KEYS - 1), |token| {
        by_ring(&four, token)
    });

    // What an application without a ring does: keys are made once, and whoever knows no key tries all.
    let keys: Vec<DecodingKey> = work.secrets.iter().map(|secret| DecodingKey::from_secret(secret)).collect();
    let validation = Validation::new(Algorithm::HS256);
    let by_peer = |key: &DecodingKey, token: &str| {
        decode::<Claims>(token, key, &validation).ok().map(|data| data.claims.user_id)
    };
    stream(&mut group, &work, "peer: jsonwebtoken, one key", &work.nameless(0), |token| {
        by_peer(&keys[0], token)
    });
    stream(&mut group, &work, "peer: jsonwebtoken, each of four keys", &work.nameless(KEYS - 1), |token| {
        keys.iter().find_map(|key| by_peer(key, token))
    });
    group.finish();
}

/// Holds a path to the answers, then times it on the whole stream.
fn stream(
    group: &mut BenchmarkGroup<'_, WallTime>,
    work: &Tokens,
    path: &str,
    tokens: &[String],
    mut user_of: impl FnMut(&str) -> Option<i64>,
) {
    for (token, user) in tokens.iter().zip(&work.users) {
        assert_eq!(user_of(token), Some(*user), "{path}: {token}");
    }
    group.bench_function(path, |bencher| {
        bencher.iter(|| tokens.iter().filter(|token| user_of(black_box(token)).is_some()).count());
    });
}

criterion_group!(tokens, verify);
criterion_main!(tokens);

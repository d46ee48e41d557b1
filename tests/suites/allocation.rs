//! A check allocates nothing, whatever is asked and whatever the answer; verifying a token no more than its list of roles.

#[path = "allocation/tokens.rs"]
mod tokens;

use pbac_tests::counting::{Counting, measure};
use pbac_tests::{convert, generate};
use policy_core::Index;
use std::hint::black_box;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Worlds and questions to a world.
const WORLDS: u64 = 400;
const QUESTIONS: usize = 50;

#[test]
fn the_counter_counts() {
    let (list, usage) = measure(|| black_box(vec![0_u8; 1_000]));
    assert_eq!((usage.allocations, usage.peak_bytes), (1, 1_000));
    let ((), usage) = measure(|| drop(list));
    assert_eq!((usage.allocations, usage.peak_bytes), (0, 0));
}

#[test]
fn checks_allocate_nothing() {
    let mut reasons = std::collections::BTreeSet::new();
    for seed in 0..WORLDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = generate::world(&mut rng);
        let index = Index::compile(&convert::policy(&world).expect("a policy")).expect("compiles");
        for _ in 0..QUESTIONS {
            let ask = generate::ask(&mut rng, &world);
            convert::with_request(&ask, |request| {
                let (decision, usage) = measure(|| black_box(index.decide(black_box(request))));
                assert_eq!(usage.allocations, 0, "decide, seed {seed}: {ask:?}");
                reasons.insert(decision.reason());
                let (_, usage) = measure(|| black_box(index.allows(black_box(request))));
                assert_eq!(usage.allocations, 0, "allows, seed {seed}: {ask:?}");

                let session = index.session(request.user, request.roles, request.now);
                let ((), usage) = measure(|| {
                    for name in index.permissions() {
                        let id = index.permission_id(black_box(name));
                        black_box(id.is_some_and(|id| session.allows(id)));
                    }
                    black_box(session.is_valid_at(request.now));
                });
                assert_eq!(usage.allocations, 0, "Session::allows, seed {seed}: {ask:?}");
            });
        }
    }
    assert_eq!(reasons.len(), 6, "every reason was met: {reasons:?}");
}

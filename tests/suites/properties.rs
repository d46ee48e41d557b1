//! policy-core against the oracle on generated worlds: at least a million decisions, `PBAC_CASES` asks for more.
//!
//! `PBAC_SEED` repeats a run; without it the seed is fixed, so that the test command gives the same result twice. A
//! disagreement is made small and printed as a case file.

use pbac_tests::cases::answer_json;
use pbac_tests::oracle_reports::{self, Rule};
use pbac_tests::world::{Ask, Conflict, World};
use pbac_tests::{convert, generate, numbers, oracle, shrink};
use policy_core::{Decision, Effect, Explanation, Index, Policy, Request, Timestamp};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Decisions compared when `PBAC_CASES` does not say otherwise.
const DECISIONS: u64 = 1_000_000;
/// Questions asked about each world.
const QUESTIONS: u64 = 48;
/// The reasons, each of which has to come up often.
const REASONS: [&str; 6] =
    ["invalid_request", "unknown_permission", "explicit_deny", "override", "role", "no_grant"];

#[test]
fn a_million_generated_decisions_agree() {
    let wanted = numbers::cases(DECISIONS);
    let seed = numbers::first_seed();
    let asked = AtomicU64::new(0);
    let by_reason = REASONS.map(|_| AtomicU64::new(0));
    let threads = thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    thread::scope(|scope| {
        for worker in 0..threads {
            let (asked, by_reason) = (&asked, &by_reason);
            scope.spawn(move || {
                let worlds = wanted.div_ceil(QUESTIONS).div_ceil(threads);
                for world in 0..worlds {
                    let seed =
                        seed.wrapping_add((world * threads + worker).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                    for (sum, more) in by_reason.iter().zip(one_world(seed)) {
                        sum.fetch_add(more, Ordering::Relaxed);
                    }
                    asked.fetch_add(QUESTIONS, Ordering::Relaxed);
                }
            });
        }
    });
    let asked = asked.into_inner();
    println!("{asked} decisions agree (seed {seed})");
    assert!(asked >= wanted);
    for (reason, count) in REASONS.into_iter().zip(by_reason.map(AtomicU64::into_inner)) {
        println!("{count} times {reason}");
        // A reason that hardly ever came up would hardly be tested.
        assert!(count * 20 > asked, "only {count} of {asked} were {reason}");
    }
}

/// Compares everything about one world and answers how often each reason came up.
fn one_world(seed: u64) -> [u64; REASONS.len()] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = generate::world(&mut rng);
    let policy = convert::policy(&world).unwrap_or_else(|error| panic!("seed {seed}: {error}: {world:?}"));
    let index = Index::compile(&policy).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let mut by_reason = [0; REASONS.len()];
    for at in 0..QUESTIONS {
        let ask = generate::ask(&mut rng, &world);
        let reason = compare_decision(&world, &index, &ask)
            .unwrap_or_else(|failure| report(seed, &world, &ask, &failure));
        for (count, known) in by_reason.iter_mut().zip(REASONS) {
            *count += u64::from(reason == known);
        }
        // The questions about a whole user cost a decision for each permission, so not every one is asked.
        if at % 8 == 0 {
            compare_user(&world, &index, &ask).unwrap_or_else(|failure| report(seed, &world, &ask, &failure));
        }
    }
    let ask = generate::ask(&mut rng, &world);
    if let Err(failure) = compare_policy(&mut rng, &world, &policy, ask.now) {
        panic!("seed {seed}: {failure}\n{}", shrink::case_file(&world, &ask, "the policy, not the question"));
    }
    by_reason
}

/// One question: the full decision, the short answer and the explanation. Gives the reason.
fn compare_decision(world: &World, index: &Index, ask: &Ask) -> Result<&'static str, String> {
    let answer = oracle::decide(world, ask);
    convert::with_request(ask, |request| {
        let decision = index.decide(request);
        agree("decide", json(&decision), answer_json(&answer))?;
        agree("allows", index.allows(request), answer.is_allowed())?;
        compare_explanation(world, ask, &index.explain(request), decision)?;
        Ok(decision.reason())
    })
}

fn compare_explanation(
    world: &World,
    ask: &Ask,
    found: &Explanation<'_>,
    decision: Decision<'_>,
) -> Result<(), String> {
    agree("explain's decision", found.decision, decision)?;
    let known = !matches!(decision.reason(), "invalid_request" | "unknown_permission");
    let matching = if known { oracle_reports::matching_rules(world, ask) } else { Vec::new() };
    let rules: Vec<Rule> = found.winner.iter().chain(&found.shadowed).map(rule).collect();
    agree("explain's rules", rules, matching)?;
    let expired = if known { oracle_reports::expired_rules(world, ask) } else { Vec::new() };
    agree(
        "explain's expired rules",
        found.expired.iter().map(|expired| rule(&expired.rule)).collect(),
        expired,
    )?;
    agree("explain's unknown roles", sorted(&found.unknown_roles), oracle::unknown_roles(world, ask))
}

fn rule(rule: &policy_core::Rule<'_>) -> Rule {
    match *rule {
        policy_core::Rule::Override { effect: Effect::Deny, pattern, .. } => Rule::Deny(pattern.to_owned()),
        policy_core::Rule::Override { effect: Effect::Allow, pattern, .. } => Rule::Allow(pattern.to_owned()),
        policy_core::Rule::Role { role, pattern, .. } => Rule::Role(role.to_owned(), pattern.to_owned()),
    }
}

/// The user of a question: every permission, the session bit by bit and for as long as it says, the unknown roles, and everyone
/// who holds the permission of the question.
fn compare_user(world: &World, index: &Index, ask: &Ask) -> Result<(), String> {
    let held = oracle::permissions_of(world, ask);
    convert::with_request(ask, |request| {
        let &Request { user, roles, now, .. } = request;
        agree("permissions_of", owned(index.permissions_of(user, roles, now)), held.clone())?;
        let unknown: Vec<&str> = index.unknown_roles(user, roles).collect();
        agree("unknown_roles", sorted(&unknown), oracle::unknown_roles(world, ask))?;
        let session = index.session(user, roles, now);
        let ids = index.permissions().filter_map(|name| index.permission_id(name));
        let bits: Vec<_> = ids.filter(|&id| session.allows(id)).map(|id| index.permission(id)).collect();
        agree("the session", owned(bits), held.clone())?;
        agree("valid_until", session.valid_until().map(Timestamp::micros), oracle::valid_until(world, ask))?;
        if let Some(end) = session.valid_until() {
            let last = Ask { now: end.micros() - 1, ..ask.clone() };
            agree("the session's last moment", oracle::permissions_of(world, &last), held)?;
        }
        let holders = index.who_can(request.permission, now);
        let holders = holders.map(|found| (owned(found.roles), owned(found.users)));
        let holders = holders.map_err(|denial| json(&Decision::Deny(denial)));
        let expected =
            oracle::who_can(world, &ask.permission, ask.now).map_err(|answer| answer_json(&answer));
        agree("who_can", holders, expected)
    })
}

/// The policy as a whole: a bundle of it, what changes to a neighbour of it, and who breaks its conflicts.
fn compare_policy(rng: &mut fastrand::Rng, world: &World, policy: &Policy, now: i64) -> Result<(), String> {
    let at = Timestamp::from_micros(now);
    let bytes = policy_core::encode(policy).map_err(|error| error.to_string())?;
    agree("decode", policy_core::decode(&bytes).as_ref(), Ok(policy))?;

    let new = neighbour(rng, world);
    let diff = policy_core::diff(policy, &convert::policy(&new)?, at).map_err(|error| error.to_string())?;
    let changes = |of: Vec<policy_core::HolderDiff>| -> oracle_reports::Changes {
        of.into_iter().map(|change| (change.name, change.gained, change.lost)).collect()
    };
    agree("diff of users", changes(diff.users), oracle_reports::user_changes(world, &new, now))?;
    agree("diff of roles", changes(diff.roles), oracle_reports::role_changes(world, &new))?;

    let conflicts = (0..3).map(|at| Conflict {
        name: at.to_string(),
        left: generate::pattern(rng, &world.permissions),
        right: generate::pattern(rng, &world.permissions),
    });
    let world = World { conflicts: conflicts.collect(), ..world.clone() };
    let found = policy_core::breaches(&convert::policy(&world)?, at).map_err(|error| error.to_string())?;
    let found = found.into_iter().map(|breach| oracle_reports::Breach {
        conflict: breach.conflict,
        roles: breach.roles,
        users: breach.users,
    });
    agree("breaches", found.collect(), oracle_reports::breaches(&world, now))
}

/// The world with a few things gone, so that roles, users and permissions differ on both sides.
fn neighbour(rng: &mut fastrand::Rng, world: &World) -> World {
    let mut new = world.clone();
    new.permissions.retain(|_| rng.u8(..6) != 0);
    new.overrides.retain(|_| rng.u8(..4) != 0);
    new.users.retain(|_| rng.u8(..4) != 0);
    for role in &mut new.roles {
        role.grants.retain(|_| rng.u8(..3) != 0);
        role.inherits.retain(|_| rng.u8(..3) != 0);
    }
    new
}

fn report(seed: u64, world: &World, ask: &Ask, failure: &str) -> ! {
    let fails = |world: &World, ask: &Ask| {
        let Ok(policy) = convert::policy(world) else { return false };
        let Ok(index) = Index::compile(&policy) else { return false };
        compare_decision(world, &index, ask).and_then(|_| compare_user(world, &index, ask)).is_err()
    };
    let (world, ask) = shrink::shrink(world.clone(), ask.clone(), fails);
    let index =
        Index::compile(&convert::policy(&world).expect("a shrunk policy is one")).expect("and compiles");
    let small = compare_decision(&world, &index, &ask).and_then(|_| compare_user(&world, &index, &ask));
    let case = shrink::case_file(&world, &ask, &format!("seed {seed}"));
    panic!("seed {seed}: {failure}\nmade small: {}\n\n{case}", small.expect_err("it still fails"));
}

fn agree<T: PartialEq + Debug>(what: &str, core: T, oracle: T) -> Result<(), String> {
    if core == oracle {
        return Ok(());
    }
    Err(format!("{what}: policy-core says {core:?}, the oracle {oracle:?}"))
}

fn json(value: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("a decision can be written as JSON")
}

fn owned<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names = owned(names.iter().copied());
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_disagreement_is_made_small_and_printed_as_a_case() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (world, ask) = std::iter::repeat_with(|| generate::world(&mut fastrand::Rng::with_seed(rng.u64(..))))
        .find_map(|world| {
            let ask = generate::ask(&mut fastrand::Rng::with_seed(1), &world);
            matches!(oracle::decide(&world, &ask), oracle::Answer::AllowedByRole { .. })
                .then_some((world, ask))
        })
        .expect("some world allows by role");
    // Pretends that every allow by a role is wrong: one permission, one role, one grant are enough for that.
    let fails = |world: &World, ask: &Ask| {
        matches!(oracle::decide(world, ask), oracle::Answer::AllowedByRole { .. })
            && convert::policy(world).is_ok()
    };
    let (small, ask) = shrink::shrink(world, ask, fails);
    // The role that is asked for may hold the grant itself or inherit it from one other.
    assert_eq!((small.permissions.len(), small.overrides.len()), (1, 0));
    assert!((1..=2).contains(&small.roles.len()), "{small:?}");
    assert_eq!(small.roles.iter().map(|role| role.grants.len()).sum::<usize>(), 1);

    let text = shrink::case_file(&small, &ask, "a \"name\"");
    let file = pbac_tests::cases::parse(&text, "printed".into());
    assert_eq!(file.policy, small);
    assert_eq!(file.decide[0].ask(), ask);
    assert_eq!(file.decide[0].expect, answer_json(&oracle::decide(&small, &ask)));
}

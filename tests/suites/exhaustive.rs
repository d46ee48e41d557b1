//! Small worlds, all of them, against the oracle.
//!
//! - **Texts**: every text of up to 6 bytes over `a . * _ A` as a permission and as a pattern, with the byte of the error.
//! - **Matches**: every pattern of up to 3 segments over the segments `a b ab * a* ab*` with every permission of 2 or 3
//!   segments over `a b ab`.
//! - **Policies**: the catalog `a.a a.ab ab.a a.a.a`; two roles, each with no grant or one of the 26 patterns of up to 2
//!   segments over `a ab * a* ab*` (`*` among them); no inheritance, or either role inheriting the other; no override or one of
//!   every effect, pattern and expiry (never, or 1); asked with every subset of the two roles, of every permission, before the
//!   expiry (0) and at it (1).
//! - **Overrides**: the same catalog, a role with no grant or `*`, and every pair of overrides of the same user.

use pbac_tests::cases::answer_json;
use pbac_tests::oracle::{self, Answer};
use pbac_tests::world::{Ask, Effect, Override, Role, World};
use pbac_tests::{convert, shrink};
use policy_core::{Decision, Denial, Grant, Index, Pattern, PermissionName};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const CATALOG: [&str; 4] = ["a.a", "a.ab", "ab.a", "a.a.a"];
/// The subsets of the two roles; both come against the byte order, which must not matter.
const ROLES: [&[&str]; 4] = [&[], &["R"], &["S"], &["S", "R"]];

#[test]
fn texts_of_up_to_six_bytes() {
    let mut texts = vec![String::new()];
    let mut checked = 0;
    for _ in 0..=6 {
        for text in &texts {
            let permission = PermissionName::parse(text).err().map(|error| error.byte);
            assert_eq!(permission, oracle::check_permission(text).err(), "`{text}` as a permission");
            let pattern = Pattern::parse(text).err().map(|error| error.byte);
            assert_eq!(pattern, oracle::check_pattern(text).err(), "`{text}` as a pattern");
            checked += 1;
        }
        texts = texts
            .iter()
            .flat_map(|text| ["a", ".", "*", "_", "A"].map(|more| format!("{text}{more}")))
            .collect();
    }
    assert_eq!(checked, (0..=6).map(|length| 5_u32.pow(length)).sum::<u32>());
}

#[test]
fn patterns_of_up_to_three_segments() {
    let names = ["a", "b", "ab"];
    let patterns = joined(&["a", "b", "ab", "*", "a*", "ab*"], 3);
    let permissions = joined(&names, 3);
    for pattern in patterns.iter().map(String::as_str).chain(["*"]) {
        let core = Pattern::parse(pattern).expect("a pattern");
        for permission in &permissions {
            let name = PermissionName::parse(permission).expect("a permission");
            let expected = oracle::matches(pattern, permission);
            assert_eq!(core.matches(&name), expected, "`{pattern}` and `{permission}`");
        }
    }
    assert_eq!((patterns.len(), permissions.len()), (36 + 216, 9 + 27));
}

#[test]
fn policies_of_two_roles_and_an_override() {
    let mut grants: Vec<Option<String>> = vec![None];
    grants.extend(patterns().into_iter().map(Some));
    let mut overrides = vec![None];
    overrides.extend(every_override().into_iter().map(Some));
    let inherits: [(&[&str], &[&str]); 3] = [(&[], &[]), (&["S"], &[]), (&[], &["R"])];
    let decisions = in_parallel(&grants, |first| {
        let mut decisions = 0;
        for second in &grants {
            for (of_first, of_second) in inherits {
                for over in &overrides {
                    let world = World {
                        permissions: CATALOG.map(str::to_owned).to_vec(),
                        roles: vec![role("R", first, of_first), role("S", second, of_second)],
                        overrides: over.iter().cloned().collect(),
                        ..World::default()
                    };
                    decisions += compare(&world, &ROLES);
                }
            }
        }
        decisions
    });
    assert_eq!(decisions, 27 * 27 * 3 * 105 * 4 * 4 * 2);
}

#[test]
fn policies_of_two_overrides() {
    let overrides = every_override();
    let decisions = in_parallel(&overrides, |first| {
        let mut decisions = 0;
        for second in &overrides {
            for grant in [None, Some("*".to_owned())] {
                let world = World {
                    permissions: CATALOG.map(str::to_owned).to_vec(),
                    roles: vec![role("R", &grant, &[])],
                    overrides: vec![first.clone(), second.clone()],
                    ..World::default()
                };
                decisions += compare(&world, &ROLES[1..2]);
            }
        }
        decisions
    });
    assert_eq!(decisions, 104 * 104 * 2 * 4 * 2);
}

/// Every permission at both moments with each of the lists of roles: how many decisions that were.
fn compare(world: &World, role_lists: &[&[&str]]) -> u64 {
    let index = Index::compile(&convert::policy(world).expect("a policy")).expect("compiles");
    let mut decisions = 0;
    for roles in role_lists {
        for now in [0, 1] {
            for permission in CATALOG {
                let ask = Ask {
                    user: "u".to_owned(),
                    roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
                    permission: permission.to_owned(),
                    now,
                };
                let expected = oracle::decide(world, &ask);
                convert::with_request(&ask, |request| {
                    let found = index.decide(request);
                    let agree = same(&found, &expected) && index.allows(request) == expected.is_allowed();
                    assert!(agree, "{found}\n{}", shrink::case_file(world, &ask, "all small worlds"));
                });
                decisions += 1;
            }
        }
    }
    decisions
}

/// Compared without the detour by JSON, which would take most of the time.
fn same(found: &Decision<'_>, expected: &Answer) -> bool {
    match (found, expected) {
        (Decision::Deny(Denial::InvalidRequest), Answer::InvalidRequest)
        | (Decision::Deny(Denial::UnknownPermission), Answer::UnknownPermission)
        | (Decision::Deny(Denial::NoGrant), Answer::NoGrant) => true,
        (Decision::Deny(Denial::ExplicitDeny { pattern }), Answer::ExplicitDeny { pattern: expected })
        | (Decision::Allow(Grant::Override { pattern }), Answer::AllowedByOverride { pattern: expected }) => {
            pattern == expected
        }
        (
            Decision::Allow(Grant::Role { role, pattern }),
            Answer::AllowedByRole { role: holder, pattern: held },
        ) => role == holder && pattern == held,
        _ => false,
    }
}

#[test]
fn the_short_comparison_is_as_strict_as_the_json() {
    let pattern = || "a.a".to_owned();
    let found = [
        Decision::Deny(Denial::InvalidRequest),
        Decision::Deny(Denial::UnknownPermission),
        Decision::Deny(Denial::NoGrant),
        Decision::Deny(Denial::ExplicitDeny { pattern: "a.a" }),
        Decision::Allow(Grant::Override { pattern: "a.a" }),
        Decision::Allow(Grant::Role { role: "R", pattern: "a.a" }),
        Decision::Allow(Grant::Role { role: "S", pattern: "a.a" }),
        Decision::Allow(Grant::Override { pattern: "*" }),
    ];
    let expected = [
        Answer::InvalidRequest,
        Answer::UnknownPermission,
        Answer::NoGrant,
        Answer::ExplicitDeny { pattern: pattern() },
        Answer::AllowedByOverride { pattern: pattern() },
        Answer::AllowedByRole { role: "R".to_owned(), pattern: pattern() },
    ];
    for found in &found {
        for expected in &expected {
            let json = serde_json::to_value(found).expect("JSON") == answer_json(expected);
            assert_eq!(same(found, expected), json, "{found:?} and {expected:?}");
        }
    }
}

/// Does the work for every item on all cores and adds up the answers.
fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) -> u64 + Sync) -> u64 {
    let (next, sum) = (AtomicU64::new(0), AtomicU64::new(0));
    let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    sum.fetch_add(work(item), Ordering::Relaxed);
                }
            });
        }
    });
    sum.into_inner()
}

fn role(name: &str, grant: &Option<String>, inherits: &[&str]) -> Role {
    Role {
        name: name.to_owned(),
        grants: grant.iter().cloned().collect(),
        inherits: inherits.iter().map(|name| (*name).to_owned()).collect(),
        aliases: Vec::new(),
    }
}

fn every_override() -> Vec<Override> {
    let mut overrides = Vec::new();
    for effect in [Effect::Allow, Effect::Deny] {
        for pattern in patterns() {
            for expires_at in [None, Some(1)] {
                let (user, pattern) = ("u".to_owned(), pattern.clone());
                overrides.push(Override { user, effect, pattern, expires_at, reason: String::new() });
            }
        }
    }
    overrides
}

/// The 26 patterns of up to 2 segments.
fn patterns() -> Vec<String> {
    let mut patterns = joined(&["a", "ab", "*", "a*", "ab*"], 2);
    patterns.push("*".to_owned());
    patterns
}

/// Every name of 2 to `most` of these segments.
fn joined(segments: &[&str], most: usize) -> Vec<String> {
    let mut of_length: Vec<String> = segments.iter().map(|segment| (*segment).to_owned()).collect();
    let mut names = Vec::new();
    for _ in 1..most {
        of_length = of_length
            .iter()
            .flat_map(|name| segments.iter().map(move |segment| format!("{name}.{segment}")))
            .collect();
        names.extend(of_length.iter().cloned());
    }
    names
}

//! The limits of SPEC section 6: at each the policy is accepted and answers, past it the error says limit and value.
//!
//! The 100 bytes of a pattern, the 8 segments, the bytes of names and the 16 levels of inheritance are among the cases. The 16
//! million overrides are not built here: they would take some gigabytes.

use policy_core::{
    Conflict, Decision, Grant, Index, Label, LimitError, MAX_PERMISSIONS, MAX_ROLES, Pattern, Permission,
    PermissionName, Policy, PolicyError, PolicyParts, Request, Role, RoleName, Roles, Timestamp,
};

fn permission(number: usize) -> Permission {
    Permission {
        name: PermissionName::parse(&format!("m{}.p{number:05}", number % 7)).expect("a permission"),
        module: Label::parse("all").expect("a label"),
        description: String::new(),
    }
}

fn role(name: &str, grants: &[&str], inherits: &[&str]) -> Role {
    Role {
        grants: grants.iter().map(|grant| Pattern::parse(grant).expect("a pattern")).collect(),
        inherits: inherits.iter().map(|name| role_name(name)).collect(),
        ..Role::named(role_name(name))
    }
}

fn role_name(name: &str) -> RoleName {
    RoleName::parse(name).expect("a role name")
}

fn decide<'i>(index: &'i Index, roles: &[&str], permission: &str) -> Decision<'i> {
    index.decide(&Request {
        user: "u",
        roles: Roles::Named(roles),
        permission,
        now: Timestamp::from_micros(0),
    })
}

fn limit(result: Result<Policy, PolicyError>) -> LimitError {
    match result {
        Err(PolicyError::Limit(error)) => error,
        other => panic!("expected a limit error, found {:?}", other.map(|_| "a policy")),
    }
}

#[test]
fn the_largest_catalog_answers_and_one_more_is_refused() {
    let mut parts = PolicyParts {
        permissions: (0..MAX_PERMISSIONS).map(permission).collect(),
        roles: vec![
            role("ALL", &["*"], &[]),
            role("ODD", &["m3.*", "*.p65534"], &[]),
            role("TENS", &["*.p0001*"], &[]),
        ],
        ..PolicyParts::default()
    };
    let index =
        Index::compile(&Policy::new(parts.clone()).expect("a policy at the limit")).expect("compiles");
    assert_eq!(index.permissions().len(), MAX_PERMISSIONS);
    let held = |role| index.permissions_of("u", Roles::Named(&[role]), Timestamp::from_micros(0));
    assert_eq!(held("ALL").len(), MAX_PERMISSIONS);
    // Numbers 3, 10, 17 … below 65,535, and the last, 65,534 = 7 × 9,362, which is of `m0`.
    assert_eq!(held("ODD").len(), (3..MAX_PERMISSIONS).step_by(7).count() + 1);
    assert_eq!(held("TENS").len(), 10);
    for (name, permitted) in [("m0.p65534", true), ("m3.p00003", true), ("m4.p00004", false)] {
        assert_eq!(decide(&index, &["ODD"], name).is_allowed(), permitted, "{name}");
    }
    let first = decide(&index, &["ALL", "ODD"], "m0.p00000");
    assert_eq!(first, Decision::Allow(Grant::Role { role: "ALL", pattern: "*" }));
    assert_eq!(decide(&index, &["ALL"], "m0.p65535").reason(), "unknown_permission");

    let conflict = Conflict {
        name: Label::parse("first and last").expect("a label"),
        left: Pattern::parse("m0.p00000").expect("a pattern"),
        right: Pattern::parse("*.p65534").expect("a pattern"),
        reason: String::new(),
    };
    let with_conflict = PolicyParts { conflicts: vec![conflict], ..parts.clone() };
    let policy = Policy::new(with_conflict).expect("a policy at the limit");
    let found = policy_core::breaches(&policy, Timestamp::from_micros(0)).expect("compiles");
    assert_eq!(found.iter().map(|breach| &breach.roles[..]).collect::<Vec<_>>(), [["ALL"]]);

    parts.permissions.push(permission(MAX_PERMISSIONS));
    let error = limit(Policy::new(parts));
    assert_eq!((error.max, error.value), (65_535, 65_536));
    assert_eq!(error.to_string(), "permissions: 65536 is over the limit of 65535");
}

#[test]
fn the_most_roles_answer_and_one_more_is_refused() {
    let mut parts = PolicyParts {
        permissions: (0..20).map(permission).collect(),
        roles: (0..MAX_ROLES)
            .map(|number| role(&format!("R{number:05}"), &[permission(number % 20).name.as_str()], &[]))
            .collect(),
        ..PolicyParts::default()
    };
    let index =
        Index::compile(&Policy::new(parts.clone()).expect("a policy at the limit")).expect("compiles");
    let last = decide(&index, &["R65534"], "m0.p00014");
    assert_eq!(last, Decision::Allow(Grant::Role { role: "R65534", pattern: "m0.p00014" }));
    assert_eq!(decide(&index, &["R65534"], "m1.p00015").reason(), "no_grant");
    assert_eq!(decide(&index, &["R65535"], "m0.p00014").reason(), "no_grant");
    let holders = index.who_can("m0.p00014", Timestamp::from_micros(0)).expect("a permission").roles;
    assert_eq!(holders.len(), (14..MAX_ROLES).step_by(20).count());

    parts.roles.push(role("R65535", &[], &[]));
    let error = limit(Policy::new(parts));
    assert_eq!((error.max, error.value), (65_535, 65_536));
    assert_eq!(error.to_string(), "roles: 65536 is over the limit of 65535");
}

#[test]
fn a_chain_of_all_roles_is_refused_and_does_not_exhaust_the_stack() {
    let chain = |closed: bool| {
        let roles = (0..MAX_ROLES).map(|number| {
            let next = if number + 1 == MAX_ROLES { 0 } else { number + 1 };
            let next = format!("R{next:05}");
            let inherits = [next.as_str()];
            let last = number + 1 == MAX_ROLES && !closed;
            role(&format!("R{number:05}"), &[], if last { &[] } else { &inherits })
        });
        Policy::new(PolicyParts { roles: roles.collect(), ..PolicyParts::default() })
    };
    let error = limit(chain(false));
    assert_eq!((error.limit, error.max), ("levels of inheritance", 16));
    assert!(error.value > 16, "{error}");
    match chain(true) {
        Err(PolicyError::InheritanceCycle(cycle)) => assert_eq!(cycle.0.len(), MAX_ROLES),
        other => panic!("{:?}", other.map(|_| "a policy")),
    }
}

#[test]
fn sixteen_levels_with_forty_million_ways_through_are_one_set() {
    // Three roles a level, each inheriting all three of the next: 43 million ways from top to bottom.
    let mut roles = Vec::new();
    for level in 0..=16 {
        for place in 0..3 {
            let next: Vec<String> = (0..3).map(|next| format!("L{:02}-{next}", level + 1)).collect();
            let next: Vec<&str> =
                if level == 16 { Vec::new() } else { next.iter().map(String::as_str).collect() };
            let grants: &[&str] = if level == 16 { &["m0.*"] } else { &[] };
            roles.push(role(&format!("L{level:02}-{place}"), grants, &next));
        }
    }
    let parts =
        PolicyParts { permissions: (0..20).map(permission).collect(), roles, ..PolicyParts::default() };
    let index = Index::compile(&Policy::new(parts).expect("16 levels")).expect("compiles");
    let found = decide(&index, &["L00-2"], "m0.p00014");
    assert_eq!(found, Decision::Allow(Grant::Role { role: "L16-0", pattern: "m0.*" }));
    assert_eq!(decide(&index, &["L00-2"], "m1.p00015").reason(), "no_grant");
}

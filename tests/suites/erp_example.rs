//! The ERP of the source document: its counts, and that the migration changes nobody's access.

use pbac::endpoints::{self, AccessCheck, Endpoints};
use pbac::policy_file::{self, NullActive, PolicyFile};
use policy_core::{Lint, Pattern, Policy, PolicyParts, Role, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules of the source document's table, their permissions, and the name spaces it gives.
const MODULES: [(&str, usize, &[&str]); 13] = [
    ("admin", 15, &["system.*", "users.*", "roles.*"]),
    ("purchasing", 12, &["purchasing.*", "po.*", "vendors.*"]),
    ("warehouse", 10, &["warehouse.*", "inventory.*"]),
    ("ppic", 8, &["ppic.*", "production_plan.*"]),
    ("cutting", 9, &["cutting.*"]),
    ("sewing", 9, &["sewing.*"]),
    ("finishing", 9, &["finishing.*"]),
    ("quality", 8, &["quality.*", "qc.*"]),
    ("shipment", 6, &["shipment.*"]),
    ("customers", 5, &["customers.*"]),
    ("reports", 12, &["reports.view_*", "reports.export_*"]),
    ("dashboard", 4, &["dashboard.*"]),
    ("settings", 5, &["settings.*"]),
];

/// The roles of `rbac-schemas.md`.
const ROLES: &str = "DEVELOPER SUPERADMIN MANAGER FINANCE_MANAGER ADMIN PPIC_MANAGER PPIC_ADMIN SPV_CUTTING SPV_SEWING \
    SPV_FINISHING WAREHOUSE_ADMIN WAREHOUSE_STAFF QC_LAB QC_INSPECTOR PURCHASING_HEAD PURCHASING OPERATOR_CUT \
    OPERATOR_EMBRO OPERATOR_SEW OPERATOR_FINISH OPERATOR_PACK SECURITY";

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/erp").join(file)
}

fn policy() -> PolicyFile {
    policy_file::load(&example("policy.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn legacy() -> Endpoints {
    endpoints::load(&example("endpoints.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

#[test]
fn the_catalog_has_the_counts_and_name_spaces_of_the_document() {
    let policy = policy().policy;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in policy.permissions() {
        *counts.entry(entry.module.as_str()).or_default() += 1;
        let (_, _, spaces) = MODULES.iter().find(|(module, ..)| *module == entry.module.as_str()).unwrap();
        assert!(spaces.iter().any(|space| pattern(space).matches(&entry.name)), "{}", entry.name);
        assert!(!entry.description.is_empty(), "{}", entry.name);
    }
    assert_eq!(counts, MODULES.iter().map(|&(module, count, _)| (module, count)).collect());
    assert_eq!(policy.permissions().len(), 112);
    for (module, _, spaces) in MODULES {
        for space in spaces {
            let used = policy.permissions().iter().any(|entry| pattern(space).matches(&entry.name));
            assert!(used, "{module} has nothing in {space}");
        }
    }
}

#[test]
fn the_roles_are_the_legacy_ones_in_all_three_spellings() {
    let policy = policy().policy;
    let names: BTreeSet<&str> = policy.roles().iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ROLES.split_whitespace().collect());
    assert_eq!(names.len(), 22);
    let (mut all, mut wildcards, mut exact) = (0, 0, 0);
    for role in policy.roles() {
        let lower = role.name.as_str().to_lowercase();
        assert!(role.aliases.iter().any(|alias| alias.as_str() == lower), "{lower}");
        let display = |alias: &str| alias.replace(' ', "_").to_lowercase() == lower && alias != lower;
        assert!(role.aliases.iter().any(|alias| display(alias.as_str())), "{lower}");
        let stars = role.grants.iter().filter(|grant| !grant.is_literal()).count();
        match (role.grants.iter().any(|grant| grant.as_str() == "*"), stars) {
            (true, _) => all += 1,
            (false, 1..=3) => wildcards += 1,
            (false, 0) => {
                assert!((5..=15).contains(&role.grants.len()), "{lower} has {}", role.grants.len());
                exact += 1;
            }
            _ => panic!("{lower} holds {stars} wildcards"),
        }
    }
    assert_eq!((all, wildcards, exact), (2, 6, 14));
}

#[test]
fn the_document_s_own_grants_are_there() {
    let policy = policy().policy;
    let grants = |role: &str| -> Vec<String> {
        policy.role(role).unwrap().grants.iter().map(ToString::to_string).collect()
    };
    assert_eq!(grants("DEVELOPER"), ["*"]);
    assert_eq!(grants("SUPERADMIN"), ["*"]);
    for (role, grant) in [
        ("Purchasing Head", "purchasing.*"),
        ("purchasing_head", "po.approve"),
        ("WAREHOUSE_STAFF", "warehouse.view"),
        ("WAREHOUSE_STAFF", "inventory.receive"),
    ] {
        assert!(grants(role).contains(&grant.to_owned()), "{role} lacks {grant}");
    }
}

#[test]
fn inheritance_is_the_legacy_one() {
    let (file, legacy) = (policy(), legacy());
    for role in file.policy.roles() {
        let inherits: BTreeSet<&str> = role.inherits.iter().map(|name| name.as_str()).collect();
        let before = legacy.inherits.get(role.name.as_str()).into_iter().flatten();
        assert_eq!(inherits, before.map(String::as_str).collect(), "{}", role.name);
    }
    assert_eq!(legacy.inherits.len(), 7);
    let source = file.source.unwrap();
    assert_eq!(source.table.to_string(), "public.users");
    assert_eq!(source.null_active, Some(NullActive::Inactive));
}

#[test]
fn nobody_gains_and_nobody_loses() {
    let (file, legacy) = (policy(), legacy());
    assert_eq!(legacy.endpoints.len(), 104);
    assert_eq!(
        legacy.roles.iter().map(String::as_str).collect::<Vec<_>>(),
        ROLES.split_whitespace().collect::<Vec<_>>()
    );
    let check = AccessCheck::run(&legacy, &file.policy, &file.source.unwrap().rename).unwrap();
    assert!(check.unknown_permissions.is_empty(), "{:?}", check.unknown_permissions);
    assert!(check.unknown_roles.is_empty(), "{:?}", check.unknown_roles);
    assert_eq!((&check.gained, &check.lost), (&vec![], &vec![]));
    assert!(check.holds());
    assert_eq!((check.endpoints, check.roles, check.agreeing, check.pairs()), (104, 22, 2_288, 2_288));
    // A check over endpoints that everybody or nobody passes would agree with anything.
    let allowed = legacy
        .endpoints
        .iter()
        .map(|endpoint| legacy.roles.iter().filter(|role| legacy.legacy_allows(role, endpoint)).count());
    let allowed: Vec<usize> = allowed.collect();
    assert!(allowed.iter().all(|&count| count >= 2), "a bypass role passes everywhere");
    assert!(allowed.iter().filter(|&&count| (3..22).contains(&count)).count() > 90, "{allowed:?}");
}

fn changed(policy: &Policy, change: impl Fn(&mut PolicyParts)) -> Policy {
    let mut parts = policy.clone().into_parts();
    change(&mut parts);
    Policy::new(parts).unwrap()
}

fn role<'p>(parts: &'p mut PolicyParts, name: &str) -> &'p mut Role {
    parts.roles.iter_mut().find(|role| role.name.as_str() == name).unwrap()
}

#[test]
fn every_grant_that_an_endpoint_needs_is_missed_when_it_is_gone() {
    let (policy, legacy) = (policy().policy, legacy());
    let mut missed = 0;
    let (mut total, mut silent) = (0, Vec::new());
    for holder in policy.roles() {
        for grant in &holder.grants {
            total += 1;
            let without = changed(&policy, |parts| {
                role(parts, holder.name.as_str()).grants.retain(|held| held != grant);
            });
            let check = AccessCheck::run(&legacy, &without, &BTreeMap::new()).unwrap();
            assert!(check.gained.is_empty(), "taking {grant} from {} gave something", holder.name);
            if check.holds() {
                silent.push(format!("{}: {grant}", holder.name));
            } else {
                missed += 1;
                assert!(check.lost.iter().any(|change| pattern_covers(grant, &change.permission)));
            }
        }
    }
    assert_eq!(missed + silent.len(), total);
    // What is not missed is a permission that no endpoint asks for, or one that is held in another way too.
    for name in &silent {
        let (holder, grant) = name.split_once(": ").unwrap();
        let asked = legacy
            .endpoints
            .iter()
            .any(|endpoint| pattern_covers(&pattern(grant), endpoint.permission.as_str()));
        let inherited = !policy.role(holder).unwrap().inherits.is_empty();
        assert!(
            !asked || inherited || holds_twice(&policy, holder, grant),
            "{name} can go and nothing is noticed"
        );
    }
    assert!(missed * 10 > total * 8, "only {missed} of {total} grants are noticed: {silent:#?}");
}

fn pattern_covers(grant: &Pattern, permission: &str) -> bool {
    grant.matches(&policy_core::PermissionName::parse(permission).unwrap())
}

fn holds_twice(policy: &Policy, holder: &str, grant: &str) -> bool {
    let role = policy.role(holder).unwrap();
    policy
        .permissions()
        .iter()
        .filter(|entry| pattern(grant).matches(&entry.name))
        .all(|entry| role.grants.iter().filter(|held| held.matches(&entry.name)).count() > 1)
}

#[test]
fn a_grant_too_many_and_a_lost_inheritance_are_noticed() {
    let (policy, legacy) = (policy().policy, legacy());
    let more = changed(&policy, |parts| role(parts, "SECURITY").grants.push(pattern("po.approve")));
    let check = AccessCheck::run(&legacy, &more, &BTreeMap::new()).unwrap();
    let gained: Vec<&str> = check.gained.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(
        gained,
        ["/api/v1/purchasing/orders/{order_id}/approve", "/api/v1/purchasing/orders/{order_id}/reject"]
    );
    assert!(check.lost.is_empty());
    assert_eq!(check.gained[0].decision, "allow: role `SECURITY` holds `po.approve`");

    for heir in legacy.inherits.keys() {
        let fewer = changed(&policy, |parts| role(parts, heir).inherits.clear());
        let check = AccessCheck::run(&legacy, &fewer, &BTreeMap::new()).unwrap();
        assert!(check.lost.iter().any(|change| change.role == *heir), "{heir}");
        assert!(check.lost.iter().all(|change| change.role == *heir), "{heir}");
    }

    let renamed = changed(&policy, |parts| {
        let security = role(parts, "SECURITY");
        security.name = policy_core::RoleName::parse("GATE").unwrap();
        security.aliases.clear();
    });
    let check = AccessCheck::run(&legacy, &renamed, &BTreeMap::new()).unwrap();
    assert_eq!(check.unknown_roles, BTreeSet::from(["SECURITY".to_owned()]));
    assert!(!check.holds());
    let rename = BTreeMap::from([("SECURITY".to_owned(), "GATE".to_owned())]);
    assert!(AccessCheck::run(&legacy, &renamed, &rename).unwrap().holds());
}

#[test]
fn only_the_breaches_that_the_file_explains_are_there() {
    let policy = policy().policy;
    let breaches = policy_core::breaches(&policy, Timestamp::from_micros(0)).unwrap();
    assert_eq!(breaches.len(), policy.conflicts().len());
    assert!(breaches.len() >= 3);
    for breach in breaches {
        let mut expected = vec!["DEVELOPER", "SUPERADMIN"];
        if breach.conflict == "create and approve a purchase order" {
            expected.insert(1, "PURCHASING_HEAD");
        }
        assert_eq!(breach.roles, expected, "{}", breach.conflict);
    }
    assert!(policy.conflicts().iter().all(|conflict| !conflict.reason.is_empty()));
}

#[test]
fn no_grant_is_dead() {
    let lints = policy_core::lint(&policy().policy);
    assert!(!lints.iter().any(|lint| matches!(lint, Lint::DeadGrant { .. })), "{lints:?}");
}

mod legacy_database {
    use super::*;
    use pbac_tests::database::TestDatabase;
    use sqlx::{AssertSqlSafe, PgConnection};

    async fn generate(users: Option<u32>, seed: Option<u32>) -> (TestDatabase, PgConnection) {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        for (name, value) in [("erp.users", users), ("erp.seed", seed)] {
            let Some(value) = value else { continue };
            sqlx::query("SELECT set_config($1, $2, false)")
                .bind(name)
                .bind(value.to_string())
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let sql = std::fs::read_to_string(example("legacy.sql")).unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        (database, connection)
    }

    async fn one<T>(connection: &mut PgConnection, sql: &'static str) -> T
    where
        T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
    {
        sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
    }

    const DIGEST: &str = "SELECT md5(string_agg(u::text, '' ORDER BY id)) FROM public.users AS u";

    #[tokio::test]
    async fn has_ten_thousand_synthetic_users_in_every_role() {
        let (_database, mut connection) = generate(None, None).await;
        let c = &mut connection;
        assert_eq!(one::<i64>(c, "SELECT count(*) FROM public.users").await, 10_000);
        assert_eq!(one::<i64>(c, "SELECT count(DISTINCT role) FROM public.users WHERE is_active").await, 22);
        let labels: Vec<String> = sqlx::query_scalar(
            "SELECT enumlabel::text FROM pg_enum WHERE enumtypid = 'public.userrole'::regtype ORDER BY enumsortorder",
        )
        .fetch_all(&mut *c)
        .await
        .unwrap();
        assert_eq!(labels, ROLES.split_whitespace().collect::<Vec<_>>());
        let inactive: i64 = one(c, "SELECT count(*) FROM public.users WHERE NOT is_active").await;
        let unknown: i64 = one(c, "SELECT count(*) FROM public.users WHERE is_active IS NULL").await;
        assert!((200..800).contains(&inactive) && (100..400).contains(&unknown), "{inactive}, {unknown}");
        let admin = "SELECT role::text FROM public.users WHERE username = 'admin' AND is_active";
        assert_eq!(one::<String>(c, admin).await, "SUPERADMIN");
        let real = "SELECT count(*) FROM public.users WHERE email NOT LIKE '%@example.com'
            OR hashed_password <> 'no password: synthetic user'";
        assert_eq!(one::<i64>(c, real).await, 0);
        assert!(one::<i64>(c, "SELECT count(*) FROM public.purchase_orders").await > 1_000);
    }

    #[tokio::test]
    async fn is_the_same_for_the_same_seed_and_another_for_another() {
        let mut digests = Vec::new();
        for (users, seed) in [(500, None), (500, Some(1)), (500, Some(2)), (22, Some(1)), (0, None)] {
            let (_database, mut connection) = generate(Some(users), seed).await;
            assert_eq!(
                one::<i64>(&mut connection, "SELECT count(*) FROM public.users").await,
                i64::from(users)
            );
            if users >= 22 {
                let roles: i64 = one(&mut connection, "SELECT count(DISTINCT role) FROM public.users").await;
                assert_eq!(roles, 22);
                digests.push(one::<String>(&mut connection, DIGEST).await);
            }
            // A new user gets a free id.
            let next = "INSERT INTO public.users (username, email, hashed_password, full_name, role)
                VALUES ('new', 'new@example.com', 'no password: synthetic user', 'New', 'SECURITY') RETURNING id";
            assert!(one::<i32>(&mut connection, next).await > users as i32);
        }
        assert_eq!(digests[0], digests[1]);
        assert_ne!(digests[1], digests[2]);
    }
}

//! The example, whole: 10,000 users, 22 roles, 104 endpoint rules.

use std::collections::BTreeMap;

use pbac::migrate::apply::{Ending, Manner};
use pbac::migrate::state::Stage;
use pbac::postgres::policy_store::{self, TableCounts};
use policy_core::{Index, Roles};

use crate::world::{World, erp_endpoints, erp_policy, policy};

#[tokio::test]
async fn goes_over_whole() {
    let world = World::erp(10_000).await;
    let (file, endpoints) = (erp_policy(), erp_endpoints());
    let theirs = world.snapshot().await;
    let migration = world.migrate_with(&file, Some(&endpoints), Manner::default()).await.unwrap();
    println!("10,000 users: {:.0} ms, {:?}", migration.milliseconds, migration.steps);
    assert_eq!(migration.ending, Ending::Migrated);
    assert_eq!(migration.attempts, 1);
    assert!(migration.checks.len() == 4 && migration.checks.iter().all(|check| check.holds));
    assert_eq!(migration.legacy.unwrap().rows, 10_000);
    let after = world.snapshot().await;
    assert!(
        theirs
            .iter()
            .filter(|line| line.starts_with("public."))
            .all(|line| after.binary_search(line).is_ok() || after.contains(line)),
        "a legacy row was touched"
    );

    let state = world.state().await;
    assert_eq!(state.stage(), Stage::Migrated);
    let run = state.policy.unwrap();
    assert_eq!(run.policy_hash, migration.policy.hash);
    assert_eq!(run.legacy_rows, Some(10_000));
    let head = migration.audit_head.unwrap();
    let audit = world.audit().await;
    assert_eq!(world.deeds().await, ["schema.audit_log succeeded", "migrate attempted", "migrate succeeded"]);
    let last = audit.last().unwrap();
    assert_eq!(format!("{}:{}", last.seq, last.hash), head.to_string());
    assert_eq!(last.details["ledger"], 5);
    assert_eq!(last.details["policy_hash"], migration.policy.hash.as_str());

    // Every user, not one a label: what SQL gives against what the core gives.
    let index = Index::compile(&file.policy).unwrap();
    let mut connection = world.database.connect().await;
    let users: Vec<(String, String, Option<bool>, Vec<String>)> = sqlx::query_as(
        "SELECT id::text, role::text, is_active, ARRAY(SELECT pbac.effective_permissions(id::text)) FROM public.users \
         WHERE id <= 1000",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(users.len(), 1000);
    for (id, role, active, held) in users {
        let named = [role.as_str()];
        let roles = if active == Some(true) { Roles::Named(&named) } else { Roles::Named(&[]) };
        assert_eq!(held, index.permissions_of(&id, roles, world.target().now), "user {id}");
    }
    let stored = policy_store::read(&mut connection, &world.schema).await.unwrap();
    assert_eq!(stored.policy_alone().unwrap(), file.policy);
    assert!(world.one::<bool>("SELECT pbac.has_permission('15', 'po.approve')").await);
    assert!(!world.one::<bool>("SELECT pbac.has_permission('17', 'po.approve')").await);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let world = World::erp(300).await;
    let file = erp_policy();
    world.migrate(&file).await.unwrap();
    let before = world.snapshot().await;
    let again = world.migrate(&file).await.unwrap();
    assert_eq!(again.ending, Ending::Unchanged);
    assert!(again.files.is_empty() && again.counts.is_empty() && again.ledger.is_none());
    assert_eq!(world.snapshot().await, before);
    let plan = world.plan(&file).await.unwrap();
    assert!(plan.nothing_to_do && plan.changes.is_empty());
}

#[tokio::test]
async fn a_changed_policy_applies_exactly_the_difference() {
    let world = World::small().await;
    world.migrate(&crate::world::small()).await.unwrap();
    world
        .run("INSERT INTO pbac.user_custom_permissions VALUES ('2', 'stock.*', 'allow', NULL, 'r', 'me')")
        .await;
    let rows = "SELECT t.tableoid::regclass::text || ' ' || t.xmin || ' ' || t::text FROM";
    let all = [
        "permissions",
        "roles",
        "role_permissions",
        "role_inherits",
        "role_aliases",
        "conflicts",
        "user_custom_permissions",
    ]
    .map(|table| format!("{rows} pbac.{table} t"))
    .join(" UNION ALL ");
    let before = world.texts(&all).await;

    let text = crate::world::SMALL
        .replace("\"po.view\" = \"See orders\"", "\"po.view\" = \"Look at orders\"\n\"po.cancel\" = \"\"")
        .replace("\"stock.view\" = \"See the stock\"", "")
        .replace("grants = [\"po.view\"]", "grants = [\"po.v*\"]\ninherits = [\"TRAINEE\"]")
        .replace("[source]", "[roles.TRAINEE]\ngrants = [\"po.view\"]\n[source]");
    let changed = policy(&text);
    let plan = world.plan(&changed).await.unwrap();
    assert_eq!(plan.changes.permissions.added, ["po.cancel"]);
    assert_eq!(plan.changes.permissions.changed, ["po.view"]);
    assert_eq!(plan.changes.permissions.removed, ["stock.view"]);
    assert_eq!(plan.changes.grants.added, ["CLERK: po.v*", "TRAINEE: po.view"]);
    assert_eq!(plan.changes.grants.removed, ["CLERK: po.view"]);
    assert_eq!(plan.changes.roles.added, ["TRAINEE"]);
    assert_eq!(plan.changes.inherits.added, ["CLERK: TRAINEE"]);
    assert!(plan.changes.aliases.is_empty() && plan.changes.conflicts.is_empty());

    let migration = world.migrate(&changed).await.unwrap();
    let counts = |inserted, updated, deleted| TableCounts { inserted, updated, deleted };
    assert_eq!(
        migration.counts.0,
        BTreeMap::from([
            ("permissions", counts(1, 1, 1)),
            ("roles", counts(1, 0, 0)),
            ("role_permissions", counts(2, 0, 1)),
            ("role_inherits", counts(1, 0, 0)),
            ("role_aliases", counts(0, 0, 0)),
            ("conflicts", counts(0, 0, 0)),
        ])
    );
    assert!(migration.files.is_empty());
    // Every row that stayed is the same version of the row; the override is among them.
    let after = world.texts(&all).await;
    let kept: Vec<_> = before.iter().filter(|row| after.contains(row)).collect();
    assert_eq!(kept.len(), before.len() - 3, "{before:#?}\n{after:#?}");
    assert_eq!(after.len(), kept.len() + 6);
    assert!(kept.iter().any(|row| row.contains("user_custom_permissions")));
    let held = world.texts("SELECT pbac.effective_permissions('2')").await;
    assert_eq!(held, ["po.view"]);
}

#[tokio::test]
async fn a_dry_run_leaves_nothing() {
    let world = World::small().await;
    let file = crate::world::small();
    let manner = Manner { dry_run: true, ..Manner::default() };
    let before = world.snapshot().await;
    let rehearsal = world.migrate_with(&file, None, manner).await.unwrap();
    assert_eq!(rehearsal.ending, Ending::DryRun);
    assert_eq!(rehearsal.counts.0["permissions"].inserted, 3);
    assert!(rehearsal.checks.len() == 4 && rehearsal.checks.iter().all(|check| check.holds));
    assert_eq!(world.snapshot().await, before);

    // The same over a policy that is in force.
    world.migrate(&file).await.unwrap();
    let before = world.snapshot().await;
    let changed = policy(&crate::world::SMALL.replace("grants = [\"po.view\"]", "grants = [\"po.*\"]"));
    let rehearsal = world.migrate_with(&changed, None, manner).await.unwrap();
    assert_eq!(rehearsal.counts.0["role_permissions"].inserted, 1);
    assert_eq!(world.snapshot().await, before);
    assert!(world.migrate(&changed).await.unwrap().ending == Ending::Migrated);
}

#[tokio::test]
async fn a_new_place_of_the_legacy_roles_replaces_the_functions() {
    let world = World::small().await;
    world.migrate(&crate::world::small()).await.unwrap();
    world.run("CREATE TABLE public.staff (id int PRIMARY KEY, job text); INSERT INTO public.staff VALUES (9, 'BOSS')").await;
    let moved = crate::world::SMALL
        .replace("public.users", "public.staff")
        .replace("role = \"role\"", "role = \"job\"")
        .replace("active = \"active\"\n", "");
    let migration = world.migrate(&policy(&moved)).await.unwrap();
    assert!(migration.counts.is_empty());
    assert_eq!(migration.legacy.unwrap().rows, 1);
    assert!(world.one::<bool>("SELECT pbac.has_permission('9', 'po.approve')").await);
    assert!(!world.one::<bool>("SELECT pbac.has_permission('1', 'po.approve')").await);
    // Without a source nobody has a role.
    let (without, _) = moved.split_once("[source]").unwrap();
    world.migrate(&policy(without)).await.unwrap();
    assert!(!world.one::<bool>("SELECT pbac.has_permission('9', 'po.approve')").await);
}

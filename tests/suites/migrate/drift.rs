//! `validate` and `status` after somebody changed something behind pbac's back.

use pbac::exit::Exit;
use pbac::migrate::apply::Ending;
use pbac::migrate::state::Stage;
use pbac::migrate::status::{Validation, status, validate};
use pbac::migrate::validate::Check;

use crate::world::{SMALL, World, policy, small};

async fn validated(world: &World) -> Validation {
    validate(&world.target(), &small()).await.unwrap()
}

/// The checks that do not hold, and what the first says.
fn broken(validation: &Validation) -> Vec<(Check, &str)> {
    assert_eq!(validation.holds, validation.checks.iter().all(|check| check.holds));
    validation
        .checks
        .iter()
        .filter(|check| !check.holds)
        .map(|check| (check.check, check.first[0].as_str()))
        .collect()
}

#[tokio::test]
async fn what_was_changed_by_hand_is_found_and_mended() {
    let world = World::small().await;
    let nothing = validate(&world.target(), &small()).await.unwrap_err();
    assert_eq!(nothing.exit(), Exit::Mismatch);
    world.migrate(&small()).await.unwrap();
    assert_eq!(broken(&validated(&world).await), []);
    for (change, check, says) in [
        (
            "DELETE FROM pbac.role_permissions WHERE role = 'CLERK'",
            Check::RoleMappings,
            "pattern of a role `CLERK`: `po.view` is not stored",
        ),
        (
            "INSERT INTO pbac.role_permissions VALUES ('CLERK', 'po.*')",
            Check::RoleMappings,
            "pattern of a role `CLERK`: `po.*` is stored and not in the policy",
        ),
        (
            "INSERT INTO pbac.permissions VALUES ('a.b', 'm', '')",
            Check::Permissions,
            "4 permissions are stored, the policy has 3",
        ),
        (
            "UPDATE pbac.permissions SET module = 'other' WHERE name = 'po.view'",
            Check::Permissions,
            "permission `po.view`: `other` is stored and not in the policy",
        ),
        (
            "DELETE FROM pbac.role_aliases",
            Check::Users,
            "1 user(s) with label `clerk` resolve to no role (first: `2`)",
        ),
        (
            "INSERT INTO pbac.role_inherits VALUES ('CLERK', 'BOSS')",
            Check::RoleMappings,
            "inherited role `CLERK`: `BOSS` is stored and not in the policy",
        ),
        (
            "UPDATE pbac.roles SET description = 'x'",
            Check::Ledger,
            "what is stored is not what was put in force: somebody changed the tables",
        ),
    ] {
        world.run(change).await;
        let validation = validated(&world).await;
        let found = broken(&validation);
        assert!(found.contains(&(check, says)), "{change}: {found:?}");
        assert!(found.iter().any(|(check, _)| *check == Check::Ledger), "{change}: {found:?}");
        assert_eq!(status(&world.target()).await.unwrap().drift.len(), 1, "{change}");
        // Migrating again writes exactly what is wrong.
        assert_eq!(world.migrate(&small()).await.unwrap().ending, Ending::Migrated);
        assert_eq!(broken(&validated(&world).await), [], "{change}");
    }
}

#[tokio::test]
async fn what_a_migration_does_not_mend_is_found() {
    let world = World::small().await;
    world.migrate(&small()).await.unwrap();
    for (change, back, check, says) in [
        (
            "ALTER TABLE pbac.roles ADD COLUMN x int",
            "ALTER TABLE pbac.roles DROP COLUMN x",
            Check::Tables,
            "`roles` has a column `x` that is not pbac's",
        ),
        (
            "ALTER TABLE pbac.conflicts RENAME TO c",
            "ALTER TABLE pbac.c RENAME TO conflicts",
            Check::Tables,
            "the table `conflicts` is not there",
        ),
        (
            "UPDATE pbac.pbac_migrations SET checksum = decode(repeat('00', 48), 'hex') WHERE version = 3",
            "",
            Check::Files,
            "`0003_policy_tables.sql` was changed after it was applied",
        ),
    ] {
        world.run(change).await;
        let validation = validated(&world).await;
        assert!(
            broken(&validation).iter().any(|(at, why)| *at == check && why.starts_with(says)),
            "{validation:?}"
        );
        if back.is_empty() {
            let error = world.migrate(&small()).await.unwrap_err();
            assert_eq!(error.exit(), Exit::Mismatch);
            assert!(error.to_string().contains("was changed after it was applied"), "{error}");
        } else {
            world.run(back).await;
            assert_eq!(broken(&validated(&world).await), []);
        }
    }
}

#[tokio::test]
async fn legacy_users_that_came_later() {
    let world = World::small().await;
    world.migrate(&small()).await.unwrap();
    world.run("INSERT INTO public.users VALUES (4, 'NEW', true)").await;
    let validation = validated(&world).await;
    let found = broken(&validation);
    assert_eq!(found[0], (Check::Users, "1 user(s) with label `NEW` resolve to no role (first: `4`)"));
    assert_eq!(found[1].0, Check::Labels);
    let now = status(&world.target()).await.unwrap();
    assert_eq!(now.drift, ["there were 3 legacy users when the policy was put in force, and there are 4"]);
}

#[tokio::test]
async fn a_policy_file_that_moved_on() {
    let world = World::small().await;
    world.migrate(&small()).await.unwrap();
    let newer = policy(&SMALL.replace("grants = [\"po.view\"]", "grants = [\"po.*\"]"));
    let validation = validate(&world.target(), &newer).await.unwrap();
    let checks: Vec<Check> = broken(&validation).into_iter().map(|(check, _)| check).collect();
    assert_eq!(checks, [Check::Users, Check::RoleMappings, Check::Ledger]);
}

#[tokio::test]
async fn overrides_are_part_of_the_comparison() {
    let world = World::small().await;
    world.migrate(&small()).await.unwrap();
    // Clerk 2 gains and loses, clerk 3 is inactive, 99 is nobody; the target's now lies between the expiries.
    world
        .run(
            "INSERT INTO pbac.user_custom_permissions VALUES \
             ('2', 'stock.*', 'allow', '2030-01-01Z', 'r', 'me'), ('2', 'po.view', 'deny', NULL, 'r', 'me'), \
             ('2', 'po.*', 'allow', '2001-01-01Z', 'r', 'me'), ('3', '*', 'allow', NULL, 'r', 'me'), \
             ('99', 'po.*', 'allow', NULL, 'r', 'me')",
        )
        .await;
    let validation = validated(&world).await;
    assert_eq!(broken(&validation), []);
    assert!(
        validation.checks[0].compared.contains("every permission of 4 users"),
        "{:?}",
        validation.checks[0]
    );
    let now = status(&world.target()).await.unwrap();
    let counts = now.counts.unwrap();
    assert_eq!((counts.overrides_active, counts.overrides_expired), (4, 1));
    assert_eq!(now.stage, Stage::Migrated);
    // A body that forgets the denies is caught by the one user who has one.
    world
        .run(
            "CREATE OR REPLACE FUNCTION pbac.active_overrides(user_id text, effect text, at timestamptz) \
             RETURNS TABLE (pattern text) LANGUAGE sql STABLE AS \
             'select o.pattern from pbac.user_custom_permissions o where o.user_id = $1 and o.effect = $2 and $2 = ''allow'' \
              and (o.expires_at is null or $3 < o.expires_at)'",
        )
        .await;
    let validation = validated(&world).await;
    assert_eq!(
        broken(&validation),
        [(Check::Users, "user `2`: SQL lacks 0 and has 1 more of 1 permissions (first: `po.view`)")]
    );
}

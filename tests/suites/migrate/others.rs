//! Others at the same database: a second pbac, and whoever holds a lock.

use std::time::{Duration, Instant};

use pbac::exit::Exit;
use pbac::migrate::apply::{Ending, Manner, Target, migrate};
use pbac::migrate::plan::Wanted;
use pbac::migrate::preflight::Tolerance;
use pbac::migrate::state::Stage;
use pbac::postgres::{RetryPolicy, SchemaLock};
use sqlx::{Connection, Executor};

use crate::world::{HASTY, SMALL, World, policy, small};

#[tokio::test]
async fn two_at_once_do_it_once() {
    let world = World::small().await;
    let file = small();
    let (one, other) = tokio::join!(world.migrate(&file), world.migrate(&file));
    let mut endings = [one.unwrap().ending, other.unwrap().ending];
    endings.sort_by_key(|ending| *ending == Ending::Unchanged);
    assert_eq!(endings, [Ending::Migrated, Ending::Unchanged]);
    assert_eq!(world.one::<i64>("SELECT count(*) FROM pbac.pbac_migrations WHERE kind = 'policy'").await, 1);
    assert_eq!(world.audit().await.len(), 3);
}

#[tokio::test]
async fn who_will_not_wait_is_told_who_is_at_it() {
    let world = World::small().await;
    let held = SchemaLock::acquire(world.database.url(), &world.schema, Duration::ZERO).await.unwrap();
    let file = small();
    let target = Target { patience: Duration::ZERO, ..world.target() };
    let wanted = Wanted { file: &file, endpoints: None, tolerance: Tolerance::default() };
    let error = migrate(&target, &wanted, Manner::default(), &|_| {}).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Busy);
    assert!(error.to_string().contains("application `pbac`"), "{error}");
    assert_eq!(world.state().await.stage(), Stage::Nothing);
    held.release().await.unwrap();
    assert_eq!(world.migrate(&file).await.unwrap().ending, Ending::Migrated);
}

#[tokio::test]
async fn a_locked_table_is_waited_for_only_so_long() {
    let world = World::small().await;
    world.migrate(&small()).await.unwrap();
    let changed = policy(&SMALL.replace("grants = [\"po.view\"]", "grants = [\"po.*\"]"));
    // What each of them stops: reading the legacy roles, reading what is stored, recording, writing.
    for lock in [
        "public.users IN ACCESS EXCLUSIVE MODE",
        "pbac.permissions IN ACCESS EXCLUSIVE MODE",
        "pbac.audit_log IN SHARE MODE",
        "pbac.roles IN SHARE MODE",
    ] {
        let mut other = world.database.connect().await;
        let mut transaction = other.begin().await.unwrap();
        transaction.execute(sqlx::AssertSqlSafe(format!("LOCK TABLE {lock}"))).await.unwrap();
        let target = Target { retry: HASTY, lock_timeout: Duration::from_millis(20), ..world.target() };
        let wanted = Wanted { file: &changed, endpoints: None, tolerance: Tolerance::default() };
        let begun = Instant::now();
        let error = migrate(&target, &wanted, Manner::default(), &|_| {}).await.unwrap_err();
        assert_eq!(error.exit(), Exit::Busy, "{lock}: {error}");
        assert!(error.to_string().contains("3 attempts"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{lock}");
        transaction.rollback().await.unwrap();
    }
    assert_eq!(
        world.texts("SELECT pattern FROM pbac.role_permissions WHERE role = 'CLERK'").await,
        ["po.view"]
    );
    assert_eq!(world.migrate(&changed).await.unwrap().ending, Ending::Migrated);
}

#[tokio::test]
async fn a_table_that_is_freed_in_time_is_no_obstacle() {
    let world = World::small().await;
    world.migrate(&small()).await.unwrap();
    let changed = policy(&SMALL.replace("grants = [\"po.view\"]", "grants = [\"po.*\"]"));
    let mut other = world.database.connect().await;
    let mut transaction = other.begin().await.unwrap();
    transaction.execute("LOCK TABLE pbac.roles IN SHARE MODE").await.unwrap();
    let retry = RetryPolicy { attempts: 1000, ..HASTY };
    let target = Target { retry, lock_timeout: Duration::from_millis(20), ..world.target() };
    let wanted = Wanted { file: &changed, endpoints: None, tolerance: Tolerance::default() };
    let (migration, ()) = tokio::join!(migrate(&target, &wanted, Manner::default(), &|_| {}), async {
        // Until it has waited and given up: another attempt gets the table.
        let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'pbac.roles'::regclass \
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
        for expected in [true, false] {
            while world.one::<bool>(waits).await != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        transaction.rollback().await.unwrap();
    });
    let migration = migration.unwrap();
    assert!(migration.attempts > 1, "{}", migration.attempts);
    assert_eq!(world.deeds().await[3..], ["migrate attempted", "migrate succeeded"]);
}

#[tokio::test]
async fn a_plan_that_no_longer_holds_is_refused() {
    let world = World::small().await;
    let file = small();
    let plan = world.plan(&file).await.unwrap();
    assert_eq!(world.plan(&file).await.unwrap().id, plan.id);
    let by = |id| Manner { plan: Some(id), ..Manner::default() };

    // Another policy, another label of a legacy role, and a policy that came in between.
    let changed = policy(&SMALL.replace("grants = [\"po.view\"]", "grants = [\"po.*\"]"));
    let error = world.migrate_with(&changed, None, by(&plan.id)).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    assert!(error.to_string().contains("is stale"), "{error}");
    world.run("INSERT INTO public.users VALUES (4, 'BOSS', true)").await;
    assert_eq!(world.plan(&file).await.unwrap().id, plan.id, "another user is no other plan");
    world.run("INSERT INTO public.users VALUES (5, 'OTHER', true)").await;
    assert_eq!(world.migrate_with(&file, None, by(&plan.id)).await.unwrap_err().exit(), Exit::Refused);
    world.run("DELETE FROM public.users WHERE id = 5").await;
    assert_eq!(world.state().await.stage(), Stage::Nothing);
    assert_eq!(world.migrate_with(&file, None, by(&plan.id)).await.unwrap().ending, Ending::Migrated);
    let error = world.migrate_with(&file, None, by(&plan.id)).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Refused);
    assert_eq!(world.deeds().await[3..], ["migrate refused"]);
}

//! Each validation and each step fails once: nothing stays but the audit log, and the next run succeeds.

use pbac::exit::Exit;
use pbac::migrate::apply::{Ending, Manner};
use pbac::migrate::state::Stage;

use crate::world::{AUDIT_ONLY, World, small};

/// Runs `statement` right after the object is created: the one who meddles while a migration is going on.
async fn meddle(world: &World, object: &str, statement: &str) {
    world
        .run(&format!(
            "CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS 'begin return null; end'; \
             CREATE FUNCTION public.meddle() RETURNS event_trigger LANGUAGE plpgsql AS $meddle$ \
             BEGIN \
                 IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = '{object}') \
                     AND current_setting('test.meddled', true) IS DISTINCT FROM 'yes' THEN \
                     PERFORM set_config('test.meddled', 'yes', true); \
                     {statement}; \
                 END IF; \
             END $meddle$; \
             CREATE EVENT TRIGGER meddle ON ddl_command_end EXECUTE FUNCTION public.meddle()"
        ))
        .await;
}

/// Migrates, expects the failure, and then succeeds once nobody meddles any more.
async fn fails_once(world: &World, exit: Exit, step: &str, reasons: &[&str]) {
    let file = small();
    let users = world.texts("SELECT xmin || u::text FROM public.users u ORDER BY 1").await;
    let schema_was_there = world.state().await.schema_exists;
    let error = world.migrate(&file).await.unwrap_err();
    assert_eq!(error.exit(), exit, "{error}");
    for reason in reasons {
        assert!(error.to_string().contains(reason), "`{reason}` is not in: {error}");
    }
    let mut left = world.ours().await;
    if schema_was_there {
        left.retain(|name| name != "covers");
    }
    assert_eq!(left, AUDIT_ONLY);
    assert_eq!(world.state().await.stage(), Stage::AuditOnly);
    assert_eq!(world.texts("SELECT xmin || u::text FROM public.users u ORDER BY 1").await, users);
    assert_eq!(world.deeds().await, ["schema.audit_log succeeded", "migrate attempted", "migrate failed"]);
    let audit = world.audit().await;
    let failed = audit.last().unwrap();
    assert_eq!(failed.details["step"], step);
    assert_eq!(failed.details["status"], exit.code());
    assert_eq!(failed.details["reason"], error.to_string());
    assert_eq!(failed.actor, "postgres");

    // A dry run fails in the same way and writes nothing.
    let rehearsed = world.migrate_with(&file, None, Manner { dry_run: true, ..Manner::default() }).await;
    assert_eq!(rehearsed.unwrap_err().to_string(), error.to_string());
    assert_eq!(world.audit().await.len(), 3);

    world.run("DROP EVENT TRIGGER IF EXISTS meddle; DROP FUNCTION IF EXISTS pbac.covers(text, text)").await;
    assert_eq!(world.migrate(&file).await.unwrap().ending, Ending::Migrated);
    assert_eq!(world.deeds().await[3..], ["migrate attempted", "migrate succeeded"]);
}

#[tokio::test]
async fn when_sql_answers_otherwise_than_the_core() {
    let world = World::small().await;
    let wrong = "CREATE OR REPLACE FUNCTION pbac.effective_permissions(user_id text, at timestamptz default now()) \
        RETURNS SETOF text LANGUAGE sql AS 'select p.name from permissions p where $1 = ''2''' \
        SET search_path = pbac";
    meddle(&world, "pbac.effective_permissions(pg_catalog.text,timestamp with time zone)", wrong).await;
    let reasons =
        ["users:", "user `2`: SQL lacks 0 and has 2 more of 1", "user `1`: SQL lacks 3 and has 0 more"];
    fails_once(&world, Exit::Mismatch, "validate", &reasons).await;
}

#[tokio::test]
async fn when_a_permission_is_lost() {
    let world = World::small().await;
    let lose = "CREATE TRIGGER lose BEFORE INSERT ON pbac.permissions FOR EACH ROW \
        WHEN (new.name = 'stock.view') EXECUTE FUNCTION public.lose()";
    meddle(&world, "pbac.permissions", lose).await;
    let reasons = [
        "permissions: 2 permissions are stored, the policy has 3",
        "permission `stock.view`: `warehouse` is not stored",
    ];
    fails_once(&world, Exit::Mismatch, "validate", &reasons).await;
}

#[tokio::test]
async fn when_a_pattern_of_a_role_is_lost() {
    let world = World::small().await;
    let lose = "CREATE TRIGGER lose BEFORE INSERT ON pbac.role_permissions FOR EACH ROW \
        WHEN (new.role = 'CLERK') EXECUTE FUNCTION public.lose()";
    meddle(&world, "pbac.role_permissions", lose).await;
    let reasons = ["role_mappings: pattern of a role `CLERK`: `po.view` is not stored"];
    fails_once(&world, Exit::Mismatch, "validate", &reasons).await;
}

#[tokio::test]
async fn when_a_table_has_another_column() {
    let world = World::small().await;
    meddle(&world, "pbac.conflicts", "ALTER TABLE pbac.conflicts ADD COLUMN since date").await;
    let reasons = ["tables: `conflicts` has a column `since` that is not pbac's"];
    fails_once(&world, Exit::Mismatch, "validate", &reasons).await;
}

#[tokio::test]
async fn when_a_file_cannot_be_applied() {
    let world = World::small().await;
    world
        .run("CREATE SCHEMA pbac; CREATE FUNCTION pbac.covers(text, text) RETURNS boolean LANGUAGE sql AS 'select true'")
        .await;
    let reasons = ["`0004_questions.sql` cannot be applied", "already exists"];
    fails_once(&world, Exit::Failed, "schema", &reasons).await;
}

#[tokio::test]
async fn when_the_connection_is_ended() {
    let world = World::small().await;
    let end = "PERFORM pg_terminate_backend(pg_backend_pid())";
    meddle(&world, "pbac.roles", end).await;
    fails_once(&world, Exit::Failed, "schema", &["terminating connection"]).await;
}

#[tokio::test]
async fn when_the_lock_is_lost() {
    let world = World::small().await;
    let end = "PERFORM pg_terminate_backend(l.pid) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 \
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.pid <> pg_backend_pid()";
    meddle(&world, "pbac.roles", end).await;
    fails_once(&world, Exit::Failed, "audit", &["the lock was lost"]).await;
}

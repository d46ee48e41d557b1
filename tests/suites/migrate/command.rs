//! The same through the command: exit statuses, and what is printed where.

use std::process::{Command, Output};

use pbac_tests::binary::pbac;
use pbac_tests::record::Recorded;
use serde_json::Value;

use crate::world::{World, example};

fn run(world: &World, arguments: &[&str]) -> Output {
    Command::new(pbac())
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", world.database.url_text())
        .env("PBAC_POLICY", example("policy.toml"))
        .env("PBAC_ENDPOINTS", example("endpoints.toml"))
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap()
        .recorded()
}

fn json(world: &World, arguments: &[&str], exit: i32) -> Value {
    let output = run(world, arguments);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(exit), "{out}\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[tokio::test]
async fn the_way_a_person_goes() {
    let world = World::erp(500).await;
    assert_eq!(json(&world, &["status", "--json"], 0)["stage"], "nothing");
    let plan = json(&world, &["plan", "--json"], 0);
    assert_eq!(plan["policy"]["permissions"], 112);
    assert_eq!(plan["policy"]["modules"], 13);
    assert_eq!(plan["preflight"]["access"]["agreeing"], 2288);
    assert_eq!(plan["changes"]["roles"]["added"].as_array().unwrap().len(), 22);
    let id = plan["id"].as_str().unwrap();
    assert_eq!(json(&world, &["migrate", "--json", "--dry-run", "--plan", id], 0)["ending"], "dry_run");
    assert_eq!(json(&world, &["status", "--json"], 0)["stage"], "nothing");
    assert_eq!(json(&world, &["migrate", "--json", "--plan", id], 0)["ending"], "migrated");
    assert_eq!(json(&world, &["migrate", "--json"], 0)["ending"], "unchanged");
    let stale = run(&world, &["migrate", "--plan", id]);
    assert_eq!(stale.status.code(), Some(6));
    assert!(stale.stdout.is_empty());
    let validation = json(&world, &["validate", "--json"], 0);
    assert_eq!(validation["holds"], true);
    assert_eq!(validation["checks"].as_array().unwrap().len(), 7);
    assert_eq!(run(&world, &["validate", "--strict"]).status.code(), Some(4));
    let status = json(&world, &["status", "--json"], 0);
    assert_eq!((&status["stage"], &status["counts"]["users"]), (&Value::from("migrated"), &Value::from(500)));

    world.run("DELETE FROM pbac.role_permissions WHERE role = 'SECURITY'").await;
    assert_eq!(json(&world, &["validate", "--json"], 4)["holds"], false);
    let plan = run(&world, &["plan", "--no-color"]);
    let text = String::from_utf8(plan.stdout).unwrap();
    assert!(text.contains("  + grants: SECURITY: "), "{text}");
    assert_eq!(plan.status.code(), Some(0));
}

#[tokio::test]
async fn progress_is_on_standard_error_and_the_answer_on_standard_output() {
    let world = World::erp(50).await;
    let output = run(&world, &["migrate", "--no-color"]);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(out.contains("Migrated: policy `erp` is in force in `pbac`"), "{out}");
    assert!(err.contains("validating") && err.contains("committing") && !out.contains("validating"), "{err}");
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'));
    let quiet = run(&world, &["migrate", "--quiet"]);
    assert!(quiet.stderr.is_empty(), "{}", String::from_utf8_lossy(&quiet.stderr));
}

#[tokio::test]
async fn what_stops_it_is_its_status() {
    let world = World::erp(50).await;
    world.run("ALTER TYPE public.userrole ADD VALUE 'NEWCOMER'").await;
    let output = run(&world, &["migrate"]);
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("label `NEWCOMER` stands for no role of the policy"), "{text}");
    assert_eq!(json(&world, &["plan", "--json"], 4)["preflight"]["findings"][0]["code"], "unknown_label");
    assert_eq!(json(&world, &["status", "--json"], 0)["stage"], "nothing");
    assert_eq!(run(&world, &["validate"]).status.code(), Some(4));
}

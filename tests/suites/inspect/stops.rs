//! Where a person has to choose first, and what cannot be said here: status 8, nothing written, the flag that chooses.

use pbac::inspect::{Notes, Preset, RemarkKind, Request, inspect};
use pbac::postgres::Identifier;
use serde_json::Value;
use sqlx::Connection;

use crate::world::{World, remarks, schemas};

fn legacy(framework: &str) -> String {
    std::fs::read_to_string(schemas().join(framework).join("legacy.sql")).unwrap()
}

/// It stops with these words, and nothing is written.
fn stops(world: &World, arguments: &[&str], words: &[&str]) -> Value {
    let (status, answer) = world.init(arguments);
    assert_eq!(status, 8, "{answer}");
    let said = remarks(&answer, "stop").join("\n");
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert_eq!(answer["written"], Value::Array(Vec::new()));
    assert_eq!(world.directory.path().read_dir().unwrap().count(), 0);
    answer
}

#[tokio::test]
async fn a_choice_that_is_open_stops_and_names_the_flag() {
    let world = World::with(&legacy("laravel-permission")).await;
    stops(&world, &[], &["which of `api`, `web` is meant? say it with `--choose guard=…`"]);
    stops(
        &world,
        &["--choose", "guard=desk"],
        &["`desk` is none of `api`, `web`; correct `--choose guard=…`"],
    );
    stops(&world, &["--choose", "guard=web", "--choose", "realm=x"], &["nothing here is chosen by it"]);
    stops(
        &world,
        &["--preset", "django"],
        &["these tables of `django`, with their columns, are not all here"],
    );
    assert_eq!(world.init(&["--choose", "guard=web"]).0, 0);

    let world = World::with(&legacy("casbin")).await;
    stops(&world, &[], &["say it with `--choose wildcards=…`: exact, shiro, laravel, keymatch, keymatch2"]);
    stops(&world, &["--choose", "wildcards=glob"], &["`glob` is none of"]);
    // Read as it stands, `/articles/*` names an object of that name.
    assert_eq!(world.init(&["--choose", "wildcards=exact"]).1["rewritten"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_choice_that_makes_no_sense_is_refused() {
    let world = World::with("").await;
    for (choice, words) in [("guard", "`guard` is not a choice"), ("gard=web", "`gard` is nothing to choose")]
    {
        let (status, answer) = world.init(&["--choose", choice]);
        assert_eq!(status, 2, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(words), "{answer}");
    }
    stops(&world, &[], &["neither a framework nor a table of users with roles is recognised"]);
}

#[tokio::test]
async fn tables_of_two_frameworks_stop() {
    let world = World::with(&format!("{}{}", legacy("django"), legacy("casbin"))).await;
    stops(&world, &[], &["this looks like django and like casbin; say with --preset which one counts"]);
    assert_eq!(world.init(&["--preset", "django"]).0, 0);
}

#[tokio::test]
async fn two_schemas_of_one_framework_stop() {
    let copy = legacy("django").replace("public.", "archive.");
    let world = World::with(&format!("CREATE SCHEMA archive; {copy} {}", legacy("django"))).await;
    stops(&world, &[], &["which of `archive`, `public` is meant? say it with `--choose schema=…`"]);
    let (status, answer) = world.init(&["--choose", "schema=archive", "--choose", "users=archive.auth_user"]);
    assert_eq!(status, 0, "{answer}");
    assert!(world.file("policy.toml").contains("table = \"archive.auth_user\""));
}

#[tokio::test]
async fn a_swapped_table_of_users_is_found() {
    let swap = |text: &str| {
        text.replace("auth_user_user_permissions", "people_person_user_permissions")
            .replace("auth_user_groups", "people_person_groups")
            .replace("public.auth_user", "public.people_person")
            .replace("FROM auth_user ", "FROM people_person ")
            .replace("user_id ", "person_id ")
            .replace("(user_id,", "(person_id,")
    };
    let swapped = swap(&legacy("django"));
    let world = World::with(&swapped).await;
    let (status, answer) = world.init(&[]);
    assert_eq!(status, 0, "{answer}");
    assert!(remarks(&answer, "found").iter().any(|text| text.contains("AUTH_USER_MODEL")));
    let draft = world.file("policy.toml");
    assert!(draft.contains("table = \"public.people_person_groups\", from = \"person_id\""), "{draft}");
    world.migrate(&[]).await;
    let framework = std::fs::read_to_string(schemas().join("django/framework.sql")).unwrap();
    let expected = world.pairs(&swap(&framework).replace("AS user_id", "AS id")).await;
    assert_eq!(world.effective().await, expected);
}

#[tokio::test]
async fn two_names_that_would_become_one_stop() {
    let more = "INSERT INTO permissions (id, name, guard_name) VALUES (20, 'articles.publish', 'web')";
    let world = World::with(&format!("{}{more}", legacy("laravel-permission"))).await;
    stops(
        &world,
        &["--choose", "guard=web"],
        &["`articles.publish` and `publish articles` would both be `articles.publish` here"],
    );
}

#[tokio::test]
async fn a_wildcard_over_nothing_known_stops() {
    let more = "INSERT INTO roles_permissions VALUES ('root', 'plotter:*')";
    let world = World::with(&format!("{}{more}", legacy("shiro"))).await;
    stops(
        &world,
        &[],
        &["`plotter:*`, read as shiro, covers nothing that the database names as a permission"],
    );
}

#[tokio::test]
async fn a_deny_of_a_role_stops_until_it_is_said_what_becomes_of_it() {
    let more = "INSERT INTO casbin_rule (ptype, v0, v1, v2, v3) \
        VALUES ('p', 'role:editor', '/articles/list', 'read', 'deny')";
    let world = World::with(&format!("{}{more}", legacy("casbin"))).await;
    let keymatch = ["--choose", "wildcards=keymatch"];
    stops(
        &world,
        &keymatch,
        &["1 rules deny something to a role (first: `/articles/list.read` of `role:editor`)"],
    );
    let (status, answer) = world.init(&[&keymatch[..], &["--choose", "role-denies=overrides"]].concat());
    assert_eq!(status, 0, "{answer}");
    world.migrate(&[]).await;
    let found = world.effective().await;
    let of = |user: &str| -> Vec<&str> {
        found.iter().filter(|(name, _)| name == user).map(|(_, permission)| permission.as_str()).collect()
    };
    assert_eq!(of("ben"), ["articles.item.read", "articles.item.write"]);
    assert_eq!(of("dora"), ["articles.item.read", "articles.item.write", "articles.list.read"]);
}

#[tokio::test]
async fn domains_and_other_rules_of_casbin_stop() {
    let more = "INSERT INTO casbin_rule (ptype, v0, v1, v2) VALUES ('g', 'x', 'y', 'tenant1'), ('g2', 'data1', 'data', '')";
    let world = World::with(&format!("{}{more}", legacy("casbin"))).await;
    stops(
        &world,
        &["--choose", "wildcards=keymatch"],
        &["1 rules `g` have a domain", "rules `g2` are of a model"],
    );
}

#[tokio::test]
async fn composites_in_a_circle_stop() {
    let more = "INSERT INTO composite_role VALUES ('role-clerk', 'role-manager')";
    let world = World::with(&format!("{}{more}", legacy("keycloak"))).await;
    stops(&world, &[], &["makes no policy", "manager > clerk > manager"]);
}

#[tokio::test]
async fn two_realms_stop_and_one_name_of_two_clients_is_told_apart() {
    let more = "INSERT INTO realm (id, enabled, name) VALUES ('r-other', true, 'other'); \
        INSERT INTO user_entity (id, enabled, realm_id, username) VALUES ('u-else', true, 'r-other', 'else'); \
        INSERT INTO keycloak_role (id, name, client_role, realm_id, client, client_realm_constraint) \
        VALUES ('role-read-2', 'orders-read', true, 'r-shop', 'c-account', 'c-account');";
    let world = World::with(&format!("{}{more}", legacy("keycloak"))).await;
    stops(&world, &[], &["which of `other`, `shop` is meant? say it with `--choose realm=…`"]);
    let (status, answer) = world.init(&["--choose", "realm=shop"]);
    assert_eq!(status, 0, "{answer}");
    let draft = world.file("policy.toml");
    assert!(
        draft.contains("[roles.\"account/orders-read\"]")
            && draft.contains("[roles.\"orders-api/orders-read\"]"),
        "{draft}"
    );
    assert!(draft.contains("role-read = \"orders-api/orders-read\""), "{draft}");
    assert!(draft.contains("where = { realm_id = \"r-shop\" }"), "{draft}");
    world.migrate(&[]).await;
    let roles = world.pairs("SELECT user_id, role FROM pbac.all_users() WHERE role IS NOT NULL").await;
    assert!(roles.contains(&("u-robot".to_owned(), "orders-write".to_owned())), "{roles:?}");
    let others = world.pairs("SELECT user_id, user_id FROM pbac.all_users() WHERE user_id = 'u-else'").await;
    assert!(others.is_empty());
}

#[tokio::test]
async fn teams_stop_until_one_is_chosen() {
    let teams = "ALTER TABLE model_has_roles ADD team_id bigint NOT NULL DEFAULT 1; \
        ALTER TABLE model_has_permissions ADD team_id bigint NOT NULL DEFAULT 1; ALTER TABLE roles ADD team_id bigint; \
        INSERT INTO roles (id, name, guard_name, team_id) VALUES (10, 'captain', 'web', 2); \
        INSERT INTO model_has_roles VALUES (10, 'App\\Models\\User', 6, 2);";
    let world = World::with(&format!("{}{teams}", legacy("laravel-permission"))).await;
    let guard = ["--choose", "guard=web"];
    stops(&world, &guard, &["which of `1`, `2` is meant? say it with `--choose team=…`"]);
    let (status, answer) = world.init(&[&guard[..], &["--choose", "team=2"]].concat());
    assert_eq!(status, 0, "{answer}");
    let draft = world.file("policy.toml");
    assert!(draft.contains("[roles.captain]") && draft.contains("team_id = \"2\""), "{draft}");
    let (status, _) = world.init(&[&guard[..], &["--force", "--choose", "team=1"]].concat());
    assert_eq!(status, 0);
    let draft = world.file("policy.toml");
    assert!(!draft.contains("[roles.captain]") && draft.contains("ignore_labels = [\"captain\"]"), "{draft}");
    world.migrate(&[]).await;
}

#[tokio::test]
async fn nothing_is_written_to_the_database() {
    let world = World::with(&legacy("django")).await;
    let sql = "SELECT c.oid::regclass::text, c.relfilenode::text || ' ' || pg_relation_size(c.oid) FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^(pg_|information_schema)'";
    let before = world.pairs(sql).await;
    assert_eq!(world.init(&[]).0, 0);
    assert_eq!(world.pairs(sql).await, before);
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_named() {
    let world = World::with(&legacy("django")).await;
    let role = format!("reader_{}", world.database.name().as_str());
    let sql = format!(
        "CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; \
         REVOKE SELECT ON auth_group_permissions FROM {role}"
    );
    let mut connection = world.database.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    let options = world.database.url().options().clone().username(&role);
    let mut reader = sqlx::PgConnection::connect_with(&options).await.unwrap();
    let request = Request { preset: Some(Preset::Django), ..Request::default() };
    let ours = Identifier::new("pbac").unwrap();
    let (found, files) = inspect(&mut reader, &ours, &request, Notes::default()).await.unwrap();
    assert!(found.stops() && files.is_none());
    let remark = found.remarks.iter().find(|remark| remark.about == "public.auth_group_permissions").unwrap();
    assert_eq!((remark.kind, remark.text.as_str()), (RemarkKind::NotLookedAt, "this user may not read them"));
    reader.close().await.unwrap();
    let sql = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

//! The commands that need a database, as processes: questions, grants and their refusals, the audit log.

use std::collections::BTreeSet;
use std::process::Command;

use pbac::legacy::FindingCode;
use pbac_tests::binary;
use pbac_tests::database::TestDatabase;
use pbac_tests::record::Recorded;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// The policy of `tests/cli/fixtures/shop`, and where its legacy roles lie.
const SOURCE: &str = r#"
[source]
kind = "role-column"
table = "public.users"
user_id = "id"
role = "role"
active = "is_active"
"#;

/// User 9 is inactive.
const LEGACY: &str = "
    create table users (id integer primary key, role text not null, is_active boolean not null);
    insert into users values
        (1, 'PURCHASING_HEAD', true), (2, 'PURCHASING', true), (3, 'WAREHOUSE', true), (9, 'PURCHASING_HEAD', false);
";

/// Legacy rules by which the heads gain and everybody else loses.
const ENDPOINTS: &str = r#"
[legacy]
roles = ["PURCHASING", "WAREHOUSE", "PURCHASING_HEAD"]
[[endpoints]]
method = "GET"
path = "/orders"
roles = ["WAREHOUSE"]
permission = "po.view"
"#;

struct Shop {
    database: TestDatabase,
    directory: tempfile::TempDir,
}

impl Shop {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        sqlx::raw_sql(LEGACY).execute(&mut connection).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/fixtures/shop/policy.toml");
        let policy = std::fs::read_to_string(fixtures).unwrap() + SOURCE;
        std::fs::write(directory.path().join("policy.toml"), policy).unwrap();
        let shop = Self { database, directory };
        let (status, _, errors) = shop.run(&["migrate", "--no-administrator"]);
        assert_eq!(status, 0, "{errors}");
        shop
    }

    /// Status, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(binary::pbac())
            .args(arguments)
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.database.url_text())
            .output()
            .unwrap()
            .recorded();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Status and the JSON on standard output, or on standard error where there is none.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (status, output, errors) = self.run(&[arguments, &["--json"]].concat());
        let line = if output.is_empty() { errors.lines().last().unwrap_or_default() } else { &output };
        (status, serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {output}{errors}")))
    }

    async fn sql(&self, sql: &str) {
        let mut connection = self.database.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }
}

fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

/// The names of all fields, but those inside fields whose keys are data.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                if !["details", "source"].contains(&name.as_str()) {
                    // The keys of `counts` in `migrate` are the names of our tables.
                    let tables = name == "counts" && value.get("permissions").is_some_and(Value::is_object);
                    let values = value.as_object().filter(|_| tables);
                    match values {
                        Some(tables) => tables.values().for_each(|counts| fields(counts, found)),
                        None => fields(value, found),
                    }
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_field_is_documented() {
    let shop = Shop::open().await;
    let documentation = include_str!("../../docs/json.md");
    let path = shop.directory.path().join("next.toml");
    let policy = std::fs::read_to_string(shop.directory.path().join("policy.toml")).unwrap();
    std::fs::write(&path, policy.replace("\"po.view\", \"po.create\"", "\"po.view\"")).unwrap();
    std::fs::write(shop.directory.path().join("endpoints.toml"), ENDPOINTS).unwrap();
    let log = shop.directory.path().join("log.jsonl");
    std::fs::write(&log, SHADOWED).unwrap();
    std::fs::create_dir(shop.directory.path().join("draft")).unwrap();
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/fixtures/app");
    let (rules, source) = (format!("{app}/rules.toml"), format!("{app}/shop"));
    let commands: &[&[&str]] = &[
        &["init", "--dir", "draft"],
        &["shadow", "log.jsonl"],
        &["endpoints", "--endpoints", &rules, "--source", &source],
        &["init", "--python", &source, "--out", "rules.toml"],
        &["check", "1", "po.approve"],
        &["grant", "3", "po.approve", "--by", "1", "--expires", "+1h", "--reason", "holiday"],
        &["explain", "3", "po.approve"],
        &["explain", "3", "po.approve", "--at", "2999-01-01T00:00:00Z"],
        &["explain", "2", "po.approve"],
        &["permissions", "3"],
        &["who-can", "po.create"],
        &["diff", "policy.toml", "next.toml"],
        &["lint", "database"],
        &["bundle", "build", "-o", "shop.pbac"],
        &["bundle", "check", "shop.pbac"],
        &["plan"],
        &["access-diff", "--endpoints", "endpoints.toml"],
        &["validate"],
        &["status"],
        &["revoke", "3", "po.approve", "--by", "1"],
        &["audit", "list"],
        &["audit", "verify"],
        &["migrate", "--no-administrator", "--dry-run"],
        &["rollback", "--yes"],
        &["restore"],
    ];
    for arguments in commands {
        let (_, value) = shop.json(arguments);
        assert_eq!(value.get("error"), None, "{arguments:?}: {value}");
        let heading = format!("\n## `{}`\n", arguments[0]);
        let section = documentation.split_once(&heading).unwrap_or_else(|| panic!("no section{heading}")).1;
        let section = section.split("\n## ").next().unwrap();
        let mut names = BTreeSet::new();
        fields(&value, &mut names);
        for name in names {
            // A section may lean on another one: it names it.
            let known =
                |text: &str| text.contains(&format!("`{name}`")) || text.contains(&format!("\"{name}\""));
            let leans_on = documentation.split("\n## ").filter(|other| {
                let title = other.split('\n').next().unwrap();
                section.contains(&format!("as in {title}")) || section.contains(&format!("fields of {title}"))
            });
            assert!(
                known(section) || leans_on.into_iter().any(known) || DECISION.contains(&name.as_str()),
                "`{name}` of {arguments:?} is not in docs/json.md"
            );
        }
    }
}

/// Whoever reads a code that is not known is told those that are.
#[test]
fn every_code_of_a_finding_is_documented() {
    let documentation = include_str!("../../docs/json.md");
    let listed = documentation.split_once("A finding: ").unwrap().1.split("\n\n").next().unwrap();
    let known = serde_json::from_value::<FindingCode>(json!("?")).unwrap_err().to_string();
    let codes: Vec<&str> = known.split('`').skip(3).step_by(2).collect();
    assert!(codes.len() > 20, "{known}");
    for code in codes {
        assert!(listed.contains(&format!("`{code}`")), "`{code}` is not in docs/json.md");
    }
}

/// Lines of a log that between them fill every field.
const SHADOWED: &str = r#"{"user":"3","permission":"po.view","legacy":"allow"}
{"user":"3","roles":["BUYER"],"permission":"po.view","legacy":"allow"}
not json
"#;

/// The fields of a decision, which have a section of their own.
const DECISION: [&str; 4] = ["decision", "reason", "role", "pattern"];

#[tokio::test]
async fn questions_are_answered_by_the_live_database() {
    let shop = Shop::open().await;
    let (status, line, _) = shop.run(&["check", "1", "po.approve"]);
    assert_eq!(
        (status, line.as_str()),
        (0, "allow `1` `po.approve`: role `PURCHASING_HEAD` holds `po.approve`\n")
    );
    assert_eq!(shop.run(&["check", "2", "po.approve"]).0, 3);
    assert_eq!(shop.run(&["check", "9", "po.approve"]).0, 3, "inactive users hold no roles");
    assert_eq!(
        shop.run(&["check", "9", "po.approve", "--role", "PURCHASING_HEAD"]).0,
        0,
        "but a token's count"
    );
    assert_eq!(shop.run(&["permissions", "2", "--quiet"]).1, "po.create\npo.view\n");
    let (_, holders) = shop.json(&["who-can", "po.create"]);
    assert_eq!(field(&holders, "users"), &json!(["1", "2"]));
    let (status, explained) = shop.json(&["explain", "2", "po.approve"]);
    assert_eq!(status, 3);
    assert_eq!(field(field(&explained, "nearest"), "pattern"), "po.create");
    assert_eq!(shop.run(&["diff", "database", "policy.toml"]).0, 0);
    let (status, lints) = shop.json(&["lint", "database", "--strict"]);
    assert_eq!(
        (status, field(&lints, "conflicts")),
        (
            4,
            &json!([
                {"conflict": "create and approve", "roles": ["PURCHASING_HEAD"], "users": ["1"]}
            ])
        )
    );
}

#[tokio::test]
async fn a_file_is_compared_for_the_users_of_the_database() {
    let shop = Shop::open().await;
    let path = shop.directory.path().join("next.toml");
    let policy = std::fs::read_to_string(shop.directory.path().join("policy.toml")).unwrap();
    std::fs::write(&path, policy.replace("\"po.view\", \"po.create\"", "\"po.view\"")).unwrap();
    let (status, difference) = shop.json(&["diff", "database", "next.toml"]);
    assert_eq!(status, 4);
    assert_eq!(
        field(&difference, "users"),
        &json!([
            {"name": "1", "gained": [], "lost": ["po.create"]},
            {"name": "2", "gained": [], "lost": ["po.create"]},
        ])
    );
    let (status, difference) = shop.json(&["diff", "next.toml", "database"]);
    assert_eq!((status, field(&difference, "users").as_array().unwrap().len()), (4, 2));
}

#[tokio::test]
async fn a_bundle_of_the_database_answers_without_it() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&["grant", "3", "po.view", "--by", "1", "--expires", "+1h"]).0, 0);
    assert_eq!(shop.run(&["bundle", "build", "-o", "shop.pbac"]).0, 0);
    let ask = |user: &str, permission: &str, more: &[&str]| {
        shop.run(&[&["check", user, permission, "--bundle", "shop.pbac"], more].concat()).0
    };
    assert_eq!(
        (ask("1", "po.approve", &[]), ask("2", "po.approve", &[]), ask("9", "po.view", &[])),
        (0, 3, 3)
    );
    assert_eq!((ask("3", "po.view", &[]), ask("3", "po.view", &["--at", "2999-01-01T00:00:00Z"])), (0, 3));
}

#[tokio::test]
async fn a_grant_counts_until_it_ends_and_is_audited() {
    let shop = Shop::open().await;
    let arguments =
        ["grant", "3", "po.view", "--by", "2", "--expires", "2999-01-01T00:00:00Z", "--reason", "holiday"];
    let (status, granted) = shop.json(&arguments);
    assert_eq!(status, 0, "{granted}");
    for (name, value) in [
        ("user", json!("3")),
        ("pattern", json!("po.view")),
        ("effect", json!("allow")),
        ("expires_at", json!("2999-01-01T00:00:00Z")),
        ("reason", json!("holiday")),
        ("granted_by", json!("2")),
        ("outcome", json!("created")),
        ("conflicts", json!([])),
    ] {
        assert_eq!(field(&granted, name), &value, "{name}");
    }
    let (status, line, _) = shop.run(&["check", "3", "po.view"]);
    assert_eq!((status, line.as_str()), (0, "allow `3` `po.view`: an override allows `po.view`\n"));
    assert_eq!(shop.run(&["check", "3", "po.view", "--at", "2999-01-01T00:00:00Z"]).0, 3);
    assert_eq!(shop.run(&["check", "3", "po.view", "--at", "2998-12-31T23:59:59.999999Z"]).0, 0);

    let (_, again) = shop.json(&arguments);
    assert_eq!((field(&again, "outcome"), field(&again, "audit_head")), (&json!("unchanged"), &Value::Null));

    let head = field(&granted, "audit_head").as_str().unwrap();
    let (status, verified) = shop.json(&["audit", "verify", "--head", head]);
    assert_eq!(
        (status, field(&verified, "head").as_str(), field(&verified, "fault")),
        (0, Some(head), &Value::Null)
    );
    let (_, list) = shop.json(&["audit", "list", "--last", "1"]);
    let record = &field(&list, "records")[0];
    assert_eq!(field(record, "action"), "grant");
    assert_eq!(field(record, "subject"), "3");
    assert_eq!(field(record, "outcome"), "succeeded");
    assert_eq!(field(field(record, "details"), "by"), "2");

    let (status, revoked) = shop.json(&["revoke", "3", "po.view", "--by", "1"]);
    assert_eq!((status, field(&revoked, "reason")), (0, &json!("holiday")));
    assert_eq!(shop.run(&["check", "3", "po.view"]).0, 3);
    let (status, error) = shop.json(&["revoke", "3", "po.view", "--by", "1"]);
    assert_eq!((status, field(&error, "error")), (1, &json!("failed")));
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_hold_and_the_attempt_is_recorded() {
    let shop = Shop::open().await;
    let (status, _, errors) = shop.run(&["grant", "3", "po.*", "--by", "2"]);
    assert_eq!(status, 6);
    assert_eq!(
        errors,
        "pbac: `2` does not hold 1 of what `po.*` covers: `po.approve`\n  help: let somebody grant it who holds all of \
         it, or grant less\n"
    );
    assert_eq!(shop.run(&["grant", "3", "po.view", "--by", "9"]).0, 6, "inactive");
    assert_eq!(shop.run(&["grant", "3", "po.view", "--by", "nobody"]).0, 6);
    assert_eq!(shop.run(&["grant", "3", "gate.*", "--by", "1"]).0, 6, "covers nothing yet");
    assert_eq!(shop.run(&["check", "3", "po.view"]).0, 3);
    let (_, list) = shop.json(&["audit", "list", "--last", "4"]);
    for record in field(&list, "records").as_array().unwrap() {
        assert_eq!((field(record, "action"), field(record, "outcome")), (&json!("grant"), &json!("refused")));
    }
    // What is held for an hour cannot be given for ever.
    assert_eq!(shop.run(&["grant", "3", "po.approve", "--by", "1", "--expires", "+1h"]).0, 0);
    assert_eq!(shop.run(&["grant", "2", "po.approve", "--by", "3"]).0, 6);
    assert_eq!(shop.run(&["grant", "2", "po.approve", "--by", "3", "--expires", "+10m"]).0, 0);
}

#[tokio::test]
async fn a_deny_beats_every_allow_and_only_a_holder_lifts_it() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&["grant", "1", "po.*", "--by", "2", "--deny"]).0, 0);
    let (status, line, _) = shop.run(&["check", "1", "po.view"]);
    assert_eq!((status, line.as_str()), (3, "deny `1` `po.view`: an override denies `po.*`\n"));
    assert_eq!(
        shop.run(&["revoke", "1", "po.*", "--by", "1", "--deny"]).0,
        6,
        "not by the denied themselves"
    );
    assert_eq!(shop.run(&["revoke", "1", "po.*", "--by", "2", "--deny"]).0, 6, "nor by who holds less");
    shop.sql("insert into users values (4, 'PURCHASING_HEAD', true)").await;
    assert_eq!(shop.run(&["revoke", "1", "po.*", "--by", "4", "--deny"]).0, 0);
    assert_eq!(shop.run(&["check", "1", "po.view"]).0, 0);
}

#[tokio::test]
async fn duties_that_should_be_apart_are_reported_and_refused_when_strict() {
    let shop = Shop::open().await;
    let grant = ["grant", "2", "po.approve", "--by", "1"];
    let (status, error) = shop.json(&[&grant[..], &["--strict"]].concat());
    assert_eq!((status, field(&error, "error")), (6, &json!("refused")));
    let (status, granted) = shop.json(&grant);
    assert_eq!((status, field(&granted, "conflicts")), (0, &json!(["create and approve"])));
}

#[tokio::test]
async fn names_that_look_like_sql_are_data() {
    let shop = Shop::open().await;
    let hostile = "1'); drop table users; --";
    assert_eq!(shop.run(&["grant", hostile, "po.view", "--by", "1", "--reason", hostile]).0, 0);
    assert_eq!(shop.run(&["check", hostile, "po.view"]).0, 0);
    assert_eq!(shop.run(&["check", "1", "po.view"]).0, 0);
    assert_eq!(shop.run(&["revoke", hostile, "po.view", "--by", "1"]).0, 0);
}

#[tokio::test]
async fn a_changed_row_of_the_audit_log_shows() {
    let shop = Shop::open().await;
    shop.sql(
        "alter table pbac.audit_log disable trigger all; \
         update pbac.audit_log set actor = 'somebody else' where seq = 1",
    )
    .await;
    let (status, verified) = shop.json(&["audit", "verify"]);
    assert_eq!((status, field(&verified, "fault")), (4, &json!({"seq": 1, "kind": "hash"})));
}

#[tokio::test]
async fn whoever_holds_the_lock_is_waited_for_and_then_named_busy() {
    let shop = Shop::open().await;
    let schema = pbac::postgres::Identifier::new("pbac").unwrap();
    let lock = pbac::postgres::SchemaLock::acquire(shop.database.url(), &schema, std::time::Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(shop.run(&["grant", "3", "po.view", "--by", "1"]).0, 5);
    assert_eq!(shop.run(&["check", "1", "po.view"]).0, 0, "questions wait for nobody");
    lock.release().await.unwrap();
    assert_eq!(shop.run(&["grant", "3", "po.view", "--by", "1"]).0, 0);
}

#[tokio::test]
async fn an_interrupt_rolls_back_and_says_how_to_go_on() {
    let shop = Shop::open().await;
    let schema = pbac::postgres::Identifier::new("pbac").unwrap();
    let lock = pbac::postgres::SchemaLock::acquire(shop.database.url(), &schema, std::time::Duration::ZERO)
        .await
        .unwrap();
    let child = Command::new(binary::pbac())
        .args(["grant", "3", "po.view", "--by", "1"])
        .env("DATABASE_URL", shop.database.url_text())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It listens for signals before it connects, and waits for the lock for five seconds: then it would say that it is busy.
    let mut observer = shop.database.connect().await;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pbac'";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut observer).await.unwrap() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap().recorded();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("pbac: interrupted; what was not committed is rolled back\n  help: "),
        "{errors}"
    );
    lock.release().await.unwrap();
    assert_eq!(shop.run(&["check", "3", "po.view"]).0, 3);
}

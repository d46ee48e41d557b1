//! Every legacy shape on a real database: `tests/schemas/*` says what users hold, and what stops a migration.
//!
//! `expected.toml` of each directory is written by hand; `tests/schemas/README.md` says how.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt;
use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::legacy::Finding;
use pbac::migrate::apply::{Ending, Manner, Migration, Target, migrate};
use pbac::migrate::plan::{Plan, Wanted};
use pbac::migrate::preflight::Tolerance;
use pbac::migrate::status::validate;
use pbac::policy_file::{self, PolicyFile};
use pbac::postgres::ledger::source_from_json;
use pbac::postgres::source_functions::{LegacyUser, direct_permissions, legacy_state, meaning, users};
use pbac::postgres::{DatabaseUrl, Identifier, RetryPolicy};
use pbac_tests::database::TestDatabase;
use pbac_tests::round_trip;
use policy_core::{Effect, Timestamp};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    users: BTreeMap<String, User>,
    #[serde(default)]
    spoiled: Vec<Spoiled>,
}

/// What is known of a user.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    #[serde(default)]
    labels: BTreeSet<String>,
    #[serde(default = "yes")]
    active: bool,
    /// All that the user holds, overrides among it.
    #[serde(default)]
    permissions: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Something that stops a migration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spoiled {
    what: String,
    /// What is done to the database first.
    #[serde(default)]
    sql: String,
    /// A line of the policy file that is left out.
    without: Option<String>,
    /// The finding.
    code: String,
    count: Option<i64>,
    first: Option<Vec<String>>,
    /// A line of `[source]` with which it does not stop any more.
    mended: Option<String>,
}

struct Shape {
    name: String,
    directory: PathBuf,
}

impl Shape {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
        let mut shapes: Vec<Self> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| Self { name: entry.file_name().into_string().unwrap(), directory: entry.path() })
            .collect();
        shapes.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(shapes.len() >= 15, "only {} shapes", shapes.len());
        shapes
    }

    fn text(&self, file: &str) -> String {
        let path = self.directory.join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn policy(&self) -> PolicyFile {
        parse(&self.text("policy.toml"))
    }

    fn expected(&self) -> Expected {
        toml::from_str(&self.text("expected.toml")).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    async fn database(&self) -> TestDatabase {
        let database = TestDatabase::create().await;
        run(&database, &self.text("legacy.sql")).await;
        database
    }
}

fn parse(text: &str) -> PolicyFile {
    policy_file::parse(text, "policy.toml").unwrap_or_else(|error| panic!("{error}"))
}

async fn run(database: &TestDatabase, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database.connect().await).await.unwrap();
}

fn schema() -> Identifier {
    Identifier::new("pbac").unwrap()
}

/// Nobody need hold everything in these small worlds.
fn wanted(file: &PolicyFile) -> Wanted<'_> {
    let tolerance = Tolerance { no_administrator: true, ..Tolerance::default() };
    Wanted { file, endpoints: None, tolerance }
}

fn target<'t>(url: &'t DatabaseUrl, schema: &'t Identifier) -> Target<'t> {
    Target {
        url,
        schema,
        lock_timeout: Duration::from_millis(200),
        retry: RetryPolicy::default(),
        patience: Duration::from_secs(20),
        now: Timestamp::from_seconds(1_700_000_000),
    }
}

/// Migrates. Whatever could be migrated goes there and back too, in a copy of the database.
async fn go(database: &TestDatabase, file: &PolicyFile) -> Result<Migration, HostError> {
    let schema = schema();
    let migration =
        migrate(&target(database.url(), &schema), &wanted(file), Manner::default(), &|_| {}).await?;
    if migration.ending == Ending::Migrated {
        round_trip::from_migrated(database, &schema, file).await;
    }
    Ok(migration)
}

async fn findings(database: &TestDatabase, file: &PolicyFile) -> Vec<Finding> {
    let mut connection = database.connect().await;
    let schema = schema();
    let target = target(database.url(), &schema);
    let plan = Plan::make(&mut connection, &schema, &wanted(file), target.now, target.limits()).await;
    plan.unwrap().preflight.findings
}

/// The users as SQL has them, asked one by one and all at once.
async fn held(connection: &mut PgConnection) -> BTreeMap<String, User> {
    type Row = (String, Vec<String>, bool, Vec<String>, Vec<String>, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT u.user_id, coalesce(array_agg(u.label) FILTER (WHERE u.label IS NOT NULL), '{}'), bool_and(u.active), \
         ARRAY(SELECT pbac.effective_permissions(u.user_id)), ARRAY(SELECT pbac.user_roles(u.user_id)), pbac.user_is_active(u.user_id) \
         FROM pbac.all_users() u GROUP BY u.user_id",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT user_id, role FROM pbac.all_users() WHERE active")
            .fetch_all(connection)
            .await
            .unwrap();
    for (user, role) in all {
        roles.entry(user).or_default().extend(role);
    }
    rows.into_iter()
        .map(|(id, labels, active, permissions, alone, alone_active)| {
            let count = labels.len();
            let labels: BTreeSet<String> = labels.into_iter().collect();
            assert_eq!(labels.len(), count, "`{id}` has a label twice");
            assert_eq!(active, alone_active, "`{id}`");
            let together = roles.remove(&id).unwrap_or_default();
            assert_eq!(alone.into_iter().collect::<BTreeSet<_>>(), together, "`{id}`");
            (id, User { labels, active, permissions })
        })
        .collect()
}

#[tokio::test]
async fn every_shape_gives_everybody_what_they_had() {
    for shape in Shape::all() {
        let (database, file, expected) = (shape.database().await, shape.policy(), shape.expected());
        let name = &shape.name;
        let migration = go(&database, &file).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(migration.ending, Ending::Migrated, "{name}");
        assert!(migration.checks.iter().all(|check| check.holds), "{name}: {:?}", migration.checks);
        let mut connection = database.connect().await;
        assert_eq!(held(&mut connection).await, expected.users, "{name}");
        assert_eq!(migration.legacy.unwrap().rows, i64::try_from(expected.users.len()).unwrap(), "{name}");

        // What is read as rows says the same, and what the ledger keeps is the source.
        let source = file.source.as_ref().unwrap();
        let rows: Vec<LegacyUser> =
            users(&mut connection, source).await.unwrap().try_collect().await.unwrap();
        assert!(rows.is_sorted_by_key(|user| (&user.user_id, &user.label)), "{name}");
        let mut listed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for user in rows {
            listed.entry(user.user_id.unwrap()).or_default().extend(user.label);
        }
        let labels: BTreeMap<_, _> =
            expected.users.iter().map(|(id, user)| (id.clone(), user.labels.clone())).collect();
        assert_eq!(listed, labels, "{name}");
        let recorded: String =
            sqlx::query_scalar("SELECT source::text FROM pbac.pbac_migrations WHERE kind = 'policy'")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(source_from_json(&serde_json::from_str(&recorded).unwrap()).unwrap(), *source, "{name}");
        assert_eq!(legacy_state(&mut connection, source).await.unwrap(), migration.legacy.unwrap(), "{name}");

        let validation = validate(&target(database.url(), &schema()), &file).await.unwrap();
        assert!(validation.holds, "{name}: {:?}", validation.checks);
        assert_eq!(go(&database, &file).await.unwrap().ending, Ending::Unchanged, "{name}");
    }
}

#[tokio::test]
async fn what_users_had_of_their_own_becomes_overrides_once() {
    let mut seen = BTreeSet::new();
    for shape in Shape::all() {
        let file = shape.policy();
        let source = file.source.as_ref().unwrap();
        if source.permissions.is_empty() {
            continue;
        }
        let name = &shape.name;
        let database = shape.database().await;
        let mut connection = database.connect().await;
        let meaning = meaning(source, &file.policy);
        let direct: Vec<_> =
            direct_permissions(&mut connection, source).await.unwrap().try_collect().await.unwrap();
        let expected: BTreeSet<(String, String, &str)> = direct
            .iter()
            .flat_map(|row| {
                let patterns = &meaning[row.name.as_str()];
                patterns.iter().map(|&pattern| (row.user_id.clone(), pattern.to_owned(), row.effect.as_str()))
            })
            .collect();
        assert!(!expected.is_empty(), "{name}");
        seen.extend(direct.iter().map(|row| row.effect));
        let migration = go(&database, &file).await.unwrap();
        assert_eq!(usize::try_from(migration.imported).unwrap(), expected.len(), "{name}");
        let stored: Vec<(String, String, String, String, String)> = sqlx::query_as(
            "SELECT user_id, pattern, effect, granted_by, reason FROM pbac.user_custom_permissions WHERE expires_at IS NULL",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(stored.len(), expected.len(), "{name}");
        for (user, pattern, effect, by, reason) in &stored {
            assert!(
                expected.contains(&(user.clone(), pattern.clone(), effect.as_str())),
                "{name}: {user} {pattern}"
            );
            assert_eq!(by, "legacy");
            assert!(reason.starts_with("had the legacy permission `"), "{reason}");
        }
        let imported: i64 = sqlx::query_scalar(
            "SELECT (details ->> 'imported')::bigint FROM pbac.audit_log WHERE action = 'migrate' AND outcome = 'succeeded'",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(usize::try_from(imported).unwrap(), expected.len(), "{name}");

        // From now on overrides are pbac's: what was taken back does not come again.
        run(&database, "DELETE FROM pbac.user_custom_permissions").await;
        let described = shape.text("policy.toml").replace("[policy]\n", "[policy]\n# Changed.\n");
        let changed = parse(&described.replacen("\" = \"", "\" = \"Now: ", 1));
        assert_ne!(changed.policy, file.policy, "{name}");
        let again = go(&database, &changed).await.unwrap();
        assert_eq!((again.ending, again.imported), (Ending::Migrated, 0), "{name}");
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pbac.user_custom_permissions")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(left, 0, "{name}");
    }
    assert_eq!(seen, BTreeSet::from([Effect::Deny, Effect::Allow]));
}

#[tokio::test]
async fn what_does_not_fit_stops_until_the_file_says_how_to_treat_it() {
    let mut codes = BTreeSet::new();
    for shape in Shape::all() {
        for spoiled in shape.expected().spoiled {
            let what = format!("{}: {}", shape.name, spoiled.what);
            let database = shape.database().await;
            run(&database, &spoiled.sql).await;
            let mut text = shape.text("policy.toml");
            if let Some(line) = &spoiled.without {
                assert!(text.contains(line.as_str()), "{what}");
                text = text.replace(line.as_str(), "");
            }
            let found = findings(&database, &parse(&text)).await;
            let of_code =
                |finding: &&Finding| serde_json::to_value(finding.code).unwrap() == spoiled.code.as_str();
            let stop = found.iter().filter(|finding| finding.stops()).find(of_code);
            let stop = stop.unwrap_or_else(|| panic!("{what}: {found:#?}"));
            if let Some(count) = spoiled.count {
                assert_eq!(stop.count, count, "{what}: {stop}");
            }
            if let Some(first) = &spoiled.first {
                assert_eq!(stop.first, *first, "{what}: {stop}");
            }
            let error = go(&database, &parse(&text)).await.unwrap_err();
            assert_eq!(error.exit(), Exit::Mismatch, "{what}: {error}");
            codes.insert(spoiled.code.clone());
            let Some(line) = &spoiled.mended else { continue };
            let mended = parse(&text.replace("[source]\n", &format!("[source]\n{line}\n")));
            let found = findings(&database, &mended).await;
            assert!(
                found.iter().filter(|finding| finding.stops()).find(of_code).is_none(),
                "{what}: {found:#?}"
            );
            let migration = go(&database, &mended).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(migration.checks.iter().all(|check| check.holds), "{what}: {:?}", migration.checks);
            assert!(validate(&target(database.url(), &schema()), &mended).await.unwrap().holds, "{what}");
        }
    }
    for code in [
        "bad_value",
        "cycle",
        "missing_source",
        "null_active",
        "null_role",
        "orphan_row",
        "unknown_label",
        "unmapped_permission",
        "wrong_type",
    ] {
        assert!(codes.contains(code), "no shape is spoiled with `{code}`");
    }
}

#[tokio::test]
async fn rights_are_asked_for_on_every_table() {
    let shape = Shape::all().into_iter().find(|shape| shape.name == "join-tables").unwrap();
    let (database, file) = (shape.database().await, shape.policy());
    let user = format!("{}_reader", database.name().as_str());
    run(&database, &format!("CREATE ROLE {user} LOGIN; CREATE SCHEMA pbac AUTHORIZATION {user}")).await;
    let mut url = url::Url::parse(database.url_text()).unwrap();
    let pairs: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| name != "user").collect();
    url.query_pairs_mut().clear().extend_pairs(&pairs).append_pair("user", &user);
    let url: DatabaseUrl = url.as_str().parse().unwrap();
    let go = async || migrate(&target(&url, &schema()), &wanted(&file), Manner::default(), &|_| {}).await;
    run(&database, &format!("GRANT USAGE ON SCHEMA app TO {user}")).await;
    // Exactly the columns that the policy names, and nothing more.
    for (table, columns) in [
        ("app.users", vec!["id", "active", "root"]),
        ("app.user_roles", vec!["user_id", "role_id"]),
        ("app.role_parents", vec!["role_id", "parent_id"]),
        ("app.roles", vec!["id", "name"]),
        ("app.user_permissions", vec!["user_id", "permission_id", "granted"]),
        ("app.permissions", vec!["id", "area", "verb"]),
    ] {
        for column in columns {
            let error = go().await.unwrap_err();
            assert_eq!(error.exit(), Exit::Failed, "{error}");
            let says = format!("may not read the column `{column}` of `{table}`; grant SELECT on it");
            assert!(error.to_string().contains(&says), "{says} is not in: {error}");
            run(&database, &format!("GRANT SELECT ({column}) ON {table} TO {user}")).await;
        }
    }
    let migration = go().await.unwrap();
    assert_eq!((migration.ending, migration.imported), (Ending::Migrated, 3));
    run(&database, &format!("DROP OWNED BY {user} CASCADE; DROP ROLE {user}")).await;
}

#[tokio::test]
async fn the_state_of_the_legacy_tables_shows_every_change_of_a_label() {
    let shape = Shape::all().into_iter().find(|shape| shape.name == "join-tables").unwrap();
    let (database, file) = (shape.database().await, shape.policy());
    let source = file.source.as_ref().unwrap();
    let mut connection = database.connect().await;
    let first = legacy_state(&mut connection, source).await.unwrap();
    let mut seen = BTreeSet::from([first.hash]);
    for (sql, users) in [
        ("UPDATE app.users SET root = true WHERE id = 5", 5),
        ("INSERT INTO app.user_roles VALUES (5, 3)", 5),
        ("DELETE FROM app.role_parents WHERE role_id = 2", 5),
        ("UPDATE app.roles SET name = 'other' WHERE id = 2", 5),
        ("UPDATE app.users SET active = true WHERE id = 4", 5),
        ("INSERT INTO app.users VALUES (6)", 6),
    ] {
        run(&database, sql).await;
        let state = legacy_state(&mut connection, source).await.unwrap();
        assert_eq!(state.rows, users, "{sql}");
        assert!(seen.insert(state.hash), "{sql}");
    }
    // A row that says what another says already changes nothing.
    let before = legacy_state(&mut connection, source).await.unwrap();
    run(&database, "INSERT INTO app.user_roles VALUES (5, 3)").await;
    assert_eq!(legacy_state(&mut connection, source).await.unwrap(), before);
}

/// The way to one user's roles must not read whole tables: it is asked at every decision.
#[tokio::test]
async fn one_user_is_found_by_indexes_along_the_whole_way() {
    let shape = Shape::all().into_iter().find(|shape| shape.name == "join-tables").unwrap();
    let (database, file) = (shape.database().await, shape.policy());
    run(
        &database,
        "INSERT INTO app.users SELECT i FROM generate_series(10, 20000) i; \
         INSERT INTO app.user_roles SELECT i, 3 FROM generate_series(10, 20000) i; \
         INSERT INTO app.roles SELECT i, 'role ' || i FROM generate_series(10, 3000) i; \
         INSERT INTO app.role_parents SELECT i, i + 1 FROM generate_series(10, 2999) i; \
         CREATE INDEX ON app.role_parents (role_id); ANALYZE",
    )
    .await;
    let unknown: Vec<String> = (10..=3000).map(|i| format!("\"role {i}\"")).collect();
    let text = shape.text("policy.toml");
    let text = text.replace("[source]\n", &format!("[source]\nignore_labels = [{}]\n", unknown.join(", ")));
    let file = PolicyFile { source: parse(&text).source, ..file };
    // Only there: the way back of so many users would take minutes, and is no other than that of the few.
    migrate(&target(database.url(), &schema()), &wanted(&file), Manner::default(), &|_| {}).await.unwrap();
    let mut connection = database.connect().await;
    let body: String =
        sqlx::query_scalar("SELECT prosrc FROM pg_proc WHERE oid = 'pbac.user_roles(text)'::regprocedure")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    let mut transaction = connection.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET LOCAL plan_cache_mode = force_generic_plan; PREPARE one (text) AS {body}"
    )))
    .execute(&mut *transaction)
    .await
    .unwrap();
    let plan: Vec<String> =
        sqlx::query_scalar("EXPLAIN EXECUTE one ('15000')").fetch_all(&mut *transaction).await.unwrap();
    let plan = plan.join("\n");
    for table in ["users u", "user_roles h", "role_parents h", "roles h"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        assert!(plan.contains(&format!(" on {table}")), "{plan}");
    }
}

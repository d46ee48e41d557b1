//! The questions in SQL against the oracle: every case file, and generated worlds, each with its whole reason.

use fastrand::Rng;
use pbac::policy_file::Source;
use pbac::postgres::{Identifier, QualifiedName, policy_store, schema, source_functions};
use pbac_tests::cases::{self, ask_user};
use pbac_tests::database::TestDatabase;
use pbac_tests::oracle::Answer;
use pbac_tests::world::{Ask, World};
use pbac_tests::{convert, generate, oracle, shrink};
use sqlx::{Connection, PgConnection, Row};
use std::time::Instant;

/// Worlds that each of the two generating tests makes, and decisions asked of each.
const WORLDS: u64 = 500;
const ASKS: usize = 24;

fn name() -> Identifier {
    Identifier::new("pbac").unwrap()
}

/// A database with all functions, whose legacy roles lie in a table with one row for each role of a user.
async fn prepared() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(
        "CREATE TABLE public.people (id text COLLATE \"C\", role text); CREATE INDEX ON public.people (id)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let column = |name: &str| Identifier::new(name).unwrap();
    let table = QualifiedName::parse("public.people").unwrap();
    let source = Source::role_column(table, column("id"), column("role"));
    let mut transaction = connection.begin().await.unwrap();
    schema::ensure_audit_log(&mut transaction, &name(), "tester").await.unwrap();
    schema::apply(&mut transaction, &name(), "tester").await.unwrap();
    source_functions::install(&mut transaction, &name(), Some(&source)).await.unwrap();
    transaction.commit().await.unwrap();
    (database, connection)
}

/// Puts a world into the tables, in the caller's transaction.
async fn load(connection: &mut PgConnection, world: &World) {
    let policy = convert::policy(world).unwrap();
    policy_store::write(connection, &name(), &policy).await.unwrap();
    // As the world has them, doubles among them: of two that are one, the store keeps the later.
    for over in convert::parts(world).unwrap().overrides {
        policy_store::grant(connection, &name(), &over, "tester").await.unwrap();
    }
    let rows =
        world.users.iter().flat_map(|user| user.roles.iter().map(|role| (user.user.as_str(), role.as_str())));
    let (ids, roles): (Vec<&str>, Vec<&str>) = rows.unzip();
    sqlx::query("INSERT INTO public.people SELECT * FROM unnest($1::text[], $2::text[])")
        .bind(ids)
        .bind(roles)
        .execute(connection)
        .await
        .unwrap();
}

/// The first and the last moment that PostgreSQL and its driver hold comfortably.
const FIRST: i64 = -200_000_000_000_000_000;
const LAST: i64 = 9_223_371_000_000_000_000;

/// A moment that PostgreSQL can hold, in the same place among all others as far as these tests use them.
fn held(moment: i64) -> i64 {
    if moment < FIRST {
        FIRST + moment.saturating_sub(i64::MIN).min(1000)
    } else if moment > LAST {
        LAST - i64::MAX.saturating_sub(moment).min(1000)
    } else {
        moment
    }
}

fn held_world(mut world: World) -> World {
    for over in &mut world.overrides {
        over.expires_at = over.expires_at.map(held);
    }
    world
}

fn held_ask(ask: Ask) -> Ask {
    Ask { now: held(ask.now), ..ask }
}

/// Exactly the microsecond, where `$n` or a column holds the number.
macro_rules! at {
    ($micros:literal) => {
        concat!(
            "to_timestamp(",
            $micros,
            " / 1000000) + (",
            $micros,
            " % 1000000) * interval '1 microsecond'"
        )
    };
}

/// Whether a text can be sent at all: PostgreSQL holds no NUL.
fn sendable(ask: &Ask) -> bool {
    let texts = [&ask.user, &ask.permission].into_iter().chain(ask.roles.iter().flatten());
    !texts.into_iter().any(|text| text.contains('\0'))
}

/// All decisions in one query: by `decide` where the roles are the stored ones, else by `decide_roles`.
async fn decide(connection: &mut PgConnection, asks: &[Ask]) -> Vec<Answer> {
    let users: Vec<&str> = asks.iter().map(|ask| ask.user.as_str()).collect();
    let permissions: Vec<&str> = asks.iter().map(|ask| ask.permission.as_str()).collect();
    let roles: Vec<Option<String>> = asks
        .iter()
        .map(|ask| ask.roles.as_ref().map(|roles| serde_json::to_string(roles).unwrap()))
        .collect();
    let moments: Vec<i64> = asks.iter().map(|ask| ask.now).collect();
    let rows = sqlx::query(concat!(
        "SELECT d.allowed, d.reason, d.role, d.pattern \
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS q (u, p, roles, micros, place) \
         CROSS JOIN LATERAL (SELECT * FROM pbac.decide(q.u, q.p, ",
        at!("q.micros"),
        ") WHERE q.roles IS NULL UNION ALL \
         SELECT * FROM pbac.decide_roles(q.u, ARRAY(SELECT jsonb_array_elements_text(q.roles::jsonb)), q.p, ",
        at!("q.micros"),
        ") WHERE q.roles IS NOT NULL) d ORDER BY q.place"
    ))
    .bind(users)
    .bind(permissions)
    .bind(roles)
    .bind(moments)
    .fetch_all(connection)
    .await
    .unwrap();
    assert_eq!(rows.len(), asks.len());
    rows.iter().map(answer).collect()
}

fn answer(row: &sqlx::postgres::PgRow) -> Answer {
    let (allowed, reason): (bool, String) = (row.get(0), row.get(1));
    let (role, pattern): (Option<String>, Option<String>) = (row.get(2), row.get(3));
    match (allowed, reason.as_str(), role, pattern) {
        (false, "invalid_request", None, None) => Answer::InvalidRequest,
        (false, "unknown_permission", None, None) => Answer::UnknownPermission,
        (false, "explicit_deny", None, Some(pattern)) => Answer::ExplicitDeny { pattern },
        (false, "no_grant", None, None) => Answer::NoGrant,
        (true, "override", None, Some(pattern)) => Answer::AllowedByOverride { pattern },
        (true, "role", Some(role), Some(pattern)) => Answer::AllowedByRole { role, pattern },
        other => panic!("SQL gives {other:?}"),
    }
}

async fn effective(connection: &mut PgConnection, users: &[String], now: i64) -> Vec<Vec<String>> {
    sqlx::query_scalar(concat!(
        "SELECT ARRAY(SELECT pbac.effective_permissions(w.id, ",
        at!("$2::bigint"),
        ")) FROM unnest($1::text[]) WITH ORDINALITY AS w (id, place) ORDER BY w.place"
    ))
    .bind(users)
    .bind(now)
    .fetch_all(connection)
    .await
    .unwrap()
}

/// Compares generated worlds; returns how many decisions were asked.
async fn generated(seeds: std::ops::Range<u64>) -> usize {
    let (_database, mut connection) = prepared().await;
    let mut decisions = 0;
    let mut reasons = std::collections::HashMap::new();
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let world = held_world(generate::world(&mut rng));
        let asks: Vec<Ask> = std::iter::repeat_with(|| held_ask(generate::ask(&mut rng, &world)))
            .filter(sendable)
            .take(ASKS)
            .collect();
        let mut transaction = connection.begin().await.unwrap();
        load(&mut transaction, &world).await;
        for (ask, sql) in asks.iter().zip(decide(&mut transaction, &asks).await) {
            let expected = oracle::decide(&world, ask);
            assert_eq!(sql, expected, "seed {seed}:\n{}", shrink::case_file(&world, ask, "sql"));
            *reasons.entry(std::mem::discriminant(&expected)).or_insert(0) += 1;
            decisions += 1;
        }
        let users = oracle::all_users(&world);
        for now in [0, held(i64::MAX)] {
            for (user, sql) in users.iter().zip(effective(&mut transaction, &users, now).await) {
                let expected = oracle::permissions_of(&world, &ask_user(user, &None, now));
                assert_eq!(sql, expected, "seed {seed}, user {user}, now {now}: {world:?}");
            }
        }
        // `has_permission` reads the server's clock.
        let now: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        let (ids, permissions): (Vec<&str>, Vec<&str>) =
            asks.iter().map(|ask| (ask.user.as_str(), ask.permission.as_str())).unzip();
        let allowed: Vec<bool> = sqlx::query_scalar(
            "SELECT pbac.has_permission(q.u, q.p) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (u, p, place) \
             ORDER BY q.place",
        )
        .bind(ids)
        .bind(permissions)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
        for (ask, sql) in asks.iter().zip(allowed) {
            let ask = Ask { now, roles: None, ..ask.clone() };
            assert_eq!(sql, oracle::decide(&world, &ask).is_allowed(), "seed {seed}: {ask:?} {world:?}");
        }
        transaction.rollback().await.unwrap();
    }
    assert_eq!(reasons.len(), 6, "every reason occurs: {reasons:?}");
    assert!(reasons.values().all(|count| *count >= 100), "{reasons:?}");
    decisions
}

/// Twice the same test, so that both cores work.
#[tokio::test]
async fn generated_worlds_even() {
    let begun = Instant::now();
    let decisions = generated(0..WORLDS).await;
    println!("{decisions} decisions in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(decisions >= 10_000);
}

#[tokio::test]
async fn generated_worlds_odd() {
    let begun = Instant::now();
    let decisions = generated(1_000_000..1_000_000 + WORLDS).await;
    println!("{decisions} decisions in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(decisions >= 10_000);
}

#[tokio::test]
async fn decisions_of_the_case_files() {
    let (_database, mut connection) = prepared().await;
    let (mut count, mut unsendable) = (0, 0);
    for file in cases::load_all() {
        if file.decide.is_empty() && file.permissions_of.is_empty() {
            continue;
        }
        let world = held_world(file.policy.clone());
        let mut transaction = connection.begin().await.unwrap();
        load(&mut transaction, &world).await;
        for case in &file.decide {
            let ask = held_ask(case.ask());
            if !sendable(&ask) {
                unsendable += 1;
                continue;
            }
            let [sql] = decide(&mut transaction, &[ask]).await.try_into().unwrap();
            assert_eq!(cases::answer_json(&sql), case.expect, "{}: {}", file.path.display(), case.name);
            count += 1;
        }
        for case in &file.permissions_of {
            let ask = |permission: &str| Ask {
                permission: permission.to_owned(),
                ..held_ask(ask_user(&case.user, &case.roles, case.now))
            };
            if !sendable(&ask("")) {
                unsendable += 1;
                continue;
            }
            let asks: Vec<Ask> = world.permissions.iter().map(|permission| ask(permission)).collect();
            let answers = decide(&mut transaction, &asks).await;
            let allowed = asks.iter().zip(answers).filter(|(_, answer)| answer.is_allowed());
            let mut found: Vec<&str> = allowed.map(|(ask, _)| ask.permission.as_str()).collect();
            found.sort_unstable();
            assert_eq!(found, case.expect, "{}: {}", file.path.display(), case.name);
            if case.roles.is_none() {
                let [listed] = effective(&mut transaction, std::slice::from_ref(&case.user), held(case.now))
                    .await
                    .try_into()
                    .unwrap();
                assert_eq!(listed, case.expect, "{}: {}", file.path.display(), case.name);
            }
            count += 1;
        }
        transaction.rollback().await.unwrap();
    }
    println!("{count} cases; {unsendable} hold a NUL, which cannot be sent to PostgreSQL");
    assert!(count >= 100, "{count}");
    assert!(unsendable <= 5, "{unsendable}");
}

#[tokio::test]
async fn grammar_of_the_case_files() {
    let (_database, mut connection) = prepared().await;
    let mut count = 0;
    for file in cases::load_all() {
        let patterns = |cases: &[cases::PatternCase]| -> Vec<(String, bool)> {
            cases.iter().map(|case| (case.text.clone(), case.error_at.is_none())).collect()
        };
        let names = |cases: &[cases::NameCase]| -> Vec<(String, bool)> {
            cases.iter().map(|case| (case.text.clone(), case.valid)).collect()
        };
        for (function, texts) in [
            ("SELECT pbac.is_permission($1)", patterns(&file.permission)),
            ("SELECT pbac.is_pattern($1)", patterns(&file.pattern)),
            ("SELECT pbac.is_label($1)", names(&file.role_name)),
            ("SELECT pbac.is_user_id($1)", names(&file.user_id)),
        ] {
            for (text, valid) in texts {
                if text.contains('\0') {
                    assert!(!valid);
                    continue;
                }
                let sql: bool =
                    sqlx::query_scalar(function).bind(&text).fetch_one(&mut connection).await.unwrap();
                assert_eq!(sql, valid, "{}: {function} {text:?}", file.path.display());
                count += 1;
            }
        }
        for case in &file.matching {
            let given = case
                .matches
                .iter()
                .map(|text| (text, true))
                .chain(case.rejects.iter().map(|text| (text, false)));
            for (permission, expected) in given.filter(|(text, _)| !text.contains('\0')) {
                let sql: bool = sqlx::query_scalar("SELECT pbac.pattern_matches($1, $2)")
                    .bind(&case.pattern)
                    .bind(permission)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(sql, expected, "{}: `{}` `{permission}`", file.path.display(), case.pattern);
                count += 1;
            }
        }
    }
    println!("{count} texts");
    assert!(count >= 200, "{count}");
}

/// Patterns and permissions that differ by little, all against all.
#[tokio::test]
async fn matching_of_generated_patterns() {
    let (_database, mut connection) = prepared().await;
    let mut rng = Rng::with_seed(7);
    let mut pairs = 0;
    for _ in 0..40 {
        let world = generate::world(&mut rng);
        let grants = world.roles.iter().flat_map(|role| role.grants.iter().cloned());
        let patterns: Vec<String> =
            grants.chain(world.overrides.iter().map(|over| over.pattern.clone())).collect();
        let rows: Vec<(String, String, bool)> = sqlx::query_as(
            "SELECT g, p, pbac.pattern_matches(g, p) FROM unnest($1::text[]) AS g, unnest($2::text[]) AS p",
        )
        .bind(&patterns)
        .bind(&world.permissions)
        .fetch_all(&mut connection)
        .await
        .unwrap();
        assert_eq!(rows.len(), patterns.len() * world.permissions.len());
        for (pattern, permission, sql) in rows {
            assert_eq!(sql, oracle::matches(&pattern, &permission), "`{pattern}` `{permission}`");
            pairs += 1;
        }
    }
    println!("{pairs} pairs");
    assert!(pairs >= 1000, "{pairs}");
}

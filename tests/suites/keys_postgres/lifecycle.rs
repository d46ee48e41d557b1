//! From the first key to the day on which it is gone.

use pbac::exit::Exit;
use pbac::keys::{Applying, KeySettings, Operation};
use pbac::postgres::schema;
use policy_core::Timestamp;
use policy_core::keys::Algorithm;

use crate::bench::{Bench, PROMOTE, ROTATE, day_of, holds_none, revoke, secrets};

#[tokio::test]
async fn a_key_is_made_staged_promoted_retired_revoked_and_wiped() {
    let mut bench = Bench::empty().await;
    assert!(bench.load().await.history().keys().is_empty());
    bench.settings.fleet = true;
    let mut seen = Vec::new();

    let first = bench.apply(&ROTATE, 0).await.unwrap();
    let a = bench.active().await;
    assert_eq!(bench.rows().await, [format!("{a} active")]);
    seen.extend(secrets(&bench.load().await));

    let refused = bench.apply(&ROTATE, 9).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::Refused);
    bench.apply(&Operation::Stage, 10).await.unwrap();
    let b = bench.load().await.history().staged().unwrap().id.clone();
    assert_eq!(bench.rows().await, [format!("{a} active"), format!("{b} staged")]);
    assert_eq!(bench.apply(&PROMOTE, 10).await.unwrap_err().exit(), Exit::Refused);
    bench.apply(&PROMOTE, 11).await.unwrap();
    assert_eq!(bench.rows().await, [format!("{b} active"), format!("{a} retired")]);

    bench.settings.fleet = false;
    bench.apply(&ROTATE, 100).await.unwrap();
    let c = bench.active().await;
    assert_eq!(bench.rows().await, [format!("{c} active"), format!("{b} retired"), format!("{a} retired")]);
    seen.extend(secrets(&bench.load().await));

    bench.apply(&revoke(&b), 110).await.unwrap();
    assert_eq!(bench.rows().await, [format!("{c} active"), format!("{a} retired")]);
    assert_eq!(bench.texts("SELECT kid FROM pbac.revoked_keys").await, [b.to_string()]);
    let keys = bench.load().await;
    assert_eq!(keys.history().revocation(b.as_str()).unwrap().at, day_of(110));
    assert!(keys.material(&b).is_none());

    // The first key was retired on day 11 for 270 days.
    assert!(keys.history().key(a.as_str()).unwrap().verifies_at(day_of(280)));
    let last = bench.apply(&Operation::RotateIfDue, 281).await.unwrap();
    let d = bench.active().await;
    assert_eq!(bench.rows().await, [format!("{d} active"), format!("{c} retired")]);
    assert!(bench.apply(&Operation::RotateIfDue, 290).await.unwrap().planned.is_none());

    let deeds = bench.deeds().await;
    let both = |action: &str| ["attempted", "succeeded"].map(|outcome| format!("{action} {outcome}"));
    let mut expected =
        vec!["schema.audit_log succeeded".to_owned(), "schema.signing_keys succeeded".to_owned()];
    expected.extend(both("keys.rotate"));
    expected.push("keys.rotate refused".to_owned());
    expected.extend(both("keys.stage"));
    expected.push("keys.promote refused".to_owned());
    for action in ["keys.promote", "keys.rotate", "keys.revoke", "keys.rotate"] {
        expected.extend(both(action));
    }
    assert_eq!(deeds, expected);

    // Each row names the key, and holds the report that the file has as text.
    let log = bench.log().await;
    let subjects: Vec<&str> =
        log.iter().filter(|row| row.outcome == "succeeded").map(|row| row.subject.as_str()).collect();
    let kids = [&a, &b, &b, &c, &b, &d].map(|kid| kid.as_str());
    assert_eq!(subjects, [["pbac", "pbac"].as_slice(), &kids].concat());
    let (report, path) = last.report.unwrap().unwrap();
    let row = log.last().unwrap();
    assert_eq!(row.details, serde_json::to_value(&report).unwrap());
    assert_eq!((&row.details["old_kid"], &row.details["new_kid"]), (&c.as_str().into(), &d.as_str().into()));
    assert_eq!((&row.details["by"], row.actor.as_str()), (&"the test".into(), "postgres"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), report.text());
    let head = last.audit_head.unwrap();
    assert_eq!(head.to_string(), format!("{}:{}", row.seq, row.hash));
    assert_eq!(first.report.unwrap().unwrap().0.old_kid, None);

    // No secret stands anywhere.
    seen.extend(secrets(&bench.load().await));
    let everything = bench.texts("SELECT row_to_json(l)::text FROM pbac.audit_log l").await.join("\n");
    holds_none(&everything, &seen, "the audit log");
    holds_none(&bench.dump(), &seen, "a dump");
    for path in bench.reports() {
        holds_none(&std::fs::read_to_string(path).unwrap(), &seen, "a report");
    }
    holds_none(&format!("{:?} {:?} {refused:?}", bench.store(), bench.load().await), &seen, "a debug output");
}

#[tokio::test]
async fn a_revoked_key_that_signed_is_followed_by_the_staged_one() {
    let bench = Bench::with_a_key().await;
    let a = bench.active().await;
    bench.apply(&Operation::Stage, 1).await.unwrap();
    let b = bench.load().await.history().staged().unwrap().id.clone();
    bench.apply(&revoke(&a), 1).await.unwrap();
    assert_eq!(bench.rows().await, [format!("{b} active")]);
    let again = bench.apply(&revoke(&a), 2).await.unwrap_err();
    assert_eq!(again.exit(), Exit::Usage, "{again}");
    // A name that no row has any more, from a backup.
    let gone = policy_core::keys::KeyId::parse("gone").unwrap();
    assert_eq!(bench.apply(&revoke(&gone), 2).await.unwrap_err().exit(), Exit::Usage);
    bench.apply(&Operation::Revoke { id: gone, unknown: true }, 2).await.unwrap();
    assert_eq!(bench.texts("SELECT kid FROM pbac.revoked_keys ORDER BY 1").await.len(), 2);
    for statement in [
        "DELETE FROM pbac.revoked_keys",
        "UPDATE pbac.revoked_keys SET kid = 'x'",
        "TRUNCATE pbac.revoked_keys",
    ] {
        let mut connection = bench.database.connect().await;
        let error = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("a revoked key stays revoked"), "{error}");
    }
}

#[tokio::test]
async fn keys_of_every_algorithm_come_back_as_they_were_made() {
    for algorithm in [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256] {
        let mut bench = Bench::empty().await;
        bench.settings = KeySettings { algorithm, ..bench.settings };
        let planned = bench.apply(&ROTATE, 0).await.unwrap().planned.unwrap();
        let keys = bench.load().await;
        assert_eq!(keys.history(), planned.after.history());
        assert!(keys.same_material(&planned.after));
        let (record, material) = keys.signing().unwrap();
        assert_eq!((record.algorithm, material.algorithm()), (algorithm, algorithm));
        pbac::token::probe(&keys, day_of(0)).unwrap();
        holds_none(&bench.dump(), &secrets(&keys), "a dump");
    }
}

#[tokio::test]
async fn times_are_kept_to_the_microsecond() {
    let mut bench = Bench::with_a_key().await;
    bench.settings.grace_days = Some(36_500);
    let now = Timestamp::from_micros(day_of(1).micros() + 123_457);
    let applying =
        Applying { operation: &ROTATE, settings: &bench.settings, now, who: "the test", watch: &|_| {} };
    let planned = bench.store().apply(applying).await.unwrap().planned.unwrap();
    let keys = bench.load().await;
    assert_eq!(keys.history(), planned.after.history());
    assert_eq!(keys.history().active().unwrap().phase.since(), Some(now));
}

/// What the tables' own checks keep out, whoever writes.
#[tokio::test]
async fn a_row_that_makes_no_key_cannot_be_stored() {
    let bench = Bench::with_a_key().await;
    let row = |kid: &str, state: &str, not_after: &str, sealed: &str| {
        format!(
            "INSERT INTO pbac.signing_keys VALUES ('{kid}', 'HS256', '{state}', now(), {not_after}, {sealed}, \
             '0123456789abcdef', now())"
        )
    };
    let sealed = "decode(repeat('00', 72), 'hex')";
    bench.run(&row("k", "retired", "now()", sealed)).await;
    for statement in [
        row("k.k", "retired", "now()", sealed),
        row("", "retired", "now()", sealed),
        row("../../etc/passwd", "retired", "now()", sealed),
        row("k2", "active", "NULL", sealed),
        row("k2", "staged", "now()", sealed),
        row("k2", "retired", "NULL", sealed),
        row("k2", "retired", "'infinity'", sealed),
        row("k2", "gone", "NULL", sealed),
        row("k2", "retired", "now()", "'too short'"),
        row("k", "retired", "now()", sealed),
        "INSERT INTO pbac.revoked_keys VALUES ('a b', now())".to_owned(),
        "UPDATE pbac.signing_keys SET algorithm = 'none'".to_owned(),
        "UPDATE pbac.signing_keys SET state = 'active', not_after = NULL".to_owned(),
    ] {
        let mut connection = bench.database.connect().await;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone())).execute(&mut connection).await;
        assert!(done.is_err(), "{statement}");
    }
}

/// A report that cannot be written is said, and undoes nothing.
#[tokio::test]
async fn a_change_stands_without_its_report() {
    let mut bench = Bench::empty().await;
    bench.settings.logs = bench.files.path().join("file/logs");
    std::fs::write(bench.files.path().join("file"), "").unwrap();
    let applied = bench.apply(&ROTATE, 0).await.unwrap();
    assert!(applied.report.unwrap().is_err());
    assert_eq!(bench.rows().await.len(), 1);
    assert_eq!(bench.deeds().await.last().unwrap(), "keys.rotate succeeded");
}

#[tokio::test]
async fn tables_of_others_and_files_that_changed_are_refused() {
    let bench = Bench::empty().await;
    bench.run("CREATE SCHEMA pbac; CREATE TABLE pbac.signing_keys (kid text)").await;
    let error = bench.apply(&ROTATE, 0).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    assert!(error.to_string().contains("a table `signing_keys` that pbac did not create"), "{error}");
    assert_eq!(bench.texts("SELECT count(*)::text FROM pbac.signing_keys").await, ["0"]);

    let names: Vec<String> = schema::key_files().map(|file| file.name()).collect();
    assert_eq!(names, ["keys/0001_signing_keys.sql"]);
    assert!(schema::files().all(|file| !file.name().contains("keys")));
    for (change, exit, words) in [
        ("checksum", "00", "was changed after it was applied"),
        ("file", "keys/0002_later.sql", "which this pbac does not know"),
    ]
    .map(|(field, value, words)| ((field, value), Exit::Mismatch, words))
    {
        let bench = Bench::with_a_key().await;
        let (field, value) = change;
        bench
            .run(&format!(
                "ALTER TABLE pbac.audit_log DISABLE TRIGGER ALL; UPDATE pbac.audit_log \
                 SET details = details || '{{\"{field}\": \"{value}\"}}' WHERE action = 'schema.signing_keys'"
            ))
            .await;
        let error = bench.apply(&ROTATE, 1).await.unwrap_err();
        assert_eq!(error.exit(), exit, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(bench.rows().await.len(), 1);
    }
}

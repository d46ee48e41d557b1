//! What somebody with all rights may do to the audit log, and what `pbac audit verify` finds: each column of the table as
//! the database describes it, changed in the first row, in one between and in the last; rows removed, inserted, swapped
//! and cut off.

use std::process::Command;

use pbac::postgres::audit::{self, Entry, Fault, FaultKind, Head, Outcome};
use pbac::postgres::{Identifier, schema};
use pbac_tests::binary::pbac;
use pbac_tests::database::TestDatabase;
use pbac_tests::record::Recorded;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// How many rows the log has.
const ROWS: i64 = 7;

fn name() -> Identifier {
    Identifier::new("pbac").unwrap()
}

/// A log of [`ROWS`] rows that differ, and its end.
async fn filled(connection: &mut PgConnection) -> Head {
    let mut transaction = connection.begin().await.unwrap();
    schema::ensure_audit_log(&mut transaction, &name(), "tester").await.unwrap();
    transaction.commit().await.unwrap();
    let outcomes = [Outcome::Attempted, Outcome::Succeeded, Outcome::Failed, Outcome::Refused];
    let mut last = None;
    for (number, outcome) in (2..=ROWS).zip(outcomes.into_iter().cycle()) {
        let subject = format!("user {number}");
        let details = json!({ "number": number });
        let entry = Entry { actor: "tester", action: "test.deed", subject: &subject, outcome, details };
        last = Some(audit::append(connection, &name(), &entry).await.unwrap());
    }
    last.unwrap()
}

/// Does it with every trigger off, as the owner may, and looks; afterwards it was not done.
async fn found(connection: &mut PgConnection, deed: &str, head: Option<Head>) -> Option<Fault> {
    let mut transaction = connection.begin().await.unwrap();
    let sql = format!("ALTER TABLE pbac.audit_log DISABLE TRIGGER ALL; {deed}");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *transaction)
        .await
        .unwrap_or_else(|error| panic!("{deed}: {error}"));
    let fault = audit::verify(&mut transaction, &name(), head).await.unwrap().fault;
    transaction.rollback().await.unwrap();
    fault
}

/// Another value of the column's type that its checks allow.
fn another(column: &str, kind: &str) -> String {
    match (column, kind) {
        ("seq", _) => format!("seq + {ROWS}"),
        ("outcome", _) => "CASE outcome WHEN 'failed' THEN 'refused' ELSE 'failed' END".to_owned(),
        (_, "text") => format!("{column} || 'x'"),
        (_, "bigint") => format!("{column} + 1"),
        (_, "timestamp with time zone") => format!("{column} + interval '1 microsecond'"),
        (_, "jsonb") => format!("{column} || '{{\"more\": true}}'"),
        (_, "bytea") => format!("set_byte({column}, 31, get_byte({column}, 31) # 1)"),
        _ => panic!("no other value is known for `{column}`, which is a {kind}: add one"),
    }
}

#[tokio::test]
async fn a_change_of_any_column_of_any_row_is_found() {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    let head = filled(&mut connection).await;
    assert_eq!(found(&mut connection, "", Some(head)).await, None);
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
         WHERE attrelid = 'pbac.audit_log'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(columns.len(), 9, "{columns:?}");
    for (column, kind) in &columns {
        for row in 1..=ROWS {
            let value = another(column, kind);
            let change = format!("UPDATE pbac.audit_log SET {column} = {value} WHERE seq = {row}");
            let fault = found(&mut connection, &change, None).await;
            let at = fault.map(|fault| fault.seq);
            assert_eq!(at, Some(row), "`{column}` of row {row} was changed");
            assert!(found(&mut connection, &change, Some(head)).await.is_some());
        }
    }
}

#[tokio::test]
async fn a_removed_row_is_found() {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    let head = filled(&mut connection).await;
    for row in 1..ROWS {
        let remove = format!("DELETE FROM pbac.audit_log WHERE seq = {row}");
        let fault = found(&mut connection, &remove, None).await;
        assert_eq!(fault, Some(Fault { seq: row, kind: FaultKind::Missing }));
        // The same with the gap closed.
        let close = format!("{remove}; UPDATE pbac.audit_log SET seq = seq - 1 WHERE seq > {row}");
        let fault = found(&mut connection, &close, None).await;
        assert_eq!(fault, Some(Fault { seq: row, kind: FaultKind::PreviousHash }));
        assert!(found(&mut connection, &close, Some(head)).await.is_some());
    }
}

#[tokio::test]
async fn an_inserted_row_is_found() {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    let head = filled(&mut connection).await;
    for row in 1..=ROWS {
        // A copy of the row, moved up with all that follow; its hashes as they were, or made to fit its number.
        let make_room = format!(
            "UPDATE pbac.audit_log SET seq = seq + 1000 WHERE seq >= {row}; \
             UPDATE pbac.audit_log SET seq = seq - 999 WHERE seq > 1000"
        );
        let copy = |hash: &str| {
            format!(
                "{make_room}; INSERT INTO pbac.audit_log SELECT {row}, at, 'forger', action, subject, outcome, details, \
                 decode(md5('{row}') || md5('x'), 'hex'), {hash} FROM pbac.audit_log WHERE seq = {row} + 1"
            )
        };
        let fitting = format!(
            "pbac.audit_hash(decode(md5('{row}') || md5('x'), 'hex'), {row}, at, 'forger', action, subject, outcome, details)"
        );
        for insert in [copy("hash"), copy(&fitting)] {
            let fault = found(&mut connection, &insert, None).await;
            assert_eq!(fault.map(|fault| fault.seq), Some(row), "{insert}");
            assert!(found(&mut connection, &insert, Some(head)).await.is_some());
        }
    }
    // Behind the last row, by somebody who cannot compute what the trigger would.
    let behind = format!(
        "INSERT INTO pbac.audit_log SELECT seq + 1, at, actor, action, subject, outcome, details, hash, hash \
         FROM pbac.audit_log WHERE seq = {ROWS}"
    );
    let fault = found(&mut connection, &behind, None).await;
    assert_eq!(fault, Some(Fault { seq: ROWS + 1, kind: FaultKind::Hash }));
}

#[tokio::test]
async fn two_swapped_rows_are_found() {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    let head = filled(&mut connection).await;
    for (one, other) in (1..=ROWS).flat_map(|one| (one + 1..=ROWS).map(move |other| (one, other))) {
        // Their numbers are swapped, or everything but their numbers and hashes.
        let numbers = format!(
            "UPDATE pbac.audit_log SET seq = 1000 WHERE seq = {one}; \
             UPDATE pbac.audit_log SET seq = {one} WHERE seq = {other}; \
             UPDATE pbac.audit_log SET seq = {other} WHERE seq = 1000"
        );
        let content = format!(
            "UPDATE pbac.audit_log a SET (at, actor, action, subject, outcome, details) = \
                 (SELECT at, actor, action, subject, outcome, details FROM pbac.audit_log b \
                  WHERE b.seq = CASE a.seq WHEN {one} THEN {other} ELSE {one} END) \
             WHERE seq IN ({one}, {other})"
        );
        for swap in [numbers, content] {
            let fault = found(&mut connection, &swap, None).await;
            assert_eq!(fault.map(|fault| fault.seq), Some(one), "{swap}");
            assert!(found(&mut connection, &swap, Some(head)).await.is_some());
        }
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found_with_the_last_known_head() {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    let head = filled(&mut connection).await;
    for from in 1..=ROWS {
        let cut = format!("DELETE FROM pbac.audit_log WHERE seq >= {from}");
        let fault = found(&mut connection, &cut, Some(head)).await;
        assert_eq!(fault, Some(Fault { seq: from, kind: FaultKind::Truncated }));
        // No chain shows it by itself, which is why the head is to be kept elsewhere.
        assert_eq!(found(&mut connection, &cut, None).await, None);
        // Cut off and written on, by somebody who knows how.
        let forged = format!(
            "{cut}; ALTER TABLE pbac.audit_log ENABLE ALWAYS TRIGGER audit_chain; \
             SELECT pbac.audit_append('tester', 'test.deed', 'user ' || n, 'succeeded', '{{}}') \
             FROM generate_series({from}, {ROWS}) n"
        );
        assert_eq!(found(&mut connection, &forged, None).await, None);
        let fault = found(&mut connection, &forged, Some(head)).await;
        assert_eq!(fault, Some(Fault { seq: ROWS, kind: FaultKind::ExpectedHash }));
    }
}

/// Through the command: status 4, and the kind as `docs/json.md` names it.
#[tokio::test]
async fn the_command_says_which_and_ends_with_a_mismatch() {
    for (deed, kind) in [
        ("UPDATE pbac.audit_log SET actor = 'x' WHERE seq = 3", "hash"),
        ("DELETE FROM pbac.audit_log WHERE seq = 3", "missing"),
        (
            "DELETE FROM pbac.audit_log WHERE seq = 3; UPDATE pbac.audit_log SET seq = seq - 1 WHERE seq > 3",
            "previous_hash",
        ),
        ("DELETE FROM pbac.audit_log WHERE seq > 3", "truncated"),
    ] {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        let head = filled(&mut connection).await.to_string();
        let verify = || {
            let output = Command::new(pbac())
                .args(["audit", "verify", "--json", "--head", &head])
                .env("DATABASE_URL", database.url_text())
                .output()
                .unwrap()
                .recorded();
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            (output.status.code(), answer["fault"]["kind"].clone())
        };
        assert_eq!(verify(), (Some(0), Value::Null));
        let sql = format!("ALTER TABLE pbac.audit_log DISABLE TRIGGER ALL; {deed}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        assert_eq!(verify(), (Some(4), Value::from(kind)));
    }
}

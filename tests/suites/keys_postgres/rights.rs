//! Who may do what, with no more rights than that takes (`migrations/README.md`).

use pbac::keys::Operation;
use sqlx::Connection;

use crate::bench::{Bench, ROTATE};

/// What an application needs that only reads the keys.
const READER: &str = "GRANT USAGE ON SCHEMA pbac TO ROLE; GRANT SELECT ON pbac.signing_keys TO ROLE; \
    GRANT EXECUTE ON FUNCTION pbac.revoked_kids() TO ROLE;";
/// What the user needs beyond that who rotates and does not own the tables.
const ROTATOR: &str = "GRANT INSERT, UPDATE, DELETE ON pbac.signing_keys TO ROLE; \
    GRANT SELECT, INSERT ON pbac.revoked_keys TO ROLE; GRANT SELECT ON pbac.audit_log TO ROLE; \
    GRANT EXECUTE ON FUNCTION pbac.audit_append(text, text, text, text, jsonb) TO ROLE;";

/// A login of its own, and the URL with it.
async fn login(bench: &Bench, rights: &[&str]) -> (String, String) {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let role = format!("{}_user_{number}", bench.database.name());
    bench.run(&format!("CREATE ROLE {role} LOGIN")).await;
    bench.run(&rights.concat().replace("ROLE", &role)).await;
    let text = bench.database.url_text();
    let more = if text.contains('?') { '&' } else { '?' };
    (format!("{text}{more}user={role}"), role)
}

async fn forget(bench: &Bench, role: &str) {
    bench.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn whoever_reads_keys_can_do_nothing_else() {
    let bench = Bench::with_a_key().await;
    let (url, role) = login(&bench, &[READER]).await;
    let reader = bench.store_with(&url, crate::bench::KEK);
    assert!(reader.load().await.unwrap().same_material(&bench.load().await));
    assert_eq!(reader.listen().await.polls_because(), None);
    for operation in [ROTATE, Operation::Stage, crate::bench::revoke(&bench.active().await)] {
        let error = bench.apply_to(&reader, &operation, 1).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{error}");
    }
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    for statement in [
        "SELECT * FROM pbac.audit_log",
        "SELECT * FROM pbac.revoked_keys",
        "INSERT INTO pbac.revoked_keys VALUES ('k', now())",
        "UPDATE pbac.signing_keys SET since = now()",
        "DELETE FROM pbac.signing_keys",
        "TRUNCATE pbac.signing_keys",
        "SELECT pbac.audit_append('somebody', 'keys.revoke', 'k', 'succeeded', '{}')",
    ] {
        let error = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{statement}: {error}");
    }
    connection.close().await.unwrap();
    assert_eq!(bench.rows().await.len(), 1);
    forget(&bench, &role).await;
}

#[tokio::test]
async fn whoever_may_use_the_schema_sees_no_key() {
    let bench = Bench::with_a_key().await;
    let (url, role) = login(&bench, &["GRANT USAGE ON SCHEMA pbac TO ROLE;"]).await;
    let error = bench.store_with(&url, crate::bench::KEK).load().await.unwrap_err();
    assert!(error.to_string().contains("permission denied for table signing_keys"), "{error}");
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    for statement in ["SELECT sealed FROM pbac.signing_keys", "SELECT * FROM pbac.revoked_kids()"] {
        let error = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{statement}: {error}");
    }
    connection.close().await.unwrap();
    forget(&bench, &role).await;
}

#[tokio::test]
async fn whoever_rotates_need_not_own_the_tables() {
    let bench = Bench::with_a_key().await;
    let (url, role) = login(&bench, &[READER, ROTATOR]).await;
    let rotator = bench.store_with(&url, crate::bench::KEK);
    bench.apply_to(&rotator, &ROTATE, 1).await.unwrap();
    let active = bench.active().await;
    bench.apply_to(&rotator, &crate::bench::revoke(&active), 2).await.unwrap();
    let log = bench.log().await;
    assert_eq!(
        (log.last().unwrap().actor.as_str(), log.last().unwrap().outcome.as_str()),
        (role.as_str(), "succeeded")
    );
    // A revocation is for ever, for them too.
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    for statement in ["DELETE FROM pbac.revoked_keys", "UPDATE pbac.audit_log SET subject = ''"] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err();
    }
    connection.close().await.unwrap();
    forget(&bench, &role).await;
}

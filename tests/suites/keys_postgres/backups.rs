//! Old copies of the database: what brings a revoked key back, and what does not.

use std::io::Write;
use std::process::{Command, Stdio};

use pbac::exit::Exit;
use pbac::keys::Operation;
use pbac::keys::postgres_store::{Resealing, SealingKeys};
use pbac_tests::database::TestDatabase;
use pbac_tests::dump::program;
use policy_core::keys::KeyId;

use crate::bench::{Bench, OTHER_KEK, ROTATE, day_of, revoke};

/// Two keys of which the first was revoked, and a dump from before that.
async fn revoked() -> (Bench, KeyId, String) {
    let bench = Bench::with_a_key().await;
    let bad = bench.active().await;
    bench.apply(&ROTATE, 1).await.unwrap();
    bench.run("CREATE TABLE old_keys AS TABLE pbac.signing_keys").await;
    let dump = bench.dump();
    bench.apply(&revoke(&bad), 2).await.unwrap();
    (bench, bad, dump)
}

/// The whole database as it was, on its own.
async fn restored(dump: &str) -> Bench {
    let database = TestDatabase::create().await;
    let mut psql = Command::new(program("psql"))
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", database.url_text()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(dump.as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success());
    Bench::of(database)
}

#[tokio::test]
async fn a_row_that_comes_back_is_no_key_and_is_wiped_by_the_next_change() {
    let (bench, bad, _) = revoked().await;
    let back = format!("INSERT INTO pbac.signing_keys SELECT * FROM old_keys WHERE kid = '{bad}'");
    bench.run(&back).await;
    let keys = bench.load().await;
    assert!(keys.history().key(bad.as_str()).is_none() && keys.material(&bad).is_none());
    bench.apply(&ROTATE, 3).await.unwrap();
    assert!(bench.rows().await.iter().all(|row| !row.starts_with(bad.as_str())));
}

/// Somebody took the revocation away as well: the audit log remembers, and the next change puts it back.
#[tokio::test]
async fn both_tables_from_before_do_not_bring_a_revoked_key_back() {
    let (bench, bad, _) = revoked().await;
    let at = bench.load().await.history().revocation(bad.as_str()).unwrap().at;
    bench
        .run(
            "ALTER TABLE pbac.revoked_keys DISABLE TRIGGER ALL; DELETE FROM pbac.revoked_keys; \
             ALTER TABLE pbac.revoked_keys ENABLE ALWAYS TRIGGER revoked_keys_refuse; \
             DELETE FROM pbac.signing_keys; INSERT INTO pbac.signing_keys SELECT * FROM old_keys",
        )
        .await;
    let keys = bench.load().await;
    assert!(keys.history().key(bad.as_str()).is_none());
    assert!(keys.history().revocation(bad.as_str()).unwrap().at != at, "the time is that of the log");
    let error = bench.apply(&revoke(&bad), 3).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Usage, "{error}");
    bench.apply(&ROTATE, 3).await.unwrap();
    assert_eq!(bench.texts("SELECT kid FROM pbac.revoked_keys").await, [bad.to_string()]);
    assert!(bench.rows().await.iter().all(|row| !row.starts_with(bad.as_str())));
}

/// What the module says of a whole database from before: nothing in it can know. The key has to be revoked again.
#[tokio::test]
async fn a_whole_database_from_before_has_to_be_told_again() {
    let (_, bad, dump) = revoked().await;
    let bench = restored(&dump).await;
    assert!(bench.load().await.material(&bad).is_some());
    bench.apply(&revoke(&bad), 3).await.unwrap();
    assert!(bench.load().await.material(&bad).is_none());
    bench.apply(&Operation::Stage, 3).await.unwrap();
}

/// Unless the key-encryption key of that time is gone.
#[tokio::test]
async fn no_dump_from_before_opens_once_the_key_encryption_key_is_another() {
    let (bench, bad, dump) = revoked().await;
    let to = SealingKeys::parse(OTHER_KEK).unwrap();
    let resealing = Resealing { to: &to, now: day_of(2), who: "the test", watch: &|_| {} };
    bench.store().reseal(resealing).await.unwrap();
    let old = restored(&dump).await;
    let error = old.store_with(old.database.url_text(), OTHER_KEK).load().await.unwrap_err();
    assert_eq!(error.exit(), Exit::Mismatch, "{error}");
    // Nor does a single row of it.
    let back = format!("INSERT INTO pbac.signing_keys SELECT * FROM old_keys WHERE kid = '{bad}'");
    bench.run(&back).await;
    let keys = bench.store_with(bench.database.url_text(), OTHER_KEK).load().await.unwrap();
    assert!(keys.material(&bad).is_none());
}

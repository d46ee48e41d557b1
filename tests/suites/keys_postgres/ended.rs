//! Whatever ends a change, at whichever step: the keys are as before or as after, whole, the audit log says what was tried,
//! and the next change goes on from there.

use std::path::Path;

use pbac::keys::KeySet;
use pbac::postgres::{Cluster, ClusterOptions, Identifier};
use pbac_tests::database::{TestDatabase, run_sql, settle};
use pbac_tests::key_stepper::KeyChange;
use pbac_tests::stepper::{Ended, Stepper};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::bench::{Bench, KEK, OTHER_KEK, STEPPER, day_of, job};

/// A change, and what has to be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    /// The first key of all, where there is no table yet.
    First,
    /// A new key in the place of one that signs.
    Rotate,
    /// One more, beside one that signs.
    Stage,
    /// The staged key in the place of one that signs.
    Promote,
    /// A new key, while one goes whose time is over.
    Due,
    /// The key that signs is dropped.
    Revoke,
    /// Another key-encryption key.
    Reseal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// SIGKILL.
    Kill,
    /// `pg_terminate_backend` of every connection it has.
    Connections,
}

impl Scenario {
    async fn set(self) -> Bench {
        let bench = Bench::empty().await;
        let before = match self {
            Self::First => &[][..],
            Self::Rotate | Self::Stage | Self::Revoke => &[KeyChange::Rotate],
            Self::Promote => &[KeyChange::Rotate, KeyChange::Stage],
            Self::Due | Self::Reseal => &[KeyChange::Rotate, KeyChange::Rotate],
        };
        for change in before {
            assert_eq!(bench.finish(change, 0).status, Some(0));
        }
        bench
    }

    async fn change(self, bench: &Bench) -> (KeyChange, i64) {
        match self {
            Self::First | Self::Rotate => (KeyChange::Rotate, 1),
            Self::Stage => (KeyChange::Stage, 1),
            Self::Promote => (KeyChange::Promote, 1),
            // A hundred retired keys have their time for long.
            Self::Due => (KeyChange::RotateIfDue, 20_000),
            Self::Revoke => (KeyChange::Revoke(bench.active().await.to_string()), 1),
            Self::Reseal => (KeyChange::Reseal(OTHER_KEK.to_owned()), 1),
        }
    }

    /// The status of the same change where it was made already.
    const fn again(self) -> i32 {
        match self {
            Self::First | Self::Rotate | Self::Due | Self::Reseal => 0,
            Self::Stage | Self::Promote => 6,
            Self::Revoke => 2,
        }
    }

    /// Whether these keys are what this change makes of those.
    fn is_after(self, keys: &KeySet, before: &KeySet, change: &KeyChange) -> bool {
        let (now, then) = (keys.history(), before.history());
        let signing = |keys: &KeySet| keys.history().active().map(|key| key.id.clone());
        let kept = |id: &Option<policy_core::keys::KeyId>| {
            id.as_ref().is_none_or(|id| {
                keys.material(id).map(|m| m.bytes()) == before.material(id).map(|m| m.bytes())
            })
        };
        let other = signing(keys).is_some() && signing(keys) != signing(before);
        let all = (now.keys().len(), now.retired().count(), now.staged().is_some(), now.revoked().len());
        match self {
            Self::First => other && all == (1, 0, false, 0),
            Self::Rotate | Self::Due => other && kept(&signing(before)) && all == (2, 1, false, 0),
            Self::Stage => !other && kept(&signing(before)) && all == (2, 0, true, 0),
            Self::Promote => {
                signing(keys) == then.staged().map(|key| key.id.clone())
                    && kept(&signing(keys))
                    && all == (2, 1, false, 0)
            }
            Self::Revoke => {
                let KeyChange::Revoke(kid) = change else { return false };
                other && now.revocation(kid).is_some() && all == (1, 0, false, 1)
            }
            Self::Reseal => same(keys, before),
        }
    }
}

fn same(one: &KeySet, other: &KeySet) -> bool {
    one.history() == other.history() && one.same_material(other)
}

/// The keys, whichever of the two key-encryption keys all of them are sealed with.
async fn keys_of(database: &TestDatabase) -> (KeySet, &'static str) {
    for kek in [KEK, OTHER_KEK] {
        if let Ok(keys) = crate::bench::store(database.url_text(), "pbac", kek).load().await {
            return (keys, kek);
        }
    }
    panic!("the keys open with neither key-encryption key");
}

async fn at_every_step(scenario: Scenario, harm: Harm) {
    let bench = scenario.set().await;
    let (change, day) = scenario.change(&bench).await;
    let rows = bench.log().await.len();
    let (before, _) = keys_of(&bench.database).await;
    settle(&bench.database).await;

    // Once without harm: every step is told of, in its order.
    let whole = Bench::of(bench.database.copy().await);
    let ended = whole.finish(&change, day);
    assert_eq!(
        (ended.status, &ended.steps),
        (Some(0), &change.steps().iter().map(ToString::to_string).collect())
    );
    assert!(scenario.is_after(&keys_of(&whole.database).await.0, &before, &change), "{scenario:?}");

    for step in change.steps() {
        let what = format!("{scenario:?}, {harm:?} at `{step}`");
        let bench = Bench::of(bench.database.copy().await);
        let mut stepper = bench.start(&change, day);
        stepper.go_to(step);
        let ended = end(harm, stepper, &bench.database).await;
        settle(&bench.database).await;

        let done = matches!(step, "report");
        let (keys, kek) = keys_of(&bench.database).await;
        if done {
            assert!(scenario.is_after(&keys, &before, &change), "{what}");
        } else {
            assert!(same(&keys, &before) && kek == KEK, "{what}");
        }
        if let Some(ended) = &ended {
            // What was done stays done without its connection.
            assert_eq!(ended.status, Some(if done { 0 } else { 1 }), "{what}: {ended:?}");
        }
        let log = bench.log().await;
        let new = &log[rows.min(log.len())..];
        let has =
            |outcome: &str| new.iter().any(|row| row.action == change.action() && row.outcome == outcome);
        assert_eq!(has("succeeded"), done, "{what}: {new:#?}");
        let told =
            ended.is_some() && !done && (scenario != Scenario::First || !matches!(step, "look" | "attempt"));
        assert_eq!(has("failed") || has("refused"), told, "{what}: {new:#?}");
        assert_eq!(has("attempted"), !matches!(step, "look" | "attempt"), "{what}: {new:#?}");

        // The same again, and then one that is always possible.
        let again = bench.finish(&change, day);
        assert_eq!(again.status, Some(if done { scenario.again() } else { 0 }), "{what}: {again:?}");
        let (keys, kek) = keys_of(&bench.database).await;
        if scenario != Scenario::Reseal {
            assert!(done || scenario.is_after(&keys, &before, &change), "{what}");
            assert_eq!(bench.finish(&KeyChange::Rotate, day + 1).status, Some(0), "{what}");
        }
        assert_eq!(kek == OTHER_KEK, scenario == Scenario::Reseal, "{what}");
        pbac::token::probe(&keys_of(&bench.database).await.0, day_of(day + 1)).unwrap();
        bench.log().await;
    }
}

async fn end(harm: Harm, stepper: Stepper, database: &TestDatabase) -> Option<Ended> {
    match harm {
        Harm::Kill => {
            stepper.kill();
            None
        }
        Harm::Connections => {
            run_sql(database, CONNECTIONS).await;
            Some(stepper.finish())
        }
    }
}

const CONNECTIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

macro_rules! every_way_to_end {
    ($($name:ident: $scenario:expr;)+) => {
        $(mod $name {
            use super::*;

            #[tokio::test]
            async fn by_killing_the_process() {
                at_every_step($scenario, Harm::Kill).await;
            }

            #[tokio::test]
            async fn by_ending_its_connections() {
                at_every_step($scenario, Harm::Connections).await;
            }
        })+
    };
}

every_way_to_end! {
    the_first_key: Scenario::First;
    a_rotation: Scenario::Rotate;
    a_staging: Scenario::Stage;
    a_promotion: Scenario::Promote;
    a_rotation_that_is_due: Scenario::Due;
    a_revocation: Scenario::Revoke;
    a_resealing: Scenario::Reseal;
}

/// The server commits, and its answer does not arrive: a standby that is waited for in vain, and an administrator who ends
/// the connection meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_out() {
    let settings = vec![("synchronous_commit".to_owned(), "on".to_owned())];
    let options = ClusterOptions { settings, ..ClusterOptions::default() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options).unwrap()).await.unwrap();
    cluster.create_database(&Identifier::new("erp").unwrap()).await.unwrap();
    let url = cluster.url("erp");
    let directory = tempfile::tempdir().unwrap();
    let job = job(&url, directory.path(), &KeyChange::Rotate, 0, true);
    let mut stepper = Stepper::start(Path::new(STEPPER), &job);
    stepper.go_to("commit");

    let mut connection = PgConnection::connect(&url).await.unwrap();
    let set = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'";
    for statement in [set, "SELECT pg_reload_conf()"] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    // Somebody's commit waits: the setting has come into force.
    let first = tokio::spawn({
        let url = url.clone();
        async move {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            while sqlx::raw_sql("SELECT txid_current()").execute(&mut connection).await.is_ok() {}
        }
    });
    waiting(&mut connection, 1).await;
    let process = std::thread::spawn(|| stepper.finish());
    waiting(&mut connection, 2).await;
    sqlx::raw_sql(AssertSqlSafe(format!("SELECT pg_terminate_backend(pid) FROM {WAITING}")))
        .execute(&mut connection)
        .await
        .unwrap();
    first.await.unwrap();

    let ended = process.join().unwrap();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let kid = ended.answer["report"]["new_kid"].as_str().unwrap();
    let keys = crate::bench::store(&url, "pbac", KEK).load().await.unwrap();
    assert_eq!(keys.history().active().unwrap().id.as_str(), kid);
}

const WAITING: &str = "pg_stat_activity WHERE wait_event = 'SyncRep'";

async fn waiting(connection: &mut PgConnection, count: i64) {
    let began = std::time::Instant::now();
    let sql = format!("SELECT count(*) FROM {WAITING}");
    loop {
        let found: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_one(&mut *connection).await.unwrap();
        if found == count {
            return;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{found} wait");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

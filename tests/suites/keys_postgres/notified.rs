//! Who holds the keys is told when they change, or says why it has to ask.

use std::time::Duration;

use pbac::keys::postgres_store::KEYS_CHANNEL;
use pbac::keys::{LiveKeys, Operation, Reload, Store};
use pbac::postgres::{Cluster, ClusterOptions, Identifier};
use pbac::token::NewToken;
use pbac_tests::pooler::{PoolMode, Pooler};
use pbac_tests::standby::Standby;
use policy_core::token::{TokenBuffer, TokenError};
use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::bench::{Bench, KEK, PROMOTE, ROTATE, day_of, revoke, store};

/// Longer than any test: what ends before was told.
const LONG: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_change_is_told() {
    let bench = Bench::with_a_key().await;
    let mut watch = bench.store().listen().await;
    assert_eq!(watch.polls_because(), None);
    let first = bench.active().await;
    for (operation, day) in [(Operation::Stage, 1), (PROMOTE, 2), (ROTATE, 3), (revoke(&first), 4)] {
        bench.apply(&operation, day).await.unwrap();
        timeout(LIMIT, watch.changed(LONG)).await.unwrap_or_else(|_| panic!("{operation:?} was not told"));
    }
}

/// What happens between two waits is told to the second one, and what is none of ours is not heeded.
#[tokio::test]
async fn nothing_is_missed_and_nothing_else_is_heeded() {
    let bench = Bench::with_a_key().await;
    let mut watch = bench.store().listen().await;
    bench
        .run(&format!("NOTIFY {KEYS_CHANNEL}, 'other'; NOTIFY others, 'pbac'; NOTIFY {KEYS_CHANNEL}, ''"))
        .await;
    bench.run(&format!("NOTIFY {KEYS_CHANNEL}, 'pbac'")).await;
    timeout(LIMIT, watch.changed(LONG)).await.unwrap();
    // The one of ours has come, and with it those before; nothing is left to be told.
    watch.changed(Duration::from_millis(50)).await;
    assert_eq!(watch.polls_because(), None);
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_counts_as_a_change() {
    let bench = Bench::with_a_key().await;
    let mut watch = bench.store().listen().await;
    for day in 1..3 {
        let ended = bench
            .texts(
                "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                 WHERE datname = current_database() AND query LIKE 'LISTEN%'",
            )
            .await;
        assert_eq!(ended, ["true"]);
        timeout(LIMIT, watch.changed(LONG)).await.expect("somebody may have changed the keys meanwhile");
        bench.apply(&ROTATE, day).await.unwrap();
        timeout(LIMIT, watch.changed(LONG)).await.expect("it listens again");
        assert_eq!(watch.polls_because(), None);
    }
}

/// A process that serves takes new keys as they come, and goes on while the database is away.
#[tokio::test]
async fn a_serving_process_takes_new_keys_without_a_restart() {
    let bench = Bench::with_a_key().await;
    let live =
        LiveKeys::load(Store::Postgres(Box::new(bench.store())), bench.settings.clone()).await.unwrap();
    let (tell, mut told) = unbounded_channel();
    let watching = tokio::spawn({
        let live = live.clone();
        async move { live.watch(|reload| tell.send(reload).unwrap()).await }
    });
    let mut buffer = TokenBuffer::default();
    let life = Duration::from_secs(60);
    let issue = |day| live.issue(&NewToken::default(), day_of(day), life).unwrap();
    let old = issue(1);
    let first = bench.active().await;
    for day in 2..5 {
        bench.apply(&ROTATE, day).await.unwrap();
        assert_eq!(timeout(LIMIT, told.recv()).await.unwrap(), Some(Reload::Changed));
        let new = issue(day);
        live.verify(&new, day_of(day), &mut buffer, |_| ()).unwrap();
        live.verify(&old, day_of(1), &mut buffer, |_| ()).unwrap();
    }
    bench.apply(&revoke(&first), 5).await.unwrap();
    assert_eq!(timeout(LIMIT, told.recv()).await.unwrap(), Some(Reload::Changed));
    let refused = live.verify(&old, day_of(1), &mut buffer, |_| ()).unwrap_err();
    assert!(matches!(refused, TokenError::RevokedKey | TokenError::UnknownKey), "{refused:?}");
    watching.abort();
}

/// A runtime that is gone before its watch is no reason to fall over.
#[test]
fn a_watch_may_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (watch, bench) = runtime.block_on(async {
        let bench = Bench::with_a_key().await;
        (bench.store().listen().await, bench)
    });
    assert_eq!(watch.polls_because(), None);
    drop(runtime);
    drop(watch);
    drop(bench);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pool_it_asks_and_every_change_works() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(&ClusterOptions::default()).unwrap()).await.unwrap();
    cluster.create_database(&Identifier::new("erp").unwrap()).await.unwrap();
    for backends in [3, 2] {
        let Some(pooler) = Pooler::start(&cluster, PoolMode::Transaction, backends) else { return };
        let bench = Bench::with_a_key().await;
        let (pooled, direct) =
            (store(&pooler.url("erp"), "pbac", KEK), store(&cluster.url("erp"), "pbac", KEK));
        bench.apply_to(&pooled, &ROTATE, 0).await.unwrap();
        bench.apply_to(&pooled, &Operation::Stage, 1).await.unwrap();
        bench.apply_to(&pooled, &PROMOTE, 2).await.unwrap();
        let mut watch = pooled.listen().await;
        let why = watch.polls_because().expect("it cannot be told").to_owned();
        assert!(why.contains("pool"), "{why}");
        watch.changed(Duration::from_millis(1)).await;
        // Who goes around the pool is told what is done through it.
        let mut told = direct.listen().await;
        assert_eq!(told.polls_because(), None);
        bench.apply_to(&pooled, &ROTATE, 3).await.unwrap();
        timeout(LIMIT, told.changed(LONG)).await.unwrap();
        let (one, other) = (pooled.load().await.unwrap(), direct.load().await.unwrap());
        assert!(one.history() == other.history() && one.same_material(&other));
        let active = one.history().active().unwrap().id.clone();
        bench.apply_to(&pooled, &revoke(&active), 4).await.unwrap();
        drop(pooler);
        let mut connection = PgConnection::connect(&cluster.url("erp")).await.unwrap();
        sqlx::raw_sql("DROP SCHEMA pbac CASCADE").execute(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_gives_the_keys_and_takes_no_change() {
    let cluster =
        tokio::task::spawn_blocking(|| Cluster::start(&ClusterOptions::default()).unwrap()).await.unwrap();
    cluster.create_database(&Identifier::new("erp").unwrap()).await.unwrap();
    let bench = Bench::with_a_key().await;
    let primary = store(&cluster.url("erp"), "pbac", KEK);
    bench.apply_to(&primary, &ROTATE, 0).await.unwrap();
    let running = Standby::of(&cluster).await;
    let standby = store(&running.url("erp"), "pbac", KEK);
    let keys = standby.load().await.unwrap();
    assert!(keys.same_material(&primary.load().await.unwrap()));
    let watch = standby.listen().await;
    assert!(watch.polls_because().unwrap().contains("standby"));
    let error = bench.apply_to(&standby, &ROTATE, 1).await.unwrap_err();
    assert!(error.to_string().contains("read-only standby; give the URL of the primary"), "{error}");

    // What is done on the primary arrives.
    bench.apply_to(&primary, &ROTATE, 1).await.unwrap();
    let wanted = primary.load().await.unwrap();
    let began = std::time::Instant::now();
    while standby.load().await.unwrap().history() != wanted.history() {
        assert!(began.elapsed() < LIMIT, "the standby does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

//! Several at once: one makes its change, and the others say that somebody was at it.

use pbac::exit::Exit;
use pbac::keys::Operation;
use pbac_tests::key_stepper::KeyChange;
use pbac_tests::stepper::Stepper;
use std::path::Path;

use crate::bench::{Bench, ROTATE, STEPPER, store};

const MANY: usize = 8;

#[tokio::test]
async fn while_one_changes_the_keys_another_says_so() {
    let bench = Bench::with_a_key().await;
    let mut first = bench.start(&KeyChange::Rotate, 1);
    first.go_to("audit");
    for change in [KeyChange::Rotate, KeyChange::Stage, KeyChange::RotateIfDue] {
        let ended = bench.finish(&change, 100);
        assert_eq!(ended.status, Some(5), "{ended:?}");
        let message = ended.answer["message"].as_str().unwrap();
        assert!(
            message.contains("another pbac changes the keys of the schema `pbac` (backend "),
            "{message}"
        );
    }
    let before = bench.active().await;
    assert_eq!(first.finish().status, Some(0));
    assert_ne!(bench.active().await, before);
    assert_eq!(bench.rows().await.len(), 2);
    // Whoever found it taken had not begun.
    assert!(bench.deeds().await.contains(&"keys.stage refused".to_owned()));
}

/// Both have looked before either has the lock: a second rotation would retire a key that is seconds old.
#[tokio::test]
async fn of_two_who_rotate_at_once_one_wins_and_the_other_says_so() {
    let bench = Bench::with_a_key().await;
    let mut late = bench.start(&KeyChange::Rotate, 1);
    late.go_to("lock");
    assert_eq!(bench.finish(&KeyChange::Rotate, 1).status, Some(0));
    let won = bench.active().await;
    let ended = late.finish();
    assert_eq!(ended.status, Some(5), "{ended:?}");
    assert!(ended.answer["message"].as_str().unwrap().contains("meanwhile"), "{ended:?}");
    assert_eq!(bench.active().await, won);
    assert_eq!(bench.rows().await.len(), 2);
    assert_eq!(bench.deeds().await.last().unwrap(), "keys.rotate refused");
}

/// A revocation is what it is, whatever happened in between, and what is not due any more is not done.
#[tokio::test]
async fn a_change_in_between_stops_no_revocation() {
    let bench = Bench::with_a_key().await;
    let first = bench.active().await;
    let mut revoking = bench.start(&KeyChange::Revoke(first.to_string()), 1);
    revoking.go_to("lock");
    assert_eq!(bench.finish(&KeyChange::Rotate, 1).status, Some(0));
    assert_eq!(revoking.finish().status, Some(0));
    assert_eq!(bench.rows().await, [format!("{} active", bench.active().await)]);

    let mut due = bench.start(&KeyChange::RotateIfDue, 100);
    due.go_to("lock");
    assert_eq!(bench.finish(&KeyChange::Rotate, 100).status, Some(0));
    assert_eq!(due.finish().status, Some(5));
    assert_eq!(bench.rows().await.len(), 2);
}

#[tokio::test]
async fn many_threads_leave_what_as_many_changes_in_a_row_would() {
    let mut bench = Bench::empty().await;
    bench.settings.history = 100;
    // Also the very first, which creates the tables.
    let rotate = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(bench.apply(&ROTATE, 0))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..MANY).map(|_| scope.spawn(rotate)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut done = 0;
    for result in results {
        match result {
            Ok(_) => done += 1,
            Err(error) => assert_eq!(error.exit(), Exit::Busy, "{error}"),
        }
    }
    is_as_after(&bench, done).await;
}

#[tokio::test]
async fn many_processes_leave_what_as_many_changes_in_a_row_would() {
    let bench = Bench::empty().await;
    let all: Vec<Stepper> = (0..MANY)
        .map(|_| Stepper::start(Path::new(STEPPER), &bench.job(&KeyChange::Rotate, 0, false)))
        .collect();
    let mut done = 0;
    for process in all {
        let ended = process.finish();
        match ended.status {
            Some(0) => done += 1,
            status => assert_eq!(status, Some(5), "{ended:?}"),
        }
    }
    is_as_after(&bench, done).await;
}

async fn is_as_after(bench: &Bench, done: usize) {
    assert!(done >= 1);
    assert_eq!(bench.rows().await.len(), done);
    let deeds = bench.deeds().await;
    assert_eq!(deeds.iter().filter(|deed| *deed == "keys.rotate succeeded").count(), done, "{deeds:#?}");
    assert_eq!(deeds.iter().filter(|deed| *deed == "schema.signing_keys succeeded").count(), 1);
    pbac::token::probe(&bench.load().await, crate::bench::day_of(0)).unwrap();
}

/// The keys of two schemas have nothing to do with each other.
#[tokio::test]
async fn another_schema_is_in_nobodys_way() {
    let bench = Bench::with_a_key().await;
    let mut first = bench.start(&KeyChange::Rotate, 1);
    first.go_to("audit");
    let other = store(bench.database.url_text(), "other", crate::bench::KEK);
    bench.apply_to(&other, &Operation::Stage, 0).await.unwrap();
    assert_eq!(first.finish().status, Some(0));
}

//! A run: what it calls, in which order, what it leaves, and how it ends.

use std::time::Duration;

use pbac::config::Config;
use pbac::exit::Exit;
use pbac::schedule::metrics::Metrics;
use pbac::schedule::run::{Run, RunReport, RunStatus, Words};
use pbac::schedule::{FindingCode, KeyPlaces, ScheduleError};
use pbac::subprocess::check::CheckStatus;
use policy_core::Timestamp;

use crate::place::{NOW, Place, name};

const NOT_DUE: &str =
    "{\"rotated\":false,\"staged\":false,\"promoted\":false,\"next_due\":\"2025-12-04T16:00:00Z\"}\n";
const ROTATED: &str =
    "{\"rotated\":true,\"staged\":false,\"promoted\":false,\"next_due\":\"2026-02-22T16:00:00Z\"}\n";
const SETTINGS: &str = "[schedule]
restart.command = 'echo restarted >>restarts; test ! -e broken'
alert.command = 'env >alert'
textfile = 'keys.prom'
";

async fn run(place: &Place) -> Result<RunReport, ScheduleError> {
    run_at(place, NOW, Duration::from_secs(60)).await
}

async fn run_at(place: &Place, now: Timestamp, limit: Duration) -> Result<RunReport, ScheduleError> {
    let Config { file, keys, schedule, .. } = place.config();
    let places = KeyPlaces::new(&keys, &place.path(""));
    let run = Run {
        name: &name("erp"),
        program: &place.bin("pbac"),
        config: file.as_deref(),
        directory: &place.path(""),
        logs: &places.logs,
        secrets: &keys.names.secrets(),
        settings: &schedule,
        limit,
    };
    run.run(&|| now).await
}

fn restarts(place: &Place) -> usize {
    std::fs::read_to_string(place.path("restarts")).unwrap_or_default().lines().count()
}

fn metrics(place: &Place) -> Metrics {
    Metrics::read(&place.path("keys.prom"), &name("erp")).unwrap().unwrap()
}

fn days(number: i64) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + number * 86_400_000_000)
}

#[tokio::test]
async fn on_most_days_nothing_happens() {
    let place = Place::new(SETTINGS);
    place.rotation(0, NOT_DUE, "");
    let report = run(&place).await.unwrap();
    assert_eq!((report.status, report.failure), (RunStatus::NothingDue, None));
    assert_eq!((report.restart, report.alert, restarts(&place)), (None, None, 0));
    assert_eq!(
        place.read("pbac.log"),
        format!(
            "[--config][{}][keys][rotate][--if-due][--json][--yes][--no-input]\n",
            place.path("pbac.toml").display()
        )
    );
    let text = std::fs::read_to_string(place.path("keys.prom")).unwrap();
    assert!(text.contains("pbac_key_rotation_days_to_due{schedule=\"erp\"} 10.000\n"), "{text}");
    assert!(place.wrong(&place.without_systemd()).await.is_empty());
}

#[tokio::test]
async fn a_restart_follows_each_change_of_keys() {
    for (answer, restarted) in [
        (ROTATED, 1),
        ("{\"rotated\":false,\"staged\":true}", 1),
        ("{\"rotated\":false,\"promoted\":true}", 1),
        ("{\"rotated\":false,\"next_due\":null}", 0),
    ] {
        let place = Place::new(SETTINGS);
        place.rotation(0, answer, "{\"note\":\"as it should be\"}\n");
        let report = run(&place).await.unwrap();
        assert_eq!((restarts(&place), report.restart.is_some()), (restarted, restarted == 1), "{answer}");
        assert_eq!((report.restart_pending, report.failure), (false, None));
        assert_eq!(report.said, [Words::Note("as it should be".to_owned())]);
    }
}

#[tokio::test]
async fn a_rotation_that_fails_is_told_with_its_status() {
    let place = Place::new(SETTINGS);
    place.rotation(0, NOT_DUE, "");
    run(&place).await.unwrap();
    let words = "{\"error\":\"busy\",\"status\":5,\"message\":\"`.env` is locked\",\"help\":\"try again\"}\n";
    for failures in 1..=3 {
        place.rotation(5, "", words);
        let report = run_at(&place, days(failures), Duration::from_secs(60)).await.unwrap();
        assert_eq!(report.status, RunStatus::Failed);
        let failure = report.failure.unwrap();
        assert_eq!((failure.exit(), failure.advice()), (Exit::Busy, Some("try again")));
        assert_eq!(report.alert.unwrap().status, CheckStatus::Succeeded);
        let figures = metrics(&place);
        assert_eq!((figures.last_run, figures.last_success), (Some(days(failures)), Some(NOW)));
        assert_eq!(figures.failures, u64::try_from(failures).unwrap());
        assert_eq!(figures.due, Some(days(10)));
    }
    let alert = std::fs::read_to_string(place.path("alert")).unwrap();
    for line in [
        "PBAC_STATUS=busy",
        "PBAC_EXIT_STATUS=5",
        "PBAC_MESSAGE=`keys rotate` failed: `.env` is locked",
        "PBAC_HELP=try again",
        "PBAC_SCHEDULE=erp",
    ] {
        assert!(alert.lines().any(|found| found == line), "{line} in\n{alert}");
    }
    assert_eq!(place.wrong(&place.without_systemd()).await, [FindingCode::LastRun]);
    assert_eq!(restarts(&place), 0);

    place.rotation(0, NOT_DUE, "");
    run_at(&place, days(4), Duration::from_secs(60)).await.unwrap();
    assert_eq!((metrics(&place).last_success, metrics(&place).failures), (Some(days(4)), 3));
}

#[tokio::test]
async fn a_restart_that_failed_is_owed_until_it_succeeds() {
    let place = Place::new(SETTINGS);
    std::fs::write(place.path("broken"), "").unwrap();
    place.rotation(0, ROTATED, "");
    let report = run(&place).await.unwrap();
    assert!(report.rotated && report.restart_pending && report.status == RunStatus::Failed);
    assert_eq!(report.failure.unwrap().exit(), Exit::Failed);
    assert!(place.wrong(&place.without_systemd()).await.contains(&FindingCode::RestartPending));

    // Nothing is due any more; the restart is.
    place.rotation(0, NOT_DUE, "");
    assert!(run(&place).await.unwrap().restart_pending);
    // Also where the rotation itself fails.
    place.rotation(1, "", "");
    assert!(run(&place).await.unwrap().restart.is_some());
    std::fs::remove_file(place.path("broken")).unwrap();
    place.rotation(0, NOT_DUE, "");
    let report = run(&place).await.unwrap();
    assert_eq!((report.status, report.restart_pending, restarts(&place)), (RunStatus::Done, false, 4));
    assert!(run(&place).await.unwrap().restart.is_none());
}

#[tokio::test]
async fn a_rotation_that_failed_and_may_be_stored_owes_a_restart() {
    let place = Place::new(SETTINGS);
    // Refused before anything was changed.
    place.rotation(6, "", "");
    assert!(!run(&place).await.unwrap().restart_pending);
    // The server was lost while it committed.
    place.rotation(1, "", "");
    let report = run(&place).await.unwrap();
    assert!(report.restart_pending && report.restart.is_none());
    place.rotation(0, NOT_DUE, "");
    let report = run(&place).await.unwrap();
    assert_eq!((report.restart.is_some(), report.restart_pending, restarts(&place)), (true, false, 1));
}

#[tokio::test]
async fn after_an_end_without_a_word_a_restart_is_not_left_out() {
    // The machine went down between rotation and restart: the run that asked for the restart is gone.
    let place = Place::new(SETTINGS);
    place.rotation(0, ROTATED, "");
    place.write("pbac.wait", "");
    let running = run(&place);
    let waiting = async {
        while !place.bin("pbac.waiting").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        report = running => panic!("{report:?}"),
        () = waiting => {}
    }
    std::fs::remove_file(place.bin("pbac.wait")).unwrap();
    place.rotation(0, NOT_DUE, "");
    let report = run(&place).await.unwrap();
    assert_eq!((report.status, restarts(&place)), (RunStatus::Done, 1));
}

#[tokio::test]
async fn what_cannot_be_known_of_a_rotation_is_taken_for_a_change() {
    for (status, answer, limit) in
        [(101, "", 60_000), (0, "no json", 60_000), (0, "", 60_000), (0, NOT_DUE, 300)]
    {
        let place = Place::new(SETTINGS);
        place.rotation(status, answer, "");
        if limit < 1000 {
            place.write("pbac.wait", "");
        }
        let report = run_at(&place, NOW, Duration::from_millis(limit)).await.unwrap();
        assert_eq!((report.status, restarts(&place)), (RunStatus::Failed, 1), "{status} {answer}");
        assert_eq!(report.failure.unwrap().exit(), Exit::Failed);
    }
}

#[tokio::test]
async fn a_program_that_is_gone_is_a_failure_like_any_other() {
    let place = Place::new(SETTINGS);
    std::fs::remove_file(place.bin("pbac")).unwrap();
    let report = run(&place).await.unwrap();
    assert!(report.failure.unwrap().to_string().contains("cannot run"));
    assert!(report.alert.is_some() && metrics(&place).failures == 1);
}

#[tokio::test]
async fn two_runs_at_once_are_one() {
    let place = Place::new(SETTINGS);
    place.rotation(0, ROTATED, "");
    place.write("pbac.wait", "");
    let first = run(&place);
    let second = async {
        while !place.bin("pbac.waiting").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let second = run(&place).await;
        std::fs::remove_file(place.bin("pbac.wait")).unwrap();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.unwrap().rotated);
    let error = second.unwrap_err();
    assert!(matches!(error, ScheduleError::Running { .. }), "{error}");
    assert_eq!(place.read("pbac.log").lines().count(), 1);
}

#[tokio::test]
async fn figures_of_others_stop_the_figures_and_not_the_rotation() {
    let place = Place::new(SETTINGS);
    std::fs::write(place.path("keys.prom"), "node_boot_time 5\n").unwrap();
    place.rotation(0, ROTATED, "");
    let report = run(&place).await.unwrap();
    assert_eq!((report.rotated, restarts(&place), report.textfile), (true, 1, None));
    assert_eq!(report.failure.unwrap().exit(), Exit::Refused);
    assert_eq!(std::fs::read_to_string(place.path("keys.prom")).unwrap(), "node_boot_time 5\n");
    assert!(place.wrong(&place.without_systemd()).await.contains(&FindingCode::Textfile));
}

#[tokio::test]
async fn silence_is_found() {
    let place = Place::new(SETTINGS);
    let machine = place.without_systemd();
    place.rotation(0, NOT_DUE, "");
    run_at(&place, days(-3), Duration::from_secs(60)).await.unwrap();
    // Where it is not installed, nobody expects it to run.
    assert!(place.wrong(&machine).await.is_empty());
    place.install(&machine).await.unwrap();
    assert_eq!(place.wrong(&machine).await, [FindingCode::LastRun]);
}

#[tokio::test]
async fn without_settings_it_rotates_and_no_more() {
    let place = Place::new("");
    place.rotation(0, ROTATED, "");
    let report = run(&place).await.unwrap();
    assert_eq!((report.status, report.restart, report.textfile), (RunStatus::Done, None, None));
    assert!(!place.path("logs/secret_key_rotation/.restart-pending").exists());
}

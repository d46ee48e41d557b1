//! What a person reads after a run was killed, through the command.

use std::path::Path;
use std::process::Command;

use pbac_tests::binary::pbac;
use pbac_tests::database::TestDatabase;
use pbac_tests::record::Recorded;
use pbac_tests::stepper::{Job, Stepper, Work};
use tempfile::TempDir;

use crate::place::{Place, run_sql, settle};
use crate::scenario::{LEGACY, Scenario};
use crate::stage::STEPPER;

fn says(database: &TestDatabase, directory: &TempDir, arguments: &[&str], words: &str) {
    let output = Command::new(pbac())
        .args(arguments)
        .current_dir(directory.path())
        .env("DATABASE_URL", database.url_text())
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
        .recorded();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(words), "no `{words}` in:\n{text}");
}

#[tokio::test]
async fn a_person_is_told_what_became_of_a_run_that_was_killed() {
    let database = Place::shared().create().await;
    run_sql(&database, LEGACY).await;
    let directory = tempfile::tempdir().unwrap();
    let Work::Migrate { policy } = Scenario::First.work(directory.path()) else { panic!("a migration") };
    std::fs::write(directory.path().join("policy.toml"), &policy).unwrap();
    let job =
        |work| Job { url: database.url_text().to_owned(), schema: "pbac".to_owned(), work, pauses: true };

    let mut stepper = Stepper::start(Path::new(STEPPER), &job(Work::Migrate { policy }));
    stepper.go_to("commit");
    says(&database, &directory, &["status"], "migrate of `shop` by `postgres` is going on since ");
    stepper.kill();
    settle(&database).await;
    let left = "did not finish; nothing of it stays";
    says(&database, &directory, &["status"], left);
    says(&database, &directory, &["migrate", "--no-administrator"], left);
    let done = "an earlier migrate of `shop` by `postgres` had finished at ";
    says(&database, &directory, &["migrate", "--no-administrator"], done);
    says(&database, &directory, &["status"], done);

    let work = Work::Rollback { drop: false, directory: directory.path().to_owned() };
    let mut stepper = Stepper::start(Path::new(STEPPER), &job(work));
    stepper.go_to("legacy");
    stepper.kill();
    settle(&database).await;
    let done = "an earlier rollback of `pbac` by `postgres` had finished at ";
    says(&database, &directory, &["rollback", "--yes"], done);

    let mut stepper = Stepper::start(Path::new(STEPPER), &job(Work::Restore { backup: None }));
    stepper.go_to("bring");
    stepper.kill();
    settle(&database).await;
    says(&database, &directory, &["restore"], "an earlier restore of `pbac` by `postgres` was attempted at ");
}

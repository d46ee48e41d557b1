//! One piece of work, ended again and again on copies of the same database.

use std::path::Path;
use std::time::{Duration, Instant};

use pbac::migrate::backup::Backup;
use pbac::postgres::Identifier;
use pbac::postgres::audit::{self, Record};
use pbac_tests::database::TestDatabase;
use pbac_tests::picture::picture;
use pbac_tests::stepper::{Ended, Job, Stepper, Work};
use serde_json::Value;
use tempfile::TempDir;

use crate::harm::Harm;
use crate::place::{Place, run_sql, settle};
use crate::scenario::{GRANTED, LEGACY, Scenario};

/// The process that is led.
pub const STEPPER: &str = env!("CARGO_BIN_EXE_stepper");
const SCHEMA: &str = "pbac";

/// The database before the work, and what it is before and after.
pub struct Stage {
    template: TestDatabase,
    place: Place,
    scenario: Scenario,
    directory: TempDir,
    work: Work,
    before: Vec<String>,
    after: Vec<String>,
    /// What the audit log held before.
    rows: usize,
    /// The last run before, as the next one has to tell of it.
    earlier: Value,
    /// How long the work takes.
    takes: Duration,
}

impl Stage {
    pub async fn set(place: Place, scenario: Scenario) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let template = place.create().await;
        run_sql(&template, LEGACY).await;
        for work in scenario.before(directory.path()) {
            let migrates = matches!(work, Work::Migrate { .. });
            let ended = run(&template, work);
            assert_eq!(ended.status, Some(0), "{ended:?}");
            if migrates {
                run_sql(&template, GRANTED).await;
            }
        }
        let work = scenario.work(directory.path());
        let mut connection = template.connect().await;
        let before = picture(&mut connection, SCHEMA).await;
        drop(connection);
        let log = log(&template).await;
        let earlier = log.last().map_or(Value::Null, |last| Value::from(last.action.clone()));

        // Once without harm: what it is to be afterwards.
        settle(&template).await;
        let whole = template.copy().await;
        let began = Instant::now();
        let ended = run(&whole, work.clone());
        let takes = began.elapsed();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let mut connection = whole.connect().await;
        let after = picture(&mut connection, SCHEMA).await;
        drop(connection);
        assert_ne!(before, after, "the work changes something");
        let rows = log.len();
        Self { template, place, scenario, directory, work, before, after, rows, earlier, takes }
    }

    /// The steps, as the code enumerates them.
    pub fn steps(&self) -> Vec<&'static str> {
        self.work.steps()
    }

    /// Every step is told of, in its order, and stands in the report.
    pub async fn tells_every_step(&self) {
        let database = self.template.copy().await;
        let ended = run(&database, self.work.clone());
        assert_eq!(ended.steps, self.steps());
        let timed = ended.answer["steps"].as_array().unwrap();
        let timed: Vec<&str> = timed.iter().map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(timed, self.steps());
    }

    /// Ends it while it waits at the beginning of the step.
    pub async fn end_at(&mut self, step: &str, harm: Harm) {
        let what = format!("{:?}, {harm:?} at `{step}`", self.scenario);
        let database = self.template.copy().await;
        let mut stepper = Stepper::start(Path::new(STEPPER), &self.job(&database, true));
        stepper.go_to(step);
        let ended = harm.done_to(stepper, &mut self.place, &database).await;
        settle(&database).await;
        let finished = self.is_one_of_two(&database, &what).await;
        if let Some(ended) = &ended {
            told_the_truth(ended, finished, harm, &what);
        }
        let ending = self.recorded(&database, finished, &what).await;
        if harm == Harm::Kill {
            assert!(ending != Some("failed"), "{what}: a process that was killed says nothing");
        }
        self.next_run(&database, finished, ending, &what).await;
    }

    /// Kills it at a moment that the seed picks, and goes on at once, while the server may still be at work for it.
    pub async fn end_at_any_moment(&mut self, seed: u64) {
        let moment = self.takes.mul_f64(1.1 * fastrand::Rng::with_seed(seed).f64());
        let what = format!("{:?}, killed after {moment:?} (seed {seed})", self.scenario);
        let database = self.template.copy().await;
        let stepper = Stepper::start(Path::new(STEPPER), &self.job(&database, false));
        tokio::time::sleep(moment).await;
        stepper.kill();
        let ended = run(&database, self.work.clone());
        assert_eq!(ended.status, Some(0), "{what}: {ended:?}");
        let [again, nothing] = self.scenario.endings();
        let ending = how(&ended.answer);
        assert!(ending == again || ending == nothing, "{what}: {ended:?}");
        let earlier = ended.answer["earlier"]["ending"].as_str();
        assert_ne!(earlier, Some("failed"), "{what}");
        if ending == nothing {
            assert_eq!(earlier, Some("succeeded"), "{what}: {ended:?}");
            assert_eq!(ended.answer["earlier"]["action"], self.work.action(), "{what}");
        }
        self.is_as_after(&database, &what).await;
        // One of the two runs has done it, and only one.
        let log = log(&database).await;
        let done = log[self.rows..].iter().filter(|row| self.is_success(row)).count();
        assert_eq!(done, 1, "{what}: {log:#?}");
    }

    fn job(&self, database: &TestDatabase, pauses: bool) -> Job {
        Job {
            url: database.url_text().to_owned(),
            schema: SCHEMA.to_owned(),
            work: self.work.clone(),
            pauses,
        }
    }

    /// Whether all of it is there; none of it is, where not.
    async fn is_one_of_two(&self, database: &TestDatabase, what: &str) -> bool {
        let mut connection = database.connect().await;
        let found = picture(&mut connection, SCHEMA).await;
        if found != self.before {
            assert_eq!(difference(&found, &self.after), [""; 0], "{what}: neither as before nor as after");
            return true;
        }
        false
    }

    /// What the audit log says of it: nothing, `unfinished`, `failed` or `succeeded`.
    async fn recorded(&self, database: &TestDatabase, finished: bool, what: &str) -> Option<&'static str> {
        let log = log(database).await;
        let new = &log[self.rows.min(log.len())..];
        let has =
            |outcome: &str| new.iter().any(|row| row.action == self.work.action() && row.outcome == outcome);
        assert_eq!(has("succeeded"), finished, "{what}: {new:#?}");
        assert!(!finished || has("attempted"), "{what}");
        match (finished, has("failed"), has("attempted")) {
            (true, false, _) => Some("succeeded"),
            // Also where the attempt itself could not be recorded.
            (false, true, _) => Some("failed"),
            (false, false, true) => Some("unfinished"),
            (false, false, false) => None,
            (true, true, _) => panic!("{what}: {new:#?}"),
        }
    }

    /// The next run says what it found and goes on to the end.
    async fn next_run(&self, database: &TestDatabase, finished: bool, ending: Option<&str>, what: &str) {
        let ended = run(database, self.work.clone());
        assert_eq!(ended.status, Some(0), "{what}: {ended:?}");
        let [again, nothing] = self.scenario.endings();
        assert_eq!(how(&ended.answer), if finished { nothing } else { again }, "{what}");
        let earlier = &ended.answer["earlier"];
        match ending {
            Some(ending) => {
                assert_eq!(earlier["action"], self.work.action(), "{what}: {earlier}");
                assert_eq!(earlier["ending"], ending, "{what}: {earlier}");
            }
            None => {
                // Nothing was begun: what there was to tell before is still all there is.
                assert_eq!(earlier.get("action").unwrap_or(&Value::Null), &self.earlier, "{what}");
                assert!(matches!(earlier["ending"].as_str(), None | Some("succeeded")), "{what}: {earlier}");
            }
        }
        self.is_as_after(database, what).await;
        for entry in self.directory.path().read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                Backup::open(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
    }

    async fn is_as_after(&self, database: &TestDatabase, what: &str) {
        let mut connection = database.connect().await;
        let found = picture(&mut connection, SCHEMA).await;
        assert_eq!(difference(&found, &self.after), [""; 0], "{what}: the next run did not end it");
    }

    fn is_success(&self, row: &Record) -> bool {
        row.action == self.work.action() && row.outcome == "succeeded"
    }
}

/// Whoever says that it was done has done it, and whoever says that it failed has changed nothing.
fn told_the_truth(ended: &Ended, finished: bool, harm: Harm, what: &str) {
    let message = ended.answer["message"].as_str().unwrap_or_default();
    match ended.status {
        Some(0) => assert!(finished, "{what}: {ended:?}"),
        Some(1) if harm == Harm::Interrupt => {
            assert!(
                message.contains("interrupted; what was not committed is rolled back"),
                "{what}: {ended:?}"
            );
            let help = ended.answer["help"].as_str().unwrap();
            assert!(
                help.contains("pbac status") && help.contains("the same command again"),
                "{what}: {help}"
            );
        }
        Some(1) => assert!(!finished || message.contains("is done"), "{what}: {ended:?}"),
        _ => panic!("{what}: {ended:?}"),
    }
}

/// The word for how a run ended.
fn how(answer: &Value) -> &str {
    answer.get("ending").or_else(|| answer.get("status")).and_then(Value::as_str).unwrap_or_default()
}

/// From beginning to end.
pub fn run(database: &TestDatabase, work: Work) -> Ended {
    let job = Job { url: database.url_text().to_owned(), schema: SCHEMA.to_owned(), work, pauses: false };
    Stepper::start(Path::new(STEPPER), &job).finish()
}

/// The audit log, whose chain is whole. Nothing where there is none yet.
async fn log(database: &TestDatabase) -> Vec<Record> {
    let mut connection = database.connect().await;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('pbac.audit_log') IS NOT NULL")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !there {
        return Vec::new();
    }
    let schema = Identifier::new(SCHEMA).unwrap();
    assert_eq!(audit::verify(&mut connection, &schema, None).await.unwrap().fault, None);
    audit::list(&mut connection, &schema, None).await.unwrap()
}

/// The lines that only one of the two has.
fn difference(found: &[String], wanted: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], sign: &str| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    let mut all = only(found, wanted, "+");
    all.extend(only(wanted, found, "-"));
    if all.is_empty() && found.len() != wanted.len() {
        all.push("the same lines, not as often".to_owned());
    }
    all
}

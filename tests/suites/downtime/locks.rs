//! Every lock on the application's tables, as `pg_locks` shows it while a migration and its way back go on.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pbac::config;
use pbac::endpoints;
use pbac::migrate::apply::{Ending, Manner, Target, migrate};
use pbac::migrate::plan::Wanted;
use pbac::migrate::preflight::Tolerance;
use pbac::migrate::restore::{Restore, RestoreFrom};
use pbac::migrate::rollback::{Mode, Rollback, RollbackOptions};
use pbac::migrate::step::{RestoreStep, RollbackStep, Step, WorkStep};
use pbac::migrate::undo_session::UndoSettings;
use pbac::policy_file;
use pbac::postgres::{DatabaseUrl, Identifier, RetryPolicy};
use pbac_tests::database::TestDatabase;
use policy_core::Timestamp;
use sqlx::{Connection, PgConnection};

use pbac_tests::site::{CYCLE, Site, example};

/// What a backend of pbac holds or waits for in schemas that are not pbac's or the system's, toast tables and indexes
/// among them.
const OF_OTHERS: &str = "SELECT DISTINCT n.nspname || '.' || c.relname || ' ' || l.mode FROM pg_locks l \
    JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_stat_activity a USING (pid) \
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND a.application_name = 'pbac' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
    AND n.nspname NOT LIKE 'pbac%' AND NOT EXISTS (SELECT FROM pg_class t JOIN pg_namespace tn ON tn.oid = t.relnamespace \
        WHERE t.reltoastrelid IN (c.oid, (SELECT indrelid FROM pg_index WHERE indexrelid = c.oid)) \
        AND (tn.nspname = 'pg_catalog' OR tn.nspname LIKE 'pbac%'))";

/// Only readers' locks, and the table of users among what is locked: or nobody looked.
fn only_read<'l>(seen: impl IntoIterator<Item = &'l String>) {
    let seen: Vec<&String> = seen.into_iter().collect();
    assert!(seen.iter().any(|lock| lock.as_str() == "public.users AccessShareLock"), "{seen:?}");
    assert!(seen.iter().all(|lock| lock.ends_with(" AccessShareLock")), "{seen:?}");
}

/// Writes down the locks whenever the work comes to a step; the work stands still meanwhile. On a thread of its own, since
/// an observer blocks the one that works.
struct Watch {
    asking: mpsc::Sender<&'static str>,
    answered: mpsc::Receiver<()>,
    watcher: thread::JoinHandle<Vec<(&'static str, Vec<String>)>>,
}

impl Watch {
    fn begin(url: &str) -> Self {
        let (asking, asked) = mpsc::channel();
        let (answering, answered) = mpsc::channel();
        let url = url.to_owned();
        let watcher = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                let mut seen = Vec::new();
                while let Ok(step) = asked.recv() {
                    let locks = sqlx::query_scalar(OF_OTHERS).fetch_all(&mut connection).await.unwrap();
                    seen.push((step, locks));
                    answering.send(()).unwrap();
                }
                seen
            })
        });
        Self { asking, answered, watcher }
    }

    fn look<S: WorkStep>(&self, step: S) {
        self.asking.send(step.name()).unwrap();
        self.answered.recv().unwrap();
    }

    /// All locks that were seen, and those of the last step; the work came to every step but those.
    fn end<S: WorkStep>(self, but: &[S]) -> (Vec<String>, Vec<String>) {
        drop(self.asking);
        let seen = self.watcher.join().unwrap();
        let came: BTreeSet<&str> = seen.iter().map(|(step, _)| *step).collect();
        let but: Vec<&str> = but.iter().map(|step| step.name()).collect();
        let all = S::ALL.iter().map(|step| step.name()).filter(|step| !but.contains(step)).collect();
        assert_eq!(came, all);
        let last = seen.last().unwrap().1.clone();
        (seen.into_iter().flat_map(|(_, locks)| locks).collect(), last)
    }
}

#[tokio::test]
async fn of_every_step() {
    let database = TestDatabase::create().await;
    let site = Site::new(database.url_text());
    site.fill(200).await;
    let url = DatabaseUrl::from_str(database.url_text()).unwrap();
    let schema = Identifier::new("pbac").unwrap();
    let now = Timestamp::from_seconds(1_800_000_000);
    let lock_timeout = Duration::from_millis(100);
    let target = Target {
        url: &url,
        schema: &schema,
        lock_timeout,
        retry: RetryPolicy::default(),
        patience: Duration::ZERO,
        now,
    };
    let file = policy_file::load(&example("policy.toml")).unwrap();
    let endpoints = endpoints::load(&example("endpoints.toml")).unwrap();
    let wanted = Wanted { file: &file, endpoints: Some(&endpoints), tolerance: Tolerance::default() };
    let watch = Watch::begin(database.url_text());
    let done = migrate(&target, &wanted, Manner::default(), &|step: Step| watch.look(step)).await.unwrap();
    assert_eq!(done.ending, Ending::Migrated);
    let (seen, at_the_commit) = watch.end::<Step>(&[]);
    only_read(&seen);
    // What was read stays locked until the end, so what is held at the commit is all of it.
    only_read(&at_the_commit);

    let settings = || UndoSettings {
        url: url.clone(),
        schema: schema.clone(),
        lock_timeout,
        wait: Duration::ZERO,
        now,
        dry_run: false,
    };
    for mode in [Mode::Park, Mode::Drop] {
        let options = RollbackOptions {
            mode,
            accept_data_loss: false,
            backup_directory: site.files.path().to_owned(),
            checks: config::Rollback::default(),
        };
        let watch = Watch::begin(database.url_text());
        let look = |step| watch.look(step);
        let rollback = Rollback::prepare(settings(), options, &look).await.unwrap();
        rollback.run().await.unwrap();
        // Of the way back, only the look at the legacy tables after the commit touches them.
        none(watch.end::<RollbackStep>(&[]).0);

        let from = match mode {
            Mode::Park => RestoreFrom::OnlyParked,
            Mode::Drop => RestoreFrom::Backup(site.backups().pop().unwrap()),
        };
        let watch = Watch::begin(database.url_text());
        let look = |step| watch.look(step);
        let restore = Restore::prepare(settings(), from, false, &look).await.unwrap();
        restore.run().await.unwrap();
        none(watch.end::<RestoreStep>(&[]).0);
    }
}

fn none(seen: Vec<String>) {
    assert_eq!(seen, [""; 0]);
}

/// A transaction keeps its locks until it ends, and the last thing that each of ours does is to write to the audit log:
/// what a trigger finds there is every lock that was taken.
#[tokio::test]
async fn of_everything_until_each_commit() {
    let database = TestDatabase::create().await;
    let site = Site::new(database.url_text());
    site.fill(200).await;
    site.pbac(CYCLE[0], 0);
    site.run(&format!(
        "CREATE SCHEMA watch; CREATE TABLE watch.seen (action text, outcome text, lock text); \
         CREATE FUNCTION watch.look() RETURNS trigger LANGUAGE plpgsql AS $look$ BEGIN \
             INSERT INTO watch.seen SELECT new.action, new.outcome, lock FROM ({OF_OTHERS}) AS found (lock) \
                 WHERE lock NOT LIKE 'watch.%'; \
             INSERT INTO watch.seen VALUES (new.action, new.outcome, 'nothing'); RETURN NULL; END $look$; \
         CREATE TRIGGER watch AFTER INSERT ON pbac.audit_log FOR EACH ROW EXECUTE FUNCTION watch.look(); \
         UPDATE pbac.roles SET description = description || '.'"
    ))
    .await;
    for arguments in CYCLE {
        site.pbac(arguments, 0);
    }
    let ended =
        site.texts("SELECT DISTINCT action FROM watch.seen WHERE outcome = 'succeeded' ORDER BY 1").await;
    assert_eq!(ended, ["migrate", "restore", "rollback"]);
    let seen = site.texts("SELECT DISTINCT lock FROM watch.seen WHERE lock <> 'nothing'").await;
    only_read(&seen);
    // Neither way back so much as reads the application's tables before its commit.
    let back = "SELECT DISTINCT lock FROM watch.seen WHERE lock <> 'nothing' AND action <> 'migrate'";
    assert_eq!(site.texts(back).await, [""; 0]);
}

//! Putting a policy in force: everything in one transaction under the schema's lock, or nothing.

use std::time::Duration;

use policy_core::{Index, Timestamp};
use serde::Serialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::earlier::Earlier;
use super::fault::Fault;
use super::plan::{Plan, Summary, Wanted};
use super::step::{Observer, Step, StepClock, StepTime, WorkStep};
use super::validate::{Checked, validations};
use crate::error::HostError;
use crate::exit::Exit;
use crate::policy_file::PolicyFile;
use crate::postgres::audit::{self, Entry, Head, Outcome};
use crate::postgres::policy_store::WriteCounts;
use crate::postgres::source_functions::{Import, LegacyState};
use crate::postgres::transaction::{Kind, snapshot, within};
use crate::postgres::{
    ConnectSettings, DatabaseUrl, Identifier, RetryPolicy, SchemaLock, SessionLimits, connect, ledger,
    mark_work, policy_store, retry_when_locked, schema, session_user, source_functions, transaction,
    was_committed, work_key,
};

/// What to do where the server was lost while it committed.
pub(super) const UNKNOWN_HELP: &str =
    "it is all done or not at all: `pbac status` says which; then give the same command again";
/// What the audit log calls a migration.
pub const ACTION: &str = "migrate";

/// The database, and how long to wait for others there.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Where it is.
    pub url: &'a DatabaseUrl,
    /// The schema of pbac's tables.
    pub schema: &'a Identifier,
    /// How long one statement waits for a lock before it gives way: others queue behind whoever waits.
    pub lock_timeout: Duration,
    /// How often a transaction that gave way is tried again.
    pub retry: RetryPolicy,
    /// How long to wait for another pbac that works on the schema.
    pub patience: Duration,
    /// The time, for overrides that expire.
    pub now: Timestamp,
}

impl Target<'_> {
    /// What holds in every transaction: no statement waits longer for a lock than it may.
    #[must_use]
    pub fn limits(&self) -> SessionLimits {
        SessionLimits { lock_timeout: Some(self.lock_timeout), statement_timeout: None }
    }

    /// How to connect for who only reads, which a standby is good enough for.
    #[must_use]
    pub fn reading(&self) -> ConnectSettings {
        ConnectSettings { writable: false, ..ConnectSettings::default() }
    }
}

/// How to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner<'a> {
    /// Do everything, then roll it back.
    pub dry_run: bool,
    /// Refuse when this is not the plan any more.
    pub plan: Option<&'a str>,
}

/// How a migration ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The policy is in force.
    Migrated,
    /// It was in force already; nothing was changed.
    Unchanged,
    /// It could be put in force; nothing was changed.
    DryRun,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Migration {
    /// How it ended.
    pub ending: Ending,
    /// The id of the plan that was carried out.
    pub plan: String,
    /// The schema of pbac's tables.
    pub schema: Identifier,
    /// The last migration, rollback or restoration before this run.
    pub earlier: Option<Earlier>,
    /// The policy.
    pub policy: Summary,
    /// The SQL files that were applied.
    pub files: Vec<String>,
    /// How many rows were changed, by table.
    pub counts: WriteCounts,
    /// How many overrides were made of what users had of their own in the legacy tables.
    pub imported: u64,
    /// What the validations came to.
    pub checks: Vec<Checked>,
    /// The legacy roles as they were read.
    pub legacy: Option<LegacyState>,
    /// The run's number in the ledger.
    pub ledger: Option<i64>,
    /// The end of the audit chain, to be kept elsewhere.
    pub audit_head: Option<Head>,
    /// How often the transaction was begun.
    pub attempts: u32,
    /// How long each step took, in the last attempt.
    pub steps: Vec<StepTime>,
    /// How long all of it took.
    pub milliseconds: f64,
    /// What preflight found worth knowing.
    pub findings: Vec<crate::legacy::Finding>,
}

/// Puts a policy in force.
///
/// # Errors
///
/// Nothing of it stays but the audit log and a row in it that names the step and the reason: 1 when something failed, 4
/// when a validation does not hold or the policy does not fit the database, 5 when others were at it, 6 when it is not
/// safe or the plan is stale, 8 when a person has to look. Where the server is lost for good while it commits, the error
/// says that all or nothing of it stays.
pub async fn migrate(
    target: &Target<'_>,
    wanted: &Wanted<'_>,
    manner: Manner<'_>,
    observer: Observer<'_>,
) -> Result<Migration, HostError> {
    let mut clock = StepClock::new(observer);
    clock.begin(Step::Lock);
    let lock = SchemaLock::acquire(target.url, target.schema, target.patience).await?;
    let mut connection = connect(target.url, &ConnectSettings::default()).await?;
    let actor = session_user(&mut connection).await.map_err(Fault::from)?;
    let mut job = Job {
        target,
        wanted,
        manner,
        actor,
        plan: None,
        earlier: None,
        connection,
        lock,
        clock,
        unknown: false,
    };
    let result = job.run().await;
    if let Err(error) = &result {
        job.record_failure(error).await;
    }
    // Both end with their connections in any case.
    let _ = job.lock.release().await;
    let _ = job.connection.close().await;
    result
}

/// A migration while it goes on.
struct Job<'a> {
    target: &'a Target<'a>,
    wanted: &'a Wanted<'a>,
    manner: Manner<'a>,
    /// Who is recorded as having done it.
    actor: String,
    plan: Option<Plan>,
    earlier: Option<Earlier>,
    connection: PgConnection,
    lock: SchemaLock,
    clock: StepClock<'a>,
    /// Whether the connection was lost at the commit and nobody could say what became of it.
    unknown: bool,
}

/// What the main transaction did.
#[derive(Default)]
struct Done {
    files: Vec<String>,
    counts: WriteCounts,
    imported: u64,
    checks: Vec<Checked>,
    legacy: Option<LegacyState>,
    ledger: Option<i64>,
    audit_head: Option<Head>,
}

impl Job<'_> {
    async fn run(&mut self) -> Result<Migration, HostError> {
        let Target { schema, now, retry, .. } = *self.target;
        self.clock.begin(Step::Plan);
        self.earlier = snapshot(&mut self.connection, self.target.limits(), async |connection| {
            Earlier::read(connection, schema).await
        })
        .await
        .map_err(Fault::from)?;
        let plan = retry_when_locked(&retry, async || {
            Plan::make(&mut self.connection, schema, self.wanted, now, self.target.limits()).await
        })
        .await?;
        self.plan = Some(plan.clone());
        if let Some(id) = self.manner.plan {
            plan.must_be(id)?;
        }
        plan.preflight.passed()?;
        if plan.nothing_to_do {
            return Ok(self.report(plan, Ending::Unchanged, Done::default(), 0));
        }
        if !self.manner.dry_run {
            self.clock.begin(Step::AuditLog);
            retry_when_locked(&retry, async || self.record_attempt().await).await?;
        }
        let mut attempts: u32 = 0;
        let done = retry_when_locked(&retry, async || {
            attempts = attempts.saturating_add(1);
            self.attempt().await
        })
        .await?;
        let ending = if self.manner.dry_run { Ending::DryRun } else { Ending::Migrated };
        Ok(self.report(plan, ending, done, attempts))
    }

    /// The audit log is committed on its own, and the attempt with it: whatever ends this process now leaves a trace.
    async fn record_attempt(&mut self) -> Result<(), Fault> {
        let entry = self.entry(Outcome::Attempted, json!({}));
        let (into, actor) = (self.target.schema, &self.actor);
        within(&mut self.connection, Kind::Work, self.target.limits(), async |connection| {
            schema::ensure_audit_log(connection, into, actor).await?;
            audit::append(connection, into, &entry.of(actor)).await?;
            Ok(())
        })
        .await
    }

    /// The main transaction, whole: rolled back on any error, so that it can be tried again.
    async fn attempt(&mut self) -> Result<Done, Fault> {
        // One snapshot, so that what is counted, hashed and validated of the legacy roles is of one moment.
        transaction::begin(&mut self.connection, Kind::SnapshotWork, self.target.limits()).await?;
        let result = self.transact().await;
        if result.is_ok() && !self.manner.dry_run {
            self.clock.begin(Step::Commit);
            if let Err(error) = transaction::commit(&mut self.connection).await {
                return self.settle(result?, error).await;
            }
        } else if let Err(error) = transaction::roll_back(&mut self.connection).await {
            // Where a step failed, its own error says why; the server rolls back when the connection is gone.
            return result.and(Err(error.into()));
        }
        result
    }

    /// What became of a commit whose answer did not arrive. Its record says: it is in the log exactly if all of it stays.
    async fn settle(&mut self, done: Done, error: sqlx::Error) -> Result<Done, Fault> {
        let Target { url, schema, .. } = *self.target;
        let Some(head) = done.audit_head else { return Err(error.into()) };
        match was_committed(url, schema, work_key(schema), head).await {
            Some(true) => Ok(done),
            Some(false) => Err(error.into()),
            None => {
                self.unknown = true;
                let message = format!("whether the work on `{schema}` was committed is not known: {error}");
                Err(HostError::failed(message).help(UNKNOWN_HELP).into())
            }
        }
    }

    async fn transact(&mut self) -> Result<Done, Fault> {
        let (into, file) = (self.target.schema, self.wanted.file);
        self.clock.begin(Step::Schema);
        let connection = &mut self.connection;
        if self.manner.dry_run {
            schema::ensure_audit_log(connection, into, &self.actor).await?;
        } else {
            // Before the first query: the snapshot then holds the end of the chain, on which our own row builds.
            let sql = format!("LOCK TABLE {}.audit_log IN SHARE ROW EXCLUSIVE MODE", into.quoted());
            connection.execute(AssertSqlSafe(sql)).await?;
        }
        mark_work(connection, into).await?;
        let files = schema::apply(connection, into, &self.actor).await?;
        let files: Vec<String> = files.iter().map(schema::SqlFile::name).collect();

        self.clock.begin(Step::Policy);
        let counts = policy_store::write(connection, into, &file.policy).await?;

        self.clock.begin(Step::Source);
        source_functions::install(connection, into, file.source.as_ref()).await?;
        let imported = import(connection, into, file).await?;

        self.clock.begin(Step::Ledger);
        let legacy = match &file.source {
            Some(source) => Some(source_functions::legacy_state(connection, source).await?),
            None => None,
        };
        let run = ledger::PolicyRun {
            file,
            policy_hash: Index::compile(&file.policy)?.content_hash(),
            counts: &counts,
            legacy,
            applied_by: &self.actor,
        };
        let number = ledger::record_policy(connection, into, &run).await?;

        self.clock.begin(Step::Validate);
        let checks = validations(connection, into, file, self.target.now).await?;
        agreed(&checks)?;

        self.clock.begin(Step::Audit);
        let difference = self.plan.as_ref().and_then(|plan| plan.preflight.difference.as_ref());
        let access = difference.map(
            |found| json!({ "gained": found.gained, "lost": found.lost, "signed_off": found.signed_off }),
        );
        let details = json!({
            "files": files,
            "changed": counts,
            "imported": imported,
            "ledger": number,
            "legacy": legacy,
            "access": access,
        });
        let entry = self.entry(Outcome::Succeeded, details);
        let head = audit::append(&mut self.connection, into, &entry.of(&self.actor)).await?;
        self.lock.check().await?;
        Ok(Done { files, counts, imported, checks, legacy, ledger: Some(number), audit_head: Some(head) })
    }

    /// On a connection of its own, since the one that failed may be the reason. Nothing more can be done where this
    /// fails too: the error that matters is the first.
    async fn record_failure(&self, error: &HostError) {
        // Where it is not known what happened, the attempt is all that can be said.
        if self.manner.dry_run || self.unknown {
            return;
        }
        let Ok(mut connection) = connect(self.target.url, &ConnectSettings::default()).await else { return };
        let step = self.clock.current();
        let details = json!({
            "step": step.map(Step::name),
            "status": error.exit().code(),
            "reason": error.to_string(),
        });
        let outcome = if step <= Some(Step::Plan) { Outcome::Refused } else { Outcome::Failed };
        let entry = self.entry(outcome, details);
        // Before the audit log exists nothing was changed, and there is nowhere to write.
        let _ = within(&mut connection, Kind::Work, self.target.limits(), async |connection| {
            audit::append(connection, self.target.schema, &entry.of(&self.actor)).await.map_err(Fault::from)
        })
        .await;
        let _ = connection.close().await;
    }

    fn entry(&self, outcome: Outcome, mut details: serde_json::Value) -> OwnEntry {
        if let (Some(fields), Some(plan)) = (details.as_object_mut(), &self.plan) {
            fields.insert("plan".to_owned(), json!(plan.id));
            fields.insert("policy_hash".to_owned(), json!(plan.policy.hash));
        }
        OwnEntry { subject: self.wanted.file.name.clone(), outcome, details }
    }

    fn report(&self, plan: Plan, ending: Ending, done: Done, attempts: u32) -> Migration {
        Migration {
            ending,
            plan: plan.id,
            schema: plan.schema,
            earlier: self.earlier.clone(),
            policy: plan.policy,
            files: done.files,
            counts: done.counts,
            imported: done.imported,
            checks: done.checks,
            legacy: done.legacy,
            ledger: done.ledger,
            audit_head: done.audit_head,
            attempts,
            steps: self.clock.times(),
            milliseconds: self.clock.milliseconds(),
            findings: plan.preflight.findings,
        }
    }
}

/// Makes overrides of what users have of their own, the first time that the policy says where that lies.
async fn import(connection: &mut PgConnection, schema: &Identifier, file: &PolicyFile) -> Result<u64, Fault> {
    let Some(source) = file.source.as_ref().filter(|source| !source.permissions.is_empty()) else {
        return Ok(0);
    };
    if ledger::has_imported(connection, schema).await? {
        return Ok(0);
    }
    match source_functions::import(connection, schema, source, &file.policy).await? {
        Import::Done(count) => Ok(count),
        // Somebody was given it since preflight looked.
        Import::Unmapped(name) => {
            let message = format!(
                "a user has the legacy permission `{}`, which stands for nothing in the catalog",
                crate::report::printable(&name)
            );
            let help = "say in [source.permission_names] which patterns it means, then run it again";
            Err(HostError::new(Exit::Mismatch, message).help(help).into())
        }
    }
}

/// What goes into the audit log, but for who did it.
struct OwnEntry {
    subject: String,
    outcome: Outcome,
    details: serde_json::Value,
}

impl OwnEntry {
    fn of<'e>(&'e self, actor: &'e str) -> Entry<'e> {
        Entry {
            actor,
            action: ACTION,
            subject: &self.subject,
            outcome: self.outcome,
            details: self.details.clone(),
        }
    }
}

/// Refuses when a validation does not hold.
///
/// # Errors
///
/// Names each that does not, and its first mismatches.
pub fn agreed(checks: &[Checked]) -> Result<(), HostError> {
    let broken: Vec<String> = checks
        .iter()
        .filter(|checked| !checked.holds)
        .map(|checked| {
            let more = checked.mismatches.saturating_sub(checked.first.len());
            let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
            format!("{}: {}{rest}", checked.check.name(), checked.first.join("; "))
        })
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    let message = format!("validation failed: {}", broken.join(" | "));
    Err(HostError::new(Exit::Mismatch, crate::report::printable(&message)))
}

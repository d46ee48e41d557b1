//! Putting a policy in force: everything in one transaction under the schema's lock, or nothing.

use std::time::{Duration, Instant};

use policy_core::{Index, Timestamp};
use serde::Serialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::fault::Fault;
use super::plan::{Plan, Summary, Wanted};
use super::validate::{Checked, validations};
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::audit::{self, Entry, Head, Outcome};
use crate::postgres::policy_store::WriteCounts;
use crate::postgres::source_functions::LegacyState;
use crate::postgres::{
    ConnectSettings, DatabaseUrl, Identifier, RetryPolicy, SchemaLock, SessionLimits, connect, ledger,
    policy_store, retry_when_locked, schema, source_functions,
};

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
    /// Who is recorded as having done it.
    pub actor: &'a str,
    /// The time, for overrides that expire.
    pub now: Timestamp,
}

/// How to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner<'a> {
    /// Do everything, then roll it back.
    pub dry_run: bool,
    /// Refuse when this is not the plan any more.
    pub plan: Option<&'a str>,
}

/// The steps, in their order. Whoever tests what happens when one fails takes them from [`Step::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Keeps every other pbac out of the schema.
    Lock,
    /// Looks at what is there, and at everything that could forbid to go on.
    Plan,
    /// Creates the audit log where there is none and records the attempt; committed on its own.
    AuditLog,
    /// Applies the SQL files.
    Schema,
    /// Writes catalog, roles and conflicts.
    Policy,
    /// Makes the functions that read the legacy roles.
    Source,
    /// Counts and hashes the legacy roles, and records the run.
    Ledger,
    /// Computes the four validations.
    Validate,
    /// Records the success, and makes sure that the lock is still held.
    Audit,
    /// Makes it last.
    Commit,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 10] = [
        Self::Lock,
        Self::Plan,
        Self::AuditLog,
        Self::Schema,
        Self::Policy,
        Self::Source,
        Self::Ledger,
        Self::Validate,
        Self::Audit,
        Self::Commit,
    ];

    /// The word for it in JSON, in the audit log and in progress.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Plan => "plan",
            Self::AuditLog => "audit_log",
            Self::Schema => "schema",
            Self::Policy => "policy",
            Self::Source => "source",
            Self::Ledger => "ledger",
            Self::Validate => "validate",
            Self::Audit => "audit",
            Self::Commit => "commit",
        }
    }

    /// What it does, for a person who watches.
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Lock => "taking the schema's lock",
            Self::Plan => "looking at what is there",
            Self::AuditLog => "recording the attempt",
            Self::Schema => "applying the SQL files",
            Self::Policy => "writing catalog, roles and conflicts",
            Self::Source => "making the functions that read the legacy roles",
            Self::Ledger => "recording the policy",
            Self::Validate => "validating",
            Self::Audit => "recording the success",
            Self::Commit => "committing",
        }
    }
}

/// Told of every step when it begins.
pub type Observer<'a> = &'a dyn Fn(Step);

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
    /// The policy.
    pub policy: Summary,
    /// The SQL files that were applied.
    pub files: Vec<String>,
    /// How many rows were changed, by table.
    pub counts: WriteCounts,
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

/// How long a step took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepTime {
    /// Which one.
    pub step: Step,
    /// For how long.
    pub milliseconds: f64,
}

/// Puts a policy in force.
///
/// # Errors
///
/// Nothing of it stays but the audit log and a row in it that names the step and the reason: 1 when something failed, 4
/// when a validation does not hold or the policy does not fit the database, 5 when others were at it, 6 when it is not
/// safe or the plan is stale, 8 when a person has to look.
pub async fn migrate(
    target: &Target<'_>,
    wanted: &Wanted<'_>,
    manner: Manner<'_>,
    observer: Observer<'_>,
) -> Result<Migration, HostError> {
    let mut clock = StepClock::new(observer);
    clock.begin(Step::Lock);
    let mut lock = SchemaLock::acquire(target.url, target.schema, target.patience).await?;
    let settings = ConnectSettings {
        limits: SessionLimits { lock_timeout: Some(target.lock_timeout), statement_timeout: None },
        ..ConnectSettings::default()
    };
    let mut connection = connect(target.url, &settings).await?;
    let result = run(&mut connection, &mut lock, target, wanted, manner, &mut clock).await;
    let result = match result {
        Err(Failure { error, plan }) => {
            record_failure(target, plan.as_ref(), clock.current(), &error, manner.dry_run).await;
            Err(error)
        }
        Ok(migration) => Ok(migration),
    };
    // Both end with their connections in any case.
    let _ = lock.release().await;
    let _ = connection.close().await;
    result
}

/// Why it did not come to an end, and the plan where there was one.
struct Failure {
    error: HostError,
    plan: Option<Plan>,
}

impl<E: Into<HostError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), plan: None }
    }
}

async fn run(
    connection: &mut PgConnection,
    lock: &mut SchemaLock,
    target: &Target<'_>,
    wanted: &Wanted<'_>,
    manner: Manner<'_>,
    clock: &mut StepClock<'_>,
) -> Result<Migration, Failure> {
    clock.begin(Step::Plan);
    let plan = retry_when_locked(&target.retry, async || {
        Plan::make(connection, target.schema, wanted, target.now).await
    })
    .await
    .map_err(HostError::from)?;
    let keep = |error: HostError| Failure { error, plan: Some(plan.clone()) };
    if let Some(id) = manner.plan {
        plan.must_be(id).map_err(keep)?;
    }
    plan.preflight.passed().map_err(keep)?;
    if plan.nothing_to_do {
        return Ok(clock.report(&plan, Ending::Unchanged, Done::default(), 0));
    }
    if !manner.dry_run {
        clock.begin(Step::AuditLog);
        retry_when_locked(&target.retry, async || record_attempt(connection, target, &plan).await)
            .await
            .map_err(HostError::from)
            .map_err(keep)?;
    }
    let mut attempts: u32 = 0;
    let done = retry_when_locked(&target.retry, async || {
        attempts = attempts.saturating_add(1);
        attempt(connection, lock, target, wanted, manner, &plan, clock).await
    })
    .await
    .map_err(HostError::from)
    .map_err(keep)?;
    let ending = if manner.dry_run { Ending::DryRun } else { Ending::Migrated };
    Ok(clock.report(&plan, ending, done, attempts))
}

/// The audit log is committed on its own, and the attempt with it: whatever ends this process now leaves a trace.
async fn record_attempt(
    connection: &mut PgConnection,
    target: &Target<'_>,
    plan: &Plan,
) -> Result<(), Fault> {
    let mut transaction = connection.begin().await?;
    schema::ensure_audit_log(&mut transaction, target.schema, target.actor).await?;
    audit::append(&mut transaction, target.schema, &entry(target, plan, Outcome::Attempted, json!({})))
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// What the main transaction did.
#[derive(Default)]
struct Done {
    files: Vec<String>,
    counts: WriteCounts,
    checks: Vec<Checked>,
    legacy: Option<LegacyState>,
    ledger: Option<i64>,
    audit_head: Option<Head>,
}

/// The main transaction, whole: rolled back on any error, so that it can be tried again.
async fn attempt(
    connection: &mut PgConnection,
    lock: &mut SchemaLock,
    target: &Target<'_>,
    wanted: &Wanted<'_>,
    manner: Manner<'_>,
    plan: &Plan,
    clock: &mut StepClock<'_>,
) -> Result<Done, Fault> {
    // One snapshot, so that what is counted, hashed and validated of the legacy roles is of one moment.
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let result = transact(&mut transaction, lock, target, wanted, manner, plan, clock).await;
    match result {
        Ok(done) if !manner.dry_run => {
            clock.begin(Step::Commit);
            transaction.commit().await?;
            Ok(done)
        }
        result => {
            transaction.rollback().await?;
            result
        }
    }
}

async fn transact(
    connection: &mut PgConnection,
    lock: &mut SchemaLock,
    target: &Target<'_>,
    wanted: &Wanted<'_>,
    manner: Manner<'_>,
    plan: &Plan,
    clock: &mut StepClock<'_>,
) -> Result<Done, Fault> {
    let Target { schema: into, actor, .. } = *target;
    clock.begin(Step::Schema);
    if manner.dry_run {
        schema::ensure_audit_log(connection, into, actor).await?;
    } else {
        // Before the first query: the snapshot then holds the end of the chain, on which our own row builds.
        let sql = format!("LOCK TABLE {}.audit_log IN SHARE ROW EXCLUSIVE MODE", into.quoted());
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    let files = schema::apply(connection, into, actor).await?;

    clock.begin(Step::Policy);
    let counts = policy_store::write(connection, into, &wanted.file.policy).await?;

    clock.begin(Step::Source);
    source_functions::install(connection, into, wanted.file.source.as_ref()).await?;

    clock.begin(Step::Ledger);
    let legacy = match &wanted.file.source {
        Some(source) => Some(source_functions::legacy_state(connection, source).await?),
        None => None,
    };
    let run = ledger::PolicyRun {
        file: wanted.file,
        policy_hash: Index::compile(&wanted.file.policy)?.content_hash(),
        counts: &counts,
        legacy,
        applied_by: actor,
    };
    let number = ledger::record_policy(connection, into, &run).await?;

    clock.begin(Step::Validate);
    let checks = validations(connection, into, wanted.file, target.now).await?;
    agreed(&checks)?;

    clock.begin(Step::Audit);
    let files: Vec<String> = files.iter().map(schema::SqlFile::name).collect();
    let details = json!({ "files": files, "changed": counts, "ledger": number, "legacy": legacy });
    let head = audit::append(connection, into, &entry(target, plan, Outcome::Succeeded, details)).await?;
    lock.check().await?;
    Ok(Done { files, counts, checks, legacy, ledger: Some(number), audit_head: Some(head) })
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

fn entry<'a>(
    target: &Target<'a>,
    plan: &'a Plan,
    outcome: Outcome,
    mut details: serde_json::Value,
) -> Entry<'a> {
    if let Some(fields) = details.as_object_mut() {
        fields.insert("plan".to_owned(), json!(plan.id));
        fields.insert("policy_hash".to_owned(), json!(plan.policy.hash));
    }
    Entry { actor: target.actor, action: ACTION, subject: &plan.policy.name, outcome, details }
}

/// On a connection of its own, since the one that failed may be the reason. Nothing more can be done where this fails
/// too: the error that matters is the first.
async fn record_failure(
    target: &Target<'_>,
    plan: Option<&Plan>,
    step: Option<Step>,
    error: &HostError,
    dry_run: bool,
) {
    if dry_run {
        return;
    }
    let limits = SessionLimits { lock_timeout: Some(target.lock_timeout), statement_timeout: None };
    let settings = ConnectSettings { limits, ..ConnectSettings::default() };
    let Ok(mut connection) = connect(target.url, &settings).await else { return };
    let details = json!({
        "step": step.map(Step::name),
        "status": error.exit().code(),
        "reason": error.to_string(),
        "plan": plan.map(|plan| &plan.id),
        "policy_hash": plan.map(|plan| &plan.policy.hash),
    });
    let outcome = if step <= Some(Step::Plan) { Outcome::Refused } else { Outcome::Failed };
    let subject = plan.map_or("", |plan| plan.policy.name.as_str());
    let entry = Entry { actor: target.actor, action: ACTION, subject, outcome, details };
    // Before the audit log exists nothing was changed, and there is nowhere to write.
    let _ = audit::append(&mut connection, target.schema, &entry).await;
    let _ = connection.close().await;
}

/// Tells of each step, and takes its time.
struct StepClock<'a> {
    observer: Observer<'a>,
    begun: Instant,
    steps: Vec<(Step, Instant)>,
}

impl<'a> StepClock<'a> {
    fn new(observer: Observer<'a>) -> Self {
        Self { observer, begun: Instant::now(), steps: Vec::new() }
    }

    fn begin(&mut self, step: Step) {
        // A transaction that is tried again does its steps again.
        self.steps.retain(|(done, _)| *done < step);
        self.steps.push((step, Instant::now()));
        (self.observer)(step);
    }

    fn current(&self) -> Option<Step> {
        self.steps.last().map(|(step, _)| *step)
    }

    fn report(&self, plan: &Plan, ending: Ending, done: Done, attempts: u32) -> Migration {
        let now = Instant::now();
        let ends = self.steps.iter().skip(1).map(|(_, begun)| *begun).chain([now]);
        let steps = self.steps.iter().zip(ends).map(|((step, begun), end)| StepTime {
            step: *step,
            milliseconds: end.duration_since(*begun).as_secs_f64() * 1000.0,
        });
        Migration {
            ending,
            plan: plan.id.clone(),
            schema: plan.schema.clone(),
            policy: plan.policy.clone(),
            files: done.files,
            counts: done.counts,
            checks: done.checks,
            legacy: done.legacy,
            ledger: done.ledger,
            audit_head: done.audit_head,
            attempts,
            steps: steps.collect(),
            milliseconds: now.duration_since(self.begun).as_secs_f64() * 1000.0,
            findings: plan.preflight.findings.clone(),
        }
    }
}

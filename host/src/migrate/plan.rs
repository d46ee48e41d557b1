//! What a migration would do to this database, bound to the state it was made for. Making it changes nothing.

use std::collections::BTreeSet;

use policy_core::{Index, PolicyDiff, Timestamp, diff};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::changes::Changes;
use super::fault::Fault;
use super::preflight::{Preflight, Tolerance};
use super::state::{Stage, State};
use crate::endpoints::Endpoints;
use crate::error::HostError;
use crate::policy_file::{PolicyFile, Source};
use crate::postgres::transaction::snapshot;
use crate::postgres::{Identifier, SessionLimits, policy_store, schema};

/// What is to be put in force.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The policy and where the legacy roles lie.
    pub file: &'a PolicyFile,
    /// The legacy rules to compare it with.
    pub endpoints: Option<&'a Endpoints>,
    /// What is allowed to be otherwise than it should.
    pub tolerance: Tolerance,
}

/// What would be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Names the policy and the state this is about: `migrate --plan` refuses when it is not this any more.
    pub id: String,
    /// Whether there is nothing to do.
    pub nothing_to_do: bool,
    /// The schema of pbac's tables.
    pub schema: Identifier,
    /// What is there now.
    pub stage: Stage,
    /// The policy in numbers.
    pub policy: Summary,
    /// The SQL files, and whether each would be applied.
    pub files: Vec<PlannedFile>,
    /// What changes of what is stored.
    pub changes: Changes,
    /// Who gains and loses what by that, where a policy is stored already.
    pub effect: Option<PolicyDiff>,
    /// What happens to the functions that read the legacy roles.
    pub source: SourceChange,
    /// Every lock that would be taken.
    pub locks: Vec<Lock>,
    /// What was found out beforehand.
    pub preflight: Preflight,
    /// The state it was made for.
    #[serde(skip)]
    pub state: State,
}

/// A policy in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What it is called.
    pub name: String,
    /// Its content hash, as hexadecimal digits.
    pub hash: String,
    /// How many modules its catalog has.
    pub modules: usize,
    /// How many permissions its catalog has.
    pub permissions: usize,
    /// How many roles it has.
    pub roles: usize,
    /// How many patterns its roles hold.
    pub grants: usize,
    /// How many conflicts it names.
    pub conflicts: usize,
}

/// An SQL file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// Its name in `migrations/`.
    pub name: String,
    /// Whether it would be applied; else it was.
    pub apply: bool,
}

/// What happens to the functions that read the legacy roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceChange {
    /// They are made for the first time.
    Create,
    /// They read another place, or read it otherwise.
    Replace,
    /// They stay as they are.
    Keep,
}

/// A lock that would be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// On what.
    pub on: String,
    /// PostgreSQL's name for it.
    pub mode: &'static str,
    /// For how long, and who has to wait.
    pub why: &'static str,
}

impl Summary {
    /// Counts.
    ///
    /// # Errors
    ///
    /// When the policy is too large to compile.
    pub fn of(file: &PolicyFile) -> Result<Self, Fault> {
        let policy = &file.policy;
        let modules: BTreeSet<_> = policy.permissions().iter().map(|entry| &entry.module).collect();
        Ok(Self {
            name: file.name.clone(),
            hash: Index::compile(policy)?.content_hash().to_string(),
            modules: modules.len(),
            permissions: policy.permissions().len(),
            roles: policy.roles().len(),
            grants: policy.roles().iter().map(|role| role.grants.len()).sum(),
            conflicts: policy.conflicts().len(),
        })
    }
}

impl Plan {
    /// Looks at the database in one read-only snapshot, within the limits.
    ///
    /// # Errors
    ///
    /// When a file was changed after it was applied, when what is stored is damaged, or when the server refuses. What
    /// preflight finds is no error; see [`Preflight::passed`].
    pub async fn make(
        connection: &mut PgConnection,
        schema: &Identifier,
        wanted: &Wanted<'_>,
        now: Timestamp,
        limits: SessionLimits,
    ) -> Result<Self, Fault> {
        snapshot(connection, limits, async |connection| {
            Self::make_within(connection, schema, wanted, now).await
        })
        .await
    }

    async fn make_within(
        connection: &mut PgConnection,
        schema: &Identifier,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let Wanted { file, endpoints, tolerance } = *wanted;
        let state = State::read(connection, schema).await?;
        let preflight = Preflight::run(connection, &state, file, endpoints, tolerance, now).await?;
        let recorded = schema::check(connection, schema).await?;
        let files: Vec<PlannedFile> = schema::files()
            .map(|sql| PlannedFile {
                name: sql.name(),
                apply: recorded.iter().all(|row| row.version != sql.version),
            })
            .collect();
        let stored = match state.missing().is_empty() {
            true => Some(policy_store::read_policy(connection, schema).await?),
            false => None,
        };
        let changes = Changes::between(stored.as_ref(), &file.policy);
        let effect = stored.as_ref().map(|stored| diff(stored, &file.policy, now)).transpose()?;
        let policy = Summary::of(file)?;
        let source = source_change(&state, file)?;
        let recorded_alike = state
            .policy
            .as_ref()
            .is_some_and(|run| run.name == policy.name && run.policy_hash == policy.hash);
        let nothing_to_do = state.stage() == Stage::Migrated
            && recorded_alike
            && changes.is_empty()
            && source == SourceChange::Keep
            && files.iter().all(|file| !file.apply);
        let id = id(&state, stored.as_ref(), &policy, file, &preflight)?;
        let locks = locks(&state, wanted, nothing_to_do);
        Ok(Self {
            id,
            nothing_to_do,
            schema: schema.clone(),
            stage: state.stage(),
            policy,
            files,
            changes,
            effect,
            source,
            locks,
            preflight,
            state,
        })
    }

    /// Refuses when this is not the plan of that id.
    ///
    /// # Errors
    ///
    /// Says that the policy or the database is another one since.
    pub fn must_be(&self, id: &str) -> Result<(), HostError> {
        if self.id == id {
            return Ok(());
        }
        Err(HostError::refused(format_args!(
            "the plan `{}` is stale: the policy, the legacy roles or the database changed since it was made",
            id.escape_debug()
        ))
        .help(format_args!("look at `pbac plan` again; it is `{}` now", self.id)))
    }
}

fn source_change(state: &State, file: &PolicyFile) -> Result<SourceChange, Fault> {
    let Some(run) = &state.policy else { return Ok(SourceChange::Create) };
    let wanted = file.source.as_ref().map(serde_json::to_value).transpose().map_err(unserializable)?;
    Ok(if run.source == wanted { SourceChange::Keep } else { SourceChange::Replace })
}

fn unserializable(error: serde_json::Error) -> HostError {
    HostError::failed(format_args!("a part of the plan cannot be written down: {error}"))
}

/// What the id stands for. Numbers of users are left out: people come and go while a plan is being read.
#[derive(Serialize)]
struct Basis<'a> {
    schema: &'a Identifier,
    state: &'a State,
    stored: Option<String>,
    policy: &'a Summary,
    source: Option<&'a Source>,
    labels: Vec<(&'a str, Option<&'a str>)>,
    stops: Vec<&'a str>,
}

fn id(
    state: &State,
    stored: Option<&policy_core::Policy>,
    policy: &Summary,
    file: &PolicyFile,
    preflight: &Preflight,
) -> Result<String, Fault> {
    let labels = preflight.legacy.iter().flat_map(|legacy| &legacy.labels);
    let stored = stored.map(Index::compile).transpose()?;
    let basis = Basis {
        schema: &state.schema,
        state,
        stored: stored.map(|index| index.content_hash().to_string()),
        policy,
        source: file.source.as_ref(),
        labels: labels.map(|label| (label.label.as_str(), label.role.as_deref())).collect(),
        stops: preflight.findings.iter().filter(|f| f.stops).map(|f| f.message.as_str()).collect(),
    };
    let text = serde_json::to_vec(&basis).map_err(unserializable)?;
    let digest = Sha256::digest(&text);
    Ok(digest.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect())
}

/// Enough to tell states apart; short enough to be typed.
const ID_BYTES: usize = 8;

fn locks(state: &State, wanted: &Wanted<'_>, nothing_to_do: bool) -> Vec<Lock> {
    let schema = &state.schema;
    let lock = |on: String, mode, why| Lock { on, mode, why };
    let mut locks = vec![lock(
        format!("the schema `{schema}`"),
        "advisory lock",
        "until the end; another pbac waits, the application does not",
    )];
    for table in wanted.file.source.iter().flat_map(Source::tables) {
        locks.push(lock(
            table.to_string(),
            "ACCESS SHARE",
            "while it is read; nobody waits but who changes the table's definition",
        ));
    }
    if nothing_to_do {
        return locks;
    }
    let audit = format!("{schema}.audit_log");
    if state.audit {
        locks.push(lock(
            audit,
            "SHARE ROW EXCLUSIVE",
            "until the commit; other entries wait, readers do not",
        ));
    }
    if state.tables.is_empty() {
        locks.push(lock(
            format!("new tables and functions in `{schema}`"),
            "ACCESS EXCLUSIVE",
            "until the commit; nobody can know of them before",
        ));
    } else {
        locks.push(lock(
            format!("the tables of `{schema}`"),
            "ROW EXCLUSIVE",
            "until the commit; questions go on and see what was there before",
        ));
    }
    locks
}

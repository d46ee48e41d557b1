//! What is there, and whether it looks as it was left.

use policy_core::Index;
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::apply::Target;
use super::breaches::{self, Breach};
use super::earlier::{Earlier, EarlierEnding};
use super::fault::Fault;
use super::state::{Stage, State};
use super::validate::{Check, Checked, validations};
use crate::error::HostError;
use crate::exit::Exit;
use crate::legacy::{Finding, FindingCode, Legacy, MAX_FIRST};
use crate::policy_file::PolicyFile;
use crate::postgres::audit::{self, Head};
use crate::postgres::transaction::{Kind, snapshot, within};
use crate::postgres::{
    Server, connect, is_held, lock_key, policy_store, retry_when_locked, schema, work_key,
};

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The database, without its password.
    pub database: String,
    /// `server_version_num`: 150013 is 15.13.
    pub server_version: i32,
    /// What it comes to.
    pub stage: Stage,
    /// The parts.
    #[serde(flatten)]
    pub state: State,
    /// How much is stored, where the tables are there.
    pub counts: Option<Counts>,
    /// The end of the audit chain, as the last row says it.
    pub audit_head: Option<Head>,
    /// The last migration, rollback or restoration, and whether it was finished.
    pub earlier: Option<Earlier>,
    /// What does not look as it was left; `pbac validate` says more.
    pub drift: Vec<String>,
}

/// How much is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Counts {
    /// Entries of the catalog.
    pub permissions: i64,
    /// Roles.
    pub roles: i64,
    /// Patterns of roles.
    pub grants: i64,
    /// Conflicts.
    pub conflicts: i64,
    /// Overrides that count now.
    pub overrides_active: i64,
    /// Overrides that have expired.
    pub overrides_expired: i64,
    /// Users of the legacy table.
    pub users: i64,
}

/// What the live database was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// Whether every check holds.
    pub holds: bool,
    /// The checks: the document's four, then what shows drift.
    pub checks: Vec<Checked>,
    /// Who holds two duties that should be apart (SPEC section 4); reported, not wrong by itself.
    pub conflicts: Vec<Breach>,
    /// What is worth knowing and not wrong.
    pub findings: Vec<Finding>,
}

/// Reads it, in one snapshot.
///
/// # Errors
///
/// When the database cannot be reached or refuses.
pub async fn status(target: &Target<'_>) -> Result<Status, HostError> {
    let mut connection = connect(target.url, &target.reading()).await?;
    let status = retry_when_locked(&target.retry, async || {
        // Locks are not part of a snapshot: before it and after it, so that a run that ends in between is no wreck.
        let busy = somebody_works(&mut connection, target).await?;
        let mut status =
            snapshot(&mut connection, target.limits(), async |connection| read(connection, target).await)
                .await?;
        if let Some(earlier) = &mut status.earlier
            && earlier.ending == EarlierEnding::Unfinished
            && (busy || somebody_works(&mut connection, target).await?)
        {
            earlier.ending = EarlierEnding::GoingOn;
        }
        Ok::<_, Fault>(status)
    })
    .await;
    let _ = connection.close().await;
    Ok(status?)
}

/// Whether another pbac holds the schema's lock, or one that was killed has work there that the server has not ended yet.
async fn somebody_works(connection: &mut PgConnection, target: &Target<'_>) -> Result<bool, sqlx::Error> {
    within(connection, Kind::Work, target.limits(), async |connection| {
        Ok(is_held(lock_key(target.schema), connection).await?
            || is_held(work_key(target.schema), connection).await?)
    })
    .await
}

async fn read(connection: &mut PgConnection, target: &Target<'_>) -> Result<Status, Fault> {
    let state = State::read(connection, target.schema).await?;
    let server_version = Server::ask(connection).await?.version;
    let complete = state.missing().is_empty();
    let mut drift = Vec::new();
    let counts = if complete {
        schema::enter(connection, target.schema).await?;
        Some(sqlx::query_as::<_, Counts>(COUNTS).fetch_one(&mut *connection).await?)
    } else {
        None
    };
    if let (Some(run), Some(counts)) = (&state.policy, counts) {
        match schema::check(connection, target.schema).await {
            Err(error @ (schema::SchemaError::Changed { .. } | schema::SchemaError::Newer { .. })) => {
                drift.push(error.to_string());
            }
            other => drop(other?),
        }
        let ledger = ledger_check(connection, target, run, None).await?;
        drift.extend(ledger.first);
        let then = run.legacy_rows.filter(|then| *then != counts.users);
        drift.extend(then.map(|then| {
            format!(
                "there were {then} legacy users when the policy was put in force, and there are {}",
                counts.users
            )
        }));
    }
    let audit_head = if state.audit {
        let last = audit::list(connection, target.schema, Some(1)).await?;
        last.first().and_then(|row| format!("{}:{}", row.seq, row.hash).parse().ok())
    } else {
        None
    };
    Ok(Status {
        database: target.url.to_string(),
        server_version,
        stage: state.stage(),
        state,
        counts,
        audit_head,
        earlier: Earlier::read(connection, target.schema).await?,
        drift,
    })
}

/// Runs every check against the live database, in one snapshot, changing nothing.
///
/// # Errors
///
/// When there is nothing to validate, when the database cannot be reached, or when it refuses. What does not hold is no
/// error; see [`Validation::holds`].
pub async fn validate(target: &Target<'_>, file: &PolicyFile) -> Result<Validation, HostError> {
    let mut connection = connect(target.url, &target.reading()).await?;
    let validation = retry_when_locked(&target.retry, async || {
        snapshot(&mut connection, target.limits(), async |connection| check(connection, target, file).await)
            .await
    })
    .await;
    let _ = connection.close().await;
    Ok(validation?)
}

async fn check(
    connection: &mut PgConnection,
    target: &Target<'_>,
    file: &PolicyFile,
) -> Result<Validation, Fault> {
    let state = State::read(connection, target.schema).await?;
    if matches!(state.stage(), Stage::Nothing | Stage::AuditOnly) {
        let message = format!("there is nothing to validate: `{}` holds no policy", target.schema);
        return Err(HostError::new(Exit::Mismatch, message).help("run `pbac migrate` first").into());
    }
    let mut checks = validations(connection, target.schema, file, target.now).await?;
    let whole = checks.iter().all(|checked| checked.check != Check::Tables || checked.holds);
    let (mut conflicts, mut findings) = (Vec::new(), Vec::new());
    if whole {
        checks.push(files_check(connection, target).await?);
        match &state.policy {
            Some(run) => checks.push(ledger_check(connection, target, run, Some(file)).await?),
            None => checks.push(Checked::new(
                Check::Ledger,
                "no policy".to_owned(),
                vec!["the ledger records no policy".to_owned()],
            )),
        }
        if let Some(source) = &file.source {
            let legacy = Legacy::read(connection, source, &file.policy).await?;
            let stops = legacy.findings.iter().filter(|finding| finding.stops());
            let compared = format!("{} labels of `{}`", legacy.labels.len(), legacy.table);
            checks.push(Checked::new(Check::Labels, compared, stops.map(ToString::to_string).collect()));
            findings.extend(strays(connection, target, &source.table.to_string()).await?);
        }
        // Rows that make no policy are a mismatch that the checks above have named.
        match policy_store::read_policy(connection, target.schema).await {
            Ok(policy) => {
                conflicts = breaches::read(connection, target.schema, &policy, target.now).await?;
            }
            Err(policy_store::StoreError::Policy(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Validation { holds: checks.iter().all(|checked| checked.holds), checks, conflicts, findings })
}

/// Overrides of users who are gone, or who never were. No foreign key keeps them out: it would be a lock on the legacy
/// table and a dependency of the application on ours.
async fn strays(
    connection: &mut PgConnection,
    target: &Target<'_>,
    table: &str,
) -> Result<Option<Finding>, Fault> {
    schema::enter(connection, target.schema).await?;
    let (count, first): (i64, Vec<String>) = sqlx::query_as(STRAYS)
        .bind(i64::try_from(MAX_FIRST).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await?;
    let message = format!(
        "users with overrides are not in `{table}`: whoever is given their id later holds them too; take them back with `pbac revoke`"
    );
    Ok((count > 0).then(|| Finding::note(FindingCode::StrayOverride, message).about(count, first)))
}

async fn files_check(connection: &mut PgConnection, target: &Target<'_>) -> Result<Checked, Fault> {
    let (count, wrong) = match schema::check(connection, target.schema).await {
        Ok(recorded) => {
            let missing =
                schema::files().filter(|file| recorded.iter().all(|row| row.version != file.version));
            (recorded.len(), missing.map(|file| format!("`{}` is not applied", file.name())).collect())
        }
        Err(error @ (schema::SchemaError::Changed { .. } | schema::SchemaError::Newer { .. })) => {
            (schema::files().count(), vec![error.to_string()])
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Checked::new(Check::Files, format!("{count} SQL files"), wrong))
}

/// Whether the tables hold what the ledger says, and the file says what the ledger says.
async fn ledger_check(
    connection: &mut PgConnection,
    target: &Target<'_>,
    run: &super::state::PolicyRun,
    file: Option<&PolicyFile>,
) -> Result<Checked, Fault> {
    let mut wrong = Vec::new();
    let stored = match policy_store::read_policy(connection, target.schema).await {
        Ok(policy) => Ok(policy),
        Err(policy_store::StoreError::Policy(error)) => Err(error.to_string()),
        Err(error @ policy_store::StoreError::Damaged { .. }) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    match stored {
        Ok(policy) => {
            let hash = Index::compile(&policy)?.content_hash().to_string();
            if hash != run.policy_hash {
                wrong.push(
                    "what is stored is not what was put in force: somebody changed the tables".to_owned(),
                );
            }
        }
        Err(error) => wrong.push(error),
    }
    if let Some(file) = file {
        if Index::compile(&file.policy)?.content_hash().to_string() != run.policy_hash {
            wrong.push(format!(
                "the policy file is not the policy that was put in force as number {}",
                run.id
            ));
        }
        if file.source.as_ref().map(serde_json::to_value).transpose().ok().flatten() != run.source {
            wrong.push("the file's [source] is not the one that was put in force".to_owned());
        }
    }
    Ok(Checked::new(Check::Ledger, format!("policy `{}`, number {}", run.name, run.id), wrong))
}

/// Whoever has an override and is no user.
const STRAYS: &str = "WITH strays AS MATERIALIZED (SELECT DISTINCT o.user_id FROM user_custom_permissions o \
        WHERE NOT EXISTS (SELECT FROM all_users() u WHERE u.user_id = o.user_id COLLATE \"C\")) \
    SELECT (SELECT count(*) FROM strays), ARRAY(SELECT user_id FROM strays ORDER BY 1 LIMIT $1)";

const COUNTS: &str = "SELECT (SELECT count(*) FROM permissions) AS permissions, (SELECT count(*) FROM roles) AS roles, \
    (SELECT count(*) FROM role_permissions) AS grants, (SELECT count(*) FROM conflicts) AS conflicts, \
    (SELECT count(*) FROM user_custom_permissions WHERE expires_at IS NULL OR now() < expires_at) AS overrides_active, \
    (SELECT count(*) FROM user_custom_permissions WHERE expires_at <= now()) AS overrides_expired, \
    (SELECT count(DISTINCT user_id) FROM all_users()) AS users";

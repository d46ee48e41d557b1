//! A change to the keys in a database as a process of its own, led as [`crate::stepper`] leads a migration.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::interrupt::unless_interrupted;
use pbac::keys::postgres_store::{KeyStep, PostgresStore, RESEAL, Resealing, SealingKeys};
use pbac::keys::{Applying, KeySettings, Operation};
use pbac::migrate::step::WorkStep;
use pbac::postgres::{DatabaseUrl, Identifier};
use policy_core::Timestamp;
use policy_core::keys::KeyId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stepper::{answer, begun_by_name, take_job};

/// What a process does, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyJob {
    /// The database.
    pub url: String,
    /// The schema.
    pub schema: String,
    /// What is to be done.
    pub change: KeyChange,
    /// The key-encryption keys.
    pub sealing: String,
    /// Where the report goes.
    pub directory: PathBuf,
    /// When, in seconds since 1970.
    pub now: i64,
    /// Whether it waits at each step.
    pub pauses: bool,
}

/// What is done to the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyChange {
    /// A key is staged.
    Stage,
    /// The staged key signs, however short it was staged.
    Promote,
    /// A new key signs.
    Rotate,
    /// What is due is done.
    RotateIfDue,
    /// This key is revoked.
    Revoke(String),
    /// All secrets are sealed with the first of these.
    Reseal(String),
}

impl KeyChange {
    /// The names of its steps, as the code enumerates them.
    #[must_use]
    pub fn steps(&self) -> Vec<&'static str> {
        // Sealing anew looks at no calendar, revokes nothing, and has nothing to tell.
        let left_out = |step: KeyStep| {
            matches!(self, Self::Reseal(_))
                && matches!(step, KeyStep::Look | KeyStep::Revocations | KeyStep::Notify | KeyStep::Report)
        };
        KeyStep::ALL.iter().filter(|step| !left_out(**step)).map(|step| step.name()).collect()
    }

    /// What the audit log calls it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Stage => "keys.stage",
            Self::Promote => "keys.promote",
            Self::Rotate | Self::RotateIfDue => "keys.rotate",
            Self::Revoke(_) => "keys.revoke",
            Self::Reseal(_) => RESEAL,
        }
    }
}

/// The process itself.
#[must_use]
pub fn serve() -> Exit {
    let job: KeyJob = take_job();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("there are threads");
    // As `pbac` does it.
    let result = runtime.block_on(unless_interrupted(work(&job)));
    runtime.shutdown_timeout(Duration::from_secs(5));
    answer(&result)
}

async fn work(job: &KeyJob) -> Result<Value, HostError> {
    let sealing = |text: &str| SealingKeys::parse(text).expect("the test knows the key-encryption key");
    let url = DatabaseUrl::from_str(&job.url).expect("the test knows the URL");
    let schema = Identifier::new(&job.schema).expect("the test knows the schema");
    let store = PostgresStore::new(url, schema, sealing(&job.sealing));
    let now = Timestamp::from_seconds(job.now);
    let watch = |name: &'static str| begun_by_name(name, job.pauses);
    let operation = match &job.change {
        KeyChange::Stage => Operation::Stage,
        KeyChange::Promote => Operation::Promote { force: true },
        KeyChange::Rotate => Operation::Rotate { force: false },
        KeyChange::RotateIfDue => Operation::RotateIfDue,
        KeyChange::Revoke(kid) => {
            Operation::Revoke { id: KeyId::parse(kid).expect("the test knows the key"), unknown: false }
        }
        KeyChange::Reseal(to) => {
            let resealing = Resealing { to: &sealing(to), now, who: "stepper", watch: &watch };
            return Ok(serde_json::to_value(store.reseal(resealing).await?).expect("a report is JSON"));
        }
    };
    let settings = KeySettings { logs: job.directory.clone(), history: 100, ..KeySettings::default() };
    let applying =
        Applying { operation: &operation, settings: &settings, now, who: "stepper", watch: &watch };
    let applied = store.apply(applying).await?;
    let report = applied.report.transpose()?.map(|(report, _)| report);
    Ok(json!({ "report": report, "audit_head": applied.audit_head }))
}

//! A change to the keys: planned under the lock on what is read there, and committed whole with its record.

use policy_core::keys::{KeyHistory, KeyId, RotationRules};
use serde_json::Value;
use sqlx::PgConnection;

use super::PostgresStore;
use super::error::Fault;
use super::notify;
use super::rows::{Rows, write_revocations};
use super::session::Session;
use super::step::KeyStep;
use crate::error::HostError;
use crate::keys::{Applied, Applying, KeySet, Operation, Planned, RotationReport};
use crate::postgres::audit::Head;
use crate::postgres::retry_when_locked;
use crate::token::probe;

pub(super) async fn apply(store: &PostgresStore, applying: Applying<'_>) -> Result<Applied, HostError> {
    let Applying { operation, who, watch, .. } = applying;
    let subject = match operation {
        Operation::Revoke { id, .. } => id.to_string(),
        // Which key it will be is not known before it is planned.
        _ => String::new(),
    };
    let session = Session::open(store, operation.name(), subject, who, watch).await?;
    let mut change = Change { session, applying, seen: KeyHistory::default() };
    let result = change.run().await;
    change.session.close(&result).await;
    result
}

struct Change<'a> {
    session: Session<'a>,
    applying: Applying<'a>,
    /// The keys as they were before the lock was taken.
    seen: KeyHistory,
}

/// What was committed.
struct Done {
    planned: Planned,
    rules: RotationRules,
    head: Head,
}

impl Change<'_> {
    async fn run(&mut self) -> Result<Applied, HostError> {
        self.session.begin(KeyStep::Look);
        let store = self.session.store;
        let connection = &mut self.session.connection;
        let rows = retry_when_locked(&store.retry, async || {
            Rows::snapshot(connection, &store.schema, store.limits()).await
        })
        .await?;
        let keys = rows.open(&store.schema, &store.sealing, self.leaving())?;
        // What is not due or not allowed leaves no attempt in the log; a refusal is recorded as one.
        if self.plan(&keys)?.is_none() {
            return Ok(Applied::default());
        }
        self.seen = keys.history().clone();

        self.session.begin(KeyStep::Attempt);
        retry_when_locked(&store.retry, async || self.session.record_attempt().await).await?;
        let done = retry_when_locked(&store.retry, async || self.attempt().await).await?;
        let Done { planned, rules, head } = done;

        self.session.begin(KeyStep::Report);
        let Applying { operation, settings, now, who, .. } = self.applying;
        let report = RotationReport::new(operation, &planned, &rules, now, who);
        let report = report.write(&settings.logs).map(|path| (report, path));
        let notes = store.warnings.clone();
        Ok(Applied {
            planned: Some(planned),
            backup: None,
            report: Some(report),
            audit_head: Some(head),
            notes,
        })
    }

    /// The main transaction, whole: rolled back on any error, so that it can be tried again.
    async fn attempt(&mut self) -> Result<Done, Fault> {
        let done = match self.transact().await {
            Ok(done) => done,
            Err(error) => {
                self.session.roll_back().await;
                return Err(error);
            }
        };
        self.session.commit(done.head).await?;
        Ok(done)
    }

    async fn transact(&mut self) -> Result<Done, Fault> {
        let store = self.session.store;
        self.session.begin(KeyStep::Lock);
        self.session.begin_work().await?;

        self.session.begin(KeyStep::Plan);
        let rows = Rows::read(&mut self.session.connection, &store.schema).await?;
        let keys = rows.open(&store.schema, &store.sealing, self.leaving())?;
        let overtaken = || Fault::Overtaken { schema: store.schema.clone() };
        // To rotate twice in a row is never what two people meant who both asked for it once.
        if matches!(self.applying.operation, Operation::Rotate { .. }) && *keys.history() != self.seen {
            return Err(overtaken());
        }
        let (planned, rules) = self.plan(&keys)?.ok_or_else(overtaken)?;

        self.session.begin(KeyStep::Keys);
        let now = self.applying.now;
        let connection = &mut self.session.connection;
        rows.write_keys(connection, &store.schema, &planned.after, &store.sealing, now).await?;

        self.session.begin(KeyStep::Revocations);
        write_revocations(&mut self.session.connection, &store.schema, &planned.after).await?;

        self.session.begin(KeyStep::Probe);
        self.read_back(&planned.after).await?;

        self.session.begin(KeyStep::Notify);
        notify::tell(&mut self.session.connection, &store.schema).await?;

        self.session.begin(KeyStep::Audit);
        let Applying { operation, who, .. } = self.applying;
        let report = RotationReport::new(operation, &planned, &rules, now, who);
        let details = serde_json::to_value(&report).unwrap_or(Value::Null);
        let head = self.session.append_success(&operation.subject(&planned), details).await?;
        Ok(Done { planned, rules, head })
    }

    /// The key that is to be revoked.
    const fn leaving(&self) -> Option<&'_ KeyId> {
        match self.applying.operation {
            Operation::Revoke { id, .. } => Some(id),
            _ => None,
        }
    }

    fn plan(&self, keys: &KeySet) -> Result<Option<(Planned, RotationRules)>, HostError> {
        let Applying { operation, settings, now, .. } = self.applying;
        let rules = settings.rotation_rules(keys.rotation_days());
        let planned = operation.plan(keys, &rules, settings.algorithm, now)?;
        Ok(planned.map(|planned| (planned, rules)))
    }

    /// What was written says what was meant, opens, and works.
    async fn read_back(&mut self, after: &KeySet) -> Result<(), Fault> {
        let store = self.session.store;
        let connection: &mut PgConnection = &mut self.session.connection;
        let rows = Rows::read(connection, &store.schema).await?;
        let keys = rows.open(&store.schema, &store.sealing, None)?;
        if !same_keys(keys.history(), after.history()) || !keys.same_material(after) {
            return Err(Fault::NotAsWritten);
        }
        Ok(probe(&keys, self.applying.now)?)
    }
}

/// Whether both say the same of each key. Which of two keys comes first that were retired at once is no matter.
fn same_keys(one: &KeyHistory, other: &KeyHistory) -> bool {
    let sorted = |history: &KeyHistory| {
        let mut keys = history.keys().to_vec();
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        keys
    };
    sorted(one) == sorted(other) && one.revoked() == other.revoked()
}

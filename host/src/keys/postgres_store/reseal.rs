//! Sealing every secret anew with another key-encryption key.

use policy_core::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::PostgresStore;
use super::error::Fault;
use super::rows::{Rows, identity, write_sealed};
use super::sealing_keys::SealingKeys;
use super::session::{Session, Watch};
use super::step::KeyStep;
use crate::error::HostError;
use crate::postgres::audit::Head;
use crate::postgres::retry_when_locked;
use crate::report::time::serialize_moment;

/// What the audit log calls it.
pub const RESEAL: &str = "keys.reseal";

/// What is to be done, when and by whom.
#[derive(Clone, Copy)]
pub struct Resealing<'a> {
    /// The first of them seals from now on.
    pub to: &'a SealingKeys,
    /// When.
    pub now: Timestamp,
    /// Who asked for it.
    pub who: &'a str,
    /// Is told the name of each step as it begins, in the order of [`KeyStep`].
    pub watch: &'a (dyn Fn(&'static str) + Sync),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resealed {
    /// The keys that are sealed with another key-encryption key now. None: all were already, and nothing was changed.
    pub keys: Vec<String>,
    /// The label of the key-encryption key.
    pub sealing_key: String,
    /// When.
    #[serde(serialize_with = "serialize_moment")]
    pub at: Timestamp,
    /// The end of the audit log's chain.
    pub audit_head: Option<Head>,
}

pub(super) async fn reseal(store: &PostgresStore, resealing: Resealing<'_>) -> Result<Resealed, HostError> {
    let label = resealing.to.label().to_owned();
    let watch: Watch<'_> = resealing.watch;
    let mut session = Session::open(store, RESEAL, label, resealing.who, watch).await?;
    let result = run(&mut session, resealing).await;
    session.close(&result).await;
    result
}

async fn run(session: &mut Session<'_>, resealing: Resealing<'_>) -> Result<Resealed, HostError> {
    let store = session.store;
    session.begin(KeyStep::Attempt);
    retry_when_locked(&store.retry, async || session.record_attempt().await).await?;
    let (keys, head) = retry_when_locked(&store.retry, async || attempt(session, resealing).await).await?;
    Ok(Resealed {
        keys,
        sealing_key: resealing.to.label().to_owned(),
        at: resealing.now,
        audit_head: Some(head),
    })
}

async fn attempt(session: &mut Session<'_>, resealing: Resealing<'_>) -> Result<(Vec<String>, Head), Fault> {
    let done = match transact(session, resealing).await {
        Ok(done) => done,
        Err(error) => {
            session.roll_back().await;
            return Err(error);
        }
    };
    session.commit(done.1).await?;
    Ok(done)
}

async fn transact(session: &mut Session<'_>, resealing: Resealing<'_>) -> Result<(Vec<String>, Head), Fault> {
    let PostgresStore { schema, sealing, .. } = session.store;
    let (to, all) = (resealing.to, resealing.to.and(sealing));
    session.begin(KeyStep::Lock);
    session.begin_work().await?;

    session.begin(KeyStep::Plan);
    let rows = Rows::read(&mut session.connection, schema).await?;
    let before = rows.open(schema, &all, None)?;

    session.begin(KeyStep::Keys);
    let mut keys = Vec::new();
    for row in rows.keys().iter().filter(|row| row.sealing_key != to.label()) {
        // The row of a key that was revoked waits to be wiped, and may be sealed with whatever it is.
        let record = row.record()?;
        let Some(material) = before.material(&record.id) else { continue };
        let sealed = to.sealing().seal(&identity(schema, &record), material.bytes())?;
        write_sealed(&mut session.connection, schema, &row.kid, &sealed, to.label()).await?;
        keys.push(row.kid.clone());
    }

    session.begin(KeyStep::Probe);
    let after = Rows::read(&mut session.connection, schema).await?.open(schema, to, None)?;
    if after.history() != before.history() || !after.same_material(&before) {
        return Err(Fault::NotAsWritten);
    }

    session.begin(KeyStep::Audit);
    let details = json!({
        "by": resealing.who,
        "at": crate::report::time::show_time(resealing.now),
        "sealing_key": to.label(),
        "keys": keys,
    });
    let head = session.append_success(to.label(), details).await?;
    Ok((keys, head))
}

//! `pbac keys list`: every key and every revocation.

use policy_core::Timestamp;
use policy_core::keys::KeyId;
use serde::Serialize;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{KeySet, Store};
use crate::report::time::{serialize_time, show_time};
use crate::report::{Report, Table};

/// The arguments of `pbac keys list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing, as this never does: for scripts that give it to every command
    #[arg(long)]
    dry_run: bool,
}

/// All of them.
#[derive(Debug, Serialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<Listed>,
}

/// A key that is there or was revoked.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    pub(super) kid: KeyId,
    /// Whether the store has this name; if not, it is made up until the next change.
    named: bool,
    algorithm: Option<&'static str>,
    pub(super) state: &'static str,
    #[serde(serialize_with = "serialize_time")]
    pub(super) since: Option<Timestamp>,
    #[serde(serialize_with = "serialize_time")]
    pub(super) not_after: Option<Timestamp>,
    verifies: bool,
}

impl Keys {
    pub(super) fn of(keys: &KeySet, now: Timestamp) -> Self {
        let there = keys.history().keys().iter().map(|key| Listed {
            kid: key.id.clone(),
            named: !keys.is_unnamed(&key.id),
            algorithm: Some(key.algorithm.name()),
            state: key.phase.name(),
            since: key.phase.since(),
            not_after: key.not_after(),
            verifies: key.verifies_at(now),
        });
        let revoked = keys.history().revoked().iter().map(|revocation| Listed {
            kid: revocation.id.clone(),
            named: true,
            algorithm: None,
            state: "revoked",
            since: Some(revocation.at),
            not_after: Some(revocation.at),
            verifies: false,
        });
        Self { keys: there.chain(revoked).collect() }
    }
}

impl Report for Keys {
    fn people(&self) -> String {
        let mut table = Table::new(["KID", "ALGORITHM", "STATE", "SINCE", "VERIFIES UNTIL"]);
        for key in &self.keys {
            let time =
                |time: Option<Timestamp>, missing: &str| time.map_or_else(|| missing.to_owned(), show_time);
            let until = match key.state {
                "retired" if !key.verifies => "over".to_owned(),
                "retired" => time(key.not_after, "not known"),
                "revoked" => "never".to_owned(),
                _ => "retired".to_owned(),
            };
            table.row([
                key.kid.as_str(),
                key.algorithm.unwrap_or("-"),
                key.state,
                &time(key.since, "not known"),
                &until,
            ]);
        }
        table.to_string()
    }
}

/// Lists them.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn run(_: Args, context: &Context) -> Result<Exit, HostError> {
    let store = Store::open(&context.config)?;
    let keys = store.load(&context.config.keys).await?;
    context.output.show(&Keys::of(&keys, context.clock.now()))?;
    Ok(Exit::Done)
}

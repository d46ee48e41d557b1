//! What every change of the keys has in common: the plan, the store, and what is said of it.

use std::path::PathBuf;

use policy_core::Timestamp;
use policy_core::keys::{KeyEvent, KeyId, RotationRules};
use serde::Serialize;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{Applied, Applying, Operation, Planned, RotationReport, Store, StoreKind};
use crate::postgres::audit::Head;
use crate::report::time::{serialize_time, show_time};
use crate::report::{Report, style};

/// What every change takes.
#[derive(Debug, clap::Args)]
pub struct Plain {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    action: &'static str,
    dry_run: bool,
    staged: bool,
    promoted: bool,
    /// Whether another key signs now.
    rotated: bool,
    old_kid: Option<KeyId>,
    new_kid: Option<KeyId>,
    events: Vec<KeyEvent>,
    #[serde(serialize_with = "serialize_time")]
    next_due: Option<Timestamp>,
    /// When the staged key may be promoted.
    #[serde(serialize_with = "serialize_time")]
    promotable_at: Option<Timestamp>,
    backup: Option<PathBuf>,
    report: Option<PathBuf>,
    audit_head: Option<Head>,
}

impl Report for Changed {
    fn people(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            text.push_str(&told(event));
            text.push('\n');
        }
        if self.events.is_empty() {
            text.push_str("nothing is due\n");
        }
        for (what, time) in [("may be promoted", self.promotable_at), ("next rotation due", self.next_due)] {
            if let Some(time) = time {
                text.push_str(&format!("{what}: {}\n", show_time(time)));
            }
        }
        for (what, path) in [("backup", &self.backup), ("report", &self.report)] {
            if let Some(path) = path {
                text.push_str(&format!("{what}: {}\n", path.display()));
            }
        }
        if self.dry_run {
            text.push_str("nothing was changed: this was a dry run\n");
        }
        text
    }
}

/// One event, for people.
fn told(event: &KeyEvent) -> String {
    match event {
        KeyEvent::Staged { id } => {
            format!("{} `{id}`: verifies, and signs once it is promoted", style::good("staged"))
        }
        KeyEvent::Promoted { id } => format!("{} `{id}`: signs from now on", style::good("promoted")),
        KeyEvent::Retired { id, not_after } => {
            format!("{} `{id}`: verifies until {}", style::good("retired"), show_time(*not_after))
        }
        KeyEvent::Gone { id } => format!("{} `{id}`: its time was over", style::good("gone")),
        KeyEvent::PushedOut { id, not_after } => format!(
            "{} `{id}`: it would have verified until {}",
            style::bad("dropped"),
            not_after.map_or_else(|| "a time that is not known".to_owned(), show_time)
        ),
        KeyEvent::Revoked { id } => format!("{} `{id}`: verifies nothing any more", style::bad("revoked")),
    }
}

/// Does it, and prints what was done.
pub(super) async fn change(
    operation: &Operation,
    plain: &Plain,
    context: &Context,
) -> Result<Exit, HostError> {
    let (changed, _) = make(operation, plain, context).await?;
    context.output.show(&changed)?;
    Ok(Exit::Done)
}

/// Does it, and returns what was done.
pub(super) async fn make(
    operation: &Operation,
    plain: &Plain,
    context: &Context,
) -> Result<(Changed, Option<Planned>), HostError> {
    let settings = &context.config.keys;
    let now = context.clock.now();
    let store = Store::open(&context.config)?;
    if plain.dry_run {
        let keys = store.load(settings).await?;
        let rules = settings.rotation_rules(keys.rotation_days());
        let planned = operation.plan(&keys, &rules, settings.algorithm, now)?;
        let next_due = planned.as_ref().map_or(&keys, |planned| &planned.after).history().next_due(&rules);
        let changed = Changed::new(operation, true, planned.as_ref(), &rules, next_due, Applied::default());
        return Ok((changed, planned));
    }
    let applying = Applying { operation, settings, now, who: &who(), watch: &|_| {} };
    let mut applied = store.apply(applying).await?;
    let planned = applied.planned.take();
    // Where nothing was due, the store still says when it will be.
    let keys = match &planned {
        Some(planned) => planned.after.clone(),
        None => store.load(settings).await?,
    };
    let rules = settings.rotation_rules(keys.rotation_days());
    for note in applied.notes.drain(..) {
        context.output.warn(note);
    }
    if let Some(Err(error)) = &applied.report {
        context.output.warn(format_args!("the change is made, but its report is not written: {error}"));
    }
    if planned.is_some() && settings.store == StoreKind::Env {
        context.output.note(
            "a process that read the file when it started goes on with the keys it has until it is started again \
             (`docker compose up -d`: `restart` keeps the old environment)",
        );
    }
    let next_due = keys.history().next_due(&rules);
    Ok((Changed::new(operation, false, planned.as_ref(), &rules, next_due, applied), planned))
}

impl Changed {
    fn new(
        operation: &Operation,
        dry_run: bool,
        planned: Option<&Planned>,
        rules: &RotationRules,
        next_due: Option<Timestamp>,
        applied: Applied,
    ) -> Self {
        let events = planned.map(|planned| planned.change.events().to_vec()).unwrap_or_default();
        let has = |wanted: fn(&KeyEvent) -> bool| events.iter().any(wanted);
        let active = |keys: Option<&crate::keys::KeySet>| {
            keys.and_then(|keys| keys.history().active()).map(|key| key.id.clone())
        };
        let old_kid = active(planned.map(|planned| &planned.before));
        let new_kid = active(planned.map(|planned| &planned.after));
        let staged = planned.and_then(|planned| planned.after.history().staged());
        Self {
            action: operation.name(),
            dry_run,
            staged: has(|event| matches!(event, KeyEvent::Staged { .. })),
            promoted: has(|event| matches!(event, KeyEvent::Promoted { .. })),
            rotated: old_kid != new_kid,
            old_kid,
            new_kid,
            next_due,
            promotable_at: staged.and_then(|key| key.phase.since()).map(|since| since.after(rules.staging)),
            events,
            backup: applied.backup,
            report: applied.report.and_then(Result::ok).map(|(_, path): (RotationReport, _)| path),
            audit_head: applied.audit_head,
        }
    }
}

/// Who runs this, as the operating system and the session say.
fn who() -> String {
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let id = rustix::process::getuid().as_raw();
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} (uid {id})"),
        None => format!("uid {id}"),
    }
}

//! What every change of the keys has in common: the plan, the store, and what is said of it.

use std::path::PathBuf;

use policy_core::Timestamp;
use policy_core::keys::{KeyId, RotationRules};
use serde::Serialize;

use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{Applied, Applying, Operation, Planned, ReportedEvent, RotationReport, Store, StoreKind};
use crate::postgres::audit::Head;
use crate::report::time::{serialize_time, show_time};
use crate::report::{Report, style};

/// What every change takes.
#[derive(Debug, clap::Args)]
pub(super) struct Plain {
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
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
    events: Vec<ReportedEvent>,
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
fn told(ReportedEvent { event, kid, not_after }: &ReportedEvent) -> String {
    let end = not_after.map_or_else(|| "a time that is not known".to_owned(), show_time);
    match *event {
        "staged" => format!("{} `{kid}`: verifies, and signs once it is promoted", style::good("staged")),
        "promoted" => format!("{} `{kid}`: signs from now on", style::good("promoted")),
        "retired" => format!("{} `{kid}`: verifies until {end}", style::good("retired")),
        "pushed_out" => format!("{} `{kid}`: it would have verified until {end}", style::bad("dropped")),
        "revoked" => format!("{} `{kid}`: verifies nothing any more", style::bad("revoked")),
        _ => format!("{} `{kid}`: its time was over", style::good("gone")),
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
        warn_of_force(planned.as_ref(), context);
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
    warn_of_force(planned.as_ref(), context);
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

/// Says what `--force` breaks.
fn warn_of_force(planned: Option<&Planned>, context: &Context) {
    if let Some(refusal) = planned.and_then(|planned| planned.forced.as_ref()) {
        context.output.warn(format_args!("forced: {refusal}"));
    }
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
        let events = planned.map(|planned| planned.change.events()).unwrap_or_default();
        let events: Vec<ReportedEvent> = events.iter().map(ReportedEvent::from).collect();
        let has = |what: &str| events.iter().any(|event| event.event == what);
        let active = |keys: Option<&crate::keys::KeySet>| {
            keys.and_then(|keys| keys.history().active()).map(|key| key.id.clone())
        };
        let old_kid = active(planned.map(|planned| &planned.before));
        let new_kid = active(planned.map(|planned| &planned.after));
        let staged = planned.and_then(|planned| planned.after.history().staged());
        Self {
            action: operation.name(),
            dry_run,
            staged: has("staged"),
            promoted: has("promoted"),
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
pub(super) fn who() -> String {
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let id = rustix::process::getuid().as_raw();
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} (uid {id})"),
        None => format!("uid {id}"),
    }
}

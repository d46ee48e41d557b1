//! `pbac keys status`: the keys as a time line, and what is wrong.

use policy_core::Timestamp;
use serde::Serialize;

use super::list::{Keys, Listed};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::keys::{KeySet, Store};
use crate::report::time::{serialize_time, show_time};
use crate::report::{Report, printable, style};

/// The arguments of `pbac keys status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Status 8 when no key signs, or one that signs is no key: a person has to look.")]
pub struct Args {
    /// Change nothing, as this never does: for scripts that give it to every command
    #[arg(long)]
    dry_run: bool,
}

/// How the keys stand.
#[derive(Debug, Serialize)]
struct Status {
    #[serde(flatten)]
    keys: Keys,
    rotation_days: u64,
    #[serde(serialize_with = "serialize_time")]
    next_due: Option<Timestamp>,
    due: bool,
    /// When the staged key may be promoted.
    #[serde(serialize_with = "serialize_time")]
    promotable_at: Option<Timestamp>,
    /// What a person should know, worst first.
    findings: Vec<Finding>,
    /// Whether a key signs.
    signs: bool,
    #[serde(skip)]
    now: Timestamp,
}

/// Something that a person should know.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    message: String,
}

impl Report for Status {
    fn people(&self) -> String {
        let mut text = String::new();
        for key in &self.keys.keys {
            text.push_str(&self.line(key));
            text.push('\n');
        }
        let due = match (self.next_due, self.due) {
            (Some(due), true) => style::caution(format!("since {}", show_time(due))),
            (Some(due), false) => format!("{} ({})", show_time(due), away(self.now, due)),
            (None, _) if self.signs => style::caution("now: nothing says since when the active key signs"),
            (None, _) => style::caution("now"),
        };
        text.push_str(&format!("next rotation due: {due}\n"));
        for finding in &self.findings {
            text.push_str(&format!("{} {}\n", style::caution("warning:"), finding.message));
        }
        text
    }
}

impl Status {
    fn line(&self, key: &Listed) -> String {
        let since = key.since.map_or_else(|| "a time that is not known".to_owned(), show_time);
        let kid = &key.kid;
        match (key.state, key.not_after) {
            ("active", _) => format!("{}   `{kid}` signs since {since}", style::good("active")),
            ("staged", _) => {
                let from = self.promotable_at.map_or_else(String::new, show_time);
                format!(
                    "{}   `{kid}` verifies since {since}; may be promoted from {from}",
                    style::good("staged")
                )
            }
            ("retired", Some(end)) if end <= self.now => {
                format!("{}  `{kid}` verifies no more since {}", style::bad("retired"), show_time(end))
            }
            ("retired", Some(end)) => {
                format!("retired  `{kid}` since {since}; goes {} ({})", show_time(end), away(self.now, end))
            }
            ("retired", None) => format!("retired  `{kid}` since {since}; goes with a later rotation"),
            _ => format!("{}  `{kid}` since {since}", style::bad("revoked")),
        }
    }
}

/// How far a moment to come is, in words.
fn away(now: Timestamp, then: Timestamp) -> String {
    let hours = then.since(now).as_secs().checked_div(3600).unwrap_or(0);
    match hours.checked_div(24).unwrap_or(0) {
        0 => format!("in {hours} h"),
        days => format!("in {days} days"),
    }
}

/// Shows them.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn run(_: Args, context: &Context) -> Result<Exit, HostError> {
    let settings = &context.config.keys;
    let now = context.clock.now();
    let keys = Store::open(&context.config)?.load(settings).await?;
    let rules = settings.rotation_rules(keys.rotation_days());
    let history = keys.history();
    let next_due = history.next_due(&rules);
    let staged = history.staged().and_then(|key| key.phase.since());
    let status = Status {
        rotation_days: rules.rotation.as_secs().checked_div(86_400).unwrap_or(0),
        next_due,
        due: next_due.is_none_or(|due| due <= now),
        promotable_at: staged.map(|since| since.after(rules.staging)),
        findings: findings(&keys, &rules),
        signs: history.active().is_some(),
        now,
        keys: Keys::of(&keys, now),
    };
    context.output.show(&status)?;
    Ok(if status.signs { Exit::Done } else { Exit::NeedsPerson })
}

fn findings(keys: &KeySet, rules: &policy_core::keys::RotationRules) -> Vec<Finding> {
    let mut findings = Vec::new();
    for refused in keys.refused() {
        findings.push(Finding {
            code: "weak_key",
            message: format!(
                "{} {}: it is no key, and neither signs nor verifies here",
                refused.place, refused.why
            ),
        });
    }
    if keys.history().active().is_none() {
        findings.push(Finding {
            code: "no_key",
            message: "no key signs: `pbac keys rotate` makes one".to_owned(),
        });
    }
    if let (Some(grace), Some(enough)) = (rules.excessive_grace(), rules.enough_grace()) {
        let (grace, enough) = (show_span(grace), show_span(enough));
        findings.push(Finding {
            code: "long_grace",
            message: format!(
                "retired keys verify for {grace}, and {enough} is enough for the longest token: an old secret is \
                 dangerous for as long as it verifies"
            ),
        });
    }
    if let (Some(grace), Some(enough)) = (rules.short_grace(), rules.enough_grace()) {
        let (grace, enough) = (show_span(grace), show_span(enough));
        findings.push(Finding {
            code: "short_grace",
            message: format!(
                "retired keys verify for {grace}, and the longest token lives for {enough}: tokens that hold will be refused after \
                 each rotation; raise `keys.grace_days`"
            ),
        });
    }
    let unnamed = keys.history().keys().iter().filter(|key| keys.is_unnamed(&key.id)).count();
    if unnamed > 0 {
        findings.push(Finding {
            code: "unnamed_keys",
            message: format!("{unnamed} key(s) have no name yet; the next change gives them one"),
        });
    }
    for note in keys.notes() {
        findings.push(Finding { code: "odd", message: printable(note).into_owned() });
    }
    findings
}

/// A span in days, or in hours where it is shorter.
fn show_span(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..172_800 => format!("{} h", seconds.div_ceil(3600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

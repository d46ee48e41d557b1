//! `pbac grant`: allows or denies one pattern to one user.

use policy_core::{Effect, Override, Pattern, Timestamp, UserId};
use serde::Serialize;
use serde_json::json;

use super::database::{Change, refused_by_store};
use super::source::compile;
use crate::context::Context;
use crate::delegation::{Obstacle, new_breaches, obstacle, only_about};
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::audit::{Head, Outcome};
use crate::postgres::policy_store::{self, GrantOutcome};
use crate::report::time::{Until, parse_until, serialize_time, show_time};
use crate::report::{Report, printable, style};

/// What the audit log calls it.
const ACTION: &str = "grant";
/// How many permissions an error names before it only counts.
const NAMED: usize = 5;

/// The arguments of `pbac grant`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Refuses, with status 6, to give what the granting user does not hold, or for longer than they \
    hold it. A deny takes away and needs no such check; it beats every allow."
)]
pub struct Args {
    /// The user who gets it
    #[arg(value_name = "USER", value_parser = user_id)]
    user: UserId,
    /// What is given, such as po.approve or po.*
    #[arg(value_name = "PATTERN", value_parser = pattern)]
    pattern: Pattern,
    /// The user who gives it
    #[arg(long = "by", value_name = "USER", value_parser = user_id)]
    giver: UserId,
    /// Take it away instead of giving it
    #[arg(long)]
    deny: bool,
    /// When it ends: a time (RFC 3339), or + and a duration such as +8h or +30d; without this, never
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    expires: Option<Until>,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Refuse also when the user would hold two duties that should be apart
    #[arg(long)]
    strict: bool,
}

/// What was granted.
#[derive(Debug, Serialize)]
struct Granted<'a> {
    user: &'a UserId,
    pattern: &'a Pattern,
    effect: Effect,
    #[serde(serialize_with = "serialize_time")]
    expires_at: Option<Timestamp>,
    reason: &'a str,
    granted_by: &'a UserId,
    outcome: GrantOutcome,
    /// Conflicts that the user breaks now and did not before.
    conflicts: Vec<String>,
    /// The end of the audit log's chain; null where nothing was changed.
    audit_head: Option<Head>,
}

impl Report for Granted<'_> {
    fn people(&self) -> String {
        let (user, pattern) = (printable(self.user.as_str()), self.pattern);
        let verb = match self.effect {
            Effect::Allow => style::good("allowed"),
            Effect::Deny => style::bad("denied"),
        };
        let until = self
            .expires_at
            .map_or_else(|| "without an end".to_owned(), |end| format!("until {}", show_time(end)));
        match self.outcome {
            GrantOutcome::Created => format!("{verb} `{user}` `{pattern}` {until}\n"),
            GrantOutcome::Extended => format!("{verb} `{user}` `{pattern}`, now {until}\n"),
            GrantOutcome::Unchanged => {
                format!("unchanged: `{user}` has `{pattern}` already, for as long or longer\n")
            }
        }
    }
}

/// Grants, in one transaction with the audit record.
///
/// # Errors
///
/// When it is refused, which the audit log records too, or when the database cannot be used.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let now = context.clock.now();
    let expires_at = args.expires.map(|until| until.from(now));
    if let Some(end) = expires_at.filter(|end| *end <= now) {
        return Err(HostError::usage(format_args!(
            "the override would have ended at {} already",
            show_time(end)
        ))
        .help("give a time to come"));
    }
    let effect = if args.deny { Effect::Deny } else { Effect::Allow };
    let entry = Override {
        user: args.user.clone(),
        effect,
        pattern: args.pattern.clone(),
        expires_at,
        reason: args.reason.clone(),
    };
    let details = json!({
        "pattern": entry.pattern,
        "effect": effect,
        "expires_at": expires_at.map(show_time),
        "reason": entry.reason,
        "by": args.giver,
    });

    let mut change = Change::begin(context).await?;
    let conflicts = match judge(&args, &entry, &change, now) {
        Ok(conflicts) => conflicts,
        Err(refusal) => {
            let mut details = details;
            if let Some(fields) = details.as_object_mut() {
                fields.insert("refused".to_owned(), json!(refusal.to_string()));
            }
            change.commit(context, ACTION, entry.user.as_str(), Outcome::Refused, details).await?;
            return Err(refusal);
        }
    };
    let schema = &context.config.schema;
    let outcome = policy_store::grant(change.connection(), schema, &entry, args.giver.as_str())
        .await
        .map_err(refused_by_store)?;
    let audit_head = match outcome {
        GrantOutcome::Unchanged => None,
        _ => Some(change.commit(context, ACTION, entry.user.as_str(), Outcome::Succeeded, details).await?),
    };
    if !context.output.is_json() {
        for conflict in &conflicts {
            context.output.warn(format_args!(
                "`{}` now holds both duties of the conflict `{}`",
                printable(args.user.as_str()),
                printable(conflict)
            ));
        }
    }
    context.output.show(&Granted {
        user: &args.user,
        pattern: &args.pattern,
        effect,
        expires_at,
        reason: &args.reason,
        granted_by: &args.giver,
        outcome,
        conflicts,
        audit_head,
    })?;
    Ok(Exit::Done)
}

/// The conflicts that would arise, or why it is refused.
fn judge(args: &Args, entry: &Override, change: &Change, now: Timestamp) -> Result<Vec<String>, HostError> {
    if entry.effect == Effect::Deny {
        return Ok(Vec::new());
    }
    let about = only_about(&change.policy, &[args.giver.as_str()]).map_err(HostError::failed)?;
    let found = obstacle(&compile(&about)?, args.giver.as_str(), &entry.pattern, now, entry.expires_at);
    if let Some(found) = found {
        return Err(refusal(&found, args.giver.as_str(), &entry.pattern));
    }
    let conflicts = new_breaches(&change.policy, entry, now).map_err(HostError::failed)?;
    match conflicts.first() {
        Some(conflict) if args.strict => Err(HostError::refused(format_args!(
            "`{}` would hold both duties of the conflict `{}`",
            printable(args.user.as_str()),
            printable(conflict)
        ))
        .help("take one of the two duties away first, or leave --strict out")),
        _ => Ok(conflicts),
    }
}

/// Why a user may not give a pattern away.
pub(super) fn refusal(obstacle: &Obstacle, giver: &str, pattern: &Pattern) -> HostError {
    let giver = printable(giver);
    match obstacle {
        Obstacle::CoversNothing => {
            HostError::refused(format_args!("`{pattern}` matches nothing in the catalog"))
                .help("check the spelling; nobody can give what does not exist yet")
        }
        Obstacle::NotHeld(missing) => HostError::refused(format_args!(
            "`{giver}` does not hold {} of what `{pattern}` covers: {}",
            missing.len(),
            listed(missing)
        ))
        .help("let somebody grant it who holds all of it, or grant less"),
        Obstacle::HeldTooBriefly(missing) => HostError::refused(format_args!(
            "`{giver}` will not hold {} of what `{pattern}` covers for that long: {}",
            missing.len(),
            listed(missing)
        ))
        .help("grant it with --expires, for no longer than they hold it themselves"),
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let dots = if names.len() > NAMED { ", …" } else { "" };
    format!("{}{dots}", shown.join(", "))
}

/// Reads a user id. For clap.
pub(super) fn user_id(text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|error| error.to_string())
}

/// Reads a pattern. For clap.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|error| error.to_string())
}

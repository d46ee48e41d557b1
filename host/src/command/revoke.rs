//! `pbac revoke`: takes an override of one user away.

use policy_core::{Effect, Pattern, Timestamp, UserId};
use serde::Serialize;
use serde_json::json;

use super::database::{Change, refused_by_store};
use super::grant::{pattern, refusal, user_id};
use super::source::compile;
use crate::context::Context;
use crate::delegation::{Obstacle, obstacle, only_about};
use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::audit::{Head, Outcome};
use crate::postgres::policy_store::{self, StoredOverride};
use crate::report::time::{serialize_moment, serialize_time, show_time};
use crate::report::{Report, printable};

/// What the audit log calls it.
const ACTION: &str = "revoke";

/// The arguments of `pbac revoke`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "To take a deny away is to give what it covers: refused, with status 6, unless the revoking user \
    holds all of it."
)]
pub struct Args {
    /// The user whose override it is
    #[arg(value_name = "USER", value_parser = user_id)]
    user: UserId,
    /// The override's pattern, exactly as it was granted
    #[arg(value_name = "PATTERN", value_parser = pattern)]
    pattern: Pattern,
    /// The user who revokes it
    #[arg(long = "by", value_name = "USER", value_parser = user_id)]
    revoker: UserId,
    /// The override is a deny
    #[arg(long)]
    deny: bool,
    /// Why, for whoever reads the audit log later
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// The override that is gone, as it was.
#[derive(Debug, Serialize)]
struct Revoked<'a> {
    user: &'a UserId,
    pattern: &'a Pattern,
    effect: Effect,
    #[serde(serialize_with = "serialize_time")]
    expires_at: Option<Timestamp>,
    reason: &'a str,
    granted_by: &'a str,
    #[serde(serialize_with = "serialize_moment")]
    granted_at: Timestamp,
    audit_head: Head,
}

impl Report for Revoked<'_> {
    fn people(&self) -> String {
        let effect = match self.effect {
            Effect::Allow => "allowed",
            Effect::Deny => "denied",
        };
        format!(
            "revoked: `{}` was {effect} `{}` by `{}` since {}\n",
            printable(self.user.as_str()),
            self.pattern,
            printable(self.granted_by),
            show_time(self.granted_at)
        )
    }
}

/// Revokes, in one transaction with the audit record.
///
/// # Errors
///
/// When there is no such override, when it is refused, or when the database cannot be used.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let effect = if args.deny { Effect::Deny } else { Effect::Allow };
    let mut details = json!({
        "pattern": args.pattern,
        "effect": effect,
        "why": args.reason,
        "by": args.revoker,
    });
    let mut change = Change::begin(context).await?;
    if let Some(refusal) = judge(&args, &change, context.clock.now())? {
        if let Some(fields) = details.as_object_mut() {
            fields.insert("refused".to_owned(), json!(refusal.to_string()));
        }
        change.commit(context, ACTION, args.user.as_str(), Outcome::Refused, details).await?;
        return Err(refusal);
    }
    let removed =
        policy_store::revoke(change.connection(), &context.config.schema, &args.user, effect, &args.pattern)
            .await
            .map_err(refused_by_store)?;
    let Some(StoredOverride { entry, granted_by, granted_at }) = removed else {
        let user = printable(args.user.as_str());
        let kind = if args.deny { "deny" } else { "allow" };
        return Err(HostError::failed(format_args!(
            "`{user}` has no {kind} override with `{}`",
            args.pattern
        ))
        .help(
            "name the pattern exactly as it was granted; what a role gives cannot be revoked, only denied",
        ));
    };
    if let Some(fields) = details.as_object_mut() {
        fields.insert("expires_at".to_owned(), json!(entry.expires_at.map(show_time)));
        fields.insert("reason".to_owned(), json!(entry.reason));
        fields.insert("granted_by".to_owned(), json!(granted_by));
    }
    let audit_head = change.commit(context, ACTION, args.user.as_str(), Outcome::Succeeded, details).await?;
    context.output.show(&Revoked {
        user: &args.user,
        pattern: &args.pattern,
        effect,
        expires_at: entry.expires_at,
        reason: &entry.reason,
        granted_by: &granted_by,
        granted_at,
        audit_head,
    })?;
    Ok(Exit::Done)
}

/// Why it is refused, if it is: only a deny that still counts gives something back.
fn judge(args: &Args, change: &Change, now: Timestamp) -> Result<Option<HostError>, HostError> {
    let counts = args.deny
        && change.policy.overrides().iter().any(|entry| {
            entry.effect == Effect::Deny
                && entry.user == args.user
                && entry.pattern == args.pattern
                && entry.expires_at.is_none_or(|end| now < end)
        });
    if !counts {
        return Ok(None);
    }
    let about = only_about(&change.policy, &[args.revoker.as_str()]).map_err(HostError::failed)?;
    let found = obstacle(&compile(&about)?, args.revoker.as_str(), &args.pattern, now, None);
    Ok(match found {
        None | Some(Obstacle::CoversNothing) => None,
        Some(found) => Some(refusal(&found, args.revoker.as_str(), &args.pattern)),
    })
}

//! `pbac explain`: why a decision comes out as it does.

use policy_core::{Effect, Explanation, Request, Rule, Timestamp};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::check::verdict;
use super::source::{SourceArgs, TimeArgs, UserArgs, roles};
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::{serialize_moment, show_time};
use crate::report::{Report, printable};

/// The arguments of `pbac explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    user: UserArgs,
    /// The permission, such as po.approve
    permission: String,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    time: TimeArgs,
}

/// A decision, what it was about, and everything that had a say in it.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    user: &'a str,
    permission: &'a str,
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    #[serde(flatten, serialize_with = "with_readable_times")]
    explanation: Explanation<'a>,
}

impl Report for Answer<'_> {
    fn people(&self) -> String {
        let Explanation { decision, winner, shadowed, expired, nearest, unknown_roles: _ } =
            &self.explanation;
        let mut text = verdict(self.user, self.permission, decision);
        let mut line = |label: &str, what: &str| {
            text.push_str(&format!("  {label:<9} {}\n", printable(what)));
        };
        if let Some(rule) = winner {
            line("decided", &describe(rule));
        }
        for rule in shadowed {
            line("shadowed", &describe(rule));
        }
        for rule in expired {
            line("expired", &describe(&rule.rule));
        }
        if let Some(near) = nearest {
            let segments = near.matching_segments;
            line("nearest", &format!("{}; {segments} segment(s) match", describe(&near.rule)));
        }
        text
    }
}

/// The core's own shape, with its microseconds as the RFC 3339 strings of all other output.
fn with_readable_times<S: Serializer>(
    explanation: &Explanation<'_>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    fn rewrite(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_i64() {
                        Some(micros) if name == "expires_at" => {
                            *value = show_time(Timestamp::from_micros(micros)).into();
                        }
                        _ => rewrite(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(rewrite),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(explanation).map_err(S::Error::custom)?;
    rewrite(&mut value);
    value.serialize(serializer)
}

fn describe(rule: &Rule<'_>) -> String {
    match rule {
        Rule::Override { effect, pattern, expires_at, note } => {
            let effect = match effect {
                Effect::Allow => "allows",
                Effect::Deny => "denies",
            };
            let until = expires_at.map_or_else(String::new, |time| format!(" until {}", show_time(time)));
            let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
            format!("an override {effect} `{pattern}`{until}{note}")
        }
        Rule::Role { role, pattern, through } if role == through => {
            format!("role `{role}` holds `{pattern}`")
        }
        Rule::Role { role, pattern, through } => {
            format!("role `{role}` holds `{pattern}`, inherited by `{through}`")
        }
    }
}

/// Answers with status 0 or 3.
///
/// # Errors
///
/// When the policy cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let index = args.source.compile(context).await?;
    let names = args.user.role_names();
    let request = Request {
        user: &args.user.user,
        roles: roles(&names),
        permission: &args.permission,
        now: args.time.moment(context),
    };
    let explanation = index.explain(&request);
    args.source.remark(&args.user, &explanation.unknown_roles, context);
    let exit = if explanation.decision.is_allowed() { Exit::Done } else { Exit::Denied };
    context.output.show(&Answer {
        user: request.user,
        permission: request.permission,
        at: request.now,
        explanation,
    })?;
    Ok(exit)
}

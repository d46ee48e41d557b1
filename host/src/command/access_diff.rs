//! `pbac access-diff`: what every user gains and loses by the switch.

use std::path::PathBuf;

use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::plan::{findings, policy, target};
use crate::access_diff::{AccessDiff, Question};
use crate::context::Context;
use crate::endpoints::{self, Endpoints};
use crate::error::HostError;
use crate::exit::Exit;
use crate::legacy::{Finding, FindingCode, Legacy, MAX_FIRST};
use crate::migrate::fault::Fault;
use crate::migrate::state::State;
use crate::policy_file::{PolicyFile, Source};
use crate::postgres::transaction::snapshot;
use crate::postgres::{connect, retry_when_locked};
use crate::report::{Report, printable};

/// The arguments of `pbac access-diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Status 6 when somebody gains what the policy file does not sign off, 4 when the legacy tables hold what the policy does not know."
)]
pub struct Args {
    /// The policy file [default: the one of the settings]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The legacy endpoint rules [default: those of the settings]
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
    /// Name the users of each change: all of them, or the first N
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true)]
    users: Option<Option<usize>>,
    /// Show only the changes of this role or label
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Show only the changes of this permission
    #[arg(long, value_name = "PERMISSION")]
    permission: Option<String>,
    /// Print it as Markdown, for a pull request
    #[arg(long)]
    markdown: bool,
}

/// The difference, and what is wrong with the legacy tables.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    difference: AccessDiff,
    findings: Vec<Finding>,
}

/// Compares, and changes nothing.
///
/// # Errors
///
/// When a file or the database cannot be read, or there is nothing to compare.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    if args.markdown && context.output.is_json() {
        return Err(HostError::usage("`--markdown` and `--json` are two answers").help("choose one of them"));
    }
    let file = policy(args.policy.as_ref(), context)?;
    let rules = args.endpoints.as_ref().or(context.config.endpoints.as_ref()).ok_or_else(|| {
        HostError::usage("no legacy endpoint rules are named")
            .help("give --endpoints, or set `endpoints` in pbac.toml or PBAC_ENDPOINTS")
    })?;
    let rules = endpoints::load(rules).map_err(HostError::failed)?;
    let source = file.source.as_ref().ok_or_else(|| {
        HostError::usage("the policy has no [source], so there are no users to compare")
            .help("say in the policy file where the legacy roles lie")
    })?;
    known(&args, &file, &rules, source)?;
    let keep = match args.users {
        None => MAX_FIRST,
        Some(most) => most.unwrap_or(usize::MAX),
    };
    let target = target(context, 0)?;
    let mut connection = connect(target.url, &target.reading()).await?;
    let mut answer = retry_when_locked(&target.retry, async || {
        snapshot(&mut connection, target.limits(), async |connection| {
            let state = State::read(connection, target.schema).await?;
            let question = Question {
                file: &file,
                source,
                endpoints: &rules,
                overrides: state.tables.contains(&"user_custom_permissions").then_some(target.schema),
                now: target.now,
                keep: Some(keep),
            };
            ask(connection, &question).await
        })
        .await
    })
    .await?;
    connection.close().await.map_err(HostError::failed)?;
    let exit = match answer.difference.gained.open {
        0 if answer.findings.iter().any(Finding::stops) => Exit::Mismatch,
        0 => Exit::Done,
        _ => Exit::Refused,
    };
    answer.difference.only(args.role.as_deref(), args.permission.as_deref());
    if args.markdown {
        context.output.show_text(&answer.difference.markdown())?;
    } else {
        context.output.show(&answer)?;
    }
    Ok(exit)
}

async fn ask(connection: &mut PgConnection, question: &Question<'_>) -> Result<Answer, Fault> {
    let legacy = Legacy::read(connection, question.source, &question.file.policy).await?;
    // Labels and activity that nobody knows mean that the policy gives nothing, which the difference shows. What is
    // not there, cannot be read or tells nobody apart leaves nothing to compare.
    let shown = [FindingCode::UnknownLabel, FindingCode::NullRole, FindingCode::NullActive];
    if let Some(stop) = legacy.findings.iter().find(|found| found.stops() && !shown.contains(&found.code)) {
        return Err(HostError::new(stop.exit(), stop)
            .help("`pbac plan` shows everything that was found")
            .into());
    }
    let difference = AccessDiff::compute(connection, question).await?;
    Ok(Answer { difference, findings: legacy.findings })
}

/// Refuses to look for a role or a permission that nothing knows: a typo would look like "no difference".
fn known(args: &Args, file: &PolicyFile, rules: &Endpoints, source: &Source) -> Result<(), HostError> {
    if let Some(role) = &args.role {
        let is_known = file.policy.role(role).is_some()
            || rules.roles.contains(role)
            || source.rename.contains_key(role);
        if !is_known {
            return Err(HostError::usage(format_args!("nothing knows the role `{}`", printable(role)))
                .help("name a role of the policy, or a label of the legacy rules"));
        }
    }
    if let Some(permission) = &args.permission {
        let in_catalog = file.policy.permissions().iter().any(|entry| entry.name.as_str() == permission);
        if !in_catalog && rules.endpoints.iter().all(|rule| rule.permission.as_str() != permission) {
            let permission = printable(permission);
            return Err(HostError::usage(format_args!("nothing asks for the permission `{permission}`"))
                .help("name a permission of the catalog"));
        }
    }
    Ok(())
}

impl Report for Answer {
    fn people(&self) -> String {
        let mut text = String::new();
        findings(&self.findings, &mut text);
        text.push_str(&self.difference.people());
        text
    }
}

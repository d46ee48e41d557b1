//! `pbac plan`: what a migration would do.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::Connection;

use crate::context::Context;
use crate::endpoints::{self, Endpoints};
use crate::error::HostError;
use crate::exit::Exit;
use crate::legacy::Finding;
use crate::migrate::apply::Target;
use crate::migrate::changes::Delta;
use crate::migrate::plan::{Plan, SourceChange, Wanted};
use crate::migrate::preflight::Tolerance;
use crate::policy_file::{self, PolicyFile};
use crate::postgres::{RetryPolicy, connect, retry_when_locked};
use crate::report::{Report, Table, printable, style};

/// The arguments of `pbac plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    wanted: WantedArgs,
}

/// What is to be put in force.
#[derive(Clone, Debug, clap::Args)]
pub struct WantedArgs {
    /// The policy file [default: the one of the settings]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The legacy endpoint rules to compare the policy with [default: those of the settings, if any]
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
    /// Go on although no active user will be left who may do everything
    #[arg(long)]
    no_administrator: bool,
    /// Refuse where a role holds both duties of a conflict
    #[arg(long)]
    strict: bool,
}

/// The files that [`WantedArgs`] name, read and checked.
#[derive(Debug)]
pub(super) struct Inputs {
    file: PolicyFile,
    endpoints: Option<Endpoints>,
    tolerance: Tolerance,
}

impl WantedArgs {
    /// Reads the files.
    pub(super) fn load(&self, context: &Context) -> Result<Inputs, HostError> {
        let endpoints = self.endpoints.as_ref().or(context.config.endpoints.as_ref());
        Ok(Inputs {
            file: policy(self.policy.as_ref(), context)?,
            endpoints: endpoints.map(|path| endpoints::load(path)).transpose().map_err(HostError::failed)?,
            tolerance: Tolerance { no_administrator: self.no_administrator, strict: self.strict },
        })
    }
}

impl Inputs {
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { file: &self.file, endpoints: self.endpoints.as_ref(), tolerance: self.tolerance }
    }
}

/// The policy file that is named, or the one of the settings.
pub(super) fn policy(named: Option<&PathBuf>, context: &Context) -> Result<PolicyFile, HostError> {
    policy_file::load(named.unwrap_or(&context.config.policy)).map_err(HostError::failed)
}

/// The database of the settings.
pub(super) fn target(context: &Context, wait: u16) -> Result<Target<'_>, HostError> {
    let config = &context.config;
    Ok(Target {
        url: config.database_url()?,
        schema: &config.schema,
        lock_timeout: config.lock_timeout,
        retry: RetryPolicy::default(),
        patience: Duration::from_secs(u64::from(wait)),
        now: context.clock.now(),
    })
}

/// Shows what would be done, and changes nothing. Takes no lock that another pbac waits for.
///
/// # Errors
///
/// When a file or the database cannot be read.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let inputs = args.wanted.load(context)?;
    let target = target(context, 0)?;
    let mut connection = connect(target.url, &target.reading()).await?;
    let plan = retry_when_locked(&target.retry, async || {
        Plan::make(&mut connection, target.schema, &inputs.wanted(), target.now, target.limits()).await
    })
    .await?;
    connection.close().await.map_err(HostError::failed)?;
    context.output.show(&plan)?;
    match plan.preflight.passed() {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Ok(error.exit()),
    }
}

impl Report for Plan {
    fn people(&self) -> String {
        let policy = &self.policy;
        let mut text = format!(
            "{} policy `{}` into schema `{}`, where there is {}\n{} permissions in {} modules, {} roles with {} patterns, {} conflicts\n",
            style::heading("Plan:"),
            printable(&policy.name),
            self.schema,
            match self.stage.name() {
                "nothing" => "nothing yet",
                "audit_only" => "the audit log only",
                "migrated" => "a policy already",
                _ => "a part of pbac's tables",
            },
            policy.permissions,
            policy.modules,
            policy.roles,
            policy.grants,
            policy.conflicts
        );
        if self.nothing_to_do {
            text.push_str(&format!("{} this policy is in force already\n", style::good("Nothing to do:")));
        } else {
            self.steps(&mut text);
        }
        self.legacy(&mut text);
        findings(&self.preflight.findings, &mut text);
        text.push_str(&format!("plan {}\n", self.id));
        text
    }
}

impl Plan {
    fn steps(&self, text: &mut String) {
        let files: Vec<&str> =
            self.files.iter().filter(|file| file.apply).map(|file| file.name.as_str()).collect();
        if !files.is_empty() {
            text.push_str(&format!("{} {}\n", style::heading("SQL files to apply:"), files.join(", ")));
        }
        text.push_str(match self.source {
            SourceChange::Create => "The functions that read the legacy roles are made\n",
            SourceChange::Replace => "The functions that read the legacy roles are replaced\n",
            SourceChange::Keep => "",
        });
        let mut table = Table::new(["", "added", "changed", "removed"]);
        for (name, delta) in self.changes.named() {
            let Delta { added, changed, removed } = delta;
            let [added, changed, removed] = [added, changed, removed].map(|names| names.len().to_string());
            table.row([name, &added, &changed, &removed]);
        }
        text.push_str(&table.to_string());
        if self.effect.is_some() {
            for (kind, delta) in self.changes.named() {
                for (sign, names) in [("+", &delta.added), ("~", &delta.changed), ("-", &delta.removed)] {
                    for name in names {
                        text.push_str(&format!("  {sign} {kind}: {}\n", printable(name)));
                    }
                }
            }
        }
        for holder in self.effect.iter().flat_map(|effect| &effect.roles) {
            text.push_str(&format!(
                "  role `{}` gains {} and loses {} permissions\n",
                printable(&holder.name),
                holder.gained.len(),
                holder.lost.len()
            ));
        }
        let mut table = Table::new(["lock", "on", "for how long"]);
        for lock in &self.locks {
            table.row([lock.mode, &lock.on, lock.why]);
        }
        text.push_str(&format!("{}\n{table}", style::heading("Locks:")));
    }

    fn legacy(&self, text: &mut String) {
        if let Some(legacy) = &self.preflight.legacy {
            text.push_str(&format!(
                "{} {} users in `{}`, {} of them active\n",
                style::heading("Legacy roles:"),
                legacy.users,
                legacy.table,
                legacy.active
            ));
            let mut table = Table::new(["label", "role", "users", "active"]);
            for label in &legacy.labels {
                let role = label.role.as_deref().unwrap_or(if label.ignored { "ignored" } else { "none" });
                table.row([&label.label, role, &label.users.to_string(), &label.active.to_string()]);
            }
            text.push_str(&table.to_string());
            if !legacy.direct.is_empty() {
                let mut table = Table::new(["permission of users themselves", "effect", "users", "override"]);
                for direct in &legacy.direct {
                    let patterns = match direct.patterns.as_deref() {
                        None => "not said".to_owned(),
                        Some([]) => "nothing".to_owned(),
                        Some(patterns) => patterns.join(", "),
                    };
                    table.row([&direct.name, direct.effect.as_str(), &direct.users.to_string(), &patterns]);
                }
                text.push_str(&table.to_string());
            }
        }
        if let Some(access) = &self.preflight.access {
            text.push_str(&format!(
                "{} {} endpoints x {} roles: {} of {} pairs agree, {} gained, {} lost\n",
                style::heading("Endpoint rules:"),
                access.endpoints,
                access.roles,
                access.agreeing,
                access.pairs(),
                access.gained.len(),
                access.lost.len()
            ));
        }
        if let Some(difference) = &self.preflight.difference {
            text.push_str(&difference.summary());
        }
    }
}

/// One line for each finding.
pub(super) fn findings(findings: &[Finding], text: &mut String) {
    for finding in findings {
        let kind = if finding.stops { style::bad("stop:") } else { style::caution("note:") };
        let count = if finding.count == 1 { String::new() } else { format!("{} ", finding.count) };
        text.push_str(&format!("{kind} {count}{finding}\n"));
    }
}

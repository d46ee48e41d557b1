//! `pbac init`: a first policy, from what is there.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sqlx::Connection;

use super::database::connect_to_read;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::inspect::{CHOICES, Files, Inspection, Notes, Preset, Remark, RemarkKind, Request, inspect};
use crate::postgres::SessionLimits;
use crate::report::files::write_whole;
use crate::report::{Report, Table, printable, style};

/// What the draft of a policy is called.
const POLICY: &str = "policy.toml";
/// What the framework's own rules are called.
const RULES: &str = "legacy-permissions.toml";

/// The arguments of `pbac init`.
#[derive(Debug, clap::Args)]
#[command(after_help = choices())]
pub struct Args {
    /// The framework or shape of the tables [default: the one that is recognised]
    #[arg(long, value_name = "NAME", value_enum)]
    preset: Option<Preset>,
    /// What is meant where the database leaves a choice, such as `guard=web` (may be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    choose: Vec<String>,
    /// What the policy is called [default: as the database]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The directory in which the drafts are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    draft: super::draft::DraftArgs,
}

fn choices() -> String {
    let longest = CHOICES.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let lines = CHOICES.iter().map(|(key, what)| format!("  {key:longest$}  {what}\n"));
    format!(
        "What can be chosen:\n{}Status 8 when something has to be chosen first.",
        lines.collect::<String>()
    )
}

/// What was found and what was written.
#[derive(Debug, Serialize)]
struct Drafted {
    #[serde(flatten)]
    inspection: Inspection,
    /// The files, in the order in which they were written.
    written: Vec<String>,
}

/// Looks at the database, says what is there, and writes drafts where nothing has to be decided first.
///
/// # Errors
///
/// When the database cannot be read, a choice is none, or a file is there already or cannot be written.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    if let Some(exit) = super::draft::run(&args.draft, args.force, context)? {
        return Ok(exit);
    }
    let notes = Notes::new(&args.choose)?;
    let (policy, rules) = (args.dir.join(POLICY), args.dir.join(RULES));
    if !args.dir.is_dir() {
        return Err(HostError::failed(format_args!("`{}` is no directory", args.dir.display()))
            .help("create it, or name another with --dir"));
    }
    if !args.force {
        free(&[&policy, &rules])?;
    }
    let mut connection = connect_to_read(context).await?;
    let limits =
        SessionLimits { lock_timeout: Some(context.config.lock_timeout), ..SessionLimits::default() };
    let request = Request { preset: args.preset, name: args.name, limits };
    let (inspection, files) = inspect(&mut connection, &context.config.schema, &request, notes).await?;
    connection.close().await.map_err(HostError::failed)?;
    let exit = if inspection.stops() { Exit::NeedsPerson } else { Exit::Done };
    let mut written = Vec::new();
    if let Some(Files { policy: text, rules: legacy }) = files {
        for (path, text) in [(&policy, Some(text)), (&rules, legacy)] {
            let Some(text) = text else { continue };
            write_whole(path, text.as_bytes())?;
            written.push(path.display().to_string());
        }
    }
    context.output.show(&Drafted { inspection, written })?;
    Ok(exit)
}

/// Refuses where one of the files is there: a draft is not worth what somebody has worked on.
fn free(paths: &[&Path]) -> Result<(), HostError> {
    match paths.iter().find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(HostError::refused(format_args!("`{}` is there already", path.display()))
            .help("name another directory with --dir, or replace it with --force")),
    }
}

impl Report for Drafted {
    fn people(&self) -> String {
        let Inspection { database, preset, remarks, renamed, rewritten, permissions, roles } =
            &self.inspection;
        let name = preset.map_or("nothing that is known", Preset::name);
        let mut text = format!("{} `{}` holds {name}\n", style::heading("Inspected:"), printable(database));
        for remark in remarks {
            text.push_str(&line(remark));
        }
        if !renamed.is_empty() {
            let mut table = Table::new(["PERMISSION THERE", "HERE", "WHY"]);
            for one in renamed {
                table.row([&one.legacy, one.name.as_str(), one.why]);
            }
            text.push_str(&format!("{table}"));
        }
        if !rewritten.is_empty() {
            let mut table = Table::new(["HOLDER", "GRANT THERE", "GAVE", "IS HERE"]);
            for one in rewritten {
                let patterns: Vec<&str> = one.grant.patterns.iter().map(|pattern| pattern.as_str()).collect();
                table.row([&one.holder, &one.grant.grant, &one.grant.meant.join(", "), &patterns.join(", ")]);
            }
            text.push_str(&format!("{table}"));
        }
        if self.written.is_empty() {
            text.push_str("Nothing is written\n");
        } else {
            text.push_str(&format!(
                "{} {}: {permissions} permissions, {roles} roles. Read what is guessed, then `pbac plan`\n",
                style::heading("Written:"),
                printable(&self.written.join(", "))
            ));
        }
        text
    }
}

fn line(remark: &Remark) -> String {
    let kind = match remark.kind {
        RemarkKind::Found => style::good("found:"),
        RemarkKind::Guessed => style::caution("guessed:"),
        RemarkKind::Unsure => style::caution("not sure:"),
        RemarkKind::NotLookedAt => style::caution("not looked at:"),
        RemarkKind::Stop => style::bad("stop:"),
    };
    format!("{kind} {}: {}\n", printable(&remark.about), printable(&remark.text))
}

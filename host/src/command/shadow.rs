//! `pbac shadow`: a log of real requests, answered by the policy beside the legacy application.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use policy_core::{Policy, Timestamp};
use serde::Serialize;

use super::source::{Origin, SourceArgs, TimeArgs, compile};
use crate::context::Context;
use crate::endpoints::{self, Endpoints};
use crate::error::HostError;
use crate::exit::Exit;
use crate::policy_file;
use crate::report::files::write_whole;
use crate::report::time::serialize_moment;
use crate::report::{Progress, Report, Table, printable, style};
use crate::shadow::{Comparison, Counted, Direction, Group, Shadow, cases};

/// How the standard input is named where a file could be.
const STANDARD_INPUT: &str = "-";
/// The file that `--export` writes.
const EXPORTED: &str = "shadow.toml";
/// How many groups are shown to people; the JSON has all.
const MAX_SHOWN_GROUPS: usize = 50;
/// How much of the log is read at a time, in bytes.
const BUFFER_BYTES: usize = 1 << 18;

/// The arguments of `pbac shadow`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A line is {\"user\": \"42\", \"roles\": [\"PURCHASING\"], \"endpoint\": \"POST /orders/7/approve\", \
    \"legacy\": \"deny\"}, with \"permission\" in place of \"endpoint\" and \"at\" (a time) if you like.\nStatus 4 when \
    anything disagrees, a line is malformed, an endpoint has no rule, or there is no line at all."
)]
pub struct Args {
    /// The log: one JSON object a line; `-` is the standard input
    #[arg(value_name = "LOG")]
    log: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// The endpoint rules [default: those of the settings]
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
    /// Let endpoints without a rule pass: public ones, say
    #[arg(long)]
    skip_unmatched: bool,
    /// Write the disagreements into DIR/shadow.toml as test cases
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    #[command(flatten)]
    time: TimeArgs,
}

/// What was compared and what came out.
#[derive(Debug, Serialize)]
struct Answer {
    log: String,
    policy: String,
    /// The time of lines that have none.
    #[serde(serialize_with = "serialize_moment")]
    at: Timestamp,
    holds: bool,
    #[serde(flatten)]
    comparison: Comparison,
    /// The file of cases that was written.
    exported: Option<String>,
}

impl Report for Answer {
    fn people(&self) -> String {
        let found = &self.comparison;
        let mut text = String::new();
        if !found.groups.is_empty() {
            text.push_str(&groups(&found.groups));
        }
        let mut line = |words: String| text.push_str(&format!("{words}\n"));
        let hidden = found.groups.iter().skip(MAX_SHOWN_GROUPS).map(|group| group.count);
        let hidden = hidden.fold(found.ungrouped, u64::saturating_add);
        if hidden > 0 {
            line(format!("and {hidden} more request(s) that disagree; --json lists their groups"));
        }
        for bad in &found.malformed_lines {
            line(format!("{} line {}: {}", style::bad("malformed:"), bad.line, printable(&bad.problem)));
        }
        let mut named = |kind: &str, list: &[Counted]| {
            for Counted { name, count, line: first } in list {
                let kind = style::caution(kind);
                line(format!("{kind} `{}` in {count} line(s), the first {first}", printable(name)));
            }
        };
        named("no rule:", &found.unmatched_endpoints);
        named("unknown role:", &found.unknown_roles);
        line(format!(
            "{} request(s) in {}: {} agree, {} gained, {} lost, {} without a rule, {} malformed",
            found.lines,
            printable(&self.log),
            found.agreeing,
            found.gained,
            found.lost,
            found.unmatched,
            found.malformed
        ));
        if let Some(path) = &self.exported {
            line(format!("{} case(s) are in `{}`", found.groups.len(), printable(path)));
        }
        line(match (self.holds, found.compared) {
            (true, _) => style::good("The policy answers as the legacy application did"),
            (false, 0) => style::bad("Nothing was compared"),
            (false, _) => style::bad(
                "The policy does not answer as the legacy application did, or not every line could be told",
            ),
        });
        text
    }
}

fn groups(groups: &[Group]) -> String {
    let mut table = Table::new(["", "requests", "what", "roles", "rule", "policy", "first lines"]);
    for group in groups.iter().take(MAX_SHOWN_GROUPS) {
        let what = match &group.endpoint {
            Some(endpoint) => format!("{endpoint} ({})", group.permission),
            None => group.permission.clone(),
        };
        let roles = group.roles.as_ref().map_or_else(|| "(stored)".to_owned(), |roles| roles.join(", "));
        let lines: Vec<String> = group.first_lines.iter().map(u64::to_string).collect();
        table.row([
            group.direction.name(),
            &group.count.to_string(),
            &what,
            &roles,
            group.rule.unwrap_or("-"),
            &group.decision,
            &lines.join(", "),
        ]);
    }
    let mut text = table.to_string();
    if groups.iter().any(|group| {
        group.rule.is_some_and(|rule| (rule == "allow") == (group.direction == Direction::Gained))
    }) {
        text.push_str(
            "Where `rule` is not what the legacy application did, the endpoint rules do not describe it\n",
        );
    }
    text
}

/// Compares and reports, with status 4 when not everything agrees.
///
/// # Errors
///
/// When the log, the policy or the endpoint rules cannot be read, or the file to export to is there already.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let export = args.export.as_deref().map(|directory| directory.join(EXPORTED));
    if let Some(path) = export.as_deref().filter(|path| path.exists()) {
        return Err(HostError::refused(format_args!("`{}` is there already", path.display()))
            .help("move it away, or export into another directory"));
    }
    let origin = args.source.origin();
    let (policy, rename) = load(&origin, context).await?;
    let endpoints = args.endpoints.clone().or_else(|| context.config.endpoints.clone());
    let endpoints = endpoints.map(|path| endpoints::load(&path)).transpose()?;
    let at = args.time.moment(context);
    let read = Reading {
        policy,
        rename,
        endpoints,
        needs_roles: matches!(origin, Origin::PolicyFile(_)),
        at,
        log: args.log.clone(),
    };
    let (policy, comparison) = read.run(context).await?;
    let matched = args.skip_unmatched || comparison.unmatched == 0;
    let mut answer = Answer {
        log: args.log.display().to_string(),
        policy: origin.to_string(),
        at,
        holds: comparison.agrees() && matched,
        comparison,
        exported: None,
    };
    if let Some(path) = export.filter(|_| !answer.comparison.groups.is_empty()) {
        write_cases(&path, &cases(&answer.comparison, &policy, &answer.log))?;
        answer.exported = Some(path.display().to_string());
    }
    context.output.show(&answer)?;
    Ok(if answer.holds { Exit::Done } else { Exit::Mismatch })
}

/// The policy, and the names of legacy roles that mean another one: those of the policy file, also where the database or
/// a bundle answers, since they do not hold them.
async fn load(origin: &Origin, context: &Context) -> Result<(Policy, BTreeMap<String, String>), HostError> {
    let path = match origin {
        Origin::PolicyFile(path) => Some(path),
        _ => Some(&context.config.policy).filter(|path| path.exists()),
    };
    let file = path.map(|path| policy_file::load(path)).transpose()?;
    let rename = file.as_ref().and_then(|file| file.source.as_ref()).map(|source| source.rename.clone());
    let policy = match (origin, file) {
        (Origin::PolicyFile(_), Some(file)) => file.policy,
        _ => origin.load(context).await?,
    };
    Ok((policy, rename.unwrap_or_default()))
}

fn write_cases(path: &Path, text: &str) -> Result<(), HostError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| HostError::file("make", directory, &error))?;
    }
    write_whole(path, text.as_bytes())
}

/// All that reading the log needs, so that it can be done on a thread of its own.
struct Reading {
    policy: Policy,
    rename: BTreeMap<String, String>,
    endpoints: Option<Endpoints>,
    needs_roles: bool,
    at: Timestamp,
    log: PathBuf,
}

impl Reading {
    /// Reads on another thread, so that a signal is heard meanwhile; gives the policy back.
    async fn run(self, context: &Context) -> Result<(Policy, Comparison), HostError> {
        let size = std::fs::metadata(&self.log).map_or(0, |data| data.len());
        let progress = context.output.progress("answering", size);
        let stop = Arc::new(AtomicBool::new(false));
        let _stopped_when_dropped = StopWhenDropped(Arc::clone(&stop));
        tokio::task::spawn_blocking(move || self.read(&progress, &stop))
            .await
            .map_err(|error| HostError::failed(format_args!("reading the log failed: {error}")))?
    }

    fn read(self, progress: &Progress, stop: &AtomicBool) -> Result<(Policy, Comparison), HostError> {
        let index = compile(&self.policy)?;
        let shadow = Shadow::new(&index, self.endpoints.as_ref(), &self.rename, self.needs_roles, self.at);
        let fail = |error: std::io::Error| HostError::file("read", &self.log, &error);
        let mut log: Box<dyn BufRead> = if self.log == Path::new(STANDARD_INPUT) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, std::io::stdin()))
        } else {
            let file = File::open(&self.log).map_err(fail)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
        };
        let mut unshown = 0_u64;
        let comparison = shadow.compare(&mut log, |bytes| {
            unshown = unshown.saturating_add(bytes);
            if unshown >= BUFFER_BYTES as u64 {
                progress.advance(unshown);
                unshown = 0;
            }
            !stop.load(Ordering::Relaxed)
        });
        Ok((self.policy, comparison.map_err(fail)?))
    }
}

/// Tells the reading thread that nobody waits for it any more.
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

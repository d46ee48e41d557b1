//! `pbac endpoints`: the legacy rules, how far the application's source is, and the change that converts it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use similar::TextDiff;

use crate::context::Context;
use crate::endpoints::source::{Checkers, Conversion, Finding, Row, State, convert};
use crate::endpoints::{self, Endpoints};
use crate::error::HostError;
use crate::exit::Exit;
use crate::python::Project;
use crate::report::files::{read_text, write_whole};
use crate::report::{Report, Table, printable, style};

/// The most bytes of a source file that is compared before it is replaced.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The arguments of `pbac endpoints`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Status 4 when the source and the rules differ, 8 when something is left to a person."
)]
pub struct Args {
    /// The endpoint rules [default: those of the settings]
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
    /// The directory of the application's source, in Python with FastAPI; the change that converts it is shown
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// Carry the change out
    #[arg(long, requires = "source")]
    write: bool,
    /// Print Markdown, for a pull request
    #[arg(long)]
    markdown: bool,
    #[command(flatten)]
    names: CheckerArgs,
}

/// What the source calls its checks.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckerArgs {
    /// The function or class that takes roles [default: require_roles] (may be repeated)
    #[arg(long = "role-check", value_name = "NAME")]
    role_checks: Vec<String>,
    /// The function that takes a permission
    #[arg(long, value_name = "NAME", default_value = "require_permission")]
    permission_check: String,
}

impl CheckerArgs {
    /// The names, with the default where none was given.
    #[must_use]
    pub fn checkers(&self) -> Checkers {
        let roles =
            if self.role_checks.is_empty() { Checkers::default().roles } else { self.role_checks.clone() };
        Checkers { roles, permission: self.permission_check.clone() }
    }
}

/// The rules beside the source.
#[derive(Debug, Serialize)]
struct Listing {
    source: Option<String>,
    endpoints: Vec<Row>,
    /// How many are in each state.
    states: BTreeMap<&'static str, usize>,
    extra: Vec<String>,
    findings: Vec<Finding>,
    files: Vec<String>,
    diff: Option<String>,
    written: bool,
    #[serde(skip)]
    markdown: bool,
}

impl Listing {
    fn new(source: Option<String>, conversion: Conversion, markdown: bool) -> Self {
        let mut states = BTreeMap::new();
        for row in &conversion.rows {
            let count: &mut usize = states.entry(row.state.name()).or_default();
            *count = count.saturating_add(1);
        }
        let diff: String = conversion
            .files
            .iter()
            .map(|(path, old, new)| {
                let name = path.display().to_string();
                let name = name.trim_start_matches('/');
                let (before, after) = (format!("a/{name}"), format!("b/{name}"));
                TextDiff::from_lines(old, new).unified_diff().header(&before, &after).to_string()
            })
            .collect();
        Self {
            diff: source.as_ref().map(|_| diff),
            source,
            endpoints: conversion.rows,
            states,
            extra: conversion.extra,
            findings: conversion.findings,
            files: conversion.files.iter().map(|(path, _, _)| path.display().to_string()).collect(),
            written: false,
            markdown,
        }
    }

    fn exit(&self) -> Exit {
        let any = |states: &[State]| self.endpoints.iter().any(|row| states.contains(&row.state));
        if any(&[State::Unclear]) || self.findings.iter().any(|finding| finding.stops) {
            Exit::NeedsPerson
        } else if any(&[State::Differs, State::Missing]) || !self.extra.is_empty() {
            Exit::Mismatch
        } else {
            Exit::Done
        }
    }

    fn summary(&self) -> String {
        let states = self.states.iter().map(|(name, count)| format!("{count} {name}"));
        let states: Vec<String> = states.collect();
        format!("{} endpoints: {}", self.endpoints.len(), states.join(", "))
    }

    fn as_markdown(&self) -> String {
        let cell = |text: &str| printable(text).replace('|', "\\|");
        let mut text = format!(
            "{}\n\n| endpoint | legacy roles | permission | state |\n|---|---|---|---|\n",
            self.summary()
        );
        for row in &self.endpoints {
            let found = row.found.as_ref().map_or_else(String::new, |found| format!(": {found}"));
            text.push_str(&format!(
                "| `{} {}` | {} | `{}` | {}{} |\n",
                row.method,
                cell(&row.path),
                cell(&row.roles.join(", ")),
                row.permission,
                row.state.name(),
                cell(&found)
            ));
        }
        for endpoint in &self.extra {
            text.push_str(&format!("\n- `{}` is in the source and not among the rules", cell(endpoint)));
        }
        for finding in &self.findings {
            text.push_str(&format!("\n- `{}` {}", cell(&finding.place), cell(&finding.message)));
        }
        if let Some(diff) = self.diff.as_ref().filter(|diff| !diff.is_empty()) {
            text.push_str(&format!("\n```diff\n{diff}```\n"));
        }
        text
    }
}

impl Report for Listing {
    fn people(&self) -> String {
        if self.markdown {
            return self.as_markdown();
        }
        let mut table = Table::new(["", "endpoint", "roles", "permission", "where"]);
        for row in &self.endpoints {
            let endpoint = format!("{} {}", row.method, row.path);
            let state = row.state.name();
            let place = row.place.as_deref().unwrap_or_default();
            table.row([state, &endpoint, &row.roles.join(", "), &row.permission, place]);
        }
        let mut text = table.to_string();
        let mut line = |words: String| text.push_str(&format!("{words}\n"));
        for row in &self.endpoints {
            if let Some(found) = &row.found {
                let state = style::bad(format_args!("{}:", row.state.name()));
                line(format!("{state} {} {}: {}", row.method, printable(&row.path), printable(found)));
            }
        }
        for endpoint in &self.extra {
            line(format!(
                "{} {} is in the source and not among the rules",
                style::bad("extra:"),
                printable(endpoint)
            ));
        }
        for finding in &self.findings {
            let kind = if finding.stops { style::bad("to settle:") } else { style::caution("note:") };
            line(format!("{kind} {}: {}", printable(&finding.place), printable(&finding.message)));
        }
        if let Some(diff) = &self.diff {
            diff.lines().for_each(|words| line(coloured(words)));
        }
        line(self.summary());
        match (self.files.len(), self.written) {
            (0, _) => {}
            (count, true) => line(format!("{count} file(s) were changed")),
            (count, false) => line(format!("{count} file(s) would change; --write changes them")),
        }
        text
    }
}

fn coloured(words: &str) -> String {
    let shown = printable(words);
    match words.chars().next() {
        Some('+') => style::good(shown),
        Some('-') => style::bad(shown),
        _ => shown.into_owned(),
    }
}

/// Lists, and with `--write` converts.
///
/// # Errors
///
/// When the rules or the source cannot be read, or a file was changed while this ran.
pub async fn run(args: Args, context: &Context) -> Result<Exit, HostError> {
    let path = args.endpoints.clone().or_else(|| context.config.endpoints.clone());
    let path = path.ok_or_else(|| {
        HostError::usage("no endpoint rules are named")
            .help("give --endpoints FILE, or set `endpoints` in pbac.toml; `pbac init --python DIR` drafts the file")
    })?;
    let rules = endpoints::load(&path)?;
    let (source, conversion) = match &args.source {
        None => (None, unread(&rules)),
        Some(directory) => {
            let project = Project::read(directory)?;
            let conversion = convert(directory, &project, &args.names.checkers(), &rules)?;
            (Some(directory.display().to_string()), conversion)
        }
    };
    let files = conversion.files.clone();
    let mut listing = Listing::new(source, conversion, args.markdown);
    if args.write && !files.is_empty() {
        write(&files)?;
        listing.written = true;
    }
    context.output.show(&listing)?;
    Ok(listing.exit())
}

fn unread(rules: &Endpoints) -> Conversion {
    let rows = rules.endpoints.iter().map(|rule| Row {
        method: rule.method.clone(),
        path: rule.path.clone(),
        roles: rule.roles.clone(),
        permission: rule.permission.to_string(),
        state: State::NotRead,
        place: None,
        found: None,
    });
    Conversion { rows: rows.collect(), ..Conversion::default() }
}

/// Replaces the files, each whole, when all of them are still what was read.
fn write(files: &[(PathBuf, String, String)]) -> Result<(), HostError> {
    for (path, old, _) in files {
        if read_text(path, MAX_FILE_BYTES)? != *old {
            return Err(HostError::refused(format_args!(
                "`{}` was changed while it was read",
                path.display()
            ))
            .help("nothing was written; give the command again"));
        }
    }
    for (path, _, new) in files {
        write_whole(path, new.as_bytes())?;
    }
    Ok(())
}

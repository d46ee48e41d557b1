//! `pbac init --python` and `--openapi`: a first file of endpoint rules, from the application.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::endpoints::CheckerArgs;
use crate::context::Context;
use crate::endpoints::draft::{openapi, python};
use crate::endpoints::source::Finding;
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::files::write_whole;
use crate::report::{Report, printable, style};

/// Where endpoint rules can be drafted from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From the application, without a database")]
pub struct DraftArgs {
    /// Draft the endpoint rules from the source in DIR: Python with FastAPI
    #[arg(long, value_name = "DIR", conflicts_with_all = ["openapi", "preset", "choose"])]
    python: Option<PathBuf>,
    /// Draft the endpoint rules from an OpenAPI 3 document in JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["preset", "choose"])]
    openapi: Option<PathBuf>,
    /// The file of endpoint rules to write
    #[arg(long, value_name = "FILE", default_value = "endpoints.toml")]
    out: PathBuf,
    /// The constant that lists the roles that pass every check
    #[arg(long, value_name = "NAME", requires = "python")]
    bypass: Option<String>,
    /// The dictionary that says which roles a role inherits
    #[arg(long, value_name = "NAME", requires = "python")]
    inherits: Option<String>,
    #[command(flatten)]
    names: CheckerArgs,
}

/// What was drafted.
#[derive(Debug, Serialize)]
struct Drafting {
    from: String,
    out: String,
    endpoints: usize,
    roles: Vec<String>,
    bypass: Option<Vec<String>>,
    inherits: Option<std::collections::BTreeMap<String, Vec<String>>>,
    open: Vec<String>,
    findings: Vec<Finding>,
}

impl Report for Drafting {
    fn people(&self) -> String {
        let mut text = String::new();
        let mut line = |words: String| text.push_str(&format!("{words}\n"));
        for finding in &self.findings {
            let kind = if finding.stops { style::bad("to settle:") } else { style::caution("note:") };
            line(format!("{kind} {}: {}", printable(&finding.place), printable(&finding.message)));
        }
        for open in &self.open {
            line(format!("{} {}", style::caution("no check found:"), printable(open)));
        }
        let unknown = |what: &str| format!("{} {what}: not known; see the draft", style::caution("note:"));
        if self.bypass.is_none() {
            line(unknown("roles that pass every check (--bypass)"));
        }
        if self.inherits.is_none() {
            line(unknown("roles that inherit others (--inherits)"));
        }
        line(format!(
            "{} endpoint(s) and {} role(s) of `{}` are drafted in `{}`; every permission is a proposal",
            self.endpoints,
            self.roles.len(),
            printable(&self.from),
            printable(&self.out)
        ));
        text
    }
}

/// Drafts where one of the two sources is named; otherwise it is not this that was asked for.
///
/// # Errors
///
/// When the source cannot be read, or the file to write is there already.
pub fn run(args: &DraftArgs, force: bool, context: &Context) -> Result<Option<Exit>, HostError> {
    let (from, mut draft) = match (&args.python, &args.openapi) {
        (Some(directory), _) => {
            free(&args.out, force)?;
            let checkers = args.names.checkers();
            let draft = python(directory, &checkers, args.bypass.as_deref(), args.inherits.as_deref())?;
            (directory, draft)
        }
        (None, Some(file)) => {
            free(&args.out, force)?;
            (file, openapi(file)?)
        }
        (None, None) => return Ok(None),
    };
    let from = from.display().to_string();
    let text = draft.text(&from);
    if draft.endpoints.is_empty() {
        return Err(HostError::failed(format_args!("no endpoint with roles was found in `{from}`"))
            .help("name the check with --role-check, if it is not `require_roles`"));
    }
    write_whole(&args.out, text.as_bytes())?;
    context.output.show(&Drafting {
        from,
        out: args.out.display().to_string(),
        endpoints: draft.endpoints.len(),
        roles: draft.roles.clone(),
        bypass: draft.bypass.clone(),
        inherits: draft.inherits.clone(),
        open: draft.open.clone(),
        findings: draft.findings.clone(),
    })?;
    Ok(Some(if draft.stops() { Exit::NeedsPerson } else { Exit::Done }))
}

fn free(path: &Path, force: bool) -> Result<(), HostError> {
    if path.exists() && !force {
        return Err(HostError::refused(format_args!("`{}` is there already", path.display()))
            .help("name another file with --out, or replace it with --force"));
    }
    Ok(())
}

//! `pbac status`: what is there.

use super::plan::target;
use crate::context::Context;
use crate::error::HostError;
use crate::exit::Exit;
use crate::migrate::earlier::EarlierEnding;
use crate::migrate::state::Stage;
use crate::migrate::status::{Status, status};
use crate::report::time::show_time;
use crate::report::{Report, printable, style};

/// The arguments of `pbac status`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Shows what is there, and changes nothing.
///
/// # Errors
///
/// When the database cannot be reached or refuses.
pub async fn run(_args: Args, context: &Context) -> Result<Exit, HostError> {
    context.output.show(&status(&target(context, 0)?).await?)?;
    Ok(Exit::Done)
}

impl Report for Status {
    fn people(&self) -> String {
        let state = &self.state;
        let schema = &state.schema;
        let mut text = format!(
            "database {} (PostgreSQL {})\nschema   {schema}: {}\n",
            printable(&self.database),
            self.server_version.checked_div(10_000).unwrap_or_default(),
            match self.stage {
                Stage::Nothing => "nothing of pbac is there".to_owned(),
                Stage::AuditOnly => "the audit log only; roles are in force".to_owned(),
                Stage::Migrated => style::good("migrated; permissions are in force"),
                Stage::Partial => {
                    let missing = state.missing();
                    let what = if missing.is_empty() {
                        "all tables and no policy".to_owned()
                    } else {
                        format!("some tables; missing: {}", missing.join(", "))
                    };
                    style::bad(what)
                }
            }
        );
        if let Some(file) = state.files.last() {
            let files = state.files.len();
            let description = printable(&file.description);
            text.push_str(&format!(
                "files    {files} applied, the last is {:04} {description}\n",
                file.version
            ));
        }
        if let Some(run) = &state.policy {
            text.push_str(&format!(
                "policy   {} (number {}), put in force {} by {} with pbac {}\nhash     {}\n",
                printable(&run.name),
                run.id,
                show_time(run.applied_at),
                printable(&run.applied_by),
                printable(&run.tool_version),
                run.policy_hash
            ));
        }
        if let Some(counts) = self.counts {
            text.push_str(&format!(
                "stored   {} permissions, {} roles with {} patterns, {} conflicts\noverrides {} active, {} expired\nusers    {}\n",
                counts.permissions,
                counts.roles,
                counts.grants,
                counts.conflicts,
                counts.overrides_active,
                counts.overrides_expired,
                counts.users
            ));
        }
        for parked in &state.parked {
            let schema = parked.schema.to_string();
            text.push_str(&format!("parked   {}: {} tables\n", printable(&schema), parked.tables.len()));
        }
        if let Some(head) = self.audit_head {
            text.push_str(&format!("audit    {head}\n"));
        }
        if let Some(earlier) = &self.earlier {
            let sentence = printable(&earlier.sentence()).into_owned();
            text.push_str(&match earlier.ending {
                EarlierEnding::Succeeded | EarlierEnding::Failed => format!("last run {sentence}\n"),
                EarlierEnding::Unfinished | EarlierEnding::GoingOn => {
                    format!("{} {sentence}\n", style::caution("last run"))
                }
            });
        }
        for drift in &self.drift {
            text.push_str(&format!("{} {}\n", style::caution("drift:"), printable(drift)));
        }
        text
    }
}

//! What `pbac init` does with a database: looks at it, says what it found and why, and drafts a policy. It never writes to
//! the database, and what it concludes without proof it says to be a guess.

mod database;
mod draft;
mod names;
mod notes;
mod presets;
mod rows;
mod view;

use serde::Serialize;
use sqlx::PgConnection;

pub use names::Renamed;
pub use notes::{CHOICES, Notes, Remark, RemarkKind};
pub use presets::Preset;
pub use view::RewrittenGrant;

use crate::endpoints::{self, AccessCheck};
use crate::error::HostError;
use crate::policy_file;
use crate::postgres::transaction::{self, Kind};
use crate::postgres::{Identifier, SessionLimits};
use database::Database;
use draft::{Draft, policy_toml, rules_toml};
use view::View;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The preset; without one, the only one that is recognised.
    pub preset: Option<Preset>,
    /// What the policy is to be called; without it, as the database.
    pub name: Option<String>,
    /// How long a query may run, and wait for a lock.
    pub limits: SessionLimits,
}

/// What an inspection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The database.
    pub database: String,
    /// What it was taken for.
    pub preset: Option<Preset>,
    /// What was found, guessed and left out, and what stops it, in the order in which it came up.
    pub remarks: Vec<Remark>,
    /// Legacy permissions that get another name.
    pub renamed: Vec<Renamed>,
    /// Grants whose wildcards mean something else here.
    pub rewritten: Vec<RewrittenGrant>,
    /// How many permissions the draft has.
    pub permissions: usize,
    /// How many roles it has.
    pub roles: usize,
}

impl Inspection {
    /// Whether a person has to decide something first.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.remarks.iter().any(|remark| remark.kind == RemarkKind::Stop)
    }
}

/// The files of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The policy, which reads without a fault.
    pub policy: String,
    /// The framework's own rules in the form of an endpoint file, where it has permissions.
    pub rules: Option<String>,
}

/// Looks at the database in one snapshot and drafts a policy. There are no files where something stops it. `ours` is the
/// schema of pbac's own tables, which is not looked at.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn inspect(
    connection: &mut PgConnection,
    ours: &Identifier,
    request: &Request,
    mut notes: Notes,
) -> Result<(Inspection, Option<Files>), HostError> {
    transaction::begin(connection, Kind::Snapshot, request.limits).await.map_err(HostError::failed)?;
    let database = Database::read(connection, ours).await?;
    let mut view = View { connection, database: &database, notes: &mut notes, rewritten: Vec::new() };
    let recognised = presets::recognise(request.preset, &mut view);
    let mut drafted = None;
    if let Some((preset, schema)) = &recognised {
        drafted = preset.draft(&mut view, schema).await?;
    }
    let View { connection, mut rewritten, .. } = view;
    transaction::roll_back(connection).await.map_err(HostError::failed)?;
    not_looked_at(&database, &mut notes);
    rewritten.sort_by(|one, other| (&one.holder, &one.grant.grant).cmp(&(&other.holder, &other.grant.grant)));

    let preset = recognised.map(|(preset, _)| preset);
    let mut inspection = Inspection {
        database: database.name.clone(),
        preset,
        remarks: Vec::new(),
        renamed: Vec::new(),
        rewritten,
        permissions: 0,
        roles: 0,
    };
    let mut files = None;
    if let (Some(mut draft), Some(preset)) = (drafted, preset) {
        draft.name = request.name.clone().unwrap_or(database.name);
        inspection.renamed = std::mem::take(&mut draft.catalog.renamed);
        draft.catalog.renamed.clone_from(&inspection.renamed);
        inspection.permissions = draft.catalog.entries.len();
        inspection.roles = draft.roles.len();
        if !notes.stops() {
            files = write(&draft, preset, &mut notes);
        }
    }
    inspection.remarks = notes.into_remarks();
    let files = files.filter(|_| !inspection.stops());
    Ok((inspection, files))
}

fn not_looked_at(database: &Database, notes: &mut Notes) {
    let listed = |names: &[String]| {
        let more = names.len().saturating_sub(5);
        let first = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{first} and {more} more") } else { first }
    };
    if !database.others.is_empty() {
        notes.not_looked_at(listed(&database.others), "views, materialized views and foreign tables");
    }
    if !database.forbidden.is_empty() {
        notes.not_looked_at(listed(&database.forbidden), "this user may not read them");
    }
}

/// The files, after they were read back and compared: what the policy gives to each role is what the framework gave.
fn write(draft: &Draft, preset: Preset, notes: &mut Notes) -> Option<Files> {
    let files = Files { policy: policy_toml(draft, preset.name()), rules: rules_toml(draft, preset.name()) };
    let policy = match policy_file::parse(&files.policy, "policy.toml") {
        Ok(file) => file.policy,
        Err(error) => {
            notes.stop("the draft", format_args!("what the database holds makes no policy: {error}"));
            return None;
        }
    };
    if let Some(rules) = &files.rules {
        let rules = match endpoints::parse(rules, "legacy-permissions.toml") {
            Ok(rules) => rules,
            Err(error) => {
                notes.stop("the draft", format_args!("what the database holds makes no rules: {error}"));
                return None;
            }
        };
        match AccessCheck::run(&rules, &policy, &std::collections::BTreeMap::new()) {
            Ok(check) if check.holds() => notes.found(
                "the draft",
                format_args!(
                    "each role may do what it may there: {} permissions x {} roles, none gained, none lost",
                    check.endpoints, check.roles
                ),
            ),
            Ok(check) => notes.stop(
                "the draft",
                format_args!(
                    "the roles would gain {} permissions and lose {}",
                    check.gained.len(),
                    check.lost.len()
                ),
            ),
            Err(error) => notes.stop("the draft", error),
        }
    }
    Some(files)
}

//! What is looked at before anything is changed. All of it is reading.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::{Index, LimitError, PolicyError, Timestamp, breaches, lint};
use serde::Serialize;
use sqlx::PgConnection;

use super::access_findings;
use super::park::{self, MAX_PARKABLE_BYTES};
use super::state::{LEDGER_TABLE, Stage, State, TABLES};
use crate::access_diff::{AccessDiff, AccessDiffError, Question};
use crate::endpoints::{AccessCheck, Endpoints};
use crate::error::HostError;
use crate::exit::Exit;
use crate::legacy::{self, Candidates, Finding, FindingCode, Legacy};
use crate::policy_file::{PolicyFile, Source};
use crate::postgres::schema::SchemaError;
use crate::postgres::{Identifier, Server, ledger};

/// What is allowed to be otherwise than it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Go on although nobody will be left who may do everything.
    pub no_administrator: bool,
    /// Stop where a role breaks a conflict (SPEC section 4), which otherwise is only reported.
    pub strict: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preflight {
    /// `server_version_num`: 150013 is 15.13.
    pub server_version: i32,
    /// The legacy roles, where the policy has a source.
    pub legacy: Option<Legacy>,
    /// Endpoint by endpoint and role by role, where an endpoint file is configured.
    pub access: Option<AccessCheck>,
    /// The same for every user, where the policy has a source that can be read.
    pub difference: Option<AccessDiff>,
    /// What stops the run and what is worth knowing; those that stop come first.
    pub findings: Vec<Finding>,
}

impl Preflight {
    /// Looks at the rights, the state, the legacy roles, the last administrator, the endpoint rules, the access of every
    /// user and the policy.
    ///
    /// # Errors
    ///
    /// When the server refuses a query, or the policy is too large to compile. What is wrong with the data is no
    /// error here but a finding; see [`Preflight::passed`].
    pub async fn run(
        connection: &mut PgConnection,
        state: &State,
        file: &PolicyFile,
        endpoints: Option<&Endpoints>,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> Result<Self, PreflightError> {
        let server_version = Server::ask(connection).await?.version;
        let index = Index::compile(&file.policy)?;
        let mut findings = rights(connection, state).await?;
        findings.extend(encoding(connection).await?);
        findings.extend(long_name(state));
        findings.extend(tables(state));
        let mut legacy = None;
        if let Some(source) = &file.source {
            let mut read = Legacy::read(connection, source, &file.policy).await?;
            let importing = importing(connection, state, source).await?;
            if importing && !read.stops() {
                read.read_direct(connection, source, &file.policy).await?;
            }
            findings.append(&mut read.findings);
            if !importing && state.tables.contains(&LEDGER_TABLE) {
                findings.extend(other_ways(connection, state, source).await?);
            }
            if !findings.iter().any(Finding::stops) {
                let administrators = Administrators { index: &index, endpoints, importing };
                let gone = administrators.remain(connection, state, file, &read).await?;
                findings.extend(gone.map(|finding| Finding {
                    stops: finding.stops && !tolerance.no_administrator,
                    ..finding
                }));
            }
            legacy = Some(read);
        } else {
            let message =
                "the policy has no [source]: users get their roles from tokens only, and no user is checked";
            findings.push(Finding::note(FindingCode::NoSource, message));
        }
        let access = endpoints.map(|endpoints| {
            let none = BTreeMap::new();
            let rename = file.source.as_ref().map_or(&none, |source| &source.rename);
            AccessCheck::run(endpoints, &file.policy, rename)
        });
        let access = access.transpose()?;
        if access.is_none() {
            let message = "no legacy endpoint rules are named, so nobody has compared what users may do today with what they \
                will: who gains access is not known; name them by --endpoints or `endpoints` in pbac.toml";
            findings.push(Finding::note(FindingCode::NoRules, message));
        }
        let mut difference = None;
        if let (Some(source), Some(endpoints)) = (&file.source, endpoints)
            && !findings.iter().any(Finding::stops)
        {
            let overrides = overrides_of(state);
            let question = Question { file, source, endpoints, overrides, now, keep: None };
            difference = Some(AccessDiff::compute(connection, &question).await?);
        }
        if let Some(access) = &access {
            findings.extend(access_findings::of(file, access, difference.as_ref(), legacy.as_ref()));
        }
        findings.extend(oddities(file, tolerance.strict)?);
        findings.sort_by_key(|finding| !finding.stops);
        Ok(Self { server_version, legacy, access, difference, findings })
    }

    /// Nothing forbids to go on.
    ///
    /// # Errors
    ///
    /// The findings that do, in one error with the status that fits them: 4 where policy and database do not match, 6
    /// where going on would not be safe, 8 where a person has to look, 1 where rights are missing.
    pub fn passed(&self) -> Result<(), HostError> {
        let stops: Vec<&Finding> = self.findings.iter().filter(|finding| finding.stops).collect();
        let Some(first) = stops.first() else { return Ok(()) };
        let ranks = [Exit::Failed, Exit::NeedsPerson, Exit::Mismatch, Exit::Refused];
        let exit = ranks.into_iter().find(|exit| stops.iter().any(|stop| stop.exit() == *exit));
        let exit = exit.unwrap_or_else(|| first.exit());
        let counted = |finding: &&Finding| match finding.count {
            1 => finding.to_string(),
            count => format!("{count} {finding}"),
        };
        let message = match stops.as_slice() {
            [only] => format!("preflight found: {}", counted(only)),
            _ => {
                let lines: Vec<String> =
                    stops.iter().map(|stop| format!("\n  - {}", counted(stop))).collect();
                format!("preflight found {} things that stop it:{}", stops.len(), lines.concat())
            }
        };
        let mut help = "nothing was changed; `pbac plan` shows everything that was found".to_owned();
        let missing = self.difference.iter().map(|difference| difference.missing_sign_offs(MAX_SIGN_OFFS));
        let missing = missing.collect::<String>();
        if !missing.is_empty() {
            help.push_str(&format!(", `pbac access-diff` who gains what; what is meant is signed off in the policy file:\n\n{missing}"));
        }
        Err(HostError::new(exit, message).help(help))
    }
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The server refused.
    #[error("the database refused: {0}")]
    Server(#[from] sqlx::Error),
    /// The policy does not compile.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] SchemaError),
    /// A part of the policy is no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The access of the users cannot be compared.
    #[error(transparent)]
    Access(#[from] AccessDiffError),
}

/// How many of the missing sign-offs an error spells out.
const MAX_SIGN_OFFS: usize = 3;

/// The schema of the overrides, where there are any.
fn overrides_of(state: &State) -> Option<&Identifier> {
    state.tables.contains(&"user_custom_permissions").then_some(&state.schema)
}

/// Whether the users' own permissions are still to become overrides.
async fn importing(
    connection: &mut PgConnection,
    state: &State,
    source: &Source,
) -> Result<bool, sqlx::Error> {
    if source.permissions.is_empty() {
        return Ok(false);
    }
    if !state.tables.contains(&LEDGER_TABLE) {
        return Ok(true);
    }
    Ok(!ledger::has_imported(connection, &state.schema).await?)
}

/// What users have of their own is taken over once: what only a changed way would find would be lost without a word, a
/// deny too.
async fn other_ways(
    connection: &mut PgConnection,
    state: &State,
    source: &Source,
) -> Result<Option<Finding>, SchemaError> {
    let message = "`[[source.permissions]]` is not what the users' own permissions were taken over from, and that is done once; \
        put it back, and give what else is meant by `pbac grant`, or take all of `[[source.permissions]]` out";
    let otherwise = ledger::imported_otherwise(connection, &state.schema, source).await?;
    Ok(otherwise.then(|| Finding::stop(FindingCode::ChangedPermissions, message)))
}

/// Whether this user may do what has to be done.
async fn rights(connection: &mut PgConnection, state: &State) -> Result<Vec<Finding>, sqlx::Error> {
    let (create_schema, create_in_schema, not_owned): (bool, bool, Vec<String>) = sqlx::query_as(
        "SELECT has_database_privilege(current_database(), 'CREATE'), \
         coalesce((SELECT has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE') \
             FROM pg_namespace n WHERE n.nspname = $1), false), \
         ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1)",
    )
    .bind(state.schema.as_str())
    .bind(TABLES.as_slice())
    .fetch_one(&mut *connection)
    .await?;
    let mut found = Vec::new();
    if !state.schema_exists && !create_schema {
        let message = format!(
            "this user may not create the schema `{0}`; grant CREATE on the database, or let its owner run `CREATE SCHEMA {0} AUTHORIZATION` for this user",
            state.schema
        );
        found.push(Finding::stop(FindingCode::MissingRight, message));
    }
    if state.schema_exists && !create_in_schema {
        let message =
            format!("this user may not create tables in `{}`; grant USAGE and CREATE on it", state.schema);
        found.push(Finding::stop(FindingCode::MissingRight, message));
    }
    if state.schema_exists && !create_schema {
        let spare = park::spare_name(&state.schema);
        let usable = match &spare {
            // What was parked there is ours, and comes back.
            Ok(spare) if state.parked.iter().any(|parked| parked.schema == *spare) => true,
            Ok(spare) => park::spare_fault(connection, spare).await?.is_none(),
            Err(_) => false,
        };
        if let (Ok(spare), false) = (spare, usable) {
            let message = format!(
                "this user may make no schema to park in: a rollback will need --drop, unless the owner of the database runs \
                 `CREATE SCHEMA {} AUTHORIZATION` for this user",
                spare.quoted()
            );
            found.push(Finding::note(FindingCode::MissingRight, message));
        }
    }
    if !not_owned.is_empty() {
        let message = format!("tables of `{}` belong to another user; run as that user", state.schema);
        let count = i64::try_from(not_owned.len()).unwrap_or(i64::MAX);
        found.push(Finding::stop(FindingCode::MissingRight, message).about(count, not_owned));
    }
    Ok(found)
}

/// Names of users and roles are any Unicode text; only one encoding holds all of it, and the audit log's hashes with it.
async fn encoding(connection: &mut PgConnection) -> Result<Option<Finding>, sqlx::Error> {
    let found: String =
        sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(connection).await?;
    Ok((found != "UTF8").then(|| {
        let message = format!(
            "the database is encoded in {found}, which cannot hold every name of a user or role; dump it, and restore \
             it into a database made with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
        );
        Finding::stop(FindingCode::Encoding, message)
    }))
}

/// Said before there is anything to take back, since afterwards the schema cannot be renamed without breaking callers.
fn long_name(state: &State) -> Option<Finding> {
    let bytes = state.schema.as_str().len();
    (bytes > MAX_PARKABLE_BYTES).then(|| {
        let message = format!(
            "the name of the schema has {bytes} bytes, and only {MAX_PARKABLE_BYTES} leave room for the date of a parked one: \
             a rollback will need --drop, which leaves nothing but the backup; a shorter name can be parked"
        );
        Finding::note(FindingCode::LongName, message)
    })
}

/// Whether the tables that are there can be built upon.
fn tables(state: &State) -> Option<Finding> {
    let missing = state.missing();
    if state.stage() == Stage::Partial && !missing.is_empty() {
        let message = format!(
            "the schema `{}` has some of pbac's tables and lacks others, which no run of pbac leaves; \
             take it back with `pbac rollback`, or name another schema. Missing:",
            state.schema
        );
        let count = i64::try_from(missing.len()).unwrap_or(i64::MAX);
        let names = missing.into_iter().map(str::to_owned);
        return Some(Finding::stop(FindingCode::ForeignTables, message).about(count, names));
    }
    (!state.foreign.is_empty()).then(|| {
        let message = format!("the schema `{}` holds tables that are not pbac's", state.schema);
        let count = i64::try_from(state.foreign.len()).unwrap_or(i64::MAX);
        Finding::note(FindingCode::ForeignTables, message).about(count, state.foreign.clone())
    })
}

/// Who may do everything. A migration that leaves nobody locks the application's people out of mending it.
struct Administrators<'a> {
    index: &'a Index,
    endpoints: Option<&'a Endpoints>,
    /// Whether what users are denied in the legacy tables will become overrides.
    importing: bool,
}

impl Administrators<'_> {
    async fn remain(
        &self,
        connection: &mut PgConnection,
        state: &State,
        file: &PolicyFile,
        legacy: &Legacy,
    ) -> Result<Option<Finding>, sqlx::Error> {
        let Some(source) = file.source.as_ref().filter(|_| legacy.users > 0) else { return Ok(None) };
        let needed = self.needed();
        let held = |roles: &[&str]| -> BTreeSet<&str> {
            roles.iter().flat_map(|role| self.index.permissions_of_role(role)).collect()
        };
        let enough = |roles: &[&str]| {
            let held = held(roles);
            needed.iter().all(|permission| held.contains(permission))
        };
        let roles: BTreeMap<&str, &str> = legacy
            .labels
            .iter()
            .filter(|label| label.active > 0)
            .filter_map(|label| Some((label.label.as_str(), label.role.as_deref()?)))
            .collect();
        let of = |wanted: &dyn Fn(&str) -> bool| -> Vec<&str> {
            roles.iter().filter(|(_, role)| wanted(role)).map(|(label, _)| *label).collect()
        };
        let alone = of(&|role| enough(&[role]));
        let useful = of(&|role| held(&[role]).iter().any(|permission| needed.contains(permission)));
        let together = |labels: &[String]| {
            let held: Vec<&str> =
                labels.iter().filter_map(|label| roles.get(label.as_str()).copied()).collect();
            enough(&held)
        };
        let candidates = Candidates {
            alone: &alone,
            useful: &useful,
            together: &together,
            overrides: overrides_of(state),
            importing: self.importing,
        };
        if legacy::any_undenied(connection, source, &candidates).await? {
            return Ok(None);
        }
        let what = match self.bypass() {
            Some(_) => "what the legacy bypass roles could do at the endpoints",
            None => "the whole catalog",
        };
        let message = format!(
            "no active user without a deny will hold {what}; give somebody a role that does, or add --no-administrator if that is meant"
        );
        Ok(Some(Finding::stop(FindingCode::NoAdministrator, message)))
    }

    fn bypass(&self) -> Option<&Endpoints> {
        self.endpoints.filter(|endpoints| !endpoints.bypass.is_empty())
    }

    /// What the old bypass roles could do, where the endpoint file names some; else everything.
    fn needed(&self) -> Vec<&str> {
        match self.bypass() {
            Some(endpoints) => {
                let asked = endpoints.endpoints.iter().map(|endpoint| endpoint.permission.as_str());
                asked.filter(|permission| self.index.permission_id(permission).is_some()).collect()
            }
            None => self.index.permissions().collect(),
        }
    }
}

/// What is odd in the policy itself: duties that should be apart, grants that match nothing.
fn oddities(file: &PolicyFile, strict: bool) -> Result<Vec<Finding>, LimitError> {
    // Roles alone: nothing of them expires.
    let breaches = breaches(&file.policy, Timestamp::from_micros(0))?;
    let mut found: Vec<Finding> = breaches
        .into_iter()
        .map(|breach| {
            let message = format!("roles hold both duties of the conflict `{}`", breach.conflict);
            let count = i64::try_from(breach.roles.len()).unwrap_or(i64::MAX);
            let finding = Finding::note(FindingCode::Conflict, message).about(count, breach.roles);
            Finding { stops: strict, ..finding }
        })
        .collect();
    found.extend(lint(&file.policy).into_iter().map(|lint| Finding::note(FindingCode::Lint, lint)));
    Ok(found)
}

//! `pbac restore`: brings parked tables, or those of a backup, back exactly.
//!
//! One transaction, and nothing is overwritten. Before it commits, the content of the schema is written down as a backup
//! would and its hash held against the one of the parked schema or the backup: rows, definitions, owners and rights.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::backup::{self, Backup, Contents, Header};
use super::earlier::Earlier;
use super::owned::{FUNCTIONS, Owned, OwnedFunction, OwnedTable};
use super::park::{self, Mark};
use super::state::State;
use super::step::{Observer, RestoreStep, StepClock, StepTime, WorkStep};
use super::undo_error::UndoError;
use super::undo_session::{Session, UndoSettings};
use crate::postgres::Identifier;
use crate::postgres::audit::Head;

/// What the audit log calls a restoration.
pub const RESTORE: &str = "restore";

/// What to bring back.
#[derive(Clone, Debug)]
pub enum RestoreFrom {
    /// The only schema with parked tables.
    OnlyParked,
    /// This schema with parked tables.
    Parked(Identifier),
    /// This backup.
    Backup(PathBuf),
}

/// What will be brought back, or was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RestoreReport {
    /// The schema it comes back to.
    pub schema: Identifier,
    /// The last migration, rollback or restoration before this run.
    pub earlier: Option<Earlier>,
    /// How far it went.
    pub status: RestoreStatus,
    /// Where it comes from; nothing where there is nothing to do.
    pub from: Option<Origin>,
    /// The tables with their rows; of a backup, once they are there.
    pub tables: Vec<OwnedTable>,
    /// The functions; of a backup, once they are there.
    pub functions: Vec<OwnedFunction>,
    /// What lies in the parked schema and is not ours; it stays there, and the schema with it.
    pub left_parked: Vec<String>,
    /// Whether the content was found to be what went.
    pub verified: bool,
    /// The end of the audit log: keep it elsewhere, and a log that is cut off or written anew shows.
    pub audit_head: Option<Head>,
    /// How long each step took; nothing before it was run.
    pub steps: Vec<StepTime<RestoreStep>>,
}

/// How far a restoration went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStatus {
    /// Nothing was done yet.
    Planned,
    /// The tables are there and nothing is parked, or they are those of the backup.
    NothingToDo,
    /// Everything was done and rolled back again.
    DryRun,
    /// It was done.
    Restored,
}

/// Where restored tables come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A parked schema.
    Parked {
        /// Its name.
        schema: Identifier,
    },
    /// A backup.
    Backup {
        /// The file.
        path: PathBuf,
        /// Its hash.
        sha256: String,
        /// The schema it was made of.
        schema: String,
        /// When.
        made_at: String,
        /// How many rows, in all tables.
        rows: u64,
    },
}

/// A restoration that was looked into and not begun. The lock is held.
#[derive(Debug)]
pub struct Restore<'a> {
    session: Session,
    source: Source,
    accept_changes: bool,
    report: RestoreReport,
    clock: StepClock<'a, RestoreStep>,
}

#[derive(Debug)]
enum Source {
    Nothing,
    Parked { owned: Owned, mark: Option<Mark> },
    Backup(Box<Backup>),
}

impl<'a> Restore<'a> {
    /// Connects, takes the lock, finds what to bring back, checks a backup's hash, and refuses where something is in the
    /// way. With `accept_changes`, parked tables come back even if somebody has changed them since.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached, another pbac is at it, there is nothing or more than one thing to bring back,
    /// the backup is damaged, or something is in the way.
    pub async fn prepare(
        settings: UndoSettings,
        from: RestoreFrom,
        accept_changes: bool,
        observer: Observer<'a, RestoreStep>,
    ) -> Result<Self, UndoError> {
        let mut clock = StepClock::new(observer);
        // A damaged file is no reason to go near the database.
        let backup = match &from {
            RestoreFrom::Backup(path) => Some(Backup::open(path)?),
            RestoreFrom::OnlyParked | RestoreFrom::Parked(_) => None,
        };
        clock.begin(RestoreStep::Lock);
        let mut session = Session::open(settings).await?;
        clock.begin(RestoreStep::Look);
        session.begin_to_read().await?;
        match look(&mut session, &from, backup).await {
            Ok((source, report)) => {
                session.roll_back().await;
                Ok(Self { session, source, accept_changes, report, clock })
            }
            Err(error) => Err(session.fail(RESTORE, clock.current().map(WorkStep::name), error).await),
        }
    }

    /// What will be brought back.
    #[must_use]
    pub fn plan(&self) -> &RestoreReport {
        &self.report
    }

    /// Does it. In a dry run everything up to the commit is done and rolled back.
    ///
    /// # Errors
    ///
    /// When anything fails or what comes back is not what went; then nothing was changed.
    pub async fn run(mut self) -> Result<RestoreReport, UndoError> {
        if !matches!(self.source, Source::Nothing) {
            self.clock.begin(RestoreStep::AuditLog);
            let plan = json!({ "from": self.report.from });
            self.session.attempt(RESTORE, plan).await?;
            if let Err(error) = self.bring_back().await {
                let step = self.clock.current().map(WorkStep::name);
                return Err(self.session.fail(RESTORE, step, error).await);
            }
        }
        self.report.steps = self.clock.times();
        self.session.close().await;
        Ok(self.report)
    }

    async fn bring_back(&mut self) -> Result<(), UndoError> {
        let Self { session, source, accept_changes, report, clock } = self;
        let schema = session.settings.schema.clone();
        clock.begin(RestoreStep::Hold);
        match source {
            Source::Nothing => return Ok(()),
            Source::Parked { owned, mark } => {
                session.begin_shared(owned).await?;
                session.lock_exclusive(owned).await?;
                clock.begin(RestoreStep::Bring);
                park::move_objects(&mut session.connection, owned, &schema).await?;
                clock.begin(RestoreStep::Compare);
                let here = Owned::read(&mut session.connection, &schema).await?;
                let content = backup::digest(&mut session.connection, &here, &schema).await?;
                report.verified = is_as_parked(mark.as_ref(), &content, session.server);
                if !report.verified && !*accept_changes {
                    let what = match mark {
                        Some(_) => "rows, definitions or rights of the parked tables were changed",
                        None => "the parked schema no longer says what it held: its comment was replaced",
                    };
                    return Err(UndoError::Altered { what: what.to_owned() });
                }
                park::clear(&mut session.connection, &schema, &owned.schema).await?;
                report.left_parked.clone_from(&owned.others);
                (report.tables, report.functions) = (here.tables, here.functions);
            }
            Source::Backup(backup) => {
                session.begin().await?;
                clock.begin(RestoreStep::Bring);
                make_schema(&mut session.connection, &schema).await?;
                backup.import(&mut session.connection, &schema).await?;
                clock.begin(RestoreStep::Compare);
                let here = Owned::read(&mut session.connection, &schema).await?;
                let content = backup::digest(&mut session.connection, &here, &schema).await?;
                let wanted = &backup.header().content;
                // Another version of the server may write the same definition in another way; rows it may not.
                report.verified = wanted.is_restored_as(&content);
                let same = match same_major(session.server, backup.header().server) {
                    true => report.verified,
                    false => content.tables() == wanted.tables(),
                };
                if !same {
                    return Err(UndoError::Altered { what: backup::difference(wanted, &content) });
                }
                (report.tables, report.functions) = (here.tables, here.functions);
            }
        }
        clock.begin(RestoreStep::Audit);
        let details = json!({ "from": report.from, "tables": report.tables, "verified": report.verified });
        let commit = || clock.begin(RestoreStep::Commit);
        report.audit_head = session.commit(RESTORE, details, commit).await?;
        report.status =
            if session.settings.dry_run { RestoreStatus::DryRun } else { RestoreStatus::Restored };
        Ok(())
    }
}

async fn look(
    session: &mut Session,
    from: &RestoreFrom,
    backup: Option<Backup>,
) -> Result<(Source, RestoreReport), UndoError> {
    let schema = session.settings.schema.clone();
    let connection = &mut session.connection;
    let mut report = RestoreReport {
        schema: schema.clone(),
        status: RestoreStatus::Planned,
        from: None,
        tables: Vec::new(),
        functions: Vec::new(),
        left_parked: Vec::new(),
        verified: false,
        audit_head: None,
        steps: Vec::new(),
        earlier: Earlier::read(connection, &schema).await?,
    };
    if let Some(backup) = backup {
        let header = backup.header();
        report.from = Some(Origin::Backup {
            path: backup.path().to_owned(),
            sha256: backup.sha256().to_owned(),
            schema: header.schema.clone(),
            made_at: header.made_at.clone(),
            rows: header.rows.values().fold(0, |sum, rows| sum.saturating_add(*rows)),
        });
        let tables: Vec<&str> = header.rows.keys().map(String::as_str).collect();
        let free = refuse_what_is_in_the_way(connection, &schema, &tables).await;
        if free.is_err() && is_restored_already(connection, &schema, header).await? {
            report.status = RestoreStatus::NothingToDo;
            report.verified = true;
            return Ok((Source::Nothing, report));
        }
        free?;
        return Ok((Source::Backup(Box::new(backup)), report));
    }
    let state = State::read(connection, &schema).await?;
    let mut found: Vec<Identifier> = state.parked.into_iter().map(|parked| parked.schema).collect();
    let parked = match from {
        RestoreFrom::Parked(named) if found.contains(named) => named.clone(),
        RestoreFrom::Parked(named) => {
            return Err(UndoError::NotParked { named: named.clone(), schema });
        }
        _ if found.len() > 1 => return Err(UndoError::SeveralParked { schema, found }),
        _ => match found.pop() {
            Some(only) => only,
            None if !Owned::read(connection, &schema).await?.is_empty() => {
                report.status = RestoreStatus::NothingToDo;
                return Ok((Source::Nothing, report));
            }
            None => return Err(UndoError::NothingParked { schema }),
        },
    };
    let owned = Owned::read(connection, &parked).await?;
    if owned.is_empty() {
        return Err(UndoError::NotParked { named: parked, schema });
    }
    refuse_what_is_in_the_way(connection, &schema, &owned.table_names()).await?;
    let mark = park::read_mark(connection, &parked).await?;
    report.from = Some(Origin::Parked { schema: parked });
    report.tables.clone_from(&owned.tables);
    report.functions.clone_from(&owned.functions);
    report.left_parked.clone_from(&owned.others);
    Ok((Source::Parked { owned, mark }, report))
}

/// Whether an earlier run has brought back what the backup holds, row for row.
async fn is_restored_already(
    connection: &mut PgConnection,
    schema: &Identifier,
    header: &Header,
) -> Result<bool, UndoError> {
    let mut transaction = connection.begin().await?;
    let here = Owned::read(&mut transaction, schema).await?;
    let content = backup::digest(&mut transaction, &here, schema).await?;
    transaction.rollback().await?;
    Ok(header.content.is_restored_as(&content))
}

/// Whether the content is what was parked. Where the server was upgraded since, that cannot be said.
fn is_as_parked(mark: Option<&Mark>, content: &Contents, server: i32) -> bool {
    mark.is_some_and(|mark| same_major(mark.server, server) && mark.sha256 == content.sha256)
}

fn same_major(one: i32, other: i32) -> bool {
    one.checked_div(10_000) == other.checked_div(10_000)
}

/// Relations and types of the tables' names and functions of our signatures, whoever made them.
async fn refuse_what_is_in_the_way(
    connection: &mut PgConnection,
    schema: &Identifier,
    tables: &[&str],
) -> Result<(), UndoError> {
    let (names, arguments): (Vec<&str>, Vec<&str>) = FUNCTIONS.into_iter().unzip();
    let objects: Vec<String> = sqlx::query_scalar(
        "WITH s AS (SELECT oid FROM pg_namespace WHERE nspname = $1), found (classid, objid) AS ( \
             SELECT 'pg_class'::regclass, c.oid FROM pg_class c, s \
                 WHERE c.relnamespace = s.oid AND c.relname = ANY ($2) \
             UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t, s \
                 WHERE t.typnamespace = s.oid AND t.typname = ANY ($2) AND t.typrelid = 0 \
             UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p, s, unnest($3::text[], $4::text[]) AS f (name, arguments) \
                 WHERE p.pronamespace = s.oid AND p.proname = f.name AND oidvectortypes(p.proargtypes) = f.arguments) \
         SELECT i.type || ' ' || i.identity FROM found f, pg_identify_object(f.classid, f.objid, 0) i \
         ORDER BY (i.type || ' ' || i.identity) COLLATE \"C\"",
    )
    .bind(schema.as_str())
    .bind(tables)
    .bind(names)
    .bind(arguments)
    .fetch_all(connection)
    .await?;
    if objects.is_empty() {
        return Ok(());
    }
    Err(UndoError::InTheWay { schema: schema.clone(), objects })
}

async fn make_schema(connection: &mut PgConnection, schema: &Identifier) -> Result<(), sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(schema.as_str())
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let sql = format!("CREATE SCHEMA {}", schema.quoted());
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    }
    Ok(())
}

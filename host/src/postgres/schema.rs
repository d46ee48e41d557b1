//! The SQL files of `migrations/`, embedded in the binary and applied in a transaction that the caller owns.
//!
//! sqlx's own migrator is not used to run them: it blocks in its lock, keeps a ledger of its own, and begins and
//! commits by itself, while here everything of a migration commits together.

mod recorded;

pub use recorded::{
    AUDIT_FUNCTIONS, CREATE_AUDIT_LOG, CREATE_KEY_TABLES, KEY_FUNCTIONS, KEY_TABLES, REVOKED_KEYS,
    SIGNING_KEYS, ensure_audit_log, ensure_key_tables,
};

use std::fmt;

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::migrate::{Migration, Migrator};

use super::audit::AuditError;
use super::identifier::Identifier;
use super::refusal::{REFUSAL_HELP, refusal_help};
use super::retry::{LOCK_NOT_AVAILABLE, SqlState};
use crate::error::HostError;
use crate::exit::Exit;

/// The file that creates the audit log; it is committed on its own, before everything else.
pub const AUDIT_FILE: i64 = 1;

static FILES: Migrator = sqlx::migrate!("../migrations");
/// What is applied apart from migrations; the macro above takes no file of a directory below.
static KEY_FILES: Migrator = sqlx::migrate!("../migrations/keys");

/// An SQL file that is part of this binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SqlFile {
    /// The number its name begins with.
    pub version: i64,
    /// The words of its name.
    pub description: &'static str,
    /// SHA-384 of its text.
    #[serde(serialize_with = "serialize_hex")]
    pub checksum: &'static [u8],
    /// Its text.
    #[serde(skip)]
    pub sql: &'static str,
    /// Where it lies below `migrations/`, with a slash at the end.
    #[serde(skip)]
    directory: &'static str,
}

impl SqlFile {
    /// Its name in `migrations/`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}{}", self.directory, file_name(self.version, self.description))
    }
}

/// The embedded files of migrations, in the order in which they are applied.
pub fn files() -> impl Iterator<Item = SqlFile> {
    embedded(&FILES, "")
}

/// The embedded files that [`ensure_key_tables`] applies, in their order.
pub fn key_files() -> impl Iterator<Item = SqlFile> {
    embedded(&KEY_FILES, "keys/")
}

fn embedded(files: &'static Migrator, directory: &'static str) -> impl Iterator<Item = SqlFile> {
    files.iter().map(move |file: &'static Migration| SqlFile {
        version: file.version,
        description: &file.description,
        checksum: &file.checksum,
        sql: file.sql.as_str(),
        directory,
    })
}

/// Makes `schema` the one that unqualified names mean, until the transaction ends.
///
/// # Errors
///
/// [`SchemaError::NoTransaction`] outside a transaction, where the setting would not last and names would mean tables of
/// some other schema.
pub async fn enter(connection: &mut PgConnection, schema: &Identifier) -> Result<(), SchemaError> {
    sqlx::query("select set_config('search_path', quote_ident($1) || ', pg_temp', true)")
        .bind(schema.as_str())
        .execute(&mut *connection)
        .await?;
    let there: bool =
        sqlx::query_scalar("select current_setting('search_path') = quote_ident($1) || ', pg_temp'")
            .bind(schema.as_str())
            .fetch_one(connection)
            .await?;
    if there { Ok(()) } else { Err(SchemaError::NoTransaction) }
}

/// Applies every file that the ledger does not record yet, and records it. An empty list: there was nothing to do.
///
/// # Errors
///
/// When a file that was applied has changed, when the database has files that this binary does not know, or when a
/// statement fails; the caller's transaction cannot commit then.
pub async fn apply(
    connection: &mut PgConnection,
    schema: &Identifier,
    applied_by: &str,
) -> Result<Vec<SqlFile>, SchemaError> {
    enter(connection, schema).await?;
    let recorded = check(connection, schema).await?;
    let new: Vec<SqlFile> =
        files().filter(|file| recorded.iter().all(|row| row.version != file.version)).collect();
    let audit_log = table_exists(connection, schema, "audit_log").await?;
    for file in &new {
        if file.version != AUDIT_FILE || !audit_log {
            run(connection, *file).await?;
        }
    }
    for file in &new {
        sqlx::query(
            "insert into pbac_migrations (id, kind, applied_by, tool_version, version, description, checksum) \
             select coalesce(max(id), 0) + 1, 'file', $1, $2, $3, $4, $5 from pbac_migrations",
        )
        .bind(applied_by)
        .bind(TOOL_VERSION)
        .bind(file.version)
        .bind(file.description)
        .bind(file.checksum)
        .execute(&mut *connection)
        .await?;
    }
    Ok(new)
}

/// The files that the ledger records, oldest first, each found to be what this binary holds. Without a ledger: none.
///
/// # Errors
///
/// When a file has changed since it was applied, or when this binary does not know it. Call it in a transaction.
pub async fn check(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<Vec<RecordedFile>, SchemaError> {
    enter(connection, schema).await?;
    if !table_exists(connection, schema, "pbac_migrations").await? {
        return Ok(Vec::new());
    }
    let recorded: Vec<RecordedFile> = sqlx::query_as(
        "select version, description, checksum from pbac_migrations where kind = 'file' order by version",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in &recorded {
        let file = files().find(|file| file.version == row.version).ok_or_else(|| SchemaError::Newer {
            file: file_name(row.version, &row.description),
            newest: files().map(|file| file.name()).last().unwrap_or_default(),
        })?;
        compare(file, Hex(&row.checksum).to_string())?;
    }
    Ok(recorded)
}

/// A file as the ledger records it.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordedFile {
    /// The number its name begins with.
    pub version: i64,
    /// The words of its name.
    pub description: String,
    /// SHA-384 of its text when it was applied.
    pub checksum: Vec<u8>,
}

/// Why the schema cannot be brought, or is not, to where this binary has it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A file is not what was applied.
    #[error(
        "`{file}` was changed after it was applied: the database has checksum {recorded}, this pbac has {current}"
    )]
    Changed {
        /// The file's name.
        file: String,
        /// SHA-384 when it was applied, as hexadecimal digits.
        recorded: String,
        /// SHA-384 as it is now.
        current: String,
    },
    /// The database is ahead.
    #[error("the database has `{file}`, which this pbac does not know; its newest file is `{newest}`")]
    Newer {
        /// The unknown file's name.
        file: String,
        /// The last file this binary holds.
        newest: String,
    },
    /// A table of the name of one of ours that nobody recorded.
    #[error("the schema has a table `{table}` that pbac did not create")]
    ForeignTable {
        /// The table.
        table: &'static str,
    },
    /// Statements that belong together were sent one by one.
    #[error("the schema can be worked on within a transaction only")]
    NoTransaction,
    /// The binary was built from an incomplete tree.
    #[error("this pbac was built without the file that creates the table `{table}`")]
    NoFile {
        /// The table.
        table: &'static str,
    },
    /// A statement of a file failed.
    #[error("`{file}` cannot be applied: {error}")]
    Statement {
        /// The file's name.
        file: String,
        /// What the server said.
        #[source]
        error: sqlx::Error,
    },
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The server refused.
    #[error("the database refused: {0}")]
    Server(#[from] sqlx::Error),
}

impl SqlState for SchemaError {
    fn sql_state(&self) -> Option<String> {
        match self {
            Self::Statement { error, .. } | Self::Server(error) => error.sql_state(),
            Self::Audit(error) => error.sql_state(),
            _ => None,
        }
    }
}

impl From<SchemaError> for HostError {
    fn from(error: SchemaError) -> Self {
        if error.sql_state().as_deref() == Some(LOCK_NOT_AVAILABLE) {
            return Self::new(Exit::Busy, error).help(BUSY_HELP);
        }
        let refused = refusal_help(&error).unwrap_or(REFUSAL_HELP);
        let (exit, help) = match &error {
            SchemaError::Changed { .. } => (
                Exit::Mismatch,
                "put the file back as it was, and write the change as a new file with the next number",
            ),
            SchemaError::Newer { .. } => {
                (Exit::Mismatch, "use the pbac that migrated this database, or a newer one")
            }
            SchemaError::ForeignTable { .. } => (Exit::Refused, "name another schema for pbac's tables"),
            SchemaError::NoTransaction | SchemaError::NoFile { .. } => {
                (Exit::Failed, "report this as a fault of pbac")
            }
            SchemaError::Statement { .. } | SchemaError::Audit(_) | SchemaError::Server(_) => {
                (Exit::Failed, refused)
            }
        };
        Self::new(exit, error).help(help)
    }
}

/// The version that is recorded beside everything this binary writes.
pub(crate) const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What to do when a lock was waited for in vain.
pub(crate) const BUSY_HELP: &str = "somebody else holds a lock on these tables; try again when they are done";

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(crate) fn serialize_hex<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Hex(bytes))
}

async fn run(connection: &mut PgConnection, file: SqlFile) -> Result<(), SchemaError> {
    let done = sqlx::raw_sql(file.sql).execute(connection).await;
    done.map_err(|error| SchemaError::Statement { file: file.name(), error })?;
    Ok(())
}

/// Whether the file is what was applied, by the hexadecimal digits of its checksum then.
fn compare(file: SqlFile, recorded: String) -> Result<(), SchemaError> {
    let current = Hex(file.checksum).to_string();
    if current == recorded {
        return Ok(());
    }
    Err(SchemaError::Changed { file: file.name(), recorded, current })
}

async fn table_exists(
    connection: &mut PgConnection,
    schema: &Identifier,
    table: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2)",
    )
    .bind(schema.as_str())
    .bind(table)
    .fetch_one(connection)
    .await
}

fn file_name(version: i64, description: &str) -> String {
    format!("{version:04}_{}.sql", description.replace(' ', "_"))
}

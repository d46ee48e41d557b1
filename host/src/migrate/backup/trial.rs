//! Trying a backup out: restored beside the original, compared with it, and taken away again.

use sqlx::{AssertSqlSafe, PgConnection};

use super::structure::Structure;
use super::{Backup, Contents, digest, shape};
use crate::migrate::drop::drop_objects;
use crate::migrate::owned::Owned;
use crate::migrate::park;
use crate::migrate::undo_error::UndoError;
use crate::postgres::Identifier;

/// Where a backup is tried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::migrate) enum Beside {
    /// In a schema of its own.
    New,
    /// In the empty schema of a user who may make none.
    Spare(Identifier),
    /// Where there is neither: in the place of what it was made of, which is taken away for as long. Whoever asks our
    /// functions waits meanwhile, so the tables have to be locked beforehand.
    Instead,
}

impl Beside {
    /// What this user may do.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub(in crate::migrate) async fn find(
        connection: &mut PgConnection,
        schema: &Identifier,
    ) -> Result<Self, UndoError> {
        if park::may_create(connection).await? {
            return Ok(Self::New);
        }
        let spare = park::spare_name(schema)?;
        let usable = park::spare_fault(connection, &spare).await?.is_none();
        Ok(if usable { Self::Spare(spare) } else { Self::Instead })
    }
}

/// Restores the backup within the transaction, holds it against what it was made of, and takes it away again: the content
/// by its digests, and beside the original the rows by `EXCEPT` in both directions too.
///
/// # Errors
///
/// When it cannot be restored or is not the same.
pub(in crate::migrate) async fn try_out(
    connection: &mut PgConnection,
    backup: &mut Backup,
    original: &Owned,
    beside: &Beside,
) -> Result<(), UndoError> {
    execute(connection, "SAVEPOINT pbac_trial".to_owned()).await?;
    let scratch = match beside {
        Beside::New => {
            let scratch = Identifier::new(format!("pbac_scratch_{:016x}", fastrand::u64(..)))?;
            execute(connection, format!("CREATE SCHEMA {}", scratch.quoted())).await?;
            scratch
        }
        Beside::Spare(spare) => spare.clone(),
        Beside::Instead => {
            drop_objects(connection, original).await?;
            original.schema.clone()
        }
    };
    if *beside != Beside::Instead {
        for owner in other_owners(connection, original).await? {
            execute(connection, format!("GRANT USAGE, CREATE ON SCHEMA {} TO {owner}", scratch.quoted()))
                .await?;
        }
    }
    backup.import(connection, &scratch).await?;
    let restored = Owned::read(connection, &scratch).await?;
    let content = digest(connection, &restored, &scratch).await?;
    let wanted = backup.header().content.clone();
    if !wanted.is_restored_as(&content) {
        let what = match different_line(connection, backup, &restored, &scratch).await? {
            Some(line) => format!("{}: `{line}`", difference(&wanted, &content)),
            None => difference(&wanted, &content),
        };
        return Err(UndoError::Trial { what });
    }
    for part in wanted.parts.iter().filter(|_| *beside != Beside::Instead) {
        let super::Part::Rows { table, columns, .. } = part else { continue };
        let different = differing_rows(connection, &original.schema, &scratch, table, columns).await?;
        if different > 0 {
            return Err(UndoError::Trial { what: format!("{different} rows of `{table}` differ") });
        }
    }
    Ok(execute(connection, "ROLLBACK TO SAVEPOINT pbac_trial; RELEASE SAVEPOINT pbac_trial".to_owned())
        .await?)
}

/// The first line of the backup's statements that what was restored from it does not have.
async fn different_line(
    connection: &mut PgConnection,
    backup: &mut Backup,
    restored: &Owned,
    scratch: &Identifier,
) -> Result<Option<String>, UndoError> {
    let found = Structure::read(connection, restored, scratch).await?;
    let wanted = backup.statements()?;
    let lines = found.before.lines().chain(found.after.lines());
    Ok(wanted
        .lines()
        .zip(lines)
        .find(|(wanted, found)| shape(wanted) != shape(found))
        .map(|(wanted, _)| wanted.to_owned()))
}

/// Owners of our objects who are not us need the right to own something in the scratch schema.
async fn other_owners(connection: &mut PgConnection, owned: &Owned) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT quote_ident(r.rolname) FROM pg_roles r WHERE r.rolname <> current_user AND r.oid IN ( \
         SELECT relowner FROM pg_class WHERE oid = ANY ($1) UNION SELECT proowner FROM pg_proc WHERE oid = ANY ($2))",
    )
    .bind(owned.table_oids())
    .bind(owned.function_oids())
    .fetch_all(connection)
    .await
}

async fn differing_rows(
    connection: &mut PgConnection,
    one: &Identifier,
    other: &Identifier,
    table: &str,
    columns: &[String],
) -> Result<i64, sqlx::Error> {
    let columns: Vec<String> =
        columns.iter().map(|column| format!("\"{}\"", column.replace('"', "\"\""))).collect();
    let of = |schema: &Identifier| format!("SELECT {} FROM {}.{table}", columns.join(", "), schema.quoted());
    let (one, other) = (of(one), of(other));
    let sql = format!(
        "SELECT count(*) FROM (({one} EXCEPT ALL {other}) UNION ALL ({other} EXCEPT ALL {one})) AS different"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
}

/// Where two contents first differ, for a person.
pub(in crate::migrate) fn difference(wanted: &Contents, found: &Contents) -> String {
    let (wanted, found) = (wanted.tables(), found.tables());
    let tables: Vec<&str> = wanted
        .iter()
        .filter(|(table, digest)| found.get(*table) != Some(*digest))
        .map(|(table, _)| *table)
        .collect();
    if tables.is_empty() {
        "the definitions of tables or functions differ".to_owned()
    } else {
        format!("the rows of `{}` differ", tables.join("`, `"))
    }
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

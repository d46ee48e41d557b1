//! Putting our tables and functions aside in a dated schema, and bringing them back: two renames, instant in both
//! directions, with every row, constraint, index, owner and right as it was.

use policy_core::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};

use super::owned::Owned;
use super::state::{PARKED_INFIX, SPARE_SUFFIX};
use super::undo_error::UndoError;
use crate::postgres::{Identifier, MAX_IDENTIFIER_BYTES};

/// The time in names: `20260131_235959`, in UTC.
const STAMP: &str = "%Y%m%d_%H%M%S";
const STAMP_BYTES: usize = 15;
/// The longest name of a schema that can be parked, in bytes.
pub(super) const MAX_PARKABLE_BYTES: usize = MAX_IDENTIFIER_BYTES - PARKED_INFIX.len() - STAMP_BYTES;

/// Where tables can be parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a new schema of this name.
    New(Identifier),
    /// In this one, which an administrator made for a user who may make none.
    Spare(Identifier),
}

impl Place {
    pub(super) const fn name(&self) -> &Identifier {
        match self {
            Self::New(name) | Self::Spare(name) => name,
        }
    }
}

/// What is remembered of parked tables, as the comment on their schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The version of this mark.
    pub(super) pbac_parked: u32,
    /// The schema they came from.
    pub(super) schema: String,
    /// The digest of their content, as a backup computes it.
    pub(super) sha256: String,
    /// The server's version then: another one may write definitions in another way.
    pub(super) server: i32,
}

/// The time as it stands in names of schemas and files.
pub(super) fn stamp(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_microsecond(now.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime(STAMP).to_string()
}

/// A second later: the next name to try.
pub(super) fn later(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(1_000_000))
}

/// The name of the schema that may have been made to park in: it has no date.
pub(super) fn spare_name(schema: &Identifier) -> Result<Identifier, UndoError> {
    Ok(Identifier::new(format!("{}{SPARE_SUFFIX}", schema.as_str()))?)
}

/// Where this user can park.
///
/// # Errors
///
/// When the name of the schema leaves no room for a date, when the user may make no schema and there is none made for
/// it, or when the server cannot be asked.
pub(super) async fn place(
    connection: &mut PgConnection,
    schema: &Identifier,
    now: Timestamp,
) -> Result<Place, UndoError> {
    if may_create(connection).await? {
        return Ok(Place::New(free_name(connection, schema, now).await?));
    }
    let spare = spare_name(schema)?;
    match spare_fault(connection, &spare).await? {
        None => Ok(Place::Spare(spare)),
        Some(why) => Err(UndoError::NoPlace { spare, why }),
    }
}

/// Whether this user may make schemas.
pub(super) async fn may_create(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT has_database_privilege(current_database(), 'CREATE')")
        .fetch_one(connection)
        .await
}

/// Why the spare schema cannot be parked in.
pub(super) async fn spare_fault(
    connection: &mut PgConnection,
    spare: &Identifier,
) -> Result<Option<&'static str>, sqlx::Error> {
    let owned: Option<bool> =
        sqlx::query_scalar("SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1")
            .bind(spare.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    match owned {
        None => return Ok(Some("is not there")),
        Some(false) => return Ok(Some("belongs to another user")),
        Some(true) => {}
    }
    let inside = Owned::read(connection, spare).await?;
    Ok((!inside.is_empty() || !inside.others.is_empty()).then_some("is not empty"))
}

/// The schema to park in: the name and the time, a second or more later where there is one of this name.
///
/// # Errors
///
/// When the name of the schema leaves no room for the date, or the server cannot be asked.
async fn free_name(
    connection: &mut PgConnection,
    schema: &Identifier,
    now: Timestamp,
) -> Result<Identifier, UndoError> {
    let bytes = schema.as_str().len();
    if bytes > MAX_PARKABLE_BYTES {
        return Err(UndoError::TooLong { schema: schema.clone(), bytes, most: MAX_PARKABLE_BYTES });
    }
    let mut time = now;
    loop {
        let name = Identifier::new(format!("{}{PARKED_INFIX}{}", schema.as_str(), stamp(time)))?;
        let taken: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(name.as_str())
            .fetch_one(&mut *connection)
            .await?;
        if !taken {
            return Ok(name);
        }
        time = later(time);
    }
}

/// Moves everything of ours into another schema, which remembers what it is.
///
/// # Errors
///
/// When the server refuses.
pub(super) async fn park(
    connection: &mut PgConnection,
    owned: &Owned,
    place: &Place,
    mark: &Mark,
) -> Result<(), UndoError> {
    let into = place.name();
    if matches!(place, Place::New(_)) {
        execute(connection, format!("CREATE SCHEMA {}", into.quoted())).await?;
    }
    let mark = serde_json::to_string(mark).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let comment: String =
        sqlx::query_scalar("SELECT format('COMMENT ON SCHEMA %I IS %L', $1::text, $2::text)")
            .bind(into.as_str())
            .bind(mark)
            .fetch_one(&mut *connection)
            .await?;
    execute(connection, comment).await?;
    move_objects(connection, owned, into).await
}

/// Moves everything of ours into another schema.
///
/// # Errors
///
/// When the server refuses, as it does where something of the same name is.
pub(super) async fn move_objects(
    connection: &mut PgConnection,
    owned: &Owned,
    into: &Identifier,
) -> Result<(), UndoError> {
    let into = into.quoted();
    for table in &owned.tables {
        let from = owned.schema.quoted();
        execute(connection, format!("ALTER TABLE {from}.{} SET SCHEMA {into}", table.name)).await?;
    }
    for function in &owned.functions {
        let from = function.quoted(&owned.schema);
        execute(connection, format!("ALTER FUNCTION {from} SET SCHEMA {into}")).await?;
    }
    Ok(())
}

/// Empties the place after everything was brought back. What was never ours stays where somebody put it, and then so
/// does the schema; and so does the one that the user could not make again.
///
/// # Errors
///
/// When the server refuses.
pub(super) async fn clear(
    connection: &mut PgConnection,
    schema: &Identifier,
    parked: &Identifier,
) -> Result<(), UndoError> {
    let left = Owned::read(connection, parked).await?;
    if !left.is_empty() || !left.others.is_empty() {
        return Ok(());
    }
    let name = parked.quoted();
    let statement = match *parked == spare_name(schema)? {
        true => format!("COMMENT ON SCHEMA {name} IS NULL"),
        false => format!("DROP SCHEMA {name} RESTRICT"),
    };
    Ok(execute(connection, statement).await?)
}

/// What a parked schema remembers; nothing where somebody replaced its comment.
///
/// # Errors
///
/// When the server cannot be asked.
pub(super) async fn read_mark(
    connection: &mut PgConnection,
    parked: &Identifier,
) -> Result<Option<Mark>, sqlx::Error> {
    let comment: Option<String> = sqlx::query_scalar(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1",
    )
    .bind(parked.as_str())
    .fetch_optional(connection)
    .await?
    .flatten();
    Ok(comment.and_then(|comment| serde_json::from_str(&comment).ok()))
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_still_has_room() {
        let name =
            format!("{}{PARKED_INFIX}{}", "x".repeat(MAX_PARKABLE_BYTES), stamp(Timestamp::from_seconds(0)));
        assert_eq!(name.len(), MAX_IDENTIFIER_BYTES);
        assert!(name.ends_with("_parked_19700101_000000"));
    }
}

//! The rows of the small tables that say which roles and permissions there are, and counts of the large ones.

use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use crate::error::HostError;
use crate::exit::Exit;
use crate::postgres::{Identifier, LOCK_NOT_AVAILABLE, QualifiedName, SqlState};

/// The most rows that are read of one table. What has more is no table of roles or permissions.
pub(super) const MAX_ROWS: usize = 200_000;

/// Which rows: each column, as text, has this value.
pub(super) type Filter<'f> = &'f [(&'f str, &'f str)];

/// The columns, as text, of all rows that the filter lets through, in byte order.
///
/// # Errors
///
/// When the table may not be read, or has more than [`MAX_ROWS`].
pub(super) async fn rows<const N: usize>(
    connection: &mut PgConnection,
    table: &QualifiedName,
    columns: [&str; N],
    filter: Filter<'_>,
) -> Result<Vec<[Option<String>; N]>, HostError> {
    let mut texts = Vec::with_capacity(N);
    for column in columns {
        texts.push(format!("{}::text COLLATE \"C\"", quoted(column)?));
    }
    let sql = format!(
        "SELECT ARRAY[{}] FROM {} {} ORDER BY {} LIMIT {}",
        texts.join(", "),
        table.quoted(),
        condition(filter)?,
        texts.join(", "),
        MAX_ROWS.saturating_add(1)
    );
    let mut query = sqlx::query_scalar::<_, Vec<Option<String>>>(AssertSqlSafe(sql));
    for (_, value) in filter {
        query = query.bind(value);
    }
    let found = query.fetch_all(connection).await.map_err(|error| refused(table, &error))?;
    if found.len() > MAX_ROWS {
        return Err(HostError::failed(format_args!(
            "`{table}` has more than {MAX_ROWS} rows, which is too many for roles or permissions"
        ))
        .help("name the preset with --preset, or write the policy by hand"));
    }
    Ok(found.into_iter().filter_map(|row| row.try_into().ok()).collect())
}

/// A value and how many rows have it.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Counted {
    /// The value as text.
    pub value: Option<String>,
    /// How many rows have it.
    pub rows: i64,
}

/// Every value of the column among the rows that the filter lets through, in byte order, NULL last.
///
/// # Errors
///
/// As [`rows`].
pub(super) async fn values(
    connection: &mut PgConnection,
    table: &QualifiedName,
    column: &str,
    filter: Filter<'_>,
) -> Result<Vec<Counted>, HostError> {
    let sql = format!(
        "SELECT {0}::text COLLATE \"C\" AS value, count(*) AS rows FROM {1} {2} GROUP BY 1 ORDER BY 1 LIMIT {3}",
        quoted(column)?,
        table.quoted(),
        condition(filter)?,
        MAX_ROWS.saturating_add(1)
    );
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    for (_, value) in filter {
        query = query.bind(value);
    }
    let found: Vec<Counted> = query.fetch_all(connection).await.map_err(|error| refused(table, &error))?;
    if found.len() > MAX_ROWS {
        return Err(HostError::failed(format_args!(
            "`{column}` of `{table}` has more than {MAX_ROWS} values, which is too many for roles or permissions"
        ))
        .help("name the column with `--choose role=…`, or write the policy by hand"));
    }
    Ok(found)
}

/// How many rows the filter lets through.
///
/// # Errors
///
/// When the table may not be read.
pub(super) async fn count(
    connection: &mut PgConnection,
    table: &QualifiedName,
    filter: Filter<'_>,
) -> Result<i64, HostError> {
    let sql = format!("SELECT count(*) FROM {} {}", table.quoted(), condition(filter)?);
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
    for (_, value) in filter {
        query = query.bind(value);
    }
    query.fetch_one(connection).await.map_err(|error| refused(table, &error))
}

/// How many rows have nothing in the column.
///
/// # Errors
///
/// When the table may not be read.
pub(super) async fn nulls(
    connection: &mut PgConnection,
    table: &QualifiedName,
    column: &str,
) -> Result<i64, HostError> {
    let sql = format!("SELECT count(*) FROM {} WHERE {} IS NULL", table.quoted(), quoted(column)?);
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.map_err(|error| refused(table, &error))
}

/// How many values of the column are in more than one row.
///
/// # Errors
///
/// When the table may not be read.
pub(super) async fn repeated(
    connection: &mut PgConnection,
    table: &QualifiedName,
    column: &str,
) -> Result<i64, HostError> {
    let sql = format!(
        "SELECT count(*) FROM (SELECT FROM {} GROUP BY {} HAVING count(*) > 1) repeated",
        table.quoted(),
        quoted(column)?
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.map_err(|error| refused(table, &error))
}

fn condition(filter: Filter<'_>) -> Result<String, HostError> {
    let mut parts = Vec::with_capacity(filter.len());
    for (place, (column, _)) in filter.iter().enumerate() {
        parts.push(format!("{}::text = ${}", quoted(column)?, place.saturating_add(1)));
    }
    Ok(if parts.is_empty() { String::new() } else { format!("WHERE {}", parts.join(" AND ")) })
}

fn quoted(column: &str) -> Result<String, HostError> {
    Ok(Identifier::new(column)?.quoted())
}

fn refused(table: &QualifiedName, error: &sqlx::Error) -> HostError {
    let state = error.sql_state();
    let busy = state.as_deref() == Some(LOCK_NOT_AVAILABLE);
    let exit = if busy { Exit::Busy } else { Exit::Failed };
    let failed = HostError::new(exit, format_args!("cannot read `{table}`: {error}"));
    match state.as_deref() {
        Some("42501") => {
            failed.help(format_args!("GRANT SELECT ON {table} to this user, or connect as another"))
        }
        _ if busy => failed.help("try again when nobody changes the table"),
        _ => failed,
    }
}

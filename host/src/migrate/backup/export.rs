//! Writing the content of a backup.

use std::io::{self, Write};

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use sqlx::postgres::types::Oid;

use super::structure::Structure;
use super::{COPY_END, Contents, Part, copy_statement, hex, shape};
use crate::migrate::owned::Owned;
use crate::migrate::undo_error::UndoError;
use crate::postgres::Identifier;
use crate::postgres::schema::enter;

/// Makes the transaction read and write values and definitions the same way everywhere, with `schema` first on the
/// search path.
pub(in crate::migrate) async fn prepare(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<(), UndoError> {
    enter(connection, schema).await?;
    let settings = [
        ("datestyle", "ISO, YMD"),
        ("timezone", "UTC"),
        ("intervalstyle", "postgres"),
        ("bytea_output", "hex"),
        ("extra_float_digits", "1"),
        // An error, rather than rows that a policy hides in silence.
        ("row_security", "off"),
        // The legacy tables that a function reads may have changed; that is no reason not to put it back.
        ("check_function_bodies", "off"),
    ];
    for (name, value) in settings {
        sqlx::query("SELECT set_config($1, $2, true)")
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Writes the content of a schema. `home` is the schema that its functions' search paths name.
///
/// # Errors
///
/// When the server refuses, or the sink cannot be written.
pub(in crate::migrate) async fn export(
    connection: &mut PgConnection,
    owned: &Owned,
    home: &Identifier,
    sink: &mut (dyn Write + Send),
) -> Result<Contents, UndoError> {
    prepare(connection, &owned.schema).await?;
    let structure = Structure::read(connection, owned, home).await?;
    let mut sink = Digested { sink, digest: Sha256::new(), shape: Sha256::new() };
    let mut parts = vec![sink.statements(&structure.before)?];
    for table in &owned.tables {
        let columns = columns(connection, table.oid).await?;
        sink.put(copy_statement(table.name, &columns).as_bytes())?;
        let (rows, bytes, sha256) =
            rows(connection, owned, table.name, table.oid, &columns, &mut sink).await?;
        sink.put(COPY_END.as_bytes())?;
        parts.push(Part::Rows { table: table.name.to_owned(), columns, rows, bytes, sha256 });
    }
    parts.push(sink.statements(&structure.after)?);
    let Digested { digest, shape, .. } = sink;
    Ok(Contents { sha256: hex(digest.finalize()), shape_sha256: hex(shape.finalize()), parts })
}

/// What [`export`] would write, without writing it.
///
/// # Errors
///
/// When the server refuses.
pub(in crate::migrate) async fn digest(
    connection: &mut PgConnection,
    owned: &Owned,
    home: &Identifier,
) -> Result<Contents, UndoError> {
    export(connection, owned, home, &mut io::sink()).await
}

/// Copies the rows in the order of the primary key: the number of rows and bytes, and the digest of the latter.
async fn rows(
    connection: &mut PgConnection,
    owned: &Owned,
    table: &str,
    oid: Oid,
    columns: &[String],
    sink: &mut Digested<'_>,
) -> Result<(u64, u64, String), UndoError> {
    let quoted = |names: &[String]| {
        names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect::<Vec<_>>().join(", ")
    };
    let key: Vec<String> = sqlx::query_scalar(
        "SELECT a.attname::text FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place), \
         pg_attribute a WHERE i.indrelid = $1 AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum \
         ORDER BY k.place",
    )
    .bind(oid)
    .fetch_all(&mut *connection)
    .await?;
    let order = if key.is_empty() { columns } else { &key };
    let statement = format!(
        "COPY (SELECT {} FROM {}.{table} ORDER BY {}) TO STDOUT",
        quoted(columns),
        owned.schema.quoted(),
        quoted(order)
    );
    let (mut rows, mut bytes, mut digest) = (0_u64, 0_u64, Sha256::new());
    let mut stream = connection.copy_out_raw(&statement).await?;
    while let Some(chunk) = stream.try_next().await? {
        // A line break inside a value is written as `\n`, so each one ends a row.
        let breaks = chunk.iter().filter(|byte| **byte == b'\n').count();
        rows = rows.saturating_add(u64::try_from(breaks).unwrap_or(u64::MAX));
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        digest.update(&chunk);
        sink.put(&chunk)?;
    }
    Ok((rows, bytes, hex(digest.finalize())))
}

async fn columns(connection: &mut PgConnection, table: Oid) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    )
    .bind(table)
    .fetch_all(connection)
    .await
}

struct Digested<'a> {
    sink: &'a mut (dyn Write + Send),
    digest: Sha256,
    shape: Sha256,
}

impl Digested<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), UndoError> {
        self.shape.update(bytes);
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), UndoError> {
        self.digest.update(bytes);
        self.sink.write_all(bytes).map_err(UndoError::Write)
    }

    fn statements(&mut self, text: &str) -> Result<Part, UndoError> {
        self.shape.update(shape(text));
        self.write(text.as_bytes())?;
        Ok(Part::Statements { bytes: u64::try_from(text.len()).unwrap_or(u64::MAX) })
    }
}

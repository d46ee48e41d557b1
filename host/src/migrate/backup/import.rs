//! Running the content of a backup.

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Backup, BackupError, COPY_END, Part, copy_statement, hex, prepare};
use crate::migrate::undo_error::UndoError;
use crate::postgres::Identifier;

/// The most bytes of statements in one part: they are held in memory.
const MAX_STATEMENT_BYTES: u64 = 16 << 20;

impl Backup {
    /// Makes everything in the content, in a schema that exists. Belongs into a transaction, whose settings it changes.
    ///
    /// # Errors
    ///
    /// When the server refuses, something of the same name is there, or the file changed under our hands.
    pub(in crate::migrate) async fn import(
        &mut self,
        connection: &mut PgConnection,
        schema: &Identifier,
    ) -> Result<(), UndoError> {
        prepare(connection, schema).await?;
        self.rewind()?;
        for part in self.header().content.parts.clone() {
            match part {
                Part::Statements { bytes } => {
                    let text = self.read_statements(bytes)?;
                    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await?;
                }
                Part::Rows { table, columns, rows, bytes, sha256 } => {
                    let statement = copy_statement(&table, &columns);
                    self.expect(&statement)?;
                    let found = self.import_rows(connection, &statement, bytes, &sha256).await?;
                    if found != rows {
                        return Err(self.damaged("a table has not as many rows as its header says").into());
                    }
                    self.expect(COPY_END)?;
                }
            }
        }
        Ok(())
    }

    /// All statements of the content, without the rows.
    pub(super) fn statements(&mut self) -> Result<String, UndoError> {
        self.rewind()?;
        let mut all = String::new();
        for part in self.header().content.parts.clone() {
            match part {
                Part::Statements { bytes } => all.push_str(&self.read_statements(bytes)?),
                Part::Rows { table, columns, bytes, .. } => self.skip_rows(&table, &columns, bytes)?,
            }
        }
        Ok(all)
    }

    fn read_statements(&mut self, bytes: u64) -> Result<String, BackupError> {
        if bytes > MAX_STATEMENT_BYTES {
            return Err(self.damaged("its statements are too long"));
        }
        String::from_utf8(self.read(bytes)?).map_err(|_| self.damaged("its statements are not UTF-8"))
    }

    async fn import_rows(
        &mut self,
        connection: &mut PgConnection,
        statement: &str,
        bytes: u64,
        sha256: &str,
    ) -> Result<u64, UndoError> {
        let mut copy = connection.copy_in_raw(statement.trim_end()).await?;
        let mut left = bytes;
        let mut digest = Sha256::new();
        while left > 0 {
            let chunk = match self.read_some(left) {
                Ok(chunk) => chunk,
                Err(error) => {
                    copy.abort("the backup cannot be read").await?;
                    return Err(error.into());
                }
            };
            left = left.saturating_sub(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            digest.update(&chunk);
            copy.send(chunk).await?;
        }
        if hex(digest.finalize()) != sha256 {
            copy.abort("the backup changed").await?;
            return Err(self.damaged("it changed while it was read").into());
        }
        Ok(copy.finish().await?)
    }
}

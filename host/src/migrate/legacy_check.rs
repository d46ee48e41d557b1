//! Whether the legacy tables are as they were when the policy was put in force: a rollback goes back to them.

use policy_core::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

use super::state::PolicyRun;
use super::undo_error::UndoError;
use crate::postgres::QualifiedName;
use crate::postgres::ledger::source_from_json;
use crate::postgres::source_functions::legacy_state;
use crate::report::time::serialize_moment;

/// The legacy table then and now. That they differ is no fault: the application goes on adding and changing users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegacyCheck {
    /// The table of users.
    pub table: QualifiedName,
    /// When the policy was put in force.
    #[serde(serialize_with = "serialize_moment")]
    pub then: Timestamp,
    /// How many users there were.
    pub users_then: i64,
    /// How many there are.
    pub users_now: i64,
    /// Whether every id, role and activity is what it was.
    pub unchanged: bool,
}

impl LegacyCheck {
    /// The difference in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { table, users_then, users_now, .. } = self;
        if self.unchanged {
            return format!(
                "`{table}` is as it was at the migration: {users_now} users, every role the same"
            );
        }
        let change = users_now.saturating_sub(*users_then);
        match change {
            0 => format!(
                "`{table}` has {users_now} users as at the migration, and the application has changed some"
            ),
            _ => format!(
                "`{table}` has {users_now} users, {change:+} since the migration: the application has changed it"
            ),
        }
    }
}

/// Counts and hashes the legacy users anew. Nothing where the policy named no legacy table.
///
/// # Errors
///
/// When the table is gone or cannot be read.
pub(super) async fn check(
    connection: &mut PgConnection,
    run: Option<&PolicyRun>,
) -> Result<Option<LegacyCheck>, UndoError> {
    let Some(run) = run else { return Ok(None) };
    let (Some(source), Some(users_then), Some(hash)) = (&run.source, run.legacy_rows, &run.legacy_hash)
    else {
        return Ok(None);
    };
    let source = source_from_json(source)?;
    let now = legacy_state(connection, &source).await?;
    let digits: String = now.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(LegacyCheck {
        table: source.table,
        then: run.applied_at,
        users_then,
        users_now: now.rows,
        unchanged: now.rows == users_then && digits == *hash,
    }))
}

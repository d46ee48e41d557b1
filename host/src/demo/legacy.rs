//! The legacy database of the demo.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use super::{files, unexpected};
use crate::error::HostError;

/// How many people the legacy database has, and of what kind.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct LegacySize {
    /// All of them.
    pub users: i64,
    /// Roles that occur among them.
    pub roles: i64,
    /// Those who are not active.
    pub inactive: i64,
    /// Those of whom the database does not say whether they are active.
    pub unsaid: i64,
}

impl LegacySize {
    /// Makes the legacy database with `users` people, in one transaction.
    ///
    /// # Errors
    ///
    /// When the server refuses a statement.
    pub async fn create(connection: &mut PgConnection, users: u32) -> Result<Self, HostError> {
        Self::load(connection, users).await.map_err(|error| unexpected(&error))
    }

    async fn load(connection: &mut PgConnection, users: u32) -> Result<Self, sqlx::Error> {
        sqlx::query("SELECT set_config('erp.users', $1, false)")
            .bind(users.to_string())
            .execute(&mut *connection)
            .await?;
        // The text is a file of this repository, compiled in.
        connection.execute(sqlx::raw_sql(AssertSqlSafe(files::LEGACY))).await?;
        let row = sqlx::query(
            "SELECT count(*), count(DISTINCT role), count(*) FILTER (WHERE NOT is_active), \
             count(*) FILTER (WHERE is_active IS NULL) FROM public.users",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self {
            users: row.try_get(0)?,
            roles: row.try_get(1)?,
            inactive: row.try_get(2)?,
            unsaid: row.try_get(3)?,
        })
    }
}

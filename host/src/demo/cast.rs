//! The people of the demo, picked from its legacy database.

use sqlx::PgConnection;

use super::unexpected;
use crate::error::HostError;

/// The ids of the people that the demo asks about: the first active one of each role.
#[derive(Clone, Debug)]
pub struct Cast {
    /// May approve purchase orders.
    pub purchasing_head: String,
    /// May not.
    pub warehouse_staff: String,
    /// Holds `*`.
    pub superadmin: String,
    /// Sews, but the account is not active.
    pub inactive: String,
}

impl Cast {
    /// Finds them.
    ///
    /// # Errors
    ///
    /// When one of them is missing.
    pub async fn find(connection: &mut PgConnection) -> Result<Self, HostError> {
        Ok(Self {
            purchasing_head: first(connection, "PURCHASING_HEAD", true).await?,
            warehouse_staff: first(connection, "WAREHOUSE_STAFF", true).await?,
            superadmin: first(connection, "SUPERADMIN", true).await?,
            inactive: first(connection, "OPERATOR_SEW", false).await?,
        })
    }
}

async fn first(connection: &mut PgConnection, role: &str, active: bool) -> Result<String, HostError> {
    let id: Option<String> = sqlx::query_scalar(
        "SELECT id::text FROM public.users WHERE role::text = $1 AND coalesce(is_active, false) = $2 \
         ORDER BY id LIMIT 1",
    )
    .bind(role)
    .bind(active)
    .fetch_optional(connection)
    .await
    .map_err(|error| unexpected(&error))?;
    id.ok_or_else(|| {
        let state = if active { "active" } else { "inactive" };
        HostError::failed(format_args!("the legacy database has no {state} `{role}`"))
            .help("ask for more people with --users")
    })
}

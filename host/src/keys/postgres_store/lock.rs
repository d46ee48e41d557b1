//! One change to the keys at a time: the lock of a transaction, which a pool in transaction mode and a killed process
//! both give back.
//!
//! It is tried and not waited for. Whoever finds it taken has found somebody who does what they want done, and a second
//! rotation after the first would retire a key that is seconds old.

use sqlx::PgConnection;

use super::error::Fault;
use crate::postgres::{Holder, Identifier, advisory_key};

/// The number of the advisory lock that a change to the keys of a schema holds.
#[must_use]
pub fn keys_lock_key(schema: &Identifier) -> i64 {
    advisory_key("pbac keys", schema)
}

/// Takes the lock until the transaction ends. Whatever was read before has to be read again.
///
/// # Errors
///
/// [`Fault::Busy`] where another transaction has it.
pub(super) async fn lock(connection: &mut PgConnection, schema: &Identifier) -> Result<(), Fault> {
    let key = keys_lock_key(schema);
    let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
        .bind(key)
        .fetch_one(&mut *connection)
        .await?;
    if ours {
        return Ok(());
    }
    let holder = Holder::of(key, connection).await?;
    Err(Fault::Busy { schema: schema.clone(), holder })
}

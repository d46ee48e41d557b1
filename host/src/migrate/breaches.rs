//! Which users hold two duties that should be apart (SPEC section 4), among however many there are.

use std::collections::BTreeMap;

use policy_core::{ConflictBreach, Policy, Timestamp};
use serde::Serialize;
use sqlx::PgConnection;

use super::fault::Fault;
use crate::legacy::{Census, Population};
use crate::postgres::Identifier;

/// How many users of a breach are named.
pub const MAX_BREACHERS: usize = 100;

/// Who breaks one conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// The conflict's name.
    pub conflict: String,
    /// Roles that hold both duties by themselves or by inheritance, in byte order.
    pub roles: Vec<String>,
    /// The first users who hold both duties, at most [`MAX_BREACHERS`], in byte order.
    pub users: Vec<String>,
    /// How many users hold both duties.
    pub user_count: u64,
}

/// The conflicts that roles or users break, by name, as the functions and overrides of `schema` have the users.
///
/// # Errors
///
/// When the server refuses, or the policy is too large to compile.
pub(super) async fn read(
    connection: &mut PgConnection,
    schema: &Identifier,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Breach>, Fault> {
    let users = format!("SELECT * FROM {}.all_users()", schema.quoted());
    let marked = BTreeMap::new();
    let census = Census {
        users: &users,
        overrides: Some(schema),
        coming: None,
        now,
        marked: &marked,
        keep: MAX_BREACHERS,
    };
    let population = Population::read(connection, &census).await?;
    let found = policy_core::breaches(&population.with_kinds(policy)?, now)?;
    Ok(found.into_iter().map(|breach| of_users(breach, &population)).collect())
}

/// The users of the kinds that the core names by their places.
fn of_users(breach: ConflictBreach, population: &Population) -> Breach {
    let places = breach.users.iter().filter_map(|place| place.parse::<usize>().ok());
    let (mut users, mut user_count) = (Vec::new(), 0_u64);
    for kind in places.filter_map(|place| population.kinds.get(place)) {
        users.extend(kind.first.iter().cloned());
        user_count = user_count.saturating_add(kind.users);
    }
    users.sort_unstable();
    users.truncate(MAX_BREACHERS);
    Breach { conflict: breach.conflict, roles: breach.roles, users, user_count }
}

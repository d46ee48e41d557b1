//! Writing a policy as the exact difference to what is stored.

use std::collections::BTreeMap;

use policy_core::Policy;
use serde::Serialize;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};

use super::super::identifier::Identifier;
use super::super::schema::enter;
use super::StoreError;

/// How many rows of one table were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableCounts {
    /// Rows that were not there.
    pub inserted: u64,
    /// Rows that said something else.
    pub updated: u64,
    /// Rows that the policy no longer has.
    pub deleted: u64,
}

/// How many rows were changed, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WriteCounts(pub BTreeMap<&'static str, TableCounts>);

impl WriteCounts {
    /// Whether nothing was changed: what is stored was this policy already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|counts| *counts == TableCounts::default())
    }

    fn of(&mut self, table: &'static str) -> &mut TableCounts {
        self.0.entry(table).or_default()
    }
}

/// Makes the catalog, the roles and the conflicts those of `policy`, and says what that changed. Overrides are never
/// touched; those of `policy` are not written. Call it in a transaction, under the lock of the schema.
///
/// # Errors
///
/// When the schema is not there, or the server refuses.
pub async fn write(
    connection: &mut PgConnection,
    schema: &Identifier,
    policy: &Policy,
) -> Result<WriteCounts, StoreError> {
    enter(connection, schema).await?;
    let mut counts = WriteCounts::default();
    let columns = Columns::of(policy);
    // What refers to a role goes before the role, and comes after it.
    for (table, delete) in [
        (GRANTS, columns.grants.bind(sqlx::query(DELETE_GRANTS))),
        (INHERITS, columns.inherits.bind(sqlx::query(DELETE_INHERITS))),
        (ALIASES, columns.aliases.bind(sqlx::query(DELETE_ALIASES))),
        (CONFLICTS, columns.conflicts.bind(sqlx::query(DELETE_CONFLICTS))),
        (PERMISSIONS, columns.permissions.bind(sqlx::query(DELETE_PERMISSIONS))),
    ] {
        counts.of(table).deleted = run(connection, delete).await?;
    }
    for (table, update, insert) in [
        (
            PERMISSIONS,
            Some(columns.permissions.bind(sqlx::query(UPDATE_PERMISSIONS))),
            columns.permissions.bind(sqlx::query(INSERT_PERMISSIONS)),
        ),
        (
            ROLES,
            Some(columns.roles.bind(sqlx::query(UPDATE_ROLES))),
            columns.roles.bind(sqlx::query(INSERT_ROLES)),
        ),
        (GRANTS, None, columns.grants.bind(sqlx::query(INSERT_GRANTS))),
        (INHERITS, None, columns.inherits.bind(sqlx::query(INSERT_INHERITS))),
        (
            ALIASES,
            Some(columns.aliases.bind(sqlx::query(UPDATE_ALIASES))),
            columns.aliases.bind(sqlx::query(INSERT_ALIASES)),
        ),
        (
            CONFLICTS,
            Some(columns.conflicts.bind(sqlx::query(UPDATE_CONFLICTS))),
            columns.conflicts.bind(sqlx::query(INSERT_CONFLICTS)),
        ),
    ] {
        if let Some(update) = update {
            counts.of(table).updated = run(connection, update).await?;
        }
        counts.of(table).inserted = run(connection, insert).await?;
    }
    counts.of(ROLES).deleted = run(connection, columns.roles.bind(sqlx::query(DELETE_ROLES))).await?;
    Ok(counts)
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

async fn run(connection: &mut PgConnection, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
    Ok(statement.execute(connection).await?.rows_affected())
}

/// The rows of one table, column by column, as arrays to bind: a value is never part of a statement's text.
struct Rows<'p>(Vec<Vec<&'p str>>);

impl<'p> Rows<'p> {
    fn of<const N: usize>(rows: impl Iterator<Item = [&'p str; N]>) -> Self {
        let mut columns = vec![Vec::new(); N];
        for row in rows {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        Self(columns)
    }

    fn bind<'q>(&'q self, mut statement: Statement<'q>) -> Statement<'q> {
        for column in &self.0 {
            statement = statement.bind(column);
        }
        statement
    }
}

struct Columns<'p> {
    permissions: Rows<'p>,
    roles: Rows<'p>,
    grants: Rows<'p>,
    inherits: Rows<'p>,
    aliases: Rows<'p>,
    conflicts: Rows<'p>,
}

impl<'p> Columns<'p> {
    fn of(policy: &'p Policy) -> Self {
        let roles = policy.roles();
        Self {
            permissions: Rows::of(
                policy.permissions().iter().map(|p| [p.name.as_str(), p.module.as_str(), &p.description]),
            ),
            roles: Rows::of(roles.iter().map(|role| [role.name.as_str(), &role.description])),
            grants: Rows::of(
                roles
                    .iter()
                    .flat_map(|role| role.grants.iter().map(|grant| [role.name.as_str(), grant.as_str()])),
            ),
            inherits: Rows::of(
                roles
                    .iter()
                    .flat_map(|role| role.inherits.iter().map(|other| [role.name.as_str(), other.as_str()])),
            ),
            aliases: Rows::of(
                roles
                    .iter()
                    .flat_map(|role| role.aliases.iter().map(|alias| [alias.as_str(), role.name.as_str()])),
            ),
            conflicts: Rows::of(
                policy
                    .conflicts()
                    .iter()
                    .map(|c| [c.name.as_str(), c.left.as_str(), c.right.as_str(), &c.reason]),
            ),
        }
    }
}

const PERMISSIONS: &str = "permissions";
const ROLES: &str = "roles";
const GRANTS: &str = "role_permissions";
const INHERITS: &str = "role_inherits";
const ALIASES: &str = "role_aliases";
const CONFLICTS: &str = "conflicts";

// Each statement takes all columns of its table, so that one binding fits the three of them. An anti-join, since a list
// of 65,535 names compared with `<> all` would take the square of that.
const DELETE_PERMISSIONS: &str = "with new (name, module, description) as (select * from unnest($1::text[], $2::text[], $3::text[])) \
    delete from permissions t where not exists (select from new n where n.name = t.name)";
const UPDATE_PERMISSIONS: &str = "update permissions t set module = n.module, description = n.description \
    from unnest($1::text[], $2::text[], $3::text[]) n (name, module, description) \
    where n.name = t.name and (n.module <> t.module or n.description <> t.description)";
const INSERT_PERMISSIONS: &str = "insert into permissions (name, module, description) \
    select * from unnest($1::text[], $2::text[], $3::text[]) on conflict do nothing";

const DELETE_ROLES: &str = "with new (name, description) as (select * from unnest($1::text[], $2::text[])) \
    delete from roles t where not exists (select from new n where n.name = t.name)";
const UPDATE_ROLES: &str = "update roles t set description = n.description \
    from unnest($1::text[], $2::text[]) n (name, description) \
    where n.name = t.name and n.description <> t.description";
const INSERT_ROLES: &str = "insert into roles (name, description) \
    select * from unnest($1::text[], $2::text[]) on conflict do nothing";

const DELETE_GRANTS: &str = "delete from role_permissions t where not exists \
    (select from unnest($1::text[], $2::text[]) n (role, pattern) where n.role = t.role and n.pattern = t.pattern)";
const INSERT_GRANTS: &str = "insert into role_permissions (role, pattern) \
    select * from unnest($1::text[], $2::text[]) on conflict do nothing";

const DELETE_INHERITS: &str = "delete from role_inherits t where not exists \
    (select from unnest($1::text[], $2::text[]) n (role, inherits) where n.role = t.role and n.inherits = t.inherits)";
const INSERT_INHERITS: &str = "insert into role_inherits (role, inherits) \
    select * from unnest($1::text[], $2::text[]) on conflict do nothing";

const DELETE_ALIASES: &str = "with new (alias, role) as (select * from unnest($1::text[], $2::text[])) \
    delete from role_aliases t where not exists (select from new n where n.alias = t.alias)";
const UPDATE_ALIASES: &str = "update role_aliases t set role = n.role \
    from unnest($1::text[], $2::text[]) n (alias, role) where n.alias = t.alias and n.role <> t.role";
const INSERT_ALIASES: &str = "insert into role_aliases (alias, role) \
    select * from unnest($1::text[], $2::text[]) on conflict do nothing";

const DELETE_CONFLICTS: &str = "with new (name, left_pattern, right_pattern, reason) as \
        (select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])) \
    delete from conflicts t where not exists (select from new n where n.name = t.name)";
const UPDATE_CONFLICTS: &str = "update conflicts t \
    set left_pattern = n.left_pattern, right_pattern = n.right_pattern, reason = n.reason \
    from unnest($1::text[], $2::text[], $3::text[], $4::text[]) n (name, left_pattern, right_pattern, reason) \
    where n.name = t.name and (n.left_pattern <> t.left_pattern or n.right_pattern <> t.right_pattern or n.reason <> t.reason)";
const INSERT_CONFLICTS: &str = "insert into conflicts (name, left_pattern, right_pattern, reason) \
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) on conflict do nothing";

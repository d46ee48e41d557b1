//! Whether what is stored, asked as the application will ask it, answers as the policy file says.
//!
//! The four validations of the source document, each computed both ways: SQL against the policy core.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use policy_core::{Index, Override, Policy, PolicyParts, Roles, Timestamp, UserId};
use serde::Serialize;
use sqlx::PgConnection;

use super::fault::Fault;
use super::tables;
use crate::legacy::role_of;
use crate::policy_file::{PolicyFile, Source};
use crate::postgres::{Identifier, policy_store, schema};

/// How many mismatches a check names; it counts all of them.
pub const MAX_NAMED: usize = 10;
/// How many users with overrides are compared one by one; their number is reported.
pub const MAX_OVERRIDDEN: usize = 500;

/// How many groups of users with the same labels and activity are compared, each by one of them; their number is reported.
pub const MAX_LABEL_SETS: usize = 1_000;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Every active user resolves to a role, and SQL gives what the policy core gives.
    Users,
    /// The catalog is the policy's.
    Permissions,
    /// Each role's patterns, inherited roles and aliases are the policy's.
    RoleMappings,
    /// The tables are there, with their columns.
    Tables,
    /// The SQL files are those that were applied.
    Files,
    /// The stored policy is the one that the ledger records.
    Ledger,
    /// Every legacy label stands for a role, every user has one, and it is known who is active.
    Labels,
}

impl Check {
    /// The word for it in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Permissions => "permissions",
            Self::RoleMappings => "role_mappings",
            Self::Tables => "tables",
            Self::Files => "files",
            Self::Ledger => "ledger",
            Self::Labels => "labels",
        }
    }
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was checked.
    pub check: Check,
    /// Whether it holds.
    pub holds: bool,
    /// What was compared, in numbers.
    pub compared: String,
    /// How much does not agree.
    pub mismatches: usize,
    /// The first of it, at most [`MAX_NAMED`].
    pub first: Vec<String>,
}

impl Checked {
    /// A check that found these mismatches.
    #[must_use]
    pub fn new(check: Check, compared: String, mut mismatches: Vec<String>) -> Self {
        let count = mismatches.len();
        mismatches.truncate(MAX_NAMED);
        Self { check, holds: count == 0, compared, mismatches: count, first: mismatches }
    }
}

/// The document's four validations, in its order, in the caller's transaction.
///
/// # Errors
///
/// When the server refuses a query. What does not agree is no error but a [`Checked`] that does not hold.
pub async fn validations(
    connection: &mut PgConnection,
    schema: &Identifier,
    file: &PolicyFile,
    now: Timestamp,
) -> Result<Vec<Checked>, Fault> {
    // Without the tables the other three cannot even be asked.
    let tables = tables::check(connection, schema).await?;
    if !tables.holds {
        return Ok(vec![tables]);
    }
    schema::enter(connection, schema).await?;
    // Tables made a moment ago have no statistics: PostgreSQL takes the queries for huge, and would spend most of a
    // second compiling what runs for milliseconds.
    sqlx::query("SELECT set_config('jit', 'off', true)").execute(&mut *connection).await?;
    Ok(vec![
        users(connection, schema, file, now).await?,
        permissions(connection, &file.policy).await?,
        role_mappings(connection, &file.policy).await?,
        tables,
    ])
}

/// The users with the same labels and activity.
#[derive(sqlx::FromRow)]
struct Group {
    labels: Vec<String>,
    /// What each label stands for, in the same order; `None` for one that the policy ignores.
    roles: Vec<Option<String>>,
    active: Option<bool>,
    users: i64,
    first: Option<String>,
    /// One of them without overrides.
    plain: Option<String>,
}

/// A user to compare: whom, with which labels, active or not.
#[derive(sqlx::FromRow)]
struct Person {
    user_id: String,
    labels: Vec<String>,
    active: Option<bool>,
}

async fn users(
    connection: &mut PgConnection,
    schema: &Identifier,
    file: &PolicyFile,
    now: Timestamp,
) -> Result<Checked, Fault> {
    let groups = Groups::read(connection, file).await?;
    let mut wrong = groups.wrong;
    let (overridden, all_overridden) = overridden(connection).await?;
    let mut overrides = Vec::new();
    for person in &overridden {
        let Ok(user) = UserId::parse(&person.user_id) else { continue };
        let stored = policy_store::list_overrides(connection, schema, &user).await?;
        overrides.extend(stored.into_iter().map(|stored| stored.entry));
    }
    let persons: Vec<Person> = groups.persons.into_iter().chain(overridden).collect();
    let compared = persons.len();
    let index = Index::compile(&with_overrides(&file.policy, overrides)?)?;
    compare_persons(connection, file, &index, persons, now, &mut wrong).await?;
    let roles = compare_roles(connection, &index, &mut wrong).await?;
    let mut some = String::new();
    for (most, all, of) in [
        (MAX_LABEL_SETS, groups.count, "users who differ in labels or activity"),
        (MAX_OVERRIDDEN, all_overridden, "users with overrides"),
    ] {
        if all > most {
            some.push_str(&format!(" ({most} of {all} {of})"));
        }
    }
    let compared = format!(
        "{} active users of {} labels; every permission of {compared} users{some} and {roles} roles",
        groups.active,
        groups.labels.len()
    );
    Ok(Checked::new(Check::Users, compared, wrong))
}

/// The users, group by group: those with the same labels and activity are the same to every question but for overrides.
#[derive(Default)]
struct Groups {
    /// How many groups there are.
    count: usize,
    /// How many users are active.
    active: i64,
    labels: BTreeSet<String>,
    /// One of each of the first [`MAX_LABEL_SETS`] groups.
    persons: Vec<Person>,
    wrong: Vec<String>,
}

impl Groups {
    async fn read(connection: &mut PgConnection, file: &PolicyFile) -> Result<Self, sqlx::Error> {
        let spellings: BTreeSet<String> =
            sqlx::query_scalar("SELECT name FROM roles UNION ALL SELECT alias FROM role_aliases")
                .fetch_all(&mut *connection)
                .await?
                .into_iter()
                .collect();
        let allows_no_role = file.source.as_ref().is_some_and(Source::allows_no_role);
        let mut groups = Self::default();
        let mut rows = sqlx::query_as::<_, Group>(GROUPS).fetch(connection);
        while let Some(group) = rows.try_next().await? {
            groups.count = groups.count.saturating_add(1);
            groups.wrong.extend(group.wrong(&spellings, allows_no_role));
            if group.active == Some(true) {
                groups.active = groups.active.saturating_add(group.users);
            }
            groups.labels.extend(group.labels.iter().cloned());
            if let Some(user_id) = group.plain.filter(|_| groups.persons.len() < MAX_LABEL_SETS) {
                groups.persons.push(Person { user_id, labels: group.labels, active: group.active });
            }
        }
        Ok(groups)
    }
}

impl Group {
    /// What is wrong with these users, if anything.
    fn wrong(&self, spellings: &BTreeSet<String>, allows_no_role: bool) -> Option<String> {
        let unresolved = self.labels.iter().zip(&self.roles).filter_map(|(label, role)| {
            role.as_ref().is_some_and(|role| !spellings.contains(role)).then_some(label.as_str())
        });
        let unresolved: Vec<&str> = unresolved.collect();
        let (labels, why) = match self.active {
            None => (self.labels.iter().map(String::as_str).collect(), "are neither active nor inactive"),
            Some(true) if !unresolved.is_empty() => (unresolved, "resolve to no role"),
            Some(true) if self.labels.is_empty() && !allows_no_role => (Vec::new(), "resolve to no role"),
            _ => return None,
        };
        let labels = match labels.as_slice() {
            [] => "label `NULL`".to_owned(),
            [one] => format!("label `{one}`"),
            several => format!("labels `{}`", several.join("`, `")),
        };
        let first = self.first.as_deref().unwrap_or("NULL");
        Some(format!("{} user(s) with {labels} {why} (first: `{first}`)", self.users))
    }
}

/// The users with overrides, as the legacy tables have them, and how many there are in all.
async fn overridden(connection: &mut PgConnection) -> Result<(Vec<Person>, usize), Fault> {
    let all: i64 = sqlx::query_scalar("SELECT count(DISTINCT user_id) FROM user_custom_permissions")
        .fetch_one(&mut *connection)
        .await?;
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT user_id FROM user_custom_permissions ORDER BY 1 LIMIT $1")
            .bind(i64::try_from(MAX_OVERRIDDEN).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await?;
    if ids.is_empty() {
        return Ok((Vec::new(), 0));
    }
    // Someone who is not in the legacy tables holds no role and is not inactive.
    let persons = sqlx::query_as(
        "SELECT w.id AS user_id, \
             coalesce(array_agg(u.label) FILTER (WHERE u.label IS NOT NULL), '{}') AS labels, \
             CASE WHEN count(u.user_id) = 0 THEN true WHEN bool_or(u.active IS NULL) THEN NULL ELSE bool_and(u.active) END AS active \
         FROM unnest($1::text[]) AS w (id) LEFT JOIN all_users() u ON u.user_id = w.id COLLATE \"C\" \
         GROUP BY w.id ORDER BY w.id COLLATE \"C\"",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok((persons, all))
}

fn with_overrides(policy: &Policy, overrides: Vec<Override>) -> Result<Policy, Fault> {
    Ok(Policy::new(PolicyParts { overrides, ..policy.clone().into_parts() })?)
}

/// Every permission of every person, both ways.
async fn compare_persons(
    connection: &mut PgConnection,
    file: &PolicyFile,
    index: &Index,
    persons: Vec<Person>,
    now: Timestamp,
    wrong: &mut Vec<String>,
) -> Result<(), Fault> {
    let ids: Vec<&str> = persons.iter().map(|person| person.user_id.as_str()).collect();
    let answers: Vec<(Vec<String>, bool)> = sqlx::query_as(
        "SELECT ARRAY(SELECT effective_permissions(w.id, to_timestamp($2::bigint / 1000000) \
             + ($2 % 1000000) * interval '1 microsecond')), user_is_active(w.id) \
         FROM unnest($1::text[]) WITH ORDINALITY AS w (id, place) ORDER BY w.place",
    )
    .bind(&ids)
    .bind(now.micros())
    .fetch_all(connection)
    .await?;
    let none = std::collections::BTreeMap::new();
    let rename = file.source.as_ref().map_or(&none, |source| &source.rename);
    if answers.len() != persons.len() {
        wrong.push(format!("SQL answers for {} of {} users", answers.len(), persons.len()));
    }
    for (person, (held, is_active)) in persons.iter().zip(answers) {
        let active = person.active == Some(true);
        if active != is_active {
            wrong.push(format!(
                "user `{}` is {} to SQL",
                person.user_id,
                if is_active { "active" } else { "inactive" }
            ));
        }
        let named: Vec<&str> =
            person.labels.iter().filter_map(|label| role_of(label, rename, &file.policy)).collect();
        let expected = if active {
            index.permissions_of(&person.user_id, Roles::Named(&named), now)
        } else {
            Vec::new()
        };
        differences(&format!("user `{}`", person.user_id), &expected, &held, wrong);
    }
    Ok(())
}

/// Every permission of every role, both ways; returns how many roles there are.
async fn compare_roles(
    connection: &mut PgConnection,
    index: &Index,
    wrong: &mut Vec<String>,
) -> Result<usize, Fault> {
    let stored: Vec<(String, Vec<String>)> = sqlx::query_as(ROLES).fetch_all(connection).await?;
    for name in index.role_names() {
        if !stored.iter().any(|(stored, _)| stored == name) {
            wrong.push(format!("role `{name}` is not stored"));
        }
    }
    for (name, held) in &stored {
        let expected: Vec<&str> = index.permissions_of_role(name).collect();
        differences(&format!("role `{name}`"), &expected, held, wrong);
    }
    Ok(stored.len())
}

fn differences(whose: &str, expected: &[&str], held: &[String], wrong: &mut Vec<String>) {
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    let held: BTreeSet<&str> = held.iter().map(String::as_str).collect();
    let (lacks, has) = (expected.difference(&held).count(), held.difference(&expected).count());
    if lacks > 0 || has > 0 {
        let first = expected.symmetric_difference(&held).next().copied().unwrap_or_default();
        wrong.push(format!(
            "{whose}: SQL lacks {lacks} and has {has} more of {} permissions (first: `{first}`)",
            expected.len()
        ));
    }
}

async fn permissions(connection: &mut PgConnection, policy: &Policy) -> Result<Checked, Fault> {
    let names: Vec<&str> = policy.permissions().iter().map(|entry| entry.name.as_str()).collect();
    let modules: Vec<&str> = policy.permissions().iter().map(|entry| entry.module.as_str()).collect();
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM permissions").fetch_one(&mut *connection).await?;
    let mut wrong = Vec::new();
    if usize::try_from(stored).ok() != Some(names.len()) {
        wrong.push(format!("{stored} permissions are stored, the policy has {}", names.len()));
    }
    let count: BTreeSet<&str> = modules.iter().copied().collect();
    let compared = format!("{} permissions in {} modules", names.len(), count.len());
    wrong.extend(both_ways(connection, PERMISSIONS, [&names, &modules], "permission").await?);
    Ok(Checked::new(Check::Permissions, compared, wrong))
}

async fn role_mappings(connection: &mut PgConnection, policy: &Policy) -> Result<Checked, Fault> {
    let mut wrong = Vec::new();
    let roles: Vec<&str> = policy.roles().iter().map(|role| role.name.as_str()).collect();
    let grants = policy
        .roles()
        .iter()
        .flat_map(|role| role.grants.iter().map(|grant| (role.name.as_str(), grant.as_str())));
    let (holders, patterns): (Vec<&str>, Vec<&str>) = grants.unzip();
    let inherits = policy
        .roles()
        .iter()
        .flat_map(|role| role.inherits.iter().map(|other| (role.name.as_str(), other.as_str())));
    let (heirs, inherited): (Vec<&str>, Vec<&str>) = inherits.unzip();
    let aliases = policy
        .roles()
        .iter()
        .flat_map(|role| role.aliases.iter().map(|alias| (role.name.as_str(), alias.as_str())));
    let (named, aliases): (Vec<&str>, Vec<&str>) = aliases.unzip();
    let compared = format!(
        "{} patterns, {} inherited roles and {} aliases of {} roles",
        patterns.len(),
        inherited.len(),
        aliases.len(),
        roles.len()
    );
    wrong.extend(both_ways(connection, ROLE_NAMES, [&roles, &roles], "role").await?);
    wrong.extend(both_ways(connection, GRANTS, [&holders, &patterns], "pattern of a role").await?);
    wrong.extend(both_ways(connection, INHERITS, [&heirs, &inherited], "inherited role").await?);
    wrong.extend(both_ways(connection, ALIASES, [&named, &aliases], "alias").await?);
    Ok(Checked::new(Check::RoleMappings, compared, wrong))
}

/// What only one side has of pairs that the policy has and a query finds.
async fn both_ways(
    connection: &mut PgConnection,
    sql: &'static str,
    [left, right]: [&Vec<&str>; 2],
    what: &str,
) -> Result<Vec<String>, Fault> {
    let rows: Vec<(bool, String, String)> =
        sqlx::query_as(sql).bind(left).bind(right).fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|(missing, left, right)| {
            let state = if missing { "is not stored" } else { "is stored and not in the policy" };
            if left == right {
                format!("{what} `{left}` {state}")
            } else {
                format!("{what} `{left}`: `{right}` {state}")
            }
        })
        .collect())
}

/// Several rows of one user add up, and one that is not active is enough.
const GROUPS: &str = "WITH users AS ( \
        SELECT u.user_id, \
            coalesce(array_agg(u.label ORDER BY u.label COLLATE \"C\") FILTER (WHERE u.label IS NOT NULL), '{}') AS labels, \
            coalesce(array_agg(u.role ORDER BY u.label COLLATE \"C\") FILTER (WHERE u.label IS NOT NULL), '{}') AS roles, \
            CASE WHEN bool_or(u.active IS NULL) THEN NULL ELSE bool_and(u.active) END AS active \
        FROM all_users() u GROUP BY u.user_id) \
    SELECT u.labels, u.roles, u.active, count(*) AS users, min(u.user_id COLLATE \"C\") AS first, \
        min(u.user_id COLLATE \"C\") FILTER (WHERE NOT EXISTS \
            (SELECT FROM user_custom_permissions o WHERE o.user_id = u.user_id COLLATE \"C\")) AS plain \
    FROM users u GROUP BY u.labels, u.roles, u.active ORDER BY u.labels, u.active";

/// Each distinct pattern is matched once against the catalog, whoever holds it.
const ROLES: &str = "WITH held AS MATERIALIZED \
        (SELECT r.name AS role, h.role AS holder FROM roles r CROSS JOIN LATERAL held_roles(ARRAY[r.name]) h), \
    covered AS MATERIALIZED (SELECT d.pattern, p.name FROM (SELECT DISTINCT pattern FROM role_permissions) d \
        JOIN permissions p ON covers(d.pattern, p.name)) \
    SELECT r.name, ARRAY(SELECT DISTINCT c.name FROM held h JOIN role_permissions g ON g.role = h.holder \
        JOIN covered c ON c.pattern = g.pattern WHERE h.role = r.name) \
    FROM roles r ORDER BY r.name";

/// `EXCEPT` both ways between the pairs of `$1` and `$2` and the two named columns of a table.
macro_rules! both_ways {
    ($columns:literal, $table:literal) => {
        concat!(
            "WITH policy (l, r) AS (SELECT l COLLATE \"C\", r COLLATE \"C\" FROM unnest($1::text[], $2::text[]) AS p (l, r)), \
             stored (l, r) AS (SELECT ",
            $columns,
            " FROM ",
            $table,
            ") SELECT true AS missing, l, r FROM (SELECT * FROM policy EXCEPT SELECT * FROM stored) m \
             UNION ALL SELECT false, l, r FROM (SELECT * FROM stored EXCEPT SELECT * FROM policy) e ORDER BY 2, 3"
        )
    };
}
const PERMISSIONS: &str = both_ways!("name, module", "permissions");
const ROLE_NAMES: &str = both_ways!("name, name", "roles");
const GRANTS: &str = both_ways!("role, pattern", "role_permissions");
const INHERITS: &str = both_ways!("role, inherits", "role_inherits");
const ALIASES: &str = both_ways!("role, alias", "role_aliases");

//! Every label: those that users have, and those that the database says there could be.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::Policy;
use sqlx::{AssertSqlSafe, PgConnection};

use super::finding::{Finding, FindingCode, MAX_FIRST};
use super::{Label, role_of};
use crate::policy_file::{RoleWay, Source};
use crate::postgres::source_functions::{Reading, name, table};
use crate::postgres::{Identifier, QualifiedName};

/// The labels in byte order, each with its role and its users.
pub(super) async fn read(
    connection: &mut PgConnection,
    source: &Source,
    policy: &Policy,
) -> Result<Vec<Label>, sqlx::Error> {
    let mut labels: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for label in declared(connection, source).await? {
        labels.entry(label).or_default();
    }
    let mut reading = Reading::of(connection, source).await?;
    let users = reading.all_users()?;
    let text = format!(
        "select b.label, count(*), count(*) filter (where b.active) from ({users}) b where b.label is not null group by 1"
    );
    let text = reading.ask(connection, &text).await?;
    let counts: Vec<(String, i64, i64)> = sqlx::query_as(AssertSqlSafe(text)).fetch_all(connection).await?;
    labels.extend(counts.into_iter().map(|(label, users, active)| (label, (users, active))));
    let label = |(label, (users, active)): (String, (i64, i64))| Label {
        role: role_of(&label, &source.rename, policy).map(str::to_owned),
        ignored: source.ignore_labels.contains(&label),
        label,
        users,
        active,
    };
    Ok(labels.into_iter().map(label).collect())
}

/// Labels that stand for no role, and what the file says of labels that do not occur.
pub(super) async fn findings(
    connection: &mut PgConnection,
    source: &Source,
    labels: &[Label],
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut found = Vec::new();
    let unknown: Vec<&Label> = labels.iter().filter(|label| label.role.is_none() && !label.ignored).collect();
    let mut first = first_of_each(connection, source, &unknown).await?;
    for label in unknown {
        let message = format!(
            "label `{}` stands for no role of the policy; name the role, give one this alias, or say which it is in [source.rename]",
            label.label
        );
        let ids = first.remove(&label.label).unwrap_or_default();
        found.push(Finding::stop(FindingCode::UnknownLabel, message).about(label.users, ids));
    }
    for (named, section) in [
        (source.rename.keys().collect::<Vec<_>>(), "[source.rename]"),
        (source.ignore_labels.iter().collect(), "`ignore_labels`"),
    ] {
        let unused: Vec<String> = named
            .into_iter()
            .filter(|named| labels.iter().all(|label| label.label != **named))
            .cloned()
            .collect();
        if !unused.is_empty() {
            let message = format!("labels of {section} do not occur; check their spelling");
            let count = i64::try_from(unused.len()).unwrap_or(i64::MAX);
            found.push(Finding::note(FindingCode::UnusedRename, message).about(count, unused));
        }
    }
    Ok(found)
}

async fn first_of_each(
    connection: &mut PgConnection,
    source: &Source,
    labels: &[&Label],
) -> Result<BTreeMap<String, Vec<String>>, sqlx::Error> {
    let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let names: Vec<&str> =
        labels.iter().filter(|label| label.users > 0).map(|label| label.label.as_str()).collect();
    if names.is_empty() {
        return Ok(first);
    }
    let mut reading = Reading::of(connection, source).await?;
    let users = reading.all_users()?;
    let users = reading.ask(connection, &users).await?;
    let text = format!(
        "select r.label, r.id from (select b.label, coalesce(b.user_id, 'NULL') as id, \
         row_number() over (partition by b.label order by length(b.user_id), b.user_id collate \"C\") as place \
         from ({users}) b where b.label = any ($1)) r where r.place <= {MAX_FIRST} order by r.label, r.place"
    );
    let rows: Vec<(String, String)> =
        sqlx::query_as(AssertSqlSafe(text)).bind(names).fetch_all(connection).await?;
    for (label, id) in rows {
        first.entry(label).or_default().push(id);
    }
    Ok(first)
}

/// Labels that nobody needs to have today: those of flags, of enumerations, and of the tables in which ways end.
async fn declared(connection: &mut PgConnection, source: &Source) -> Result<BTreeSet<String>, sqlx::Error> {
    let mut labels = BTreeSet::new();
    for way in &source.roles {
        let path = match way {
            RoleWay::Flag { label, .. } => {
                labels.insert(label.clone());
                continue;
            }
            RoleWay::Path(path) => path,
        };
        let suffixed_before = path.via.iter().rev().skip(1).any(|hop| hop.suffix.is_some());
        let Some(last) = path.via.last() else {
            if let Some(column) = &path.column {
                labels.extend(enumerated(connection, &source.table, column).await?);
            }
            continue;
        };
        // With a suffix from elsewhere the last table alone does not say what there could be.
        if suffixed_before {
            continue;
        }
        if last.suffix.is_none() {
            labels.extend(enumerated(connection, &last.table, &last.to).await?);
        }
        let mut reading = Reading::of(connection, source).await?;
        let suffix = last
            .suffix
            .as_ref()
            .map_or_else(String::new, |column| format!(" || '.' || h.{}::text", name(column)));
        let mut conditions = reading.condition("h", &last.only);
        conditions.push(format!("h.{}::text <> ''", name(&last.to)));
        let text = format!(
            "select distinct (h.{}::text{suffix}) collate \"C\" from {} h where {}",
            name(&last.to),
            table(&last.table),
            conditions.join(" and ")
        );
        let text = reading.ask(connection, &text).await?;
        let there: Vec<Option<String>> =
            sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(&mut *connection).await?;
        labels.extend(there.into_iter().flatten());
    }
    Ok(labels)
}

/// The labels of the enumeration that is a column's type, or stands under its domain, or is what its array holds.
async fn enumerated(
    connection: &mut PgConnection,
    table: &QualifiedName,
    column: &Identifier,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH RECURSIVE type (oid) AS ( \
            SELECT a.atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
            WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped \
            UNION SELECT under.oid FROM type JOIN pg_type t ON t.oid = type.oid, \
            LATERAL (VALUES (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem END)) AS under (oid) \
            WHERE under.oid <> 0) \
         SELECT e.enumlabel::text FROM type JOIN pg_enum e ON e.enumtypid = type.oid",
    )
    .bind(table.schema.as_str())
    .bind(table.table.as_str())
    .bind(column.as_str())
    .fetch_all(connection)
    .await
}

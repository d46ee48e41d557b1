//! Permissions that the legacy tables give to users themselves, past every role. They become overrides once, when the
//! source is first put in force; from then on overrides are pbac's.

use std::collections::BTreeMap;

use policy_core::{Effect, Policy};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use super::finding::{Finding, FindingCode};
use super::rows::first;
use crate::policy_file::Source;
use crate::postgres::source_functions::{Reading, meaning};

/// A legacy permission that users have of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectPermission {
    /// The permission as the legacy tables have it.
    pub name: String,
    /// Whether it is allowed or denied.
    pub effect: Effect,
    /// How many users have it.
    pub users: i64,
    /// What it means in this policy; `None` where nobody said. An empty list: nothing.
    pub patterns: Option<Vec<String>>,
}

/// What users have of their own, and whether the policy says what each of it means.
pub(super) async fn read(
    connection: &mut PgConnection,
    source: &Source,
    policy: &Policy,
) -> Result<(Vec<DirectPermission>, Vec<Finding>), sqlx::Error> {
    let mut reading = Reading::of(connection, source).await?;
    let Some(body) = reading.permissions() else { return Ok((Vec::new(), Vec::new())) };
    let text = format!("select b.name, b.effect, count(*) from ({body}) b group by 1, 2 order by 1, 2");
    let text = reading.ask(connection, &text).await?;
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as(AssertSqlSafe(text)).fetch_all(&mut *connection).await?;
    let known: BTreeMap<&str, Vec<&str>> = meaning(source, policy);
    let mut found = Vec::new();
    let mut direct = Vec::new();
    for (name, effect, users) in rows {
        let patterns = known.get(name.as_str());
        if patterns.is_none() {
            let one = reading.literals.add(&name);
            let ids = format!("select b.user_id from ({body}) b where b.name = {one}");
            let (count, first) = first(connection, &reading, &ids).await?;
            let message = format!(
                "legacy permission `{name}` of users stands for nothing in the catalog; say in [source.permission_names] which patterns it means, or none (`[]`)"
            );
            found.push(Finding::stop(FindingCode::UnmappedPermission, message).about(count, first));
        }
        direct.push(DirectPermission {
            effect: if effect == Effect::Deny.as_str() { Effect::Deny } else { Effect::Allow },
            users,
            patterns: patterns.map(|patterns| patterns.iter().map(|&pattern| pattern.to_owned()).collect()),
            name,
        });
    }
    let unused: Vec<String> = source
        .permission_names
        .keys()
        .filter(|name| direct.iter().all(|direct| direct.name != **name))
        .cloned()
        .collect();
    if !unused.is_empty() {
        let message =
            "names of [source.permission_names] are no user's own; check their spelling if one should be";
        let count = i64::try_from(unused.len()).unwrap_or(i64::MAX);
        found.push(Finding::note(FindingCode::UnusedRename, message).about(count, unused));
    }
    Ok((direct, found))
}

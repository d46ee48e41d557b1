//! What the legacy database says about users and roles: read, counted, and compared with the policy; never written.

mod finding;
mod population;
mod role_column;

use std::collections::BTreeMap;

use policy_core::Policy;
use serde::Serialize;
use sqlx::PgConnection;

use crate::policy_file::Source;
use crate::postgres::{Identifier, QualifiedName};

pub use finding::{Finding, FindingCode, MAX_FIRST};
pub use population::{Census, Kind, Population, SpelledLabel};

/// The legacy roles as they lie there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Legacy {
    /// The table of users.
    pub table: QualifiedName,
    /// How many users there are.
    pub users: i64,
    /// How many of them are active.
    pub active: i64,
    /// Every label: those that occur and those that the column's type allows, in byte order.
    pub labels: Vec<Label>,
    /// What is wrong or worth knowing.
    pub findings: Vec<Finding>,
}

/// One label of a legacy role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The label as stored, as text.
    pub label: String,
    /// The role of the policy that it stands for.
    pub role: Option<String>,
    /// How many users have it.
    pub users: i64,
    /// How many of them are active.
    pub active: i64,
}

impl Legacy {
    /// Reads what `source` names, and compares the labels with `policy`. What does not fit becomes a finding; where
    /// the table or a column is missing, there is nothing but findings.
    ///
    /// # Errors
    ///
    /// When the server refuses a query.
    pub async fn read(
        connection: &mut PgConnection,
        source: &Source,
        policy: &Policy,
    ) -> Result<Self, sqlx::Error> {
        role_column::read(connection, source, policy).await
    }

    /// Whether a finding forbids to go on.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.findings.iter().any(Finding::stops)
    }
}

/// The role of the policy that a legacy label stands for: by the file's renames, else by name or alias.
#[must_use]
pub fn role_of<'p>(label: &str, rename: &BTreeMap<String, String>, policy: &'p Policy) -> Option<&'p str> {
    policy.role(rename.get(label).map_or(label, String::as_str)).map(|role| role.name.as_str())
}

/// Whether an active user has one of the labels, and no active deny in the overrides of `schema`, where it has any.
///
/// # Errors
///
/// When the server refuses the query.
pub async fn any_undenied(
    connection: &mut PgConnection,
    source: &Source,
    labels: &[&str],
    schema: Option<&Identifier>,
) -> Result<bool, sqlx::Error> {
    role_column::any_undenied(connection, source, labels, schema).await
}

//! What the legacy database says about users and roles: read, counted, and compared with the policy; never written.

mod administrators;
mod circles;
mod direct;
mod facts;
mod finding;
pub mod foreign_wildcards;
mod labels;
mod population;
mod rows;

use std::collections::BTreeMap;

use policy_core::Policy;
use serde::Serialize;
use sqlx::PgConnection;

use crate::policy_file::Source;
use crate::postgres::QualifiedName;
use crate::postgres::source_functions::prepare_to_read;

pub use administrators::{Candidates, any_undenied};
pub use direct::DirectPermission;
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
    /// Every label: those that occur and those that enumerations and tables of roles allow, in byte order.
    pub labels: Vec<Label>,
    /// What users have of their own, where it is to become overrides: see [`Legacy::read_direct`].
    pub direct: Vec<DirectPermission>,
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
    /// Whether the policy says that it means nothing here.
    pub ignored: bool,
    /// How many users have it.
    pub users: i64,
    /// How many of them are active.
    pub active: i64,
}

impl Legacy {
    /// Reads what `source` names, and compares the labels with `policy`. What does not fit becomes a finding; where
    /// a table or a column is missing, there is nothing but findings.
    ///
    /// # Errors
    ///
    /// When the server refuses a query.
    pub async fn read(
        connection: &mut PgConnection,
        source: &Source,
        policy: &Policy,
    ) -> Result<Self, sqlx::Error> {
        let facts = facts::read(connection, source).await?;
        let mut legacy = Self {
            table: source.table.clone(),
            users: 0,
            active: 0,
            labels: Vec::new(),
            direct: Vec::new(),
            findings: facts.findings.clone(),
        };
        if legacy.stops() {
            return Ok(legacy);
        }
        prepare_to_read(connection).await?;
        let users = rows::Users::count(connection, source).await?;
        (legacy.users, legacy.active) = (users.all, users.active);
        legacy.labels = labels::read(connection, source, policy).await?;
        legacy.findings.extend(rows::findings(connection, source, &facts).await?);
        legacy.findings.extend(users.findings(connection, source, &facts).await?);
        legacy.findings.extend(labels::findings(connection, source, &legacy.labels).await?);
        Ok(legacy)
    }

    /// Reads what users have of their own as well, which matters until it has become overrides.
    ///
    /// # Errors
    ///
    /// When the server refuses a query.
    pub async fn read_direct(
        &mut self,
        connection: &mut PgConnection,
        source: &Source,
        policy: &Policy,
    ) -> Result<(), sqlx::Error> {
        let (direct, findings) = direct::read(connection, source, policy).await?;
        self.direct = direct;
        self.findings.extend(findings);
        Ok(())
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

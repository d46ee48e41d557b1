//! The access difference: for every user and every permission, what the legacy rules allow today against what the policy
//! will allow. All of them, of one moment, never a sample.
//!
//! Users of the same labels, activity and overrides have the same access, so each such kind is compared once
//! ([`Population`]); the policy's side is asked of the policy core, the legacy side of [`Endpoints::legacy_allows`].

mod comparison;
mod markdown;
mod sign_offs;
mod text;

use policy_core::{Index, LimitError, PolicyError, Timestamp};
use serde::Serialize;
use sqlx::PgConnection;

use crate::endpoints::Endpoints;
use crate::error::HostError;
use crate::legacy::{Census, MAX_FIRST, Population};
use crate::policy_file::{PolicyFile, Source};
use crate::postgres::policy_store::StoreError;
use crate::postgres::source_functions::{overrides_query, users_query};
use crate::postgres::{Identifier, QualifiedName, SqlState, ledger};
use crate::report::time::serialize_moment;

/// What is to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The policy, and who signed off what.
    pub file: &'a PolicyFile,
    /// Where the legacy roles lie.
    pub source: &'a Source,
    /// The legacy rules.
    pub endpoints: &'a Endpoints,
    /// The schema that holds overrides, where there is one.
    pub overrides: Option<&'a Identifier>,
    /// The moment: overrides that have expired do not count.
    pub now: Timestamp,
    /// How many users each change names; `None` for [`MAX_FIRST`]. Memory grows with it.
    pub keep: Option<usize>,
}

/// Who gains and who loses what.
///
/// A user gains a permission where some endpoint that asks for it turned the user away and will no longer, and loses it
/// where some endpoint let the user pass and will no longer. Two endpoints with one permission and different roles make
/// both possible at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessDiff {
    /// What the policy is called.
    pub policy: String,
    /// The moment it is about.
    #[serde(serialize_with = "serialize_moment")]
    pub at: Timestamp,
    /// The table of the legacy users.
    pub table: QualifiedName,
    /// How many users it has.
    pub users: u64,
    /// How many of them are active; all others hold nothing, before and after.
    pub active: u64,
    /// How many have overrides and are not in the table.
    pub strangers: u64,
    /// How many kinds of users were told apart.
    pub kinds: usize,
    /// How many permissions the catalog has.
    pub permissions: usize,
    /// How many endpoints the legacy rules have.
    pub endpoints: usize,
    /// Users times permissions.
    pub pairs: u64,
    /// Permissions of the catalog that no endpoint asks for: the policy gives them, and the legacy rules say nothing.
    pub not_compared: Vec<String>,
    /// Labels of active users that the legacy rules do not know, and so let through nowhere.
    pub unknown_labels: Vec<UnknownLabel>,
    /// What is gained, in numbers.
    pub gained: Gained,
    /// What is lost, in numbers.
    pub lost: Lost,
    /// Every difference, by what labels the users have.
    pub groups: Vec<GroupDiff>,
    /// The sign-offs of the policy file, and for how many users each stands.
    pub signed_off: Vec<SignOffUse>,
}

/// A label that is not among the roles of the legacy rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownLabel {
    /// As stored.
    pub label: String,
    /// How many active users have it.
    pub users: u64,
}

/// What is gained, in numbers. A pair is a user and a permission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gained {
    /// Users who gain something.
    pub users: u64,
    /// What they gain together.
    pub pairs: u64,
    /// Pairs that the policy file signs off.
    pub signed_off: u64,
    /// Pairs that only an override gives, which somebody decided by name when it was granted.
    pub by_override: u64,
    /// Pairs that nobody answers for: these stop a migration.
    pub open: u64,
}

/// What is lost, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Users who lose something.
    pub users: u64,
    /// What they lose together.
    pub pairs: u64,
    /// Pairs that a role gives and an override denies.
    pub by_override: u64,
}

/// What changes for the users of one set of labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupDiff {
    /// The labels as stored; none for users without a role.
    pub labels: Vec<String>,
    /// The roles of the policy that they stand for.
    pub roles: Vec<String>,
    /// Whether these are users who have overrides and are not in the table.
    pub strangers: bool,
    /// How many active users have exactly these labels.
    pub users: u64,
    /// What some or all of them gain, by permission.
    pub gained: Vec<Change>,
    /// What some or all of them lose, by permission.
    pub lost: Vec<Change>,
}

/// One permission that users of a group gain or lose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which one.
    pub permission: String,
    /// How many users of the group.
    pub users: u64,
    /// How many of them by an override only.
    pub by_override: u64,
    /// How many of them are signed off.
    pub signed_off: u64,
    /// How many of them nobody answers for. Always 0 for what is lost.
    pub open: u64,
    /// The roles of the group that give it, by name, inherited ones of theirs included.
    pub through: Vec<String>,
    /// What the policy says to the first of the users, for people.
    pub decision: String,
    /// The endpoints at which the two differ, as `METHOD /path`, in the order of the legacy rules.
    pub endpoints: Vec<String>,
    /// The first ids of the users, in byte order.
    pub first: Vec<String>,
}

/// A sign-off, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignOffUse {
    /// The role, or `None` for a user.
    pub role: Option<String>,
    /// The user, or `None` for a role.
    pub user: Option<String>,
    /// What is gained.
    pub permission: String,
    /// Who answers for it.
    pub by: String,
    /// Why it is meant.
    pub reason: String,
    /// For how many users it stands now.
    pub users: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AccessDiffError {
    /// The users or the overrides cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policy does not compile.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl AccessDiff {
    /// Compares everybody, in the caller's transaction: in one of at least REPEATABLE READ, all of one moment.
    ///
    /// # Errors
    ///
    /// When the server refuses, a stored override is damaged, or the policy is too large to compile.
    pub async fn compute(
        connection: &mut PgConnection,
        question: &Question<'_>,
    ) -> Result<Self, AccessDiffError> {
        let signed = sign_offs::SignOffs::of(&question.file.signed_off);
        let users = users_query(connection, question.source).await.map_err(StoreError::from)?;
        let coming = coming(connection, question).await.map_err(StoreError::from)?;
        let census = Census {
            users: &users,
            coming: coming.as_deref(),
            overrides: question.overrides,
            now: question.now,
            marked: signed.marked(),
            keep: question.keep.unwrap_or(MAX_FIRST),
        };
        let population = Population::read(connection, &census).await?;
        let policy = population.with_kinds(&question.file.policy).map_err(StoreError::from)?;
        let index = Index::compile(&policy)?;
        Ok(comparison::compare(question, &population, &index, signed))
    }

    /// Leaves only the differences of one role (a label, or what it stands for) and of one permission. The numbers stay
    /// those of all.
    pub fn only(&mut self, role: Option<&str>, permission: Option<&str>) {
        let is_of = |group: &GroupDiff| {
            role.is_none_or(|role| group.labels.iter().chain(&group.roles).any(|name| name == role))
        };
        self.groups.retain(is_of);
        for group in &mut self.groups {
            let is_about = |change: &Change| permission.is_none_or(|name| change.permission == name);
            group.gained.retain(is_about);
            group.lost.retain(is_about);
        }
        self.groups.retain(|group| !group.gained.is_empty() || !group.lost.is_empty());
    }

    /// What nobody answers for: each group and change, those of the most users first.
    #[must_use]
    pub fn open(&self) -> Vec<(&GroupDiff, &Change)> {
        let mut open: Vec<_> = self
            .groups
            .iter()
            .flat_map(|group| group.gained.iter().map(move |change| (group, change)))
            .filter(|(_, change)| change.open > 0)
            .collect();
        open.sort_by_key(|(_, change)| std::cmp::Reverse(change.open));
        open
    }

    /// The lines that would sign off what is open, for at most `most` roles and permissions, with the names to fill in.
    /// Empty when nothing is open.
    #[must_use]
    pub fn missing_sign_offs(&self, most: usize) -> String {
        sign_offs::missing(self, most)
    }

    /// The difference for a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::render(self)
    }
}

/// The overrides that the migration will make of what users have of their own, unless an earlier one did.
async fn coming(
    connection: &mut PgConnection,
    question: &Question<'_>,
) -> Result<Option<String>, sqlx::Error> {
    if question.source.permissions.is_empty() {
        return Ok(None);
    }
    if let Some(schema) = question.overrides
        && ledger::has_imported(connection, schema).await?
    {
        return Ok(None);
    }
    overrides_query(connection, question.source, &question.file.policy).await
}

impl GroupDiff {
    /// The labels in one line.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.labels.as_slice(), self.strangers) {
            ([], true) => "not in the table".to_owned(),
            ([], false) => "without a role".to_owned(),
            (labels, _) => labels.join(" + "),
        }
    }
}

impl SqlState for AccessDiffError {
    fn sql_state(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.sql_state(),
            Self::Limit(_) => None,
        }
    }
}

impl From<PolicyError> for AccessDiffError {
    fn from(error: PolicyError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<AccessDiffError> for HostError {
    fn from(error: AccessDiffError) -> Self {
        match error {
            AccessDiffError::Store(error) => error.into(),
            AccessDiffError::Limit(error) => Self::failed(error).help("make the policy smaller"),
        }
    }
}

//! `[source]`: where the legacy roles lie. Everything is named; nothing is guessed.
//!
//! One small algebra says all shapes: a table of users, and ways from a user to labels. A way starts at a column of the
//! users, may take its value apart (an array, a JSON list, a separated text), and follows any number of tables, over
//! which it may go on as long as it gets further (groups in groups). `docs/sources.md` shows each shape.

mod read;
mod record;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use policy_core::Effect;
use serde::{Deserialize, Serialize};

use crate::postgres::{Identifier, QualifiedName};

pub(super) use read::{Known, read, unknown_role};

/// Where the legacy roles lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "record::Record", try_from = "record::Record")]
pub struct Source {
    /// How the file says it.
    pub kind: SourceKind,
    /// The table of users.
    pub table: QualifiedName,
    /// The column of the user's id.
    pub user_id: Identifier,
    /// Which of its rows are users.
    pub only: Condition,
    /// Whether several rows are one user, as in a table of memberships that stands for a table of users.
    pub distinct: bool,
    /// What says whether a user is active. Without it, all are.
    pub activity: Option<Activity>,
    /// What a NULL in a boolean activity means. Without it, a NULL stops the run.
    pub null_active: Option<NullActive>,
    /// A NULL or an empty text where a role should be: with [`Treatment::Ignore`], no role.
    pub null_role: Treatment,
    /// Rows that lead to no user or to no role.
    pub orphans: Treatment,
    /// Tables that lead back to where a way came from.
    pub cycles: Treatment,
    /// Labels that mean nothing here; none of them is a role, an alias or renamed.
    pub ignore_labels: BTreeSet<String>,
    /// Legacy labels that mean a role of another name. The values are names of roles of the policy.
    pub rename: BTreeMap<String, String>,
    /// The ways from a user to labels; a user has the labels of all of them. One exactly for [`SourceKind::RoleColumn`].
    pub roles: Vec<RoleWay>,
    /// The ways from a user to permissions of its own.
    pub permissions: Vec<PermissionWay>,
    /// What legacy permissions mean here: patterns that match something in the catalog, or none where they mean nothing.
    pub permission_names: BTreeMap<String, Vec<String>>,
}

/// How the file says where the roles lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// One role a user, in a column of the table of users.
    RoleColumn,
    /// Any number of ways, each its own section.
    RolePaths,
}

/// What says whether a user is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A boolean column: true means active.
    Boolean(Identifier),
    /// A column of any type: NULL means active, as in `deleted_at`.
    InactiveIfSet(Identifier),
    /// A column of type `timestamptz`: inactive until then, as in a lock-out. NULL means active.
    InactiveUntil(Identifier),
}

impl Activity {
    /// The column.
    #[must_use]
    pub const fn column(&self) -> &Identifier {
        match self {
            Self::Boolean(column) | Self::InactiveIfSet(column) | Self::InactiveUntil(column) => column,
        }
    }

    /// The key of the policy file that names the column.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "active",
            Self::InactiveIfSet(_) => "inactive_if_set",
            Self::InactiveUntil(_) => "inactive_until",
        }
    }
}

/// What it means when it is not known whether a user is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NullActive {
    /// The user is active.
    Active,
    /// The user is not active, and holds no role.
    Inactive,
}

/// How to treat what should not be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// It stops the run.
    #[default]
    Stop,
    /// It is counted and grants nothing.
    Ignore,
}

impl Treatment {
    /// Whether it stops the run.
    #[must_use]
    pub fn stops(&self) -> bool {
        *self == Self::Stop
    }
}

/// Which rows of a table count: those of which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Columns whose value, as text, is one of these.
    #[serde(rename = "where", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub equals: BTreeMap<Identifier, BTreeSet<String>>,
    /// Columns that are NULL or the empty text.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub empty: BTreeSet<Identifier>,
}

impl Condition {
    /// Whether every row counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.equals.is_empty() && self.empty.is_empty()
    }

    /// The columns that it looks at.
    pub fn columns(&self) -> impl Iterator<Item = &Identifier> {
        self.equals.keys().chain(&self.empty)
    }
}

/// A way from a user to labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum RoleWay {
    /// A boolean column of the users: who has it set has the label.
    Flag {
        /// The column.
        flag: Identifier,
        /// The label.
        label: String,
    },
    /// A way that ends in the label.
    Path(SourcePath),
}

/// A way from a user to texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePath {
    /// The column of the users where it starts; the user's id where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<Identifier>,
    /// How the column holds its values.
    pub form: Form,
    /// The tables it follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Hop>,
}

/// How a column holds its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One value.
    One,
    /// An array of PostgreSQL.
    Array,
    /// A list of strings, in `json` or `jsonb`.
    Json,
    /// A text with a separator; blanks around the parts and empty parts do not count.
    List {
        /// What stands between two parts.
        separator: String,
    },
}

/// One table that a way follows: from the rows whose `from` is the value it comes with, it goes on with their `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// The table.
    pub table: QualifiedName,
    /// The column that is compared with the value.
    pub from: Identifier,
    /// The column of the next value.
    pub to: Identifier,
    /// Which rows count.
    #[serde(default, skip_serializing_if = "Condition::is_empty")]
    pub only: Condition,
    /// Goes on with the value itself and with all that the table leads to from it, in any number of steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closure: bool,
    /// A column whose text is put, after a dot, behind the text in which the way ends (`app_label` + `codename`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<Identifier>,
}

/// A way from a user to permissions of its own. They become overrides at the first migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionWay {
    /// The way, which ends in the names of legacy permissions.
    pub path: SourcePath,
    /// Whether they are allowed or denied.
    #[serde(with = "record::effect")]
    pub effect: Effect,
}

impl SourcePath {
    /// A column with one value a user.
    #[must_use]
    pub const fn column(name: Identifier) -> Self {
        Self { column: Some(name), form: Form::One, via: Vec::new() }
    }
}

impl Source {
    /// One role a user, in a column of the table of users; everybody is active.
    #[must_use]
    pub fn role_column(table: QualifiedName, user_id: Identifier, role: Identifier) -> Self {
        Self {
            kind: SourceKind::RoleColumn,
            table,
            user_id,
            only: Condition::default(),
            distinct: false,
            activity: None,
            null_active: None,
            null_role: Treatment::Stop,
            orphans: Treatment::Stop,
            cycles: Treatment::Stop,
            ignore_labels: BTreeSet::new(),
            rename: BTreeMap::new(),
            roles: vec![RoleWay::Path(SourcePath::column(role))],
            permissions: Vec::new(),
            permission_names: BTreeMap::new(),
        }
    }

    /// Every way that is followed: to labels first, then to permissions.
    pub fn paths(&self) -> impl Iterator<Item = &SourcePath> {
        let roles = self.roles.iter().filter_map(|way| match way {
            RoleWay::Path(path) => Some(path),
            RoleWay::Flag { .. } => None,
        });
        roles.chain(self.permissions.iter().map(|way| &way.path))
    }

    /// Every table that is read, the users first, none twice.
    #[must_use]
    pub fn tables(&self) -> Vec<&QualifiedName> {
        let mut tables = vec![&self.table];
        for hop in self.paths().flat_map(|path| &path.via) {
            if !tables.contains(&&hop.table) {
                tables.push(&hop.table);
            }
        }
        tables
    }

    /// Whether an active user without any role is as it should be: where roles are rows of other tables or entries of a
    /// list, one may have none of them.
    #[must_use]
    pub fn allows_no_role(&self) -> bool {
        let one_each = |way: &RoleWay| matches!(way, RoleWay::Path(path) if path.form == Form::One && path.column.is_some());
        !self.null_role.stops() || !self.orphans.stops() || !self.roles.iter().any(one_each)
    }
}

impl Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoleColumn => "role-column",
            Self::RolePaths => "role-paths",
        })
    }
}

impl Display for NullActive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        })
    }
}

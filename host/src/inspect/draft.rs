//! A policy that is drafted, with why each part of it is as it is.

mod policy_toml;
mod rules_toml;
mod toml_text;

use std::collections::{BTreeMap, BTreeSet};

use policy_core::{Pattern, PermissionName};

use super::names::Catalog;
use crate::policy_file::Source;

pub(super) use policy_toml::policy_toml;
pub(super) use rules_toml::rules_toml;

/// The draft of a policy.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// What the policy is called.
    pub name: String,
    /// The permissions that the database knows.
    pub catalog: Catalog,
    /// The roles, in the order in which they are written.
    pub roles: Vec<DraftRole>,
    /// Roles that pass every check there.
    pub bypass: BTreeSet<String>,
    /// Where the legacy roles lie.
    pub source: Source,
    /// What stands above a section, one line each.
    pub comments: BTreeMap<Part, Vec<String>>,
}

/// A part of the draft that can have comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The catalog.
    Catalog,
    /// The roles.
    Roles,
    /// The table of users.
    Users,
    /// What says whether a user is active.
    Activity,
    /// The ways to roles.
    RoleWays,
    /// The ways to permissions of users.
    PermissionWays,
    /// What legacy permissions mean here.
    PermissionNames,
}

/// A role of the draft.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftRole {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it holds.
    pub grants: BTreeSet<Pattern>,
    /// The roles that it inherits.
    pub inherits: BTreeSet<String>,
    /// Other spellings of it.
    pub aliases: BTreeSet<String>,
    /// What stands above it.
    pub comments: Vec<String>,
    /// The permissions that the framework gave it itself, by the framework's own meaning.
    pub held: BTreeSet<PermissionName>,
}

impl Draft {
    /// A draft in which nothing is known but where the roles lie.
    pub(super) fn new(source: Source) -> Self {
        Self {
            name: String::new(),
            catalog: Catalog::default(),
            roles: Vec::new(),
            bypass: BTreeSet::new(),
            source,
            comments: BTreeMap::new(),
        }
    }

    /// Adds a line above a part.
    pub(super) fn comment(&mut self, part: Part, line: impl Into<String>) {
        self.comments.entry(part).or_default().push(line.into());
    }
}

impl DraftRole {
    /// A role of which only the name is known.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

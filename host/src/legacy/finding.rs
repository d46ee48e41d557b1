//! What preflight finds: one sentence, a count, and the first few it is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::report::printable;

/// How many ids or names a finding lists.
pub const MAX_FIRST: usize = 5;

/// Something that was found before anything was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind it is.
    pub code: FindingCode,
    /// Whether it forbids to go on.
    pub stops: bool,
    /// The sentence, with what to do about it.
    pub message: String,
    /// How many rows, labels or pairs it is about.
    pub count: i64,
    /// The first of them, at most [`MAX_FIRST`].
    pub first: Vec<String>,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// The rights of the database user do not suffice.
    MissingRight,
    /// The legacy table or a column of it is not there.
    MissingSource,
    /// A legacy column has a type that cannot be read.
    WrongType,
    /// Row security may hide rows of the legacy table.
    RowSecurity,
    /// User ids that are null, empty, too long or there twice.
    BadUserId,
    /// NULL or an empty text where a role should be.
    NullRole,
    /// A value that is not of the form that the policy says, as a JSON text in place of a list.
    BadValue,
    /// Rows that lead to no user, or to no role.
    OrphanRow,
    /// Rows that lead back to where they came from.
    Cycle,
    /// A permission that users have of their own and that stands for nothing in the catalog.
    UnmappedPermission,
    /// The source names other places of users' own permissions than those that were taken over.
    ChangedPermissions,
    /// Each question will read a whole table.
    SlowLookup,
    /// Users of whom it is not known whether they are active.
    NullActive,
    /// A label that stands for no role of the policy.
    UnknownLabel,
    /// What the policy says of a label or a legacy permission that does not occur.
    UnusedRename,
    /// Nobody would be left who may do everything.
    NoAdministrator,
    /// The policy allows what the legacy rules did not.
    AccessGained,
    /// A sign-off of the policy file stands for nobody.
    UnusedSignOff,
    /// The policy denies what the legacy rules allowed.
    AccessLost,
    /// An endpoint asks for a permission that the catalog does not have.
    UnknownPermission,
    /// Roles that hold both duties of a conflict.
    Conflict,
    /// The policy itself is odd.
    Lint,
    /// Tables of others lie in our schema, or ours are not all there.
    ForeignTables,
    /// The policy says nothing about where legacy roles lie.
    NoSource,
    /// No legacy endpoint rules are named, so nobody's access can be compared.
    NoRules,
    /// The database's encoding cannot hold every name.
    Encoding,
    /// The name of the schema leaves no room for the date of a parked one.
    LongName,
    /// Overrides of users whom the legacy tables do not have.
    StrayOverride,
}

impl Finding {
    /// A finding that forbids to go on.
    #[must_use]
    pub fn stop(code: FindingCode, message: impl fmt::Display) -> Self {
        Self { code, stops: true, message: message.to_string(), count: 1, first: Vec::new() }
    }

    /// A finding that is only worth knowing.
    #[must_use]
    pub fn note(code: FindingCode, message: impl fmt::Display) -> Self {
        Self { stops: false, ..Self::stop(code, message) }
    }

    /// Says how many it is about, and names the first of them.
    #[must_use]
    pub fn about(mut self, count: i64, first: impl IntoIterator<Item = String>) -> Self {
        self.count = count;
        self.first = first.into_iter().take(MAX_FIRST).collect();
        self
    }

    /// Whether it forbids to go on.
    #[must_use]
    pub const fn stops(&self) -> bool {
        self.stops
    }

    /// How the process ends when this is what stopped it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self.code {
            FindingCode::MissingRight => Exit::Failed,
            FindingCode::NoAdministrator | FindingCode::AccessGained | FindingCode::Conflict => Exit::Refused,
            FindingCode::ForeignTables => Exit::NeedsPerson,
            _ => Exit::Mismatch,
        }
    }
}

impl fmt::Display for Finding {
    /// The sentence, then the first it is about, safe to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.message))?;
        for (at, name) in self.first.iter().enumerate() {
            let lead = if at == 0 { " (first: " } else { ", " };
            write!(f, "{lead}`{}`", printable(name))?;
        }
        f.write_str(if self.first.is_empty() { "" } else { ")" })
    }
}

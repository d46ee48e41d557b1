//! A backup of our tables and functions: one file of plain SQL that `pbac restore` checks and runs, and that psql runs too.
//!
//! Line 1 holds the SHA-256 of everything after it, line 2 the [`Header`] as JSON, both as comments. Then come a few
//! settings with the name of the schema, and last the content: statements and `COPY` blocks, as the header's parts
//! describe them to the byte, without the name of a schema anywhere. So two schemas hold the same exactly when their
//! contents are equal: that is how a trial restoration and a real one are checked.
//!
//! The hash shows damage and carelessness. It is no signature: whoever writes a file can write its hash.

mod export;
mod file;
mod import;
mod structure;
mod trial;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use export::{digest, export, prepare};
pub(super) use file::{About, write};
pub use file::{Backup, BackupError, BackupErrorKind};
pub(super) use structure::not_representable;
pub(super) use trial::{Beside, difference, try_out};

/// The version of the format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// What a backup says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub format: u32,
    /// The schema it was made of.
    pub schema: String,
    /// When, in RFC 3339.
    pub made_at: String,
    /// The server's `server_version_num`.
    pub server: i32,
    /// The version of pbac.
    pub tool: String,
    /// The name of the policy that was in force, where one was.
    pub policy: Option<String>,
    /// Its content hash.
    pub policy_hash: Option<String>,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// How many bytes lie between this line and the content.
    pub preamble: u64,
    /// The content.
    pub content: Contents,
}

/// The content of a backup, or what would be the content if one were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// SHA-256 of the whole, as hexadecimal digits.
    pub sha256: String,
    /// The same without parentheses and white space in statements: PostgreSQL prints an expression that it has read from
    /// its own print with fewer parentheses (`(a AND b) AND c` becomes `a AND b AND c`).
    pub shape_sha256: String,
    /// What it consists of, in order.
    pub parts: Vec<Part>,
}

impl Contents {
    /// The tables and the digests of their rows.
    pub(super) fn tables(&self) -> BTreeMap<&str, &str> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Rows { table, sha256, .. } => Some((table.as_str(), sha256.as_str())),
                Part::Statements { .. } => None,
            })
            .collect()
    }

    /// Whether what was restored from `self` is this: the same rows byte for byte, and the same definitions.
    pub(super) fn is_restored_as(&self, restored: &Self) -> bool {
        self.shape_sha256 == restored.shape_sha256 && self.tables() == restored.tables()
    }

    /// How many rows each table has.
    pub(super) fn rows(&self) -> BTreeMap<String, u64> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Rows { table, rows, .. } => Some((table.clone(), *rows)),
                Part::Statements { .. } => None,
            })
            .collect()
    }
}

/// A part of the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Part {
    /// SQL statements.
    Statements {
        /// How long they are.
        bytes: u64,
    },
    /// The rows of one table, between the line that begins with `COPY` and the line `\.`.
    Rows {
        /// The table.
        table: String,
        /// Its columns, in order.
        columns: Vec<String>,
        /// How many rows there are.
        rows: u64,
        /// How many bytes they have, without the two lines around them.
        bytes: u64,
        /// SHA-256 of these bytes, as hexadecimal digits.
        sha256: String,
    },
}

/// The line that begins a table's rows, as psql reads it.
fn copy_statement(table: &str, columns: &[String]) -> String {
    let quote = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = columns.iter().map(quote).collect();
    format!("COPY {} ({}) FROM stdin;\n", quote(&table.to_owned()), columns.join(", "))
}

/// The line that ends them. No row reads so: a backslash in a value is written as two.
const COPY_END: &str = "\\.\n";

/// A statement without what PostgreSQL may print otherwise when it prints it again.
fn shape(statements: &str) -> String {
    statements.chars().filter(|c| !matches!(c, '(' | ')') && !c.is_whitespace()).collect()
}

/// Bytes as hexadecimal digits.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

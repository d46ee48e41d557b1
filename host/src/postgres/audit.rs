//! The audit log: appending to it, reading it, and verifying its chain.
//!
//! The chain is tamper-evident, not tamper-proof: whoever owns the table can rewrite all of it. A [`Head`] that is kept
//! elsewhere shows that, and also shows a tail that was cut off, which no chain can show by itself.

use std::fmt;
use std::str::FromStr;

use futures_util::TryStreamExt;
use policy_core::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, PgConnection};

use super::identifier::Identifier;
use super::moment::Moment;
use super::refusal::refusal_help;
use super::retry::{LOCK_NOT_AVAILABLE, SqlState};
use super::schema::{BUSY_HELP, Hex};
use crate::error::HostError;
use crate::exit::Exit;
use crate::report::time::serialize_moment;

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was begun; nothing more is known if no later row says so.
    Attempted,
    /// It was done. Written in the transaction that did it.
    Succeeded,
    /// It was tried, and nothing of it stayed.
    Failed,
    /// It was not tried, because it was not allowed or not safe.
    Refused,
}

impl Outcome {
    /// The word for it in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempted => "attempted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What is to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Who did it. What passes 256 bytes is cut off.
    pub actor: &'a str,
    /// What was done: a lower-case word, with `.`, `_` or `-` between its parts, of 64 bytes at most.
    pub action: &'a str,
    /// What or whom it was done to; may be empty. What passes 1,024 bytes is cut off.
    pub subject: &'a str,
    /// What became of it.
    pub outcome: Outcome,
    /// More about it: a JSON object. NUL characters, which PostgreSQL cannot hold, become U+FFFD.
    pub details: Value,
}

/// The end of the chain: the number and the hash of the last row. Its text is `<number>:<64 hexadecimal digits>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The row's number, from 1.
    pub seq: i64,
    /// The row's hash.
    pub hash: [u8; 32],
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// 1, 2, 3, … without gaps.
    pub seq: i64,
    /// When it was appended, by the server's clock.
    #[serde(serialize_with = "serialize_moment")]
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What or whom it was done to.
    pub subject: String,
    /// What became of it, as [`Outcome::as_str`].
    pub outcome: String,
    /// More about it.
    pub details: Value,
    /// The row's hash, as hexadecimal digits.
    pub hash: String,
}

/// What a look at the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// How many rows were read, up to the first fault.
    pub rows: u64,
    /// The last row before the first fault, or the last one.
    pub head: Option<Head>,
    /// The first fault.
    pub fault: Option<Fault>,
}

/// Where the chain is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The number of the row.
    pub seq: i64,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// How a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The row is missing although later ones are there.
    Missing,
    /// The row does not name the hash of the one before it: that one was replaced.
    PreviousHash,
    /// The row does not have the hash that it says: it was changed.
    Hash,
    /// The log ends before the row that the expected head names: its tail was cut off.
    Truncated,
    /// The row is not the one that the expected head names: the chain was written anew.
    ExpectedHash,
}

/// Whether the schema has an audit log. Call it in a transaction.
///
/// # Errors
///
/// When the server refuses.
pub async fn exists(connection: &mut PgConnection, schema: &Identifier) -> Result<bool, sqlx::Error> {
    let name = format!("{}.audit_log", schema.quoted());
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(connection).await
}

/// Appends one row and returns the new end of the chain. Other appends wait until the transaction ends, so do it last.
///
/// # Errors
///
/// When there is no audit log or the server refuses.
pub async fn append(
    connection: &mut PgConnection,
    schema: &Identifier,
    entry: &Entry<'_>,
) -> Result<Head, AuditError> {
    let sql = format!("select seq, hash from {}.audit_append($1, $2, $3, $4, $5::jsonb)", schema.quoted());
    let (seq, hash): (i64, Vec<u8>) = sqlx::query_as(AssertSqlSafe(sql))
        .bind(fitting(entry.actor, ACTOR_BYTES))
        .bind(entry.action)
        .bind(fitting(entry.subject, SUBJECT_BYTES))
        .bind(entry.outcome.as_str())
        .bind(without_nul(entry.details.clone()).to_string())
        .fetch_one(connection)
        .await?;
    Ok(Head { seq, hash: digest(&hash)? })
}

/// The last `limit` rows, oldest first; all of them without a limit.
///
/// # Errors
///
/// When there is no audit log or the server refuses.
pub async fn list(
    connection: &mut PgConnection,
    schema: &Identifier,
    limit: Option<u32>,
) -> Result<Vec<Record>, AuditError> {
    let sql = format!("{SELECT} from {}.audit_log order by seq desc limit $1", schema.quoted());
    let rows = sqlx::query_as::<_, Row>(AssertSqlSafe(sql)).bind(limit.map(i64::from));
    let mut records: Vec<Record> = rows
        .fetch(connection)
        .map_err(AuditError::from)
        .and_then(async |row| row.record())
        .try_collect()
        .await?;
    records.reverse();
    Ok(records)
}

/// Computes the whole chain again from what the rows say. With an `expected` head, kept from an earlier run, it also
/// finds a tail that was cut off and a chain that was written anew.
///
/// # Errors
///
/// When there is no audit log or the server refuses. A broken chain is no error but a [`Fault`].
pub async fn verify(
    connection: &mut PgConnection,
    schema: &Identifier,
    expected: Option<Head>,
) -> Result<Verification, AuditError> {
    let sql = format!("{SELECT} from {}.audit_log order by seq", schema.quoted());
    let mut rows = sqlx::query_as::<_, Row>(AssertSqlSafe(sql)).fetch(connection);
    let mut found = Verification { rows: 0, head: None, fault: None };
    while let Some(row) = rows.try_next().await? {
        let wanted = found.head.map_or(1, |head| head.seq.saturating_add(1));
        let previous = found.head.map_or([0; 32], |head| head.hash);
        let kind = if row.seq != wanted {
            Some(FaultKind::Missing)
        } else if row.previous_hash != previous {
            Some(FaultKind::PreviousHash)
        } else if row.hash != row.computed_hash() {
            Some(FaultKind::Hash)
        } else if expected.is_some_and(|head| head.seq == row.seq && row.hash != head.hash) {
            Some(FaultKind::ExpectedHash)
        } else {
            None
        };
        if let Some(kind) = kind {
            found.fault = Some(Fault { seq: wanted, kind });
            return Ok(found);
        }
        found.rows = found.rows.saturating_add(1);
        found.head = Some(Head { seq: row.seq, hash: digest(&row.hash)? });
    }
    let last = found.head.map_or(0, |head| head.seq);
    if expected.is_some_and(|head| head.seq > last) {
        found.fault = Some(Fault { seq: last.saturating_add(1), kind: FaultKind::Truncated });
    }
    Ok(found)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, Hex(&self.hash))
    }
}

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let fail = || HeadError { text: text.chars().take(SHOWN_CHARS).collect() };
        let (seq, digits) = text.split_once(':').ok_or_else(fail)?;
        let seq = seq.parse().ok().filter(|seq| *seq > 0).ok_or_else(fail)?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(fail());
        }
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            let start = at.saturating_mul(2);
            let pair = digits.get(start..start.saturating_add(2)).ok_or_else(fail)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| fail())?;
        }
        Ok(Self { seq, hash })
    }
}

/// A text that is no head of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no head of an audit log; write it as `pbac audit verify` prints it: the number of the last row, `:`, and 64 hexadecimal digits", .text.escape_debug())]
pub struct HeadError {
    /// The text, cut after its first characters.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.kind {
            FaultKind::Missing => write!(f, "row {seq} is missing, and later rows are there"),
            FaultKind::PreviousHash => {
                write!(f, "row {seq} does not follow the row before it: one of the two was replaced")
            }
            FaultKind::Hash => write!(f, "row {seq} was changed: it does not have the hash that it says"),
            FaultKind::Truncated => write!(f, "the log ends before row {seq}: its tail was cut off"),
            FaultKind::ExpectedHash => {
                write!(f, "row {seq} is not the row with the expected hash: the log was written anew")
            }
        }
    }
}

/// Why the audit log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The server refused.
    #[error("the audit log cannot be used: {0}")]
    Server(#[from] sqlx::Error),
    /// A row holds what the table's checks do not allow.
    #[error("the audit log is damaged: {0}")]
    Damaged(&'static str),
}

impl SqlState for AuditError {
    fn sql_state(&self) -> Option<String> {
        match self {
            Self::Server(error) => error.sql_state(),
            Self::Damaged(_) => None,
        }
    }
}

impl From<AuditError> for HostError {
    fn from(error: AuditError) -> Self {
        match &error {
            AuditError::Server(_) if error.sql_state().as_deref() == Some(LOCK_NOT_AVAILABLE) => {
                Self::new(Exit::Busy, error).help(BUSY_HELP)
            }
            AuditError::Server(_) => {
                let help = refusal_help(&error);
                Self::failed(error).help(
                    help.unwrap_or("check that the schema is migrated and owned by the user that connects"),
                )
            }
            AuditError::Damaged(_) => Self::new(Exit::Mismatch, error).help("find out who changed the table"),
        }
    }
}

const ACTOR_BYTES: usize = 256;
const SUBJECT_BYTES: usize = 1024;
const SHOWN_CHARS: usize = 80;
const SELECT: &str =
    "select seq, at, actor, action, subject, outcome, details::text as details, previous_hash, hash";

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    at: Moment,
    actor: String,
    action: String,
    subject: String,
    outcome: String,
    details: String,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl Row {
    /// What `audit_hash` in `migrations/0001_audit_log.sql` computes.
    fn computed_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new()
            .chain_update(&self.previous_hash)
            .chain_update(self.seq.to_be_bytes())
            .chain_update(self.at.0.micros().to_be_bytes());
        for field in [&self.actor, &self.action, &self.subject, &self.outcome, &self.details] {
            let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
            hash = hash.chain_update(length.to_be_bytes()).chain_update(field);
        }
        hash.finalize().into()
    }

    fn record(self) -> Result<Record, AuditError> {
        let details = serde_json::from_str(&self.details);
        Ok(Record {
            seq: self.seq,
            at: self.at.0,
            actor: self.actor,
            action: self.action,
            subject: self.subject,
            outcome: self.outcome,
            details: details.map_err(|_| AuditError::Damaged("details that are no JSON"))?,
            hash: Hex(&self.hash).to_string(),
        })
    }
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], AuditError> {
    bytes.try_into().map_err(|_| AuditError::Damaged("a hash that has not 32 bytes"))
}

/// As much of the text as the column takes: a record that says a little less is better than none.
fn fitting(text: &str, bytes: usize) -> String {
    let text = text.replace('\0', "\u{fffd}");
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn without_nul(value: Value) -> Value {
    let clean = |text: String| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(values) => Value::Array(values.into_iter().map(without_nul).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (clean(key), without_nul(value))).collect())
        }
        other => other,
    }
}

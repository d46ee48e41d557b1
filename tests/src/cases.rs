//! The cases that are kept as data: `tests/cases/**/*.toml`, read by every suite that evaluates. `tests/cases/README.md`
//! describes the format.

use crate::oracle::Answer;
use crate::world::{Ask, World};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders of `tests/cases` whose files have a form of their own: policy files and `.env` files for the host, histories of
/// keys, tokens, routes.
const OTHER_FORMS: [&str; 5] = ["policy_files", "env_files", "keys", "tokens", "routes"];

/// One file of cases. A table that a file does not have is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseFile {
    /// Where it was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// The policy that the questions of the file are about.
    pub policy: World,
    /// The policy that comes after it, where the file compares two.
    pub new_policy: World,
    /// Texts to read as permissions.
    pub permission: Vec<PatternCase>,
    /// Texts to read as patterns.
    pub pattern: Vec<PatternCase>,
    /// Texts to read as names of roles.
    pub role_name: Vec<NameCase>,
    /// Texts to read as user ids.
    pub user_id: Vec<NameCase>,
    /// Patterns and what they match.
    #[serde(rename = "match")]
    pub matching: Vec<MatchCase>,
    /// Policies that are refused.
    pub refused: Vec<RefusedCase>,
    /// Policies that are not.
    pub accepted: Vec<AcceptedCase>,
    /// Decisions.
    pub decide: Vec<DecideCase>,
    /// Every permission of a user.
    pub permissions_of: Vec<NamesCase>,
    /// The roles of a question that the policy does not know.
    pub unknown_roles: Vec<NamesCase>,
    /// Sessions.
    pub session: Vec<SessionCase>,
    /// Everyone who holds a permission.
    pub who_can: Vec<WhoCanCase>,
    /// Explanations.
    pub explain: Vec<ReportCase>,
    /// What changes from `policy` to `new_policy`.
    pub diff: Vec<ReportCase>,
    /// Who breaks the policy's conflicts.
    pub conflicts: Vec<ReportCase>,
    /// What is odd in the policy.
    pub lint: Vec<ReportCase>,
    /// What the catalog of `new_policy` newly grants through wildcards of `policy`.
    pub newly_granted: Vec<ReportCase>,
}

/// A text that is or is not a permission or pattern.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternCase {
    /// What it shows.
    pub name: String,
    /// The text.
    pub text: String,
    /// The offset of the first wrong byte; without it the text is valid.
    pub error_at: Option<usize>,
}

/// A text that is or is not a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameCase {
    /// What it shows.
    pub name: String,
    /// The text.
    pub text: String,
    /// Whether it is one.
    #[serde(default = "yes")]
    pub valid: bool,
}

/// A pattern and permissions on both sides of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchCase {
    /// What it shows.
    pub name: String,
    /// The pattern.
    pub pattern: String,
    /// Permissions that it matches.
    pub matches: Vec<String>,
    /// Texts that it does not match, permissions or not.
    pub rejects: Vec<String>,
}

/// A policy that is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedCase {
    /// What it shows.
    pub name: String,
    /// The policy.
    pub policy: World,
    /// The whole error.
    pub message: String,
}

/// A policy that is accepted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedCase {
    /// What it shows.
    pub name: String,
    /// The policy.
    pub policy: World,
}

/// One question and its whole decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideCase {
    /// What it shows.
    pub name: String,
    /// Who.
    pub user: String,
    /// The named roles; without them the stored ones.
    pub roles: Option<Vec<String>>,
    /// What.
    pub permission: String,
    /// When, in microseconds since 1970.
    #[serde(default)]
    pub now: i64,
    /// The decision in the JSON form of every path.
    pub expect: Value,
}

/// A question that is answered by names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamesCase {
    /// What it shows.
    pub name: String,
    /// Who.
    pub user: String,
    /// The named roles; without them the stored ones.
    pub roles: Option<Vec<String>>,
    /// When, in microseconds since 1970.
    #[serde(default)]
    pub now: i64,
    /// The names, in byte order.
    pub expect: Vec<String>,
}

/// A session: what it allows and how long it holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCase {
    /// What it shows.
    pub name: String,
    /// Who.
    pub user: String,
    /// The named roles; without them the stored ones.
    pub roles: Option<Vec<String>>,
    /// When, in microseconds since 1970.
    #[serde(default)]
    pub now: i64,
    /// What it allows, in byte order.
    pub allowed: Vec<String>,
    /// The first moment at which it may be wrong; without it it never is.
    pub valid_until: Option<i64>,
}

/// Everyone who holds a permission.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhoCanCase {
    /// What it shows.
    pub name: String,
    /// What.
    pub permission: String,
    /// When, in microseconds since 1970.
    #[serde(default)]
    pub now: i64,
    /// The roles that give it, in byte order.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The users who hold it, in byte order.
    #[serde(default)]
    pub users: Vec<String>,
    /// The reason why nobody can be asked about.
    pub denied: Option<String>,
}

/// A report in the JSON form that `--json` prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportCase {
    /// What it shows.
    pub name: String,
    /// Who, where the report is about one user.
    #[serde(default)]
    pub user: String,
    /// The named roles; without them the stored ones.
    pub roles: Option<Vec<String>>,
    /// What, where the report is about one permission.
    #[serde(default)]
    pub permission: String,
    /// When, in microseconds since 1970.
    #[serde(default)]
    pub now: i64,
    /// What the report must say. A key that is not here is not compared, except within lists.
    pub expect: Value,
}

impl CaseFile {
    /// How many cases the file holds; a permission beside a pattern counts for one.
    pub fn count(&self) -> usize {
        let matched: usize = self.matching.iter().map(|case| case.matches.len() + case.rejects.len()).sum();
        let names = self.permission.len() + self.pattern.len() + self.role_name.len() + self.user_id.len();
        let policies = self.refused.len() + self.accepted.len();
        let questions = self.decide.len() + self.permissions_of.len() + self.unknown_roles.len();
        let holders = self.session.len() + self.who_can.len();
        let reports = self.explain.len() + self.diff.len() + self.conflicts.len() + self.lint.len();
        matched + names + policies + questions + holders + reports + self.newly_granted.len()
    }
}

impl DecideCase {
    /// The question.
    pub fn ask(&self) -> Ask {
        Ask {
            user: self.user.clone(),
            roles: self.roles.clone(),
            permission: self.permission.clone(),
            now: self.now,
        }
    }
}

/// A question about a user alone: its permission is empty.
pub fn ask_user(user: &str, roles: &Option<Vec<String>>, now: i64) -> Ask {
    Ask { user: user.to_owned(), roles: roles.clone(), permission: String::new(), now }
}

/// The JSON form that a decision has on every path.
pub fn answer_json(answer: &Answer) -> Value {
    match answer {
        Answer::InvalidRequest => json!({ "decision": "deny", "reason": "invalid_request" }),
        Answer::UnknownPermission => json!({ "decision": "deny", "reason": "unknown_permission" }),
        Answer::ExplicitDeny { pattern } => {
            json!({ "decision": "deny", "reason": "explicit_deny", "pattern": pattern })
        }
        Answer::AllowedByOverride { pattern } => {
            json!({ "decision": "allow", "reason": "override", "pattern": pattern })
        }
        Answer::AllowedByRole { role, pattern } => {
            json!({ "decision": "allow", "reason": "role", "role": role, "pattern": pattern })
        }
        Answer::NoGrant => json!({ "decision": "deny", "reason": "no_grant" }),
    }
}

/// Every case file, in the order of their paths.
///
/// # Panics
/// When a file cannot be read or is not of the format.
pub fn load_all() -> Vec<CaseFile> {
    let mut paths = Vec::new();
    find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"), &mut paths);
    paths.sort();
    paths.into_iter().map(load).collect()
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            if !OTHER_FORMS.iter().any(|folder| path.ends_with(folder)) {
                find(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
}

fn load(path: PathBuf) -> CaseFile {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text, path)
}

/// Reads the text of a case file.
///
/// # Panics
/// When it is not of the format.
pub fn parse(text: &str, path: PathBuf) -> CaseFile {
    let file: CaseFile = toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    CaseFile { path, ..file }
}

fn yes() -> bool {
    true
}

//! The cases of key histories: `tests/cases/keys/*.toml`, which `tests/cases/README.md` describes, and what they ask of
//! policy-core and of the oracle.

use crate::key_line::{Line, time};
use crate::key_oracle::{self, Key, Keys, Outcome, Rules, State};
use policy_core::Timestamp;
use policy_core::keys::{
    Algorithm, Change, Fresh, KeyEvent, KeyHistory, KeyHistoryError, KeyId, KeyPhase, KeyRecord, Revocation,
    RotationError, RotationRules,
};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file of cases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyFile {
    /// Where it was read from.
    #[serde(skip)]
    pub path: PathBuf,
    /// Histories and what happens to them.
    pub history: Vec<HistoryCase>,
    /// Keys that make no history.
    pub contradiction: Vec<ContradictionCase>,
}

/// Keys as a store holds them, and what happens to them, step by step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryCase {
    /// What it shows.
    pub name: String,
    /// What differs from the rules of the source document.
    #[serde(default)]
    pub rules: RulesCase,
    /// The keys.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The revocations, likewise: `revoked A since 1d`.
    #[serde(default)]
    pub revoked: Vec<String>,
    /// What happens.
    pub step: Vec<StepCase>,
}

/// Rules, where they differ from those of the source document.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesCase {
    rotation: Option<String>,
    history: Option<usize>,
    grace: Option<String>,
    staging: Option<String>,
    fleet: Option<bool>,
}

/// One step, and how things are after it. What is left out is not compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepCase {
    /// When.
    pub at: String,
    /// What: `stage B`, `promote`, `rotate B`, `revoke A B` (B is the new key, should one be needed), `sweep`; nothing: only
    /// look.
    #[serde(rename = "do")]
    pub what: Option<String>,
    /// Whether it is forced.
    #[serde(default)]
    pub force: bool,
    /// Whether a name that is no key's may be revoked.
    #[serde(default)]
    pub unknown: bool,
    /// What happened, in order.
    pub events: Option<Vec<String>>,
    /// Why nothing did.
    pub refused: Option<String>,
    /// All keys, in the order of trial.
    pub keys: Option<Vec<String>>,
    /// All revocations, by name.
    pub revoked: Option<Vec<String>>,
    /// What a scheduler has to do then.
    pub due: Option<String>,
    /// When the next rotation is due; `never`: nobody can say.
    pub next_due: Option<String>,
    /// The keys that may verify a token of HS256 without a `kid` then, in order.
    pub candidates: Option<Vec<String>>,
}

/// Keys that contradict each other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContradictionCase {
    /// What it shows.
    pub name: String,
    /// The keys.
    pub keys: Vec<String>,
    /// The whole error.
    pub message: String,
}

/// Something to do to a history; a new key is an id and an algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// [`KeyHistory::stage`].
    Stage(String, String),
    /// [`KeyHistory::promote`], forced or not.
    Promote(bool),
    /// [`KeyHistory::rotate`], forced or not.
    Rotate(String, String, bool),
    /// [`KeyHistory::revoke`] of the first name, known or not.
    Revoke(String, String, String, bool),
    /// [`KeyHistory::sweep`].
    Sweep,
}

impl KeyFile {
    /// Every file, in the order of their paths.
    ///
    /// # Panics
    /// When one cannot be read or is not of the form.
    pub fn load_all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/keys");
        let entries = fs::read_dir(folder).expect("the folder of the cases");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let load = |path: PathBuf| {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file: Self =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            Self { path, ..file }
        };
        paths.into_iter().map(load).collect()
    }
}

impl RulesCase {
    /// All of them.
    pub fn rules(&self) -> Rules {
        let span = |text: &Option<String>, usual: &str| time(text.as_deref().unwrap_or(usual));
        Rules {
            rotation: span(&self.rotation, "90d"),
            history: self.history.unwrap_or(3),
            grace: span(&self.grace, "270d"),
            staging: span(&self.staging, "15m"),
            fleet: self.fleet.unwrap_or(false),
        }
    }
}

impl StepCase {
    /// What it asks for.
    ///
    /// # Panics
    /// When it asks for nothing known.
    pub fn op(&self) -> Option<Op> {
        let text = self.what.as_deref()?;
        let mut words = text.split(' ').map(str::to_owned);
        let word = words.next().unwrap_or_default();
        let mut names: Vec<String> = words.collect();
        let algorithm = names.pop_if(|name| Algorithm::from_name(name).is_some());
        let algorithm = algorithm.unwrap_or_else(|| "HS256".to_owned());
        Some(match (word.as_str(), names.as_slice()) {
            ("stage", [fresh]) => Op::Stage(fresh.clone(), algorithm),
            ("promote", []) => Op::Promote(self.force),
            ("rotate", [fresh]) => Op::Rotate(fresh.clone(), algorithm, self.force),
            ("revoke", [id, fresh]) => Op::Revoke(id.clone(), fresh.clone(), algorithm, self.unknown),
            ("sweep", []) => Op::Sweep,
            _ => panic!("`{text}` is nothing to do"),
        })
    }
}

/// Does it to the oracle's keys.
pub fn apply_to_oracle(keys: &Keys, op: &Op, rules: &Rules, now: i64) -> Outcome {
    match op {
        Op::Stage(fresh, algorithm) => keys.stage(fresh, algorithm, now),
        Op::Promote(force) => keys.promote(rules, now, *force),
        Op::Rotate(fresh, algorithm, force) => keys.rotate(fresh, algorithm, rules, now, *force),
        Op::Revoke(id, fresh, algorithm, unknown) => keys.revoke(id, fresh, algorithm, now, *unknown),
        Op::Sweep => Ok(keys.sweep(now)),
    }
}

/// Does it to policy-core's.
///
/// # Errors
/// Why it is refused.
pub fn apply_to_core(
    history: &KeyHistory,
    op: &Op,
    rules: &RotationRules,
    now: i64,
) -> Result<(KeyHistory, Vec<Line>), Line> {
    let now = Timestamp::from_micros(now);
    let change: Result<Change, RotationError> = match op {
        Op::Stage(name, algorithm) => history.stage(&fresh(name, algorithm), now),
        Op::Promote(force) => history.promote(rules, now, *force),
        Op::Rotate(name, algorithm, force) => history.rotate(&fresh(name, algorithm), rules, now, *force),
        Op::Revoke(name, other, algorithm, unknown) => {
            history.revoke(&id(name), &fresh(other, algorithm), now, *unknown)
        }
        Op::Sweep => Ok(history.sweep(now)),
    };
    match change {
        Ok(change) => Ok((change.history().clone(), change.events().iter().map(event_line).collect())),
        Err(error) => Err(refusal_line(&error)),
    }
}

/// A history of policy-core of these keys.
///
/// # Errors
/// When they contradict each other.
pub fn history(keys: &[Key], revoked: &[(String, i64)]) -> Result<KeyHistory, KeyHistoryError> {
    let record = |key: &Key| KeyRecord {
        id: id(&key.id),
        algorithm: algorithm(&key.algorithm),
        phase: match key.state {
            State::Staged => KeyPhase::Staged { since: moment(key.since).expect("a staged key has a time") },
            State::Active => KeyPhase::Active { since: moment(key.since) },
            State::Retired => KeyPhase::Retired { since: moment(key.since), not_after: moment(key.until) },
        },
    };
    let revocation =
        |(name, at): &(String, i64)| Revocation { id: id(name), at: Timestamp::from_micros(*at) };
    KeyHistory::new(keys.iter().map(record), revoked.iter().map(revocation))
}

/// The oracle's key of a line.
///
/// # Panics
/// When the line is of no key.
pub fn key(line: &str) -> Key {
    let Line { word, id, algorithm, since, until } = Line::parse(line);
    Key {
        id: id.unwrap_or_else(|| panic!("`{line}` names no key")),
        algorithm: algorithm.unwrap_or_else(|| "HS256".to_owned()),
        state: match word.as_str() {
            "staged" => State::Staged,
            "active" => State::Active,
            "retired" => State::Retired,
            _ => panic!("`{line}` is no key"),
        },
        since,
        until,
    }
}

/// The rules as policy-core takes them.
pub fn core_rules(rules: &Rules) -> RotationRules {
    let span = |micros: i64| Duration::from_micros(micros.unsigned_abs());
    let key_oracle::Rules { rotation, history, grace, staging, fleet } = *rules;
    RotationRules {
        rotation: span(rotation),
        history,
        grace: span(grace),
        staging: span(staging),
        fleet,
        ..RotationRules::document()
    }
}

/// A key of policy-core as a case writes it.
pub fn record_line(record: &KeyRecord) -> Line {
    let line = Line::of(record.phase.name(), record.id.as_str());
    let since = record.phase.since().map(Timestamp::micros);
    let line = line.since(since).until(record.not_after().map(Timestamp::micros));
    let algorithm = (record.algorithm != Algorithm::Hs256).then(|| record.algorithm.to_string());
    Line { algorithm, ..line }
}

fn event_line(event: &KeyEvent) -> Line {
    match event {
        KeyEvent::Staged { id } => Line::of("staged", id.as_str()),
        KeyEvent::Promoted { id } => Line::of("promoted", id.as_str()),
        KeyEvent::Retired { id, not_after } => {
            Line::of("retired", id.as_str()).until(Some(not_after.micros()))
        }
        KeyEvent::Gone { id } => Line::of("gone", id.as_str()),
        KeyEvent::PushedOut { id, not_after } => {
            Line::of("pushed_out", id.as_str()).until(not_after.map(Timestamp::micros))
        }
        KeyEvent::Revoked { id } => Line::of("revoked", id.as_str()),
    }
}

fn refusal_line(error: &RotationError) -> Line {
    match error {
        RotationError::AlreadyStaged { id } => Line::of("already_staged", id.as_str()),
        RotationError::NothingStaged => Line::word("nothing_staged"),
        RotationError::StagingNotOver { id, over_at } => {
            Line::of("staging_not_over", id.as_str()).until(Some(over_at.micros()))
        }
        RotationError::MustStage => Line::word("must_stage"),
        RotationError::WouldPushOut { id, not_after } => {
            Line::of("would_push_out", id.as_str()).until(not_after.map(Timestamp::micros))
        }
        RotationError::ClockWentBack { id, since } => {
            Line::of("clock_went_back", id.as_str()).since(Some(since.micros()))
        }
        RotationError::UnknownKey { id } => Line::of("unknown_key", id.as_str()),
        RotationError::AlreadyRevoked { id } => Line::of("already_revoked", id.as_str()),
        RotationError::NameTaken { id } => Line::of("name_taken", id.as_str()),
        other => panic!("`{other}` has no line yet"),
    }
}

fn fresh(name: &str, of: &str) -> Fresh {
    Fresh { id: id(name), algorithm: algorithm(of) }
}

fn id(name: &str) -> KeyId {
    KeyId::parse(name).expect("a name of a key")
}

fn algorithm(name: &str) -> Algorithm {
    Algorithm::from_name(name).expect("an algorithm")
}

fn moment(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

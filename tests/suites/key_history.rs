//! The history of signing keys (SPEC section 5): the cases of `tests/cases/keys` against policy-core and the oracle, and
//! the two against each other on generated decades.

#[path = "key_history/generated.rs"]
mod generated;
#[path = "key_history/scheduler.rs"]
mod scheduler;

use pbac_tests::key_cases::{self, HistoryCase, KeyFile, StepCase};
use pbac_tests::key_line::{Line, time};
use pbac_tests::key_oracle::{Key, Keys, Rules};
use policy_core::Timestamp;
use policy_core::keys::{Algorithm, DueStep, KeyHistory, KeyRecord};

/// Both sides in one shape: what is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    keys: Vec<String>,
    revoked: Vec<String>,
    due: String,
    next_due: Option<i64>,
    candidates: Vec<String>,
}

impl Picture {
    fn of_core(history: &KeyHistory, rules: &Rules, now: i64) -> Self {
        let core_rules = key_cases::core_rules(rules);
        let at = Timestamp::from_micros(now);
        let revoked = history
            .revoked()
            .iter()
            .map(|one| Line::of("revoked", one.id.as_str()).since(Some(one.at.micros())).to_string());
        Self {
            keys: history.keys().iter().map(|record| key_cases::record_line(record).to_string()).collect(),
            revoked: revoked.collect(),
            due: due_word(history.due(&core_rules, at)).to_owned(),
            next_due: history.next_due(&core_rules).map(Timestamp::micros),
            candidates: history.candidates(None, Algorithm::Hs256, at).map(name).collect(),
        }
    }

    fn of_oracle(keys: &Keys, rules: &Rules, now: i64) -> Self {
        let revoked =
            keys.revoked.iter().map(|(id, at)| Line::of("revoked", id).since(Some(*at)).to_string());
        Self {
            keys: keys.keys.iter().map(|key| key.line().to_string()).collect(),
            revoked: revoked.collect(),
            due: keys.due(rules, now).to_owned(),
            next_due: keys.next_due(rules),
            candidates: keys.candidates(None, "HS256", now),
        }
    }

    /// What a step says that differs.
    fn differs(&self, step: &StepCase) -> Result<(), String> {
        same("keys", &self.keys, step.keys.as_deref().map(lines).as_ref())?;
        same("revoked", &self.revoked, step.revoked.as_deref().map(lines).as_ref())?;
        same("due", &self.due, step.due.as_ref())?;
        let next = step.next_due.as_deref().map(|text| (text != "never").then(|| time(text)));
        same("next_due", &self.next_due, next.as_ref())?;
        same("candidates", &self.candidates, step.candidates.as_ref())
    }
}

fn name(record: &KeyRecord) -> String {
    record.id.to_string()
}

fn due_word(step: DueStep) -> &'static str {
    match step {
        DueStep::Nothing => "nothing",
        DueStep::Stage => "stage",
        DueStep::Promote => "promote",
        DueStep::Rotate => "rotate",
    }
}

/// Lines in the one way in which they are printed.
fn lines(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| Line::parse(text).to_string()).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: Option<&T>) -> Result<(), String> {
    match expected {
        Some(expected) if found != expected => Err(format!("{what}: {found:?}, expected {expected:?}")),
        _ => Ok(()),
    }
}

#[test]
fn every_case() {
    let (mut steps, mut failures) = (0, Vec::new());
    for file in KeyFile::load_all() {
        for case in &file.history {
            steps += case.step.len();
            if let Err(failure) = run(case) {
                failures.push(format!("{}: {}: {failure}", file.path.display(), case.name));
            }
        }
    }
    println!("{steps} steps");
    assert!(steps >= 105, "{steps} steps were found");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn run(case: &HistoryCase) -> Result<(), String> {
    let rules = case.rules.rules();
    let keys: Vec<Key> = case.keys.iter().map(|line| key_cases::key(line)).collect();
    let revoked: Vec<(String, i64)> = case.revoked.iter().map(|line| revocation(line)).collect();
    let mut core = key_cases::history(&keys, &revoked).map_err(|error| error.to_string())?;
    let mut earliest: Vec<(String, i64)> = Vec::new();
    for (id, at) in revoked {
        match earliest.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = at.min(*known),
            None => earliest.push((id, at)),
        }
    }
    let mut oracle = Keys::from_store(keys, earliest);
    for step in &case.step {
        let at = |failure: String| {
            format!("at {}, {}: {failure}", step.at, step.what.as_deref().unwrap_or("looking"))
        };
        let now = time(&step.at);
        if let Some(op) = step.op() {
            let by_core = key_cases::apply_to_core(&core, &op, &key_cases::core_rules(&rules), now);
            check_outcome(step, &by_core).map_err(|failure| at(format!("policy-core: {failure}")))?;
            let by_oracle = key_cases::apply_to_oracle(&oracle, &op, &rules, now);
            check_outcome(step, &by_oracle).map_err(|failure| at(format!("the oracle: {failure}")))?;
            core = by_core.map_or(core, |(after, _)| after);
            oracle = by_oracle.map_or(oracle, |(after, _)| after);
        }
        let picture = Picture::of_core(&core, &rules, now);
        picture.differs(step).map_err(|failure| at(format!("policy-core: {failure}")))?;
        let picture = Picture::of_oracle(&oracle, &rules, now);
        picture.differs(step).map_err(|failure| at(format!("the oracle: {failure}")))?;
    }
    Ok(())
}

fn revocation(line: &str) -> (String, i64) {
    match Line::parse(line) {
        Line { word, id: Some(id), since: Some(at), .. } if word == "revoked" => (id, at),
        _ => panic!("`{line}` is no revocation"),
    }
}

fn check_outcome<T>(step: &StepCase, outcome: &Result<(T, Vec<Line>), Line>) -> Result<(), String> {
    match (outcome, &step.events, &step.refused) {
        (Ok((_, events)), Some(expected), None) => {
            let events: Vec<String> = events.iter().map(Line::to_string).collect();
            same("events", &events, Some(&lines(expected)))
        }
        (Err(refusal), None, Some(expected)) => same("refused", refusal, Some(&Line::parse(expected))),
        (Ok((_, events)), None, Some(expected)) => {
            Err(format!("did {events:?}, expected to be refused: {expected}"))
        }
        (Err(refusal), Some(expected), None) => {
            Err(format!("refused with `{refusal}`, expected {expected:?}"))
        }
        _ => Err("a step that does something has either `events` or `refused`".to_owned()),
    }
}

#[test]
fn contradictions_are_named() {
    let cases: Vec<_> = KeyFile::load_all().into_iter().flat_map(|file| file.contradiction).collect();
    assert!(!cases.is_empty());
    for case in cases {
        let keys: Vec<Key> = case.keys.iter().map(|line| key_cases::key(line)).collect();
        let error = key_cases::history(&keys, &[]).expect_err(&case.name);
        assert_eq!(error.to_string(), case.message, "{}", case.name);
    }
}

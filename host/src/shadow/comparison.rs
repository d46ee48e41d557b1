//! What a comparison found: counts, and the disagreements in groups whose number is bounded.

use std::collections::{BTreeMap, HashMap};

use policy_core::{Decision, Timestamp};
use serde::Serialize;

use crate::endpoints::Endpoint;

/// The most groups of disagreements that are kept; what comes after is counted in [`Comparison::ungrouped`].
pub const MAX_GROUPS: usize = 1_000;
/// The most endpoints without a rule, unknown roles and malformed lines that are named; all are counted.
pub const MAX_NAMED: usize = 100;
/// The most users and lines that are named in a group.
pub const MAX_SHOWN: usize = 5;

/// Who says yes where the other says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The policy allows what the legacy application refused: an escalation.
    Gained,
    /// The policy denies what the legacy application allowed: a lock-out.
    Lost,
}

impl Direction {
    /// The word of the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
        }
    }
}

/// What the comparison of a log found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Lines that are not blank.
    pub lines: u64,
    /// Lines that the policy answered.
    pub compared: u64,
    /// For how many of them both say the same.
    pub agreeing: u64,
    /// How often the policy allows what the legacy application refused.
    pub gained: u64,
    /// How often the policy denies what the legacy application allowed.
    pub lost: u64,
    /// Lines that are no request.
    pub malformed: u64,
    /// The first of them.
    pub malformed_lines: Vec<MalformedLine>,
    /// Lines about an endpoint that the file of rules does not have.
    pub unmatched: u64,
    /// The first such endpoints, in the order of the log.
    pub unmatched_endpoints: Vec<Counted>,
    /// Roles that the policy does not know, by name: they grant nothing.
    pub unknown_roles: Vec<Counted>,
    /// The disagreements: `gained` first, then the most frequent.
    pub groups: Vec<Group>,
    /// Disagreements of further groups, which are counted above and not listed.
    pub ungrouped: u64,
    #[serde(skip)]
    by_key: HashMap<Key, usize>,
}

/// A line that is no request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MalformedLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// A name with how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The name.
    pub name: String,
    /// How many lines have it.
    pub count: u64,
    /// The first of them, from 1.
    pub line: u64,
}

/// Disagreements about the same thing, for the same roles and with the same reason.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Who says yes.
    pub direction: Direction,
    /// Method and path of the rule, where the lines name endpoints.
    pub endpoint: Option<String>,
    /// What was asked for.
    pub permission: String,
    /// The legacy roles of the lines, in byte order; `None`: those that the policy stores for the user.
    pub roles: Option<Vec<String>>,
    /// What the file of rules says for these roles: where it is not what the application did, the file is wrong.
    pub rule: Option<&'static str>,
    /// What the policy says, for people.
    pub decision: String,
    /// How many lines.
    pub count: u64,
    /// The first users.
    pub users: Vec<String>,
    /// The first lines, from 1.
    pub first_lines: Vec<u64>,
    /// The first line as a question to the policy.
    #[serde(skip)]
    pub(super) question: Question,
}

/// A question that can be asked again.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) user: String,
    pub(super) roles: Option<Vec<String>>,
    pub(super) now: Timestamp,
    /// The whole decision in its JSON form.
    pub(super) expect: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    direction: Direction,
    endpoint: Option<String>,
    permission: String,
    roles: Option<Vec<String>>,
    decision: String,
}

/// One line on which the two sides differ.
pub(super) struct Disagreement<'d> {
    pub(super) direction: Direction,
    pub(super) endpoint: Option<&'d Endpoint>,
    pub(super) rule_allows: Option<bool>,
    pub(super) permission: &'d str,
    pub(super) user: &'d str,
    pub(super) labels: Option<&'d [&'d str]>,
    pub(super) roles: Option<&'d [&'d str]>,
    pub(super) now: Timestamp,
    pub(super) decision: Decision<'d>,
    pub(super) line: u64,
}

impl Comparison {
    /// Whether something was compared, all of it agrees, and nothing was malformed. Endpoints without a rule are the
    /// caller's to judge.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.compared > 0 && self.gained == 0 && self.lost == 0 && self.malformed == 0
    }

    pub(super) fn malformed(&mut self, line: u64, problem: String) {
        self.malformed = self.malformed.saturating_add(1);
        if self.malformed_lines.len() < MAX_NAMED {
            self.malformed_lines.push(MalformedLine { line, problem });
        }
    }

    pub(super) fn unmatched(&mut self, endpoint: &str, line: u64) {
        self.unmatched = self.unmatched.saturating_add(1);
        let endpoint = endpoint.split(['?', '#']).next().unwrap_or_default();
        count(&mut self.unmatched_endpoints, endpoint, line);
    }

    pub(super) fn unknown_role(&mut self, role: &str, line: u64) {
        count(&mut self.unknown_roles, role, line);
    }

    pub(super) fn disagree(&mut self, found: &Disagreement<'_>) {
        let total = match found.direction {
            Direction::Gained => &mut self.gained,
            Direction::Lost => &mut self.lost,
        };
        *total = total.saturating_add(1);
        let key = Key {
            direction: found.direction,
            endpoint: found.endpoint.map(|rule| format!("{} {}", rule.method, rule.path)),
            permission: found.permission.to_owned(),
            roles: found.labels.map(sorted),
            decision: found.decision.to_string(),
        };
        if let Some(group) = self.by_key.get(&key).and_then(|place| self.groups.get_mut(*place)) {
            group.add(found);
        } else if self.groups.len() < MAX_GROUPS {
            let mut group = Group {
                direction: key.direction,
                endpoint: key.endpoint.clone(),
                permission: key.permission.clone(),
                roles: key.roles.clone(),
                rule: found.rule_allows.map(|allows| if allows { "allow" } else { "deny" }),
                decision: key.decision.clone(),
                count: 0,
                users: Vec::new(),
                first_lines: Vec::new(),
                question: Question::of(found),
            };
            group.add(found);
            self.by_key.insert(key, self.groups.len());
            self.groups.push(group);
        } else {
            self.ungrouped = self.ungrouped.saturating_add(1);
        }
    }

    /// Puts the lists into the order in which they are shown.
    pub(super) fn finish(&mut self) {
        self.by_key = HashMap::new();
        self.unknown_roles.sort_by(|a, b| a.name.cmp(&b.name));
        self.groups.sort_by(|a, b| {
            let order = a.direction.cmp(&b.direction).then(b.count.cmp(&a.count));
            order.then_with(|| a.first_lines.cmp(&b.first_lines))
        });
    }
}

impl Group {
    fn add(&mut self, found: &Disagreement<'_>) {
        self.count = self.count.saturating_add(1);
        if self.first_lines.len() < MAX_SHOWN {
            self.first_lines.push(found.line);
        }
        if self.users.len() < MAX_SHOWN && !self.users.iter().any(|user| user == found.user) {
            self.users.push(found.user.to_owned());
        }
    }
}

impl Question {
    fn of(found: &Disagreement<'_>) -> Self {
        let expect = serde_json::to_value(found.decision).ok();
        let expect = expect.as_ref().and_then(|value| value.as_object());
        let texts = expect
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| value.as_str().map(|text| (name.clone(), text.to_owned())));
        Self {
            user: found.user.to_owned(),
            roles: found.roles.map(sorted),
            now: found.now,
            expect: texts.collect(),
        }
    }
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

fn count(names: &mut Vec<Counted>, name: &str, line: u64) {
    if let Some(known) = names.iter_mut().find(|known| known.name == name) {
        known.count = known.count.saturating_add(1);
    } else if names.len() < MAX_NAMED {
        names.push(Counted { name: name.to_owned(), count: 1, line });
    }
}

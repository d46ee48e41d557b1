//! Kind by kind and permission by permission.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use policy_core::{Index, PermissionId, PermissionName, Request, Roles, Session};

use super::sign_offs::SignOffs;
use super::{AccessDiff, Change, Gained, GroupDiff, Lost, Question, UnknownLabel};
use crate::endpoints::Endpoints;
use crate::legacy::{Kind, MAX_FIRST, Population, SpelledLabel};

/// A user id that no kind has: the answers for it are those of roles alone.
const NOBODY: &str = "-";

pub(super) fn compare<'a>(
    question: &'a Question<'a>,
    population: &'a Population,
    index: &'a Index,
    signed: SignOffs<'a>,
) -> AccessDiff {
    let asked = asked(question.endpoints, index);
    let asked_names: BTreeSet<&str> = asked.iter().map(|asked| asked.permission).collect();
    let not_compared = index.permissions().filter(|name| !asked_names.contains(name));
    let mut comparison = Comparison {
        question,
        population,
        index,
        signed,
        not_compared: not_compared.map(str::to_owned).collect(),
        asked,
        passes: HashMap::new(),
        sessions: HashMap::new(),
        unknown_labels: BTreeMap::new(),
        groups: BTreeMap::new(),
        gained: Gained::default(),
        lost: Lost::default(),
    };
    // An inactive user held nothing and will hold nothing.
    for (place, kind) in population.kinds.iter().enumerate().filter(|(_, kind)| kind.active) {
        comparison.kind(&place.to_string(), kind);
    }
    comparison.finish()
}

/// A permission that endpoints ask for.
struct Asked<'a> {
    permission: &'a str,
    /// Nothing where the catalog does not have it: then everybody is denied.
    id: Option<PermissionId>,
    /// Places of the endpoints in the legacy rules.
    endpoints: Vec<usize>,
}

fn asked<'a>(endpoints: &'a Endpoints, index: &Index) -> Vec<Asked<'a>> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, endpoint) in endpoints.endpoints.iter().enumerate() {
        by_name.entry(endpoint.permission.as_str()).or_default().push(place);
    }
    let asked = by_name.into_iter().map(|(permission, endpoints)| Asked {
        permission,
        id: index.permission_id(permission),
        endpoints,
    });
    asked.collect()
}

struct Comparison<'a> {
    question: &'a Question<'a>,
    population: &'a Population,
    index: &'a Index,
    signed: SignOffs<'a>,
    not_compared: Vec<String>,
    asked: Vec<Asked<'a>>,
    /// For each label, whether it passed each endpoint.
    passes: HashMap<&'a str, Vec<bool>>,
    /// What each role gives by itself.
    sessions: HashMap<&'a str, Session>,
    unknown_labels: BTreeMap<&'a str, u64>,
    groups: BTreeMap<(bool, &'a [SpelledLabel]), GroupDiff>,
    gained: Gained,
    lost: Lost,
}

/// What one kind gains or loses of one permission.
struct Difference<'d> {
    permission: &'d str,
    gained: bool,
    endpoints: Vec<usize>,
    through: Vec<&'d str>,
}

impl<'a> Comparison<'a> {
    fn kind(&mut self, user: &str, kind: &'a Kind) {
        let labels = self.population.labels(kind);
        let roles = self.roles(labels);
        for label in labels {
            self.learn(&label.label, kind.users);
        }
        for role in &roles {
            let session = || self.index.session(NOBODY, Roles::Named(&[*role]), self.question.now);
            self.sessions.entry(*role).or_insert_with(session);
        }
        let differences = self.differences(user, labels, &roles);
        self.record(user, kind, labels, &roles, differences);
    }

    /// The roles that labels stand for, by their own names, each once.
    fn roles(&self, labels: &[SpelledLabel]) -> Vec<&'a str> {
        let known = labels.iter().filter_map(|label| self.index.role_id(&label.role));
        let names: BTreeSet<&str> = known.map(|id| self.index.role(id)).collect();
        names.into_iter().collect()
    }

    /// Looks up once what a label passed.
    fn learn(&mut self, label: &'a str, users: u64) {
        let endpoints = self.question.endpoints;
        if !endpoints.roles.iter().any(|role| role == label) {
            let count = self.unknown_labels.entry(label).or_default();
            *count = count.saturating_add(users);
            return;
        }
        self.passes.entry(label).or_insert_with(|| {
            endpoints.endpoints.iter().map(|endpoint| endpoints.legacy_allows(label, endpoint)).collect()
        });
    }

    fn differences(&self, user: &str, labels: &[SpelledLabel], roles: &[&'a str]) -> Vec<Difference<'a>> {
        let session = self.index.session(user, Roles::Stored, self.question.now);
        let passed: Vec<&Vec<bool>> =
            labels.iter().filter_map(|label| self.passes.get(label.label.as_str())).collect();
        let passes = |endpoint: usize| passed.iter().any(|of| of.get(endpoint) == Some(&true));
        let mut found = Vec::new();
        for asked in &self.asked {
            let allowed = asked.id.is_some_and(|id| session.allows(id));
            let differing = asked.endpoints.iter().copied().filter(|place| passes(*place) != allowed);
            let endpoints: Vec<usize> = differing.collect();
            if endpoints.is_empty() {
                continue;
            }
            let gives = |role: &&str| {
                let session = self.sessions.get(role);
                asked.id.zip(session).is_some_and(|(id, session)| session.allows(id))
            };
            found.push(Difference {
                permission: asked.permission,
                gained: allowed,
                endpoints,
                through: roles.iter().copied().filter(gives).collect(),
            });
        }
        found
    }

    fn record(
        &mut self,
        user: &str,
        kind: &'a Kind,
        labels: &'a [SpelledLabel],
        roles: &[&str],
        differences: Vec<Difference<'a>>,
    ) {
        let add = |to: &mut u64, when: bool| *to = to.saturating_add(if when { kind.users } else { 0 });
        let group = self.groups.entry((kind.stranger, labels)).or_insert_with(|| GroupDiff {
            labels: labels.iter().map(|label| label.label.clone()).collect(),
            roles: roles.iter().map(ToString::to_string).collect(),
            strangers: kind.stranger,
            users: 0,
            gained: Vec::new(),
            lost: Vec::new(),
        });
        add(&mut group.users, true);
        add(&mut self.gained.users, differences.iter().any(|difference| difference.gained));
        add(&mut self.lost.users, differences.iter().any(|difference| !difference.gained));
        for Difference { permission, gained, endpoints, through } in differences {
            let changes = if gained { &mut group.gained } else { &mut group.lost };
            let place = changes.binary_search_by(|change| change.permission.as_str().cmp(permission));
            let at = place.unwrap_or_else(|at| {
                let decision = self.index.decide(&Request {
                    user,
                    roles: Roles::Stored,
                    permission,
                    now: self.question.now,
                });
                let rules = &self.question.endpoints.endpoints;
                let named = endpoints.iter().filter_map(|place| rules.get(*place));
                let change = Change {
                    permission: permission.to_owned(),
                    users: 0,
                    by_override: 0,
                    signed_off: 0,
                    open: 0,
                    through: through.iter().map(ToString::to_string).collect(),
                    decision: decision.to_string(),
                    endpoints: named.map(|rule| format!("{} {}", rule.method, rule.path)).collect(),
                    first: Vec::new(),
                };
                changes.insert(at, change);
                at
            });
            let wide = PermissionName::parse(permission)
                .is_ok_and(|permission| self.population.comes_by_wildcard(kind, &permission));
            let Some(change) = changes.get_mut(at) else { continue };
            add(&mut change.users, true);
            change.first.extend(kind.first.iter().cloned());
            if gained {
                let signed = self.signed.sign(kind, &through, permission);
                let by_override = !signed && through.is_empty() && !wide;
                let open = !signed && !by_override;
                add(&mut change.signed_off, signed);
                add(&mut change.by_override, by_override);
                add(&mut change.open, open);
                add(&mut self.gained.pairs, true);
                add(&mut self.gained.signed_off, signed);
                add(&mut self.gained.by_override, by_override);
                add(&mut self.gained.open, open);
            } else {
                add(&mut change.by_override, !through.is_empty());
                add(&mut self.lost.pairs, true);
                add(&mut self.lost.by_override, !through.is_empty());
            }
        }
    }

    fn finish(self) -> AccessDiff {
        let Question { file, source, endpoints, now, keep, .. } = *self.question;
        let keep = keep.unwrap_or(MAX_FIRST);
        let mut groups: Vec<GroupDiff> = self.groups.into_values().collect();
        groups.retain(|group| !group.gained.is_empty() || !group.lost.is_empty());
        for change in groups.iter_mut().flat_map(|group| group.gained.iter_mut().chain(&mut group.lost)) {
            // Each kind's are the least of its own: the least of all are among them.
            change.first.sort_unstable();
            change.first.truncate(keep);
        }
        let Population { users, active, strangers, ref kinds, .. } = *self.population;
        let permissions = file.policy.permissions().len();
        let everybody = users.saturating_add(strangers);
        let unknown = self.unknown_labels.into_iter();
        AccessDiff {
            policy: file.name.clone(),
            at: now,
            table: source.table.clone(),
            users,
            active,
            strangers,
            kinds: kinds.len(),
            permissions,
            endpoints: endpoints.endpoints.len(),
            pairs: everybody.saturating_mul(u64::try_from(permissions).unwrap_or(u64::MAX)),
            not_compared: self.not_compared,
            unknown_labels: unknown
                .map(|(label, users)| UnknownLabel { label: label.to_owned(), users })
                .collect(),
            gained: self.gained,
            lost: self.lost,
            groups,
            signed_off: self.signed.uses(),
        }
    }
}

//! Why a decision came out as it did, and what nearly changed it.

use crate::bundle::wire::distinct;
use crate::decide::{Decision, Request, Roles};
use crate::index::{CompiledOverride, Index, RoleId, UserEntry};
use crate::overrides::Effect;
use crate::time::Timestamp;
use alloc::vec::Vec;
use serde::Serialize;

/// A decision with everything that had a say in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explanation<'p> {
    /// The decision, as [`Index::decide`] gives it.
    #[serde(flatten)]
    pub decision: Decision<'p>,
    /// The rule that decided; none for `no_grant`, `unknown_permission` and `invalid_request`.
    pub winner: Option<Rule<'p>>,
    /// The other rules that match, in the order in which they would have decided (SPEC section 3).
    pub shadowed: Vec<Rule<'p>>,
    /// Overrides that match but have expired.
    pub expired: Vec<Expired<'p>>,
    /// When nothing grants the permission: the user's grant that comes nearest to matching it.
    pub nearest: Option<NearMiss<'p>>,
    /// Spellings among the user's roles that stand for no role, each once, in byte order.
    pub unknown_roles: Vec<&'p str>,
}

/// A rule that applies to the user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule<'p> {
    /// An override of the user.
    Override {
        /// Whether it gives or takes.
        effect: Effect,
        /// Its pattern.
        pattern: &'p str,
        /// When it ends, in microseconds since the epoch; `None` lasts for ever.
        expires_at: Option<Timestamp>,
        /// Why it was made.
        note: &'p str,
    },
    /// A pattern that a role holds.
    Role {
        /// The role that holds it, by its own name.
        role: &'p str,
        /// The pattern.
        pattern: &'p str,
        /// The user's role through which it is held: the same one, or one that inherits it.
        through: &'p str,
    },
}

/// An override that would have counted before it expired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Expired<'p> {
    /// The override.
    #[serde(flatten)]
    pub rule: Rule<'p>,
}

/// A grant that matches the first segments of the permission, but not all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct NearMiss<'p> {
    /// The grant.
    #[serde(flatten)]
    pub rule: Rule<'p>,
    /// How many segments match, from the left.
    pub matching_segments: usize,
}

impl Index {
    /// Decides, and says which rule won, what it shadowed, what has expired, and what nearly matched.
    ///
    /// Spellings of unknown roles are borrowed from the request, so it must live as long as the answer.
    #[must_use]
    pub fn explain<'s>(&'s self, request: &Request<'s>) -> Explanation<'s> {
        let decision = self.decide(request);
        let user = self.user(request.user);
        let mut explanation = Explanation {
            decision,
            winner: None,
            shadowed: Vec::new(),
            expired: Vec::new(),
            nearest: None,
            unknown_roles: distinct(self.unknown_roles(request.user, request.roles).collect()),
        };
        let by_role = self.role_rules(user, request);
        if let Ok((_, permission)) = self.subject(request) {
            // The deciding one first.
            let mut rules = Vec::new();
            for entry in self.overrides_of(user).iter().filter(|entry| self.covers(entry.pattern, permission))
            {
                let rule = self.override_rule(entry);
                if entry.is_active(request.now) {
                    rules.push(rule);
                } else {
                    explanation.expired.push(Expired { rule });
                }
            }
            for rule in by_role.iter().filter(|rule| self.covers(rule.1, permission)) {
                rules.push(self.role_rule(*rule));
            }
            if !rules.is_empty() {
                explanation.winner = Some(rules.remove(0));
            }
            explanation.shadowed = rules;
        }
        if !decision.is_allowed() && explanation.winner.is_none() {
            explanation.nearest = self.nearest(user, request, &by_role);
        }
        explanation
    }

    /// An upper bound for the bytes that [`Index::explain`] allocates for this user and these roles: it lists every pattern that they
    /// hold before it looks which of them match, and a caller may name many roles.
    #[must_use]
    pub fn explain_memory(&self, user: &str, roles: Roles<'_>) -> usize {
        let entry = self.user(user);
        let held = |role| self.closure(role).iter().map(|&holder| self.grants(holder).len());
        let mut rules = self.overrides_of(entry).len();
        let mut spelled = 0_usize;
        for spelling in self.spelled_roles_of(entry, roles) {
            spelled = spelled.saturating_add(1);
            rules = self.role_spelled(spelling).into_iter().flat_map(held).fold(rules, usize::saturating_add);
        }
        // Lists grow by doubling, and copy themselves then. So do spellings.
        let each = size_of::<Rule<'_>>().saturating_add(size_of::<(RoleId, u32, RoleId)>());
        let rules = rules.saturating_mul(each).saturating_mul(3);
        rules.saturating_add(spelled.saturating_mul(size_of::<&str>()).saturating_mul(8)).saturating_add(4096)
    }

    /// Every pattern that the user holds through roles, by holding role, pattern, and role of the user.
    fn role_rules(&self, user: Option<&UserEntry>, request: &Request<'_>) -> Vec<(RoleId, u32, RoleId)> {
        let mut rules = Vec::new();
        for through in self.roles_of(user, request.roles) {
            for &holder in self.closure(through) {
                for &pattern in self.grants(holder) {
                    rules.push((holder, pattern, through));
                }
            }
        }
        rules.sort_unstable();
        // Held through several roles is still one rule; the first of them is named.
        rules.dedup_by_key(|&mut (holder, pattern, _)| (holder, pattern));
        rules
    }

    fn nearest(
        &self,
        user: Option<&UserEntry>,
        request: &Request<'_>,
        by_role: &[(RoleId, u32, RoleId)],
    ) -> Option<NearMiss<'_>> {
        let mut nearest: Option<NearMiss<'_>> = None;
        let mut consider = |rule, pattern| {
            let matching_segments = matching_segments(self.patterns.get(pattern), request.permission);
            if matching_segments > nearest.map_or(0, |near| near.matching_segments) {
                nearest = Some(NearMiss { rule, matching_segments });
            }
        };
        for entry in self.overrides_of(user) {
            if entry.effect == Effect::Allow && entry.is_active(request.now) {
                consider(self.override_rule(entry), entry.pattern);
            }
        }
        for &rule in by_role {
            consider(self.role_rule(rule), rule.1);
        }
        nearest
    }

    fn override_rule(&self, entry: &CompiledOverride) -> Rule<'_> {
        Rule::Override {
            effect: entry.effect,
            pattern: self.patterns.get(entry.pattern),
            expires_at: entry.expires_at,
            note: self.reasons.get(entry.reason),
        }
    }

    fn role_rule(&self, (holder, pattern, through): (RoleId, u32, RoleId)) -> Rule<'_> {
        Rule::Role {
            role: self.role(holder),
            pattern: self.patterns.get(pattern),
            through: self.role(through),
        }
    }
}

/// How many segments of the permission the pattern matches, from the left.
fn matching_segments(pattern: &str, permission: &str) -> usize {
    let pairs = pattern.split('.').zip(permission.split('.'));
    pairs
        .take_while(|(want, have)| match want.strip_suffix('*') {
            Some(prefix) => have.starts_with(prefix),
            None => have == want,
        })
        .count()
}

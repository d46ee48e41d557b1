//! Why a decision came out as it did, and what nearly changed it.

use crate::bundle::wire::distinct;
use crate::catalog::PermissionId;
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
            unknown_roles: distinct(self.unknown_roles(request.user, request.roles)),
        };
        if let Ok((_, permission)) = self.subject(request) {
            let mut rules = self.matching_rules(user, request, permission);
            if !rules.is_empty() {
                explanation.winner = Some(rules.remove(0));
            }
            explanation.shadowed = rules;
            let overrides = self.overrides_of(user).iter();
            let over = overrides
                .filter(|entry| !entry.is_active(request.now) && self.covers(entry.pattern, permission));
            explanation.expired = over.map(|entry| Expired { rule: self.override_rule(entry) }).collect();
        }
        if !decision.is_allowed() && explanation.winner.is_none() {
            explanation.nearest = self.nearest(user, request);
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
        for (_, role) in self.spelled_roles_of(entry, roles) {
            spelled = spelled.saturating_add(1);
            rules = role.into_iter().flat_map(held).fold(rules, usize::saturating_add);
        }
        // Lists grow by doubling, and copy themselves then. So do spellings.
        let each = size_of::<Rule<'_>>().saturating_add(size_of::<(RoleId, u32, RoleId)>());
        let rules = rules.saturating_mul(each).saturating_mul(3);
        rules.saturating_add(spelled.saturating_mul(size_of::<&str>()).saturating_mul(8)).saturating_add(4096)
    }

    /// The rules that match, the deciding one first.
    fn matching_rules<'s>(
        &'s self,
        user: Option<&'s UserEntry>,
        request: &Request<'s>,
        permission: PermissionId,
    ) -> Vec<Rule<'s>> {
        let overrides = self.overrides_of(user).iter();
        let active =
            overrides.filter(|entry| entry.is_active(request.now) && self.covers(entry.pattern, permission));
        let mut rules: Vec<Rule<'_>> = active.map(|entry| self.override_rule(entry)).collect();
        let by_role = self.role_rules(user, request);
        rules.extend(
            by_role
                .into_iter()
                .filter(|&(_, pattern, _)| self.covers(pattern, permission))
                .map(|rule| self.role_rule(rule)),
        );
        rules
    }

    /// Every pattern that the user holds through roles, by holding role, pattern, and role of the user.
    fn role_rules<'s>(
        &'s self,
        user: Option<&'s UserEntry>,
        request: &Request<'s>,
    ) -> Vec<(RoleId, u32, RoleId)> {
        let mut rules: Vec<_> = self
            .roles_of(user, request.roles)
            .flat_map(|through| self.closure(through).iter().map(move |&holder| (holder, through)))
            .flat_map(|(holder, through)| {
                self.grants(holder).iter().map(move |&pattern| (holder, pattern, through))
            })
            .collect();
        rules.sort_unstable();
        // Held through several roles is still one rule; the first of them is named.
        rules.dedup_by_key(|&mut (holder, pattern, _)| (holder, pattern));
        rules
    }

    fn nearest<'s>(&'s self, user: Option<&'s UserEntry>, request: &Request<'s>) -> Option<NearMiss<'s>> {
        let allows = self.overrides_of(user).iter();
        let allows = allows.filter(|entry| entry.effect == Effect::Allow && entry.is_active(request.now));
        let rules = allows.map(|entry| self.override_rule(entry));
        let rules = rules.chain(self.role_rules(user, request).into_iter().map(|rule| self.role_rule(rule)));
        let mut nearest: Option<NearMiss<'_>> = None;
        for rule in rules {
            let (Rule::Override { pattern, .. } | Rule::Role { pattern, .. }) = rule;
            let matching_segments = matching_segments(pattern, request.permission);
            if matching_segments > nearest.map_or(0, |near| near.matching_segments) {
                nearest = Some(NearMiss { rule, matching_segments });
            }
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

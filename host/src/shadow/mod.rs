//! Shadow mode: a log of real requests, each answered by the policy beside what the legacy application answered.

mod comparison;
mod export;
mod line;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use policy_core::{Index, Request, Roles, Timestamp};

pub use comparison::{
    Comparison, Counted, Direction, Group, MAX_GROUPS, MAX_NAMED, MAX_SHOWN, MalformedLine,
};
pub use export::cases;

use crate::endpoints::{Endpoint, Endpoints, Routes};
use comparison::Disagreement;
use line::{Line, Target};

/// The longest line that is read, in bytes: 64 KiB.
pub const MAX_LINE_BYTES: u64 = 64 << 10;

/// What the lines of a log are answered with.
#[derive(Debug)]
pub struct Shadow<'a> {
    index: &'a Index,
    endpoints: Option<(&'a Endpoints, Routes<'a>)>,
    rename: &'a BTreeMap<String, String>,
    needs_roles: bool,
    now: Timestamp,
}

impl<'a> Shadow<'a> {
    /// `rename` says which role of the policy a legacy role is, where the names differ; `needs_roles` that the policy
    /// holds no users, so that a line without roles cannot be answered; `now` is the time of lines that have none.
    #[must_use]
    pub fn new(
        index: &'a Index,
        endpoints: Option<&'a Endpoints>,
        rename: &'a BTreeMap<String, String>,
        needs_roles: bool,
        now: Timestamp,
    ) -> Self {
        let endpoints = endpoints.map(|endpoints| (endpoints, Routes::new(endpoints)));
        Self { index, endpoints, rename, needs_roles, now }
    }

    /// Answers every line of `log`. `on_bytes` is told how many bytes were read since the last call, and says whether
    /// to go on. Memory does not grow with the log.
    ///
    /// # Errors
    ///
    /// When the log cannot be read. What is wrong with a line is counted, not returned.
    pub fn compare(
        &self,
        log: &mut impl BufRead,
        mut on_bytes: impl FnMut(u64) -> bool,
    ) -> io::Result<Comparison> {
        let mut comparison = Comparison::default();
        let mut bytes = Vec::new();
        let mut number = 0_u64;
        loop {
            bytes.clear();
            let read = read_line(log, &mut bytes)?;
            if read == 0 || !on_bytes(read) {
                break;
            }
            number = number.saturating_add(1);
            if bytes.iter().all(u8::is_ascii_whitespace) && read <= MAX_LINE_BYTES {
                continue;
            }
            comparison.lines = comparison.lines.saturating_add(1);
            if read > MAX_LINE_BYTES {
                comparison.malformed(number, format!("it has more than {MAX_LINE_BYTES} bytes"));
                continue;
            }
            match Line::parse(&bytes) {
                Ok(line) => self.answer(&line, number, &mut comparison),
                Err(problem) => comparison.malformed(number, problem),
            }
        }
        comparison.finish();
        Ok(comparison)
    }

    fn answer(&self, line: &Line<'_>, number: u64, comparison: &mut Comparison) {
        let (permission, rule) = match &line.target {
            Target::Permission(permission) => (permission.as_ref(), None),
            Target::Endpoint(text) => {
                let Some((method, path)) = text.split_once(' ') else {
                    let problem = "`endpoint` is no method and path, such as `GET /orders/7`";
                    return comparison.malformed(number, problem.to_owned());
                };
                let Some((endpoints, routes)) = &self.endpoints else {
                    let problem = "it names an endpoint, and there are no endpoint rules; give --endpoints";
                    return comparison.malformed(number, problem.to_owned());
                };
                let Some(rule) = routes.find(method, path) else {
                    return comparison.unmatched(text, number);
                };
                (rule.permission.as_str(), Some((*endpoints, rule)))
            }
        };
        if line.roles.is_none() && self.needs_roles {
            let problem = "it has no `roles`, and the policy holds no users";
            return comparison.malformed(number, problem.to_owned());
        }
        let labels: Option<Vec<&str>> =
            line.roles.as_ref().map(|roles| roles.iter().map(AsRef::as_ref).collect());
        let names: Option<Vec<&str>> =
            labels.as_ref().map(|labels| labels.iter().map(|label| self.renamed(label)).collect());
        let roles = match &names {
            Some(names) => Roles::Named(names),
            None => Roles::Stored,
        };
        let now = line.at.unwrap_or(self.now);
        for role in self.index.unknown_roles(&line.user, roles) {
            comparison.unknown_role(role, number);
        }
        let decision = self.index.decide(&Request { user: &line.user, roles, permission, now });
        comparison.compared = comparison.compared.saturating_add(1);
        if decision.is_allowed() == line.allowed {
            comparison.agreeing = comparison.agreeing.saturating_add(1);
            return;
        }
        comparison.disagree(&Disagreement {
            direction: if line.allowed { Direction::Lost } else { Direction::Gained },
            endpoint: rule.map(|(_, rule)| rule),
            rule_allows: rule
                .zip(labels.as_ref())
                .map(|((endpoints, rule), labels)| any_allowed(endpoints, rule, labels)),
            permission,
            user: &line.user,
            labels: labels.as_deref(),
            roles: names.as_deref(),
            now,
            decision,
            line: number,
        });
    }

    fn renamed<'r>(&'r self, label: &'r str) -> &'r str {
        self.rename.get(label).map_or(label, String::as_str)
    }
}

/// Whether the rule in the file lets one of these legacy roles through.
fn any_allowed(endpoints: &Endpoints, rule: &Endpoint, labels: &[&str]) -> bool {
    labels.iter().any(|label| endpoints.legacy_allows(label, rule))
}

/// Reads a line of which at most [`MAX_LINE_BYTES`] are kept, and says how many bytes it has.
fn read_line(log: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let mut total = 0_u64;
    loop {
        let read = log.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', bytes)?;
        total = total.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let full = u64::try_from(read).is_ok_and(|read| read == MAX_LINE_BYTES);
        if !full || bytes.last() == Some(&b'\n') {
            return Ok(total);
        }
        bytes.clear();
    }
}

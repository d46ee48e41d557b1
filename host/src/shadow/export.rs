//! Disagreements as test cases, in the form of `tests/cases/decide`: a policy, and questions with their decisions.

use std::collections::BTreeSet;

use policy_core::Policy;

use super::{Comparison, Group};
use crate::toml_file::{quoted, quoted_list};

/// The text of a file of cases: the policy, with those users and overrides that the questions are about, and the first
/// line of every group as a question with the decision that the policy gives now.
///
/// The legacy verdict stands in the case's name. Whoever decides that the legacy application was right changes the
/// policy and then the expectation; otherwise the case keeps the new answer as it is.
#[must_use]
pub fn cases(comparison: &Comparison, policy: &Policy, log: &str) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("# Disagreements of the policy with the legacy application, found in {}", quoted(log)));
    line("# by `pbac shadow --export`. Each case expects what the policy said then; its name has the legacy verdict.".to_owned());
    let asked: BTreeSet<&str> = comparison.groups.iter().map(|group| group.question.user.as_str()).collect();
    line("[policy]".to_owned());
    let names = policy.permissions().iter().map(|entry| entry.name.as_str());
    line(format!("permissions = {}", quoted_list(names)));
    for role in policy.roles() {
        line("\n[[policy.roles]]".to_owned());
        line(format!("name = {}", quoted(role.name.as_str())));
        line(format!("grants = {}", quoted_list(role.grants.iter().map(|grant| grant.as_str()))));
        if !role.inherits.is_empty() {
            line(format!("inherits = {}", quoted_list(role.inherits.iter().map(|name| name.as_str()))));
        }
        if !role.aliases.is_empty() {
            line(format!("aliases = {}", quoted_list(role.aliases.iter().map(|name| name.as_str()))));
        }
    }
    for user in policy.users().iter().filter(|entry| asked.contains(entry.user.as_str())) {
        line("\n[[policy.users]]".to_owned());
        line(format!("user = {}", quoted(user.user.as_str())));
        line(format!("roles = {}", quoted_list(user.roles.iter().map(|name| name.as_str()))));
    }
    for one in policy.overrides().iter().filter(|one| asked.contains(one.user.as_str())) {
        line("\n[[policy.overrides]]".to_owned());
        line(format!("user = {}", quoted(one.user.as_str())));
        line(format!("effect = {}", quoted(one.effect.as_str())));
        line(format!("pattern = {}", quoted(one.pattern.as_str())));
        if let Some(time) = one.expires_at {
            line(format!("expires_at = {}", time.micros()));
        }
        if !one.reason.is_empty() {
            line(format!("reason = {}", quoted(&one.reason)));
        }
    }
    for group in &comparison.groups {
        line(case(group));
    }
    text
}

fn case(group: &Group) -> String {
    let question = &group.question;
    let what = group.endpoint.as_deref().unwrap_or(&group.permission);
    let line = group.first_lines.first().copied().unwrap_or_default();
    let name = format!("{}: {what}, {} line(s), the first {line}", group.direction.name(), group.count);
    let mut text = format!("\n[[decide]]\nname = {}\nuser = {}\n", quoted(&name), quoted(&question.user));
    if let Some(roles) = &question.roles {
        text.push_str(&format!("roles = {}\n", quoted_list(roles)));
    }
    let expect = question.expect.iter().map(|(name, value)| format!("{name} = {}", quoted(value)));
    let expect: Vec<String> = expect.collect();
    text.push_str(&format!("permission = {}\n", quoted(&group.permission)));
    text.push_str(&format!("now = {}\n", question.now.micros()));
    text.push_str(&format!("expect = {{ {} }}", expect.join(", ")));
    text
}

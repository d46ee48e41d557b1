//! The difference for a pull request.

use super::AccessDiff;
use crate::report::printable;
use crate::report::time::show_time;

pub(super) fn render(difference: &AccessDiff) -> String {
    let AccessDiff { gained, lost, .. } = difference;
    let mut text = format!(
        "### Access difference of policy {}\n\n{} users × {} permissions at {} endpoints of {}, at {}.\n\n",
        code(&difference.policy),
        difference.users,
        difference.permissions,
        difference.endpoints,
        code(&difference.table.to_string()),
        show_time(difference.at)
    );
    text.push_str(&format!(
        "- **Gained**: {} pairs of user and permission, by {} users: {} signed off, {} by an override, **{} open**\n",
        gained.pairs, gained.users, gained.signed_off, gained.by_override, gained.open
    ));
    text.push_str(&format!(
        "- **Lost**: {} pairs, by {} users: {} by an override\n",
        lost.pairs, lost.users, lost.by_override
    ));
    if !difference.not_compared.is_empty() {
        text.push_str(&format!(
            "- Not compared, since no endpoint asks for them: {}\n",
            codes(&difference.not_compared)
        ));
    }
    for unknown in &difference.unknown_labels {
        text.push_str(&format!(
            "- {} active users have the label {}, which the legacy rules do not know\n",
            unknown.users,
            code(&unknown.label)
        ));
    }
    if difference.changes().next().is_some() {
        text.push_str(
            "\n| | labels | permission | users | | the policy says | at | first users |\n|---|---|---|---|---|---|---|---|\n",
        );
    }
    for (direction, group, change) in difference.changes() {
        let labels = if group.labels.is_empty() { group.name() } else { codes(&group.labels) };
        text.push_str(&format!(
            "| {direction} | {labels} | {} | {} | {} | {} | {} | {} |\n",
            code(&change.permission),
            change.users,
            change.standing(),
            code(&change.decision),
            codes(&change.endpoints),
            codes(&change.first)
        ));
    }
    if gained.open > 0 {
        text.push_str(&format!(
            "\nWhat is open stops the migration until somebody signs it off in the policy file:\n\n```toml\n{}```\n",
            difference.missing_sign_offs(usize::MAX)
        ));
    }
    if !difference.signed_off.is_empty() {
        text.push_str("\n| signed off | permission | by | reason | users |\n|---|---|---|---|---|\n");
    }
    for sign_off in &difference.signed_off {
        let (kind, name) = match (&sign_off.role, &sign_off.user) {
            (Some(role), _) => ("role", role.as_str()),
            (_, user) => ("user", user.as_deref().unwrap_or_default()),
        };
        text.push_str(&format!(
            "| {kind} {} | {} | {} | {} | {} |\n",
            code(name),
            code(&sign_off.permission),
            code(&sign_off.by),
            code(&sign_off.reason),
            sign_off.users
        ));
    }
    text
}

fn codes(names: &[String]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

/// The text as code: whatever a name holds, it is neither markup nor a mention of somebody. The fence is longer than every
/// run of backticks in it, and a bar would end the cell.
fn code(text: &str) -> String {
    let text = printable(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.saturating_add(1));
    if longest == 0 && !text.starts_with(' ') {
        format!("{fence}{text}{fence}")
    } else {
        format!("{fence} {text} {fence}")
    }
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn a_name_is_never_markup() {
        assert_eq!(code("Clerk"), "`Clerk`");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("`x` ``y``"), "``` `x` ``y`` ```");
        assert_eq!(code("@everyone\n# x"), "`@everyone\\n# x`");
    }
}

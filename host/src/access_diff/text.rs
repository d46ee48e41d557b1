//! The difference for people.

use super::{AccessDiff, Change, GroupDiff};
use crate::legacy::MAX_FIRST;
use crate::report::{Report, Table, printable, style};

/// How many endpoints of a change a table names.
const MAX_ENDPOINTS: usize = 2;

impl AccessDiff {
    /// What was compared and what came out, in a few lines.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} {} users x {} permissions at {} endpoints, of `{}` ({} active, {} kinds of users)\n",
            style::heading("Access difference:"),
            self.users,
            self.permissions,
            self.endpoints,
            self.table,
            self.active,
            self.kinds
        );
        if self.strangers > 0 {
            text.push_str(&format!("  and {} with overrides who are not in the table\n", self.strangers));
        }
        let gained = &self.gained;
        text.push_str(&format!(
            "  gained: {} pairs of user and permission, by {} users: {} signed off, {} by an override, {} open\n",
            gained.pairs, gained.users, gained.signed_off, gained.by_override, gained.open
        ));
        let lost = &self.lost;
        text.push_str(&format!(
            "  lost:   {} pairs, by {} users: {} by an override\n",
            lost.pairs, lost.users, lost.by_override
        ));
        text
    }

    /// Every change with what it is about, in the order of the report.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&'static str, &GroupDiff, &Change)> {
        self.groups.iter().flat_map(|group| {
            let gained = group.gained.iter().map(move |change| ("gained", group, change));
            gained.chain(group.lost.iter().map(move |change| ("lost", group, change)))
        })
    }

    /// The sign-offs that stand for nobody.
    pub fn unused_sign_offs(&self) -> impl Iterator<Item = &super::SignOffUse> {
        self.signed_off.iter().filter(|sign_off| sign_off.users == 0)
    }
}

impl Change {
    /// Who answers for it, in a word or with numbers.
    pub(super) fn standing(&self) -> String {
        let counts = [(self.open, "open"), (self.signed_off, "signed off"), (self.by_override, "override")];
        let counts: Vec<_> = counts.into_iter().filter(|(count, _)| *count > 0).collect();
        match counts.as_slice() {
            [(count, word)] if *count == self.users => (*word).to_owned(),
            _ => counts.iter().map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", "),
        }
    }

    /// The first endpoints, and how many more there are.
    pub(super) fn places(&self) -> String {
        let shown: Vec<&str> = self.endpoints.iter().take(MAX_ENDPOINTS).map(String::as_str).collect();
        match self.endpoints.len().saturating_sub(MAX_ENDPOINTS) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// The first users, and how many more there are.
    pub(super) fn people(&self) -> String {
        let shown: Vec<&str> = self.first.iter().take(MAX_FIRST).map(String::as_str).collect();
        let more = self.users.saturating_sub(u64::try_from(shown.len()).unwrap_or(u64::MAX));
        if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
    }
}

impl Report for AccessDiff {
    fn people(&self) -> String {
        let mut text = self.summary();
        if !self.not_compared.is_empty() {
            text.push_str(&format!(
                "  not compared: {} permissions that no endpoint asks for: {}\n",
                self.not_compared.len(),
                self.not_compared.join(", ")
            ));
        }
        for unknown in &self.unknown_labels {
            text.push_str(&format!(
                "{} {} active users have the label `{}`, which is not among the `roles` of `[legacy]`: for the legacy rules they pass nowhere\n",
                style::caution("note:"),
                unknown.users,
                printable(&unknown.label)
            ));
        }
        if self.changes().next().is_some() {
            let mut table =
                Table::new(["", "labels", "permission", "users", "", "the policy says", "at", "first users"]);
            for (direction, group, change) in self.changes() {
                table.row([
                    direction,
                    &group.name(),
                    &change.permission,
                    &change.users.to_string(),
                    &change.standing(),
                    &change.decision,
                    &change.places(),
                    &change.people(),
                ]);
            }
            text.push_str(&table.to_string());
        }
        for (direction, group, change) in self.changes().filter(|(.., change)| change.first.len() > MAX_FIRST)
        {
            text.push_str(&format!("{direction} `{}`, `{}`:\n", change.permission, printable(&group.name())));
            for user in &change.first {
                text.push_str(&format!("  {}\n", printable(user)));
            }
        }
        for sign_off in self.unused_sign_offs() {
            let whom = match (&sign_off.role, &sign_off.user) {
                (Some(role), _) => format!("role `{}`", printable(role)),
                (_, Some(user)) => format!("user `{}`", printable(user)),
                (None, None) => String::new(),
            };
            text.push_str(&format!(
                "{} nobody gains `{}` by {whom}; the sign-off of `{}` can go\n",
                style::caution("note:"),
                sign_off.permission,
                printable(&sign_off.by)
            ));
        }
        text.push_str(&self.verdict());
        text
    }
}

impl AccessDiff {
    fn verdict(&self) -> String {
        if self.gained.open > 0 {
            return format!(
                "{} {} pairs are gained and nobody answers for them. Take the grants back, or add to the policy file:\n\n{}",
                style::bad("Refused:"),
                self.gained.open,
                self.missing_sign_offs(usize::MAX)
            );
        }
        let nobody = "nobody gains what nobody answers for";
        match self.lost.pairs {
            0 => format!("{} {nobody}, and nobody loses anything\n", style::good("Agreed:")),
            pairs => format!("{} {nobody}; {pairs} pairs are lost\n", style::caution("Agreed:")),
        }
    }
}

//! Who answers for what is gained.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccessDiff, SignOffUse};
use crate::legacy::Kind;
use crate::policy_file::SignOff;

/// The sign-offs of a policy file, with a count of the users each stands for.
pub(super) struct SignOffs<'a> {
    counted: Vec<(&'a SignOff, u64)>,
    /// Users who are signed off by name, each with a number.
    marked: BTreeMap<String, usize>,
}

impl<'a> SignOffs<'a> {
    pub(super) fn of(signed: &'a [SignOff]) -> Self {
        let users: BTreeSet<&str> = signed.iter().filter_map(|sign_off| sign_off.whom.user()).collect();
        Self {
            counted: signed.iter().map(|sign_off| (sign_off, 0)).collect(),
            marked: users.into_iter().zip(0..).map(|(user, mark)| (user.to_owned(), mark)).collect(),
        }
    }

    /// The users who have to be told apart.
    pub(super) const fn marked(&self) -> &BTreeMap<String, usize> {
        &self.marked
    }

    /// Whether somebody signed off that the users of a kind gain the permission through one of these roles of theirs, or
    /// each by name. Every sign-off that does is counted.
    pub(super) fn sign(&mut self, kind: &Kind, through: &[&str], permission: &str) -> bool {
        let mut signed = false;
        for (sign_off, users) in &mut self.counted {
            let is_theirs = match (sign_off.whom.role(), sign_off.whom.user()) {
                (Some(role), _) => through.contains(&role),
                (_, Some(user)) => kind.mark.is_some() && self.marked.get(user).copied() == kind.mark,
                (None, None) => false,
            };
            if is_theirs && sign_off.permission.as_str() == permission {
                *users = users.saturating_add(kind.users);
                signed = true;
            }
        }
        signed
    }

    pub(super) fn uses(self) -> Vec<SignOffUse> {
        let uses = self.counted.into_iter().map(|(sign_off, users)| SignOffUse {
            role: sign_off.whom.role().map(str::to_owned),
            user: sign_off.whom.user().map(str::to_owned),
            permission: sign_off.permission.to_string(),
            by: sign_off.by.clone(),
            reason: sign_off.reason.clone(),
            users,
        });
        uses.collect()
    }
}

/// What somebody has to add to the policy file, and to fill in.
pub(super) fn missing(difference: &AccessDiff, most: usize) -> String {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for (_, change) in difference.open() {
        // What no role gives is answered for user by user.
        let (key, whom) = match (change.through.first(), change.first.first()) {
            (Some(role), _) => ("role", role),
            (None, Some(user)) => ("user", user),
            (None, None) => continue,
        };
        if seen.len() >= most || !seen.insert((key, whom, &change.permission)) {
            continue;
        }
        // A string of JSON is one of TOML.
        let whom = serde_json::Value::from(whom.as_str());
        text.push_str(&format!(
            "[[signed_off]]\n{key} = {whom}\npermission = \"{}\"\nby = \"\"\nreason = \"\"\n",
            change.permission
        ));
    }
    text
}

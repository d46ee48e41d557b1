//! The framework's own rules in the form of `endpoints.toml`: one rule a permission, with the roles that have it there.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use super::toml_text::{comments, key, list, string};

/// The file, where the framework has permissions; their roles are worked out by its meaning, not by ours.
pub(in super::super) fn rules_toml(draft: &Draft, preset: &str) -> Option<String> {
    let mut rules = String::new();
    for entry in &draft.catalog.entries {
        let mut roles: BTreeSet<&str> = draft
            .roles
            .iter()
            .filter(|role| role.held.contains(&entry.name))
            .map(|role| role.name.as_str())
            .collect();
        if roles.is_empty() {
            roles = draft.bypass.iter().map(String::as_str).collect();
        }
        if roles.is_empty() {
            let line = format!("No role has `{}` there, so there is nothing to compare.", entry.legacy);
            rules.push_str(&format!("\n{}", comments(&[line])));
            continue;
        }
        rules.push_str(&format!("\n{}", comments(&[format!("`{}`", entry.legacy)])));
        rules.push_str(&format!(
            "[[endpoints]]\nmethod = \"POST\"\npath = {}\nroles = {}\npermission = {}\n",
            string(&format!("/permissions/{}", entry.name)),
            list(&roles),
            string(entry.name.as_str())
        ));
    }
    if !rules.contains("[[endpoints]]") {
        return None;
    }
    let mut text = comments(&[
        format!(
            "What each role may do by the rules of {preset} itself, for `pbac plan --endpoints` to compare the policy with."
        ),
        "A draft by `pbac init`. These are no endpoints of the application: each rule is one permission."
            .to_owned(),
    ]);
    let names: BTreeSet<&str> = draft.roles.iter().map(|role| role.name.as_str()).collect();
    text.push_str(&format!("\n[legacy]\nroles = {}\n", list(&names)));
    if !draft.bypass.is_empty() {
        text.push_str(&format!("bypass = {}\n", list(&draft.bypass)));
    }
    let inherits: BTreeMap<&str, &BTreeSet<String>> = draft
        .roles
        .iter()
        .filter(|role| !role.inherits.is_empty())
        .map(|role| (role.name.as_str(), &role.inherits))
        .collect();
    if !inherits.is_empty() {
        text.push_str("\n[legacy.inherits]\n");
        for (role, inherited) in inherits {
            text.push_str(&format!("{} = {}\n", key(role), list(inherited)));
        }
    }
    text.push_str(&rules);
    Some(text)
}

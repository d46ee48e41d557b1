//! What the comparison with the legacy rules comes to: what nobody answers for stops a migration.

use crate::access_diff::AccessDiff;
use crate::endpoints::{AccessChange, AccessCheck};
use crate::legacy::{Finding, FindingCode, Legacy, MAX_FIRST, role_of};
use crate::policy_file::PolicyFile;

/// The findings. With the difference of every user at hand, the comparison of roles says only what would become of roles
/// that nobody has today.
pub(super) fn of(
    file: &PolicyFile,
    access: &AccessCheck,
    difference: Option<&AccessDiff>,
    legacy: Option<&Legacy>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    match difference {
        Some(difference) => {
            found.extend(of_users(difference));
            found.extend(of_vacant_roles(file, access, legacy));
            found.extend(unused(file, access, difference));
        }
        None => found.extend(of_roles(file, access)),
    }
    let unknown = access.unknown_permissions.iter().cloned();
    let message = "permissions that endpoints ask for are not in the catalog, so nobody would pass; add them";
    found.extend(about(
        Finding::stop(FindingCode::UnknownPermission, message),
        access.unknown_permissions.len(),
        unknown,
    ));
    let unknown = access.unknown_roles.iter().cloned();
    let message = "roles of the endpoint file are not in the policy and hold nothing";
    found.extend(about(
        Finding::note(FindingCode::UnknownLabel, message),
        access.unknown_roles.len(),
        unknown,
    ));
    found
}

fn of_users(difference: &AccessDiff) -> Vec<Finding> {
    let open = difference
        .open()
        .into_iter()
        .map(|(group, change)| format!("{} {} ({})", group.name(), change.permission, change.open));
    let message = "pairs of user and permission are allowed by the policy, were not by the legacy rules, and nobody answers for them; \
        take the grants back, or sign each off in the policy file";
    let gained = about_pairs(Finding::stop(FindingCode::AccessGained, message), difference.gained.open, open);
    let signed = difference.gained.signed_off.saturating_add(difference.gained.by_override);
    let message = format!(
        "pairs of user and permission are gained and answered for: {} signed off in the policy file, {} by overrides",
        difference.gained.signed_off, difference.gained.by_override
    );
    let answered = about_pairs(Finding::note(FindingCode::AccessGained, message), signed, []);
    let lost = difference.groups.iter().flat_map(|group| {
        group.lost.iter().map(|change| format!("{} {} ({})", group.name(), change.permission, change.users))
    });
    let message = "pairs of user and permission were allowed by the legacy rules and are not by the policy; `pbac access-diff` shows them";
    let lost = about_pairs(Finding::note(FindingCode::AccessLost, message), difference.lost.pairs, lost);
    let unknown = difference.unknown_labels.iter().map(|unknown| unknown.label.clone());
    let message = "labels of active users are not among the `roles` of `[legacy]`, and so passed nowhere; add them there, with what they inherit";
    let unknown =
        about(Finding::note(FindingCode::UnknownLabel, message), difference.unknown_labels.len(), unknown);
    [gained, answered, lost, unknown].into_iter().flatten().collect()
}

/// What whoever is given one of these roles tomorrow gains and loses.
fn of_vacant_roles(file: &PolicyFile, access: &AccessCheck, legacy: Option<&Legacy>) -> Vec<Finding> {
    let labels = legacy.map(|legacy| legacy.labels.as_slice()).unwrap_or_default();
    let vacant =
        |change: &&AccessChange| labels.iter().all(|label| label.label != change.role || label.active == 0);
    let gained: Vec<&AccessChange> =
        access.gained.iter().filter(vacant).filter(|change| !is_signed_off(file, change)).collect();
    let message = "pairs of role and endpoint are allowed by the policy and were not by the legacy rules, of roles that no active user has";
    let gained = about(Finding::note(FindingCode::AccessGained, message), gained.len(), named(gained));
    let lost: Vec<&AccessChange> = access.lost.iter().filter(vacant).collect();
    let message = "pairs of role and endpoint were allowed by the legacy rules and are not by the policy, of roles that no active user has";
    let lost = about(Finding::note(FindingCode::AccessLost, message), lost.len(), named(lost));
    [gained, lost].into_iter().flatten().collect()
}

/// Without users that could be looked at, each role is taken to be held by somebody.
fn of_roles(file: &PolicyFile, access: &AccessCheck) -> Vec<Finding> {
    let gained: Vec<&AccessChange> =
        access.gained.iter().filter(|change| !is_signed_off(file, change)).collect();
    let message = "pairs of role and endpoint are allowed by the policy and were not by the legacy rules; take the grants back, \
        or sign each off in the policy file";
    let gained = about(Finding::stop(FindingCode::AccessGained, message), gained.len(), named(gained));
    let message = "pairs of role and endpoint were allowed by the legacy rules and are not by the policy";
    let lost =
        about(Finding::note(FindingCode::AccessLost, message), access.lost.len(), named(access.lost.iter()));
    [gained, lost].into_iter().flatten().collect()
}

/// Sign-offs that stand neither for a user nor for a role that somebody could be given.
fn unused(file: &PolicyFile, access: &AccessCheck, difference: &AccessDiff) -> Option<Finding> {
    let for_a_role = |permission: &str, role: Option<&str>| {
        access.gained.iter().any(|change| {
            change.permission == permission && role.is_some() && role == role_name(file, &change.role)
        })
    };
    let unused: Vec<String> = difference
        .unused_sign_offs()
        .filter(|sign_off| !for_a_role(&sign_off.permission, sign_off.role.as_deref()))
        .map(|sign_off| {
            let whom = sign_off.role.as_deref().or(sign_off.user.as_deref()).unwrap_or_default();
            format!("{whom} {}", sign_off.permission)
        })
        .collect();
    let message = "sign-offs of the policy file stand for nobody, who gains or does not gain it otherwise; take them out";
    about(Finding::note(FindingCode::UnusedSignOff, message), unused.len(), unused)
}

fn is_signed_off(file: &PolicyFile, change: &AccessChange) -> bool {
    let role = role_name(file, &change.role);
    file.signed_off.iter().any(|sign_off| {
        role.is_some() && sign_off.whom.role() == role && sign_off.permission.as_str() == change.permission
    })
}

/// The role of the policy that a legacy role is.
fn role_name<'f>(file: &'f PolicyFile, label: &str) -> Option<&'f str> {
    match &file.source {
        Some(source) => role_of(label, &source.rename, &file.policy),
        None => file.policy.role(label).map(|role| role.name.as_str()),
    }
}

fn named<'c>(changes: impl IntoIterator<Item = &'c AccessChange>) -> Vec<String> {
    let first = changes.into_iter().take(MAX_FIRST);
    first.map(|change| format!("{} {} {}", change.role, change.method, change.path)).collect()
}

fn about(finding: Finding, count: usize, first: impl IntoIterator<Item = String>) -> Option<Finding> {
    about_pairs(finding, u64::try_from(count).unwrap_or(u64::MAX), first)
}

fn about_pairs(finding: Finding, count: u64, first: impl IntoIterator<Item = String>) -> Option<Finding> {
    (count > 0).then(|| finding.about(i64::try_from(count).unwrap_or(i64::MAX), first))
}

//! What one user may give to another: no more than they hold themselves, and not for longer.

use policy_core::{
    Index, LimitError, Override, Pattern, Policy, PolicyError, PolicyParts, Roles, Timestamp, breaches,
};

/// What keeps a user from giving a pattern away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The pattern matches nothing in the catalog, so nobody can hold what it may come to mean.
    CoversNothing,
    /// The giver does not hold these permissions, which the pattern covers.
    NotHeld(Vec<String>),
    /// The giver holds these now, and no longer when the gift would end.
    HeldTooBriefly(Vec<String>),
}

/// Looks for what keeps `giver` from giving `pattern` from `now` until `until` (`None`: for ever), by the matcher that
/// decides everything else.
///
/// The two ends are enough: an active override can only lapse with time, so who holds a permission at both ends holds
/// it in between.
#[must_use]
pub fn obstacle(
    index: &Index,
    giver: &str,
    pattern: &Pattern,
    now: Timestamp,
    until: Option<Timestamp>,
) -> Option<Obstacle> {
    // An override is active before its expiry, not at it.
    let last = until.map_or(i64::MAX, |end| end.micros().saturating_sub(1));
    let missing = |moment: Timestamp| -> Vec<String> {
        let session = index.session(giver, Roles::Stored, moment);
        let missing = index.matching(pattern).filter(|id| !session.allows(*id));
        missing.map(|id| index.permission(id).to_owned()).collect()
    };
    if index.matching(pattern).next().is_none() {
        return Some(Obstacle::CoversNothing);
    }
    let not_held = missing(now);
    if !not_held.is_empty() {
        return Some(Obstacle::NotHeld(not_held));
    }
    let too_brief = missing(Timestamp::from_micros(last));
    (!too_brief.is_empty()).then_some(Obstacle::HeldTooBriefly(too_brief))
}

/// The conflicts that `user` breaks at `now` with the override and does not break without it, by name.
///
/// # Errors
///
/// When a limit is passed.
pub fn new_breaches(policy: &Policy, entry: &Override, now: Timestamp) -> Result<Vec<String>, PolicyError> {
    let user = entry.user.as_str();
    let broken = |policy: &Policy| -> Result<Vec<String>, LimitError> {
        let found = breaches(policy, now)?.into_iter();
        Ok(found
            .filter(|breach| breach.users.iter().any(|name| name == user))
            .map(|one| one.conflict)
            .collect())
    };
    let before = only_about(policy, &[user])?;
    let mut parts = before.clone().into_parts();
    parts.overrides.push(entry.clone());
    let (before, after) = (broken(&before)?, broken(&Policy::new(parts)?)?);
    Ok(after.into_iter().filter(|conflict| !before.contains(conflict)).collect())
}

/// The policy without any other users: as good for questions about these, and quick to compile.
///
/// # Errors
///
/// None that the whole policy would not have given.
pub fn only_about(policy: &Policy, users: &[&str]) -> Result<Policy, PolicyError> {
    Policy::new(PolicyParts {
        permissions: policy.permissions().to_vec(),
        roles: policy.roles().to_vec(),
        conflicts: policy.conflicts().to_vec(),
        overrides: policy
            .overrides()
            .iter()
            .filter(|one| users.contains(&one.user.as_str()))
            .cloned()
            .collect(),
        users: policy.users().iter().filter(|one| users.contains(&one.user.as_str())).cloned().collect(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use policy_core::{
        Conflict, Effect, Label, Permission, PermissionName, Role, RoleName, UserId, UserRoles,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn override_of(user: &str, effect: Effect, pattern: &str, until: Option<i64>) -> Override {
        Override {
            user: UserId::parse(user).unwrap(),
            effect,
            pattern: Pattern::parse(pattern).unwrap(),
            expires_at: until.map(Timestamp::from_seconds),
            reason: String::new(),
        }
    }

    /// `head` holds `po.*`, `clerk` holds `po.create`.
    fn policy(overrides: Vec<Override>) -> Policy {
        let permission = |name: &str| Permission {
            name: PermissionName::parse(name).unwrap(),
            module: Label::parse("m").unwrap(),
            description: String::new(),
        };
        let role = |name: &str, grant: &str| Role {
            grants: vec![Pattern::parse(grant).unwrap()],
            ..Role::named(RoleName::parse(name).unwrap())
        };
        let user = |name: &str| UserRoles {
            user: UserId::parse(name).unwrap(),
            roles: vec![RoleName::parse(name).unwrap()],
        };
        Policy::new(PolicyParts {
            permissions: ["po.create", "po.approve", "gate.open"].map(permission).to_vec(),
            roles: vec![role("head", "po.*"), role("clerk", "po.create")],
            conflicts: vec![Conflict {
                name: Label::parse("four eyes").unwrap(),
                left: Pattern::parse("po.create").unwrap(),
                right: Pattern::parse("po.approve").unwrap(),
                reason: String::new(),
            }],
            overrides,
            users: vec![user("head"), user("clerk")],
        })
        .unwrap()
    }

    fn look(giver: &str, pattern: &str, until: Option<i64>, overrides: Vec<Override>) -> Option<Obstacle> {
        let index = Index::compile(&policy(overrides)).unwrap();
        let until = until.map(Timestamp::from_seconds);
        obstacle(&index, giver, &Pattern::parse(pattern).unwrap(), NOW, until)
    }

    fn not_held(names: &[&str]) -> Option<Obstacle> {
        Some(Obstacle::NotHeld(names.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn nobody_gives_what_they_do_not_hold() {
        assert_eq!(look("head", "po.approve", None, vec![]), None);
        assert_eq!(look("head", "po.*", None, vec![]), None);
        assert_eq!(look("clerk", "po.*", None, vec![]), not_held(&["po.approve"]));
        assert_eq!(look("head", "*", None, vec![]), not_held(&["gate.open"]));
        assert_eq!(look("nobody", "po.create", None, vec![]), not_held(&["po.create"]));
        assert_eq!(look("head", "po.gone", None, vec![]), Some(Obstacle::CoversNothing));
    }

    #[test]
    fn a_deny_of_the_giver_counts() {
        let denied = vec![override_of("head", Effect::Deny, "po.approve", None)];
        assert_eq!(look("head", "po.*", None, denied), not_held(&["po.approve"]));
    }

    #[test]
    fn nobody_gives_for_longer_than_they_hold() {
        let brief = || vec![override_of("clerk", Effect::Allow, "gate.open", Some(2_000))];
        let too_brief = Some(Obstacle::HeldTooBriefly(vec!["gate.open".to_owned()]));
        assert_eq!(look("clerk", "gate.open", Some(2_000), brief()), None);
        assert_eq!(look("clerk", "gate.open", Some(2_001), brief()), too_brief);
        assert_eq!(look("clerk", "gate.open", None, brief()), too_brief);
        let lapsed = vec![override_of("clerk", Effect::Allow, "gate.open", Some(1_000))];
        assert_eq!(look("clerk", "gate.open", Some(1_001), lapsed), not_held(&["gate.open"]));
    }

    #[test]
    fn only_conflicts_that_are_new_are_named() {
        let gift = |user: &str, until| override_of(user, Effect::Allow, "po.approve", until);
        let none: Vec<String> = Vec::new();
        let policy = policy(vec![]);
        assert_eq!(new_breaches(&policy, &gift("clerk", None), NOW).unwrap(), ["four eyes"]);
        assert_eq!(new_breaches(&policy, &gift("clerk", Some(1_000)), NOW).unwrap(), none);
        assert_eq!(new_breaches(&policy, &gift("head", None), NOW).unwrap(), none);
        assert_eq!(new_breaches(&policy, &gift("new", None), NOW).unwrap(), none);
    }
}

//! Casbin: `p` rules of subjects, objects and actions, perhaps with an effect, and `g` for who has which role. What they
//! mean is said by a model that no table holds.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::Effect;

use super::super::database::Table;
use super::super::draft::{Draft, Part};
use super::super::names::Catalog;
use super::super::view::{View, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::{Dialect, Entry, Rewritten, prove};
use crate::policy_file::{PermissionWay, RoleWay};
use crate::postgres::Identifier;

/// A `p` rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    subject: String,
    object: String,
    action: String,
    effect: Effect,
}

impl Rule {
    /// What the way of a user ends in: the object, a dot, the action.
    fn name(&self) -> String {
        format!("{}.{}", self.object, self.action)
    }
}

/// All rules, and what `*` means in them.
struct Rules {
    dialect: Dialect,
    rules: BTreeSet<Rule>,
    /// The values of `v3` for each effect; none where rules have no effect.
    effects: BTreeMap<Effect, BTreeSet<String>>,
    /// The roles that each subject has.
    roles: BTreeMap<String, BTreeSet<String>>,
}

impl Rules {
    /// Every subject that is somebody's role.
    fn names(&self) -> BTreeSet<&str> {
        self.roles.values().flatten().map(String::as_str).collect()
    }

    /// Whether a rule is about one user.
    fn is_own(&self, rule: &Rule) -> bool {
        !self.names().contains(rule.subject.as_str())
    }

    fn is_wild(&self, rule: &Rule) -> bool {
        let wild = match self.dialect {
            Dialect::Exact => return false,
            Dialect::KeyMatch2 => rule.object.contains('*') || rule.object.contains("/:"),
            _ => rule.object.contains('*'),
        };
        wild || rule.action == "*"
    }

    /// What a rule means over the catalog, in patterns that mean the same.
    fn rewrite(&self, rule: &Rule, catalog: &Catalog) -> Result<Rewritten, String> {
        let name = rule.name();
        let foreign = self.dialect.read(&rule.object).map_err(|_| {
            format!(
                "`{name}`: the object is a regular expression for {}; name what it covers instead",
                self.dialect.name()
            )
        })?;
        let any = self.dialect != Dialect::Exact && rule.action == "*";
        // The last dot is the one between object and action: an action has none here.
        let implied = |entry: &Entry| {
            entry
                .legacy
                .rsplit_once('.')
                .is_some_and(|(object, action)| foreign.implies(object) && (any || action == rule.action))
        };
        let objects = foreign.candidates();
        let candidates = objects.iter().map(|objects| with_action(objects, &rule.action, any)).collect();
        prove(&name, &catalog.entries, implied, candidates).ok_or_else(|| {
            format!(
                "`{name}` covers nothing that a rule without a wildcard names, so what it gives is not known"
            )
        })
    }
}

/// Patterns of objects with the action behind them. A star at the end of an object is any number of segments there, and
/// one in the middle of a pattern is one segment here, so every depth is tried.
fn with_action(objects: &[String], action: &str, any: bool) -> Vec<String> {
    let mut patterns = Vec::new();
    for object in objects {
        if any {
            patterns.push(if object.ends_with('*') { object.clone() } else { format!("{object}.*") });
            continue;
        }
        let depths = if object.ends_with('*') { 6 } else { 1 };
        let mut deep = object.clone();
        for _ in 0..depths {
            patterns.push(format!("{deep}.{}", action.to_lowercase()));
            deep.push_str(".*");
        }
    }
    // What has too many segments is no pattern; it could match nothing either.
    patterns.retain(|pattern| pattern.split('.').count() <= policy_core::MAX_SEGMENTS);
    patterns
}

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let table = view.table(schema, "casbin_rule")?;
    let Some(rules) = rules(view, table).await? else { return Ok(None) };
    let mut draft = Draft::new(source_of(table, "v0")?);
    let exact = rules.rules.iter().filter(|rule| !rules.is_wild(rule));
    draft.catalog = Catalog::draft(exact.map(|rule| (rule.name(), String::new())), "casbin_rule", view.notes);
    view.guess(
        &mut draft,
        Part::Catalog,
        &table.name,
        "the catalog is what the rules name without a wildcard, as `object.action`; what the application asks for beside it is missing",
    );
    give_roles(view, &mut draft, table, &rules);
    let denies = rules.rules.iter().filter(|rule| rule.effect == Effect::Deny && !rules.is_own(rule));
    let denies: Vec<&Rule> = denies.collect();
    let as_overrides = role_denies(view, table, &denies);
    users(view, &mut draft, table, &rules)?;
    own_rules(view, &mut draft, table, &rules, as_overrides)?;
    view.notes.unsure(
        "model.conf",
        "what the rules mean is said by the model, which is no table: roles by `g`, a deny beats every allow",
    );
    Ok(Some(draft))
}

async fn rules(view: &mut View<'_>, table: &Table) -> Result<Option<Rules>, HostError> {
    let mut counted = BTreeMap::new();
    for value in view.values(table, "ptype", &[]).await? {
        counted.insert(value.value.unwrap_or_default(), value.rows);
    }
    for other in counted.keys().filter(|kind| !["p", "g"].contains(&kind.as_str())) {
        view.notes.stop(
            &table.name,
            format_args!(
                "rules `{other}` are of a model that a policy cannot say; take them out of the model first"
            ),
        );
    }
    let text = |value: Option<String>| value.unwrap_or_default();
    let has = |column: &str| table.column(column).is_some();
    let fourth = if has("v3") { "v3" } else { "v2" };
    let rows =
        super::super::rows::rows(view.connection, &table.name, ["v0", "v1", "v2", fourth], &[("ptype", "p")])
            .await?;
    let mut effects: BTreeMap<Effect, BTreeSet<String>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for [subject, object, action, effect] in rows {
        let given = if has("v3") { text(effect) } else { String::new() };
        let effect = match given.as_str() {
            "" | "allow" => Effect::Allow,
            "deny" => Effect::Deny,
            other => {
                view.notes.stop(&table.name, format_args!("`{other}` in v3 is neither `allow` nor `deny`; a rule with domains or more fields is nothing that a policy can say"));
                return Ok(None);
            }
        };
        effects.entry(effect).or_default().insert(given);
        found.insert(Rule { subject: text(subject), object: text(object), action: text(action), effect });
    }
    let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut domains = 0_usize;
    for [user, role, domain] in
        super::super::rows::rows(view.connection, &table.name, ["v0", "v1", "v2"], &[("ptype", "g")]).await?
    {
        domains = domains.saturating_add(usize::from(!text(domain).is_empty()));
        roles.entry(text(user)).or_default().insert(text(role));
    }
    if domains > 0 {
        view.notes
            .stop(&table.name, format_args!("{domains} rules `g` have a domain; a policy has no domains"));
        return Ok(None);
    }
    view.notes.found(
        &table.name,
        format_args!(
            "{} rules `p` over subject, object and action, {} subjects with roles by `g`",
            found.len(),
            roles.len()
        ),
    );
    let objects: Vec<String> = found
        .iter()
        .map(|rule| format!("{}{}", rule.object, if rule.action == "*" { "*" } else { "" }))
        .collect();
    let Some(dialect) = view.dialect(table, &objects) else { return Ok(None) };
    if let Some(dotted) = found.iter().find(|rule| rule.action.contains('.')) {
        view.notes.stop(
            &table.name,
            format_args!(
                "the action `{}` holds a dot, which stands between object and action here",
                dotted.action
            ),
        );
        return Ok(None);
    }
    Ok(Some(Rules { dialect, rules: found, effects, roles }))
}

fn give_roles(view: &mut View<'_>, draft: &mut Draft, table: &Table, rules: &Rules) {
    for name in rules.names() {
        let Some(mut role) = view.role(table, name) else { continue };
        role.inherits.extend(rules.roles.get(name).into_iter().flatten().cloned());
        for rule in rules.rules.iter().filter(|rule| rule.subject == name && rule.effect == Effect::Allow) {
            match rules.rewrite(rule, &draft.catalog) {
                Ok(rewritten) => view.give(&mut role, rewritten, &draft.catalog),
                Err(reason) => view.notes.stop(format_args!("role `{name}`"), reason),
            }
        }
        draft.roles.push(role);
    }
}

/// Whether denies of roles become overrides. No role denies here, so a person has to say what becomes of them.
fn role_denies(view: &mut View<'_>, table: &Table, denies: &[&Rule]) -> bool {
    let Some(first) = denies.first() else { return false };
    match view.notes.chosen("role-denies").as_deref() {
        Some("overrides") => {
            view.notes.guessed(
                &table.name,
                format_args!("{} denies of roles become overrides of those who have the role at the migration, not of those who get it later", denies.len()),
            );
            true
        }
        Some(other) => {
            let text = format!("`{other}` is no way to treat them; the only one is `overrides`");
            view.notes.stop("--choose role-denies", text);
            false
        }
        None => {
            view.notes.stop(
                &table.name,
                format_args!(
                    "{} rules deny something to a role (first: `{}` of `{}`), and no role denies here; choose `role-denies=overrides` to deny it to each of its present users",
                    denies.len(),
                    first.name(),
                    first.subject
                ),
            );
            false
        }
    }
}

/// The subjects of `g` are the users. Those with rules of their own and no role are users as well, and then all of `p` are.
fn users(view: &mut View<'_>, draft: &mut Draft, table: &Table, rules: &Rules) -> Result<(), HostError> {
    let lonely = rules
        .rules
        .iter()
        .filter(|rule| rules.is_own(rule) && !rules.roles.contains_key(&rule.subject))
        .count();
    let kinds: &[&str] = if lonely > 0 { &["g", "p"] } else { &["g"] };
    draft.source.distinct = true;
    let values = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    draft.source.only.equals.insert(Identifier::new("ptype")?, values);
    view.guess(
        draft,
        Part::Users,
        &table.name,
        "there is no table of users, so the subjects of the rules are the users; roles among them are as Casbin has it",
    );
    let roles = hop(&table.name, "v0", "v1", &[("ptype", "g")])?;
    draft.source.roles.push(RoleWay::Path(path(vec![roles])));
    Ok(())
}

/// Rules of users themselves become overrides.
fn own_rules(
    view: &mut View<'_>,
    draft: &mut Draft,
    table: &Table,
    rules: &Rules,
    role_denies: bool,
) -> Result<(), HostError> {
    let own =
        |effect: Effect| rules.rules.iter().filter(move |rule| rule.effect == effect && rules.is_own(rule));
    let count = own(Effect::Allow).count().saturating_add(own(Effect::Deny).count());
    if count == 0 && !role_denies {
        return Ok(());
    }
    view.notes.found(
        &table.name,
        format_args!("{count} rules of users themselves; they become overrides at the first migration"),
    );
    draft.comment(
        Part::PermissionWays,
        "The rules of users themselves; those of roles are what the roles hold above.",
    );
    let allowed: BTreeSet<String> = own(Effect::Allow).map(|rule| rule.subject.clone()).collect();
    if !allowed.is_empty() {
        let mut way = rule_hop(table, rules, Effect::Allow)?;
        way.only.equals.insert(Identifier::new("v0")?, allowed);
        draft.source.permissions.push(PermissionWay { path: path(vec![way]), effect: Effect::Allow });
    }
    if role_denies || own(Effect::Deny).next().is_some() {
        // Not for certain subjects only: a deny that comes until the migration must not be passed over.
        let mut via = vec![rule_hop(table, rules, Effect::Deny)?];
        if role_denies {
            // Who has a role, also through other roles, has its denies.
            let mut roles = hop(&table.name, "v0", "v1", &[("ptype", "g")])?;
            roles.closure = true;
            via.insert(0, roles);
        }
        draft.source.permissions.push(PermissionWay { path: path(via), effect: Effect::Deny });
    }
    let taken = |rule: &&Rule| rules.is_own(rule) || (role_denies && rule.effect == Effect::Deny);
    for rule in rules.rules.iter().filter(taken) {
        match rules.rewrite(rule, &draft.catalog) {
            Ok(rewritten) => {
                let patterns = rewritten.patterns.iter().map(ToString::to_string).collect();
                draft.source.permission_names.insert(rule.name(), patterns);
            }
            Err(reason) => view.notes.stop(format_args!("user `{}`", rule.subject), reason),
        }
    }
    Ok(())
}

/// From a subject to its rules of one effect.
fn rule_hop(table: &Table, rules: &Rules, effect: Effect) -> Result<crate::policy_file::Hop, HostError> {
    let mut way = hop(&table.name, "v0", "v1", &[("ptype", "p")])?;
    way.suffix = Some(Identifier::new("v2")?);
    let given = rules.effects.get(&effect);
    // Where no rule says an effect, none is asked for; else an empty one means to allow.
    let named: BTreeSet<String> =
        given.into_iter().flatten().filter(|value| !value.is_empty()).cloned().collect();
    let unnamed = given.is_some_and(|values| values.contains(""));
    let all_unnamed = rules.effects.values().flatten().all(String::is_empty);
    match (named.is_empty(), unnamed) {
        (false, false) => drop(way.only.equals.insert(Identifier::new("v3")?, named)),
        (true, true) if !all_unnamed => drop(way.only.empty.insert(Identifier::new("v3")?)),
        (false, true) => {
            return Err(HostError::failed(format_args!(
                "`{}` has rules with the effect `allow` and rules with none, which the model tells apart",
                table.name
            ))
            .help("write `allow` where the effect is empty, or delete those rules"));
        }
        _ => {}
    }
    Ok(way)
}

#[cfg(test)]
mod tests {
    use super::with_action;

    #[test]
    fn every_depth_of_an_object_is_tried() {
        let objects = ["articles.*".to_owned()];
        assert_eq!(with_action(&objects, "read", false).first().map(String::as_str), Some("articles.*.read"));
        assert_eq!(
            with_action(&objects, "read", false).get(1).map(String::as_str),
            Some("articles.*.*.read")
        );
        assert_eq!(with_action(&objects, "*", true), ["articles.*"]);
        assert_eq!(with_action(&["users".to_owned()], "*", true), ["users.*"]);
        assert_eq!(with_action(&["users".to_owned()], "Write", false), ["users.write"]);
    }
}

//! Spring Security's JdbcDaoImpl: authorities of users and of groups. Those that begin with `ROLE_` are roles.

use std::collections::{BTreeMap, BTreeSet};

use super::super::draft::{Draft, DraftRole, Part};
use super::super::names::Catalog;
use super::super::view::{View, allowed, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::{Activity, RoleWay};
use crate::postgres::Identifier;

const PREFIX: &str = "ROLE_";

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let users = view.table(schema, "users")?;
    let authorities = view.table(schema, "authorities")?;
    let mut draft = Draft::new(source_of(users, "username")?);
    draft.source.activity = Some(Activity::Boolean(Identifier::new("enabled")?));
    view.notes.found(
        &users.name,
        "Spring's own table of users: the name is the key, `enabled` says who may log in",
    );
    let of_users = view.labels(authorities, "authority", &[]).await?;
    let groups = groups(view, schema).await?;
    let all: BTreeSet<&String> = of_users.iter().chain(groups.values().flatten()).collect();
    let (roles, permissions): (Vec<&String>, Vec<&String>) =
        all.into_iter().partition(|authority| authority.starts_with(PREFIX));
    view.guess(
        &mut draft,
        Part::Roles,
        &authorities.name,
        "authorities that begin with `ROLE_`, Spring's default prefix, are roles, all others are permissions",
    );
    view.notes.found(
        &authorities.name,
        format_args!("{} roles and {} permissions among the authorities", roles.len(), permissions.len()),
    );
    draft.catalog = Catalog::draft(
        permissions.iter().map(|name| ((*name).clone(), String::new())),
        "authorities",
        view.notes,
    );
    for name in &roles {
        let Some(mut role) = view.role(authorities, name) else { continue };
        role.comments.push(format!(
            "What `hasRole(\"{}\")` guards stands in the code; add the permissions.",
            name.trim_start_matches(PREFIX)
        ));
        draft.roles.push(role);
    }
    if !roles.is_empty() {
        view.notes.unsure(
            "hasRole(…)",
            "what the roles themselves may do stands in the code of the application, not in a table",
        );
    }
    for (name, authorities) in &groups {
        let Some(role) = group(view, &draft, name, authorities) else { continue };
        draft.roles.push(role);
    }

    draft.source.roles.push(RoleWay::Path(path(vec![hop(&authorities.name, "username", "authority", &[])?])));
    if let (Some(members), Some(table)) =
        (view.database.table(schema, "group_members"), view.database.table(schema, "groups"))
    {
        draft.source.roles.push(RoleWay::Path(path(vec![
            hop(&members.name, "username", "group_id", &[])?,
            hop(&table.name, "id", "group_name", &[])?,
        ])));
    }
    draft.source.ignore_labels = permissions.iter().map(|name| (*name).clone()).collect();
    let own = of_users.iter().any(|authority| !authority.starts_with(PREFIX));
    if own {
        draft.source.permissions.push(allowed(vec![hop(&authorities.name, "username", "authority", &[])?]));
        view.notes.found(
            &authorities.name,
            "permissions of users themselves; they become overrides at the first migration",
        );
        draft.comment(Part::PermissionNames, "The roles among the authorities are no permissions.");
        let catalog = draft.catalog.clone();
        for name in permissions {
            view.permission_name(&mut draft, Dialect::Exact, name, &catalog);
        }
        for name in roles {
            draft.source.permission_names.insert(name.clone(), Vec::new());
        }
    }
    Ok(Some(draft))
}

/// The authorities of every group, by its name.
async fn groups(view: &mut View<'_>, schema: &str) -> Result<BTreeMap<String, BTreeSet<String>>, HostError> {
    let tables =
        ["groups", "group_authorities", "group_members"].map(|name| view.database.table(schema, name));
    let [Some(groups), Some(held), Some(members)] = tables else {
        view.notes.not_looked_at("groups", "there are no tables of groups that can be read");
        return Ok(BTreeMap::new());
    };
    let mut held = by_key(view.texts(held, ["group_id", "authority"], &[]).await?);
    let rows = view.texts(groups, ["id", "group_name"], &[]).await?;
    view.notes.found(
        format_args!("{}, {}", groups.name, members.name),
        format_args!("{} groups, each of which is a role", rows.len()),
    );
    let mut found = BTreeMap::new();
    for [id, name] in rows {
        if found.insert(name.clone(), held.remove(&id).unwrap_or_default()).is_some() {
            view.notes
                .stop(&groups.name, format_args!("two groups are called `{name}`; rename one there first"));
        }
    }
    Ok(found)
}

fn group(
    view: &mut View<'_>,
    draft: &Draft,
    name: &str,
    authorities: &BTreeSet<String>,
) -> Option<DraftRole> {
    if draft.roles.iter().any(|role| role.name == name) || draft.catalog.name_of(name).is_some() {
        view.notes.stop(
            "groups",
            format_args!("group `{name}` is called like an authority; rename it there first"),
        );
        return None;
    }
    let table = view.database.tables.iter().find(|table| table.name.table.as_str() == "groups")?;
    let mut role = view.role(table, name)?;
    for authority in authorities {
        if authority.starts_with(PREFIX) {
            role.inherits.insert(authority.clone());
        } else {
            view.grant(&mut role, Dialect::Exact, authority, &draft.catalog);
        }
    }
    Some(role)
}

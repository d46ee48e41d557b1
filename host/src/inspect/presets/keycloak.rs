//! Keycloak: roles of a realm and of its clients, roles in roles (composites), and groups in groups that have roles.

use std::collections::{BTreeMap, BTreeSet};

use super::super::draft::{Draft, Part};
use super::super::view::{View, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::policy_file::RoleWay;

/// A role of a realm.
struct Role {
    name: String,
    client: Option<String>,
}

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let realms = view.table(schema, "realm")?;
    let users = view.table(schema, "user_entity")?;
    let table = view.table(schema, "keycloak_role")?;
    let ids: BTreeMap<String, String> =
        view.texts(realms, ["name", "id"], &[]).await?.into_iter().map(|[name, id]| (name, id)).collect();
    let names: Vec<String> = ids.keys().cloned().collect();
    let Some(realm) = view.notes.one_of("realm", &realms.name, &names) else { return Ok(None) };
    let Some(id) = ids.get(&realm) else { return Ok(None) };
    let filter = [("realm_id", id.as_str())];
    // With one realm, every row is of it.
    let only: &[(&str, &str)] = if ids.len() > 1 { &filter } else { &[] };
    view.notes.found(&realms.name, format_args!("realm `{realm}`, one of {}", ids.len()));

    let mut draft = Draft::new(source_of(users, "id")?);
    for (column, value) in only {
        draft
            .source
            .only
            .equals
            .insert(crate::postgres::Identifier::new(*column)?, BTreeSet::from([(*value).to_owned()]));
    }
    view.set_activity(&mut draft, users, "enabled").await?;
    view.notes.found(format_args!("{}.enabled", users.name), "who is not enabled cannot log in");
    let roles = roles(view, schema, &filter).await?;
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for role in roles.values() {
        let count = counted.entry(&role.name).or_default();
        *count = count.saturating_add(1);
    }
    let shared: Vec<&str> = counted.iter().filter(|(_, count)| **count > 1).map(|(name, _)| *name).collect();
    // Roles of different clients may have one name: then the id is the label, and each is said to be which role.
    let by_id = !shared.is_empty();
    if by_id {
        let text = format!(
            "{} names are of several roles (first: `{}`), so the label is the role's id",
            shared.len(),
            shared.first().unwrap_or(&"")
        );
        view.notes.found(&table.name, &text);
        draft.comment(Part::RoleWays, text);
    }
    let named: BTreeMap<&String, String> = roles
        .iter()
        .map(|(id, role)| {
            let alone = counted.get(role.name.as_str()) == Some(&1);
            let name = match &role.client {
                Some(client) if !alone => format!("{client}/{}", role.name),
                _ => role.name.clone(),
            };
            (id, name)
        })
        .collect();
    if by_id {
        draft.source.rename = named.iter().map(|(id, name)| ((*id).clone(), name.clone())).collect();
    }
    draft_roles(view, &mut draft, schema, &roles, &named).await?;
    ways(view, &mut draft, schema, if by_id { "id" } else { "name" }, only).await?;
    draft.comment(
        Part::Catalog,
        "Keycloak has roles and no permissions: what each role may do stands in the application.",
    );
    view.notes.unsure("permissions", "Keycloak's tables hold roles only; what each may do stands in the application (`pbac init --python`)");
    view.notes.not_looked_at(
        "authorization services",
        "resources, scopes and policies of clients (resource_server_…)",
    );
    let federated = view
        .values(users, "federation_link", only)
        .await?
        .into_iter()
        .filter(|counted| counted.value.is_some())
        .map(|counted| counted.rows)
        .sum::<i64>();
    if federated > 0 {
        view.notes.unsure(
            format_args!("{}.federation_link", users.name),
            format_args!("{federated} users come from elsewhere; roles that a mapper gives them are not in these tables"),
        );
    }
    Ok(Some(draft))
}

async fn roles(
    view: &mut View<'_>,
    schema: &str,
    filter: &[(&str, &str)],
) -> Result<BTreeMap<String, Role>, HostError> {
    let table = view.table(schema, "keycloak_role")?;
    let mut clients = BTreeMap::new();
    if let Some(table) = view.database.table(schema, "client") {
        clients.extend(
            view.texts(table, ["id", "client_id"], &[]).await?.into_iter().map(|[id, name]| (id, name)),
        );
    }
    let names = view.texts(table, ["id", "name"], filter).await?;
    let of: BTreeMap<String, String> =
        super::super::rows::rows(view.connection, &table.name, ["id", "client"], filter)
            .await?
            .into_iter()
            .filter_map(|[id, client]| Some((id?, client?)))
            .collect();
    let roles: BTreeMap<String, Role> = names
        .into_iter()
        .map(|[id, name]| {
            let client = of.get(&id).map(|client| clients.get(client).unwrap_or(client).clone());
            (id, Role { name, client })
        })
        .collect();
    let of_clients = roles.values().filter(|role| role.client.is_some()).count();
    view.notes.found(&table.name, format_args!("{} roles, {of_clients} of them of clients", roles.len()));
    Ok(roles)
}

/// The roles, with those that they are composed of as what they inherit.
async fn draft_roles(
    view: &mut View<'_>,
    draft: &mut Draft,
    schema: &str,
    roles: &BTreeMap<String, Role>,
    named: &BTreeMap<&String, String>,
) -> Result<(), HostError> {
    let table = view.table(schema, "keycloak_role")?;
    let composites = view.table(schema, "composite_role")?;
    let children = by_key(view.texts(composites, ["composite", "child_role"], &[]).await?);
    let inner = children.keys().filter(|id| roles.contains_key(*id)).count();
    view.notes.found(
        &composites.name,
        format_args!("{inner} roles are composed of others, which they inherit here"),
    );
    for (id, role) in roles {
        let Some(name) = named.get(id) else { continue };
        let Some(mut drafted) = view.role(table, name) else { continue };
        if let Some(client) = &role.client {
            drafted.description = format!("Role `{}` of the client `{client}`", role.name);
        }
        for child in children.get(id).into_iter().flatten() {
            match named.get(child) {
                Some(child) => drop(drafted.inherits.insert(child.clone())),
                None => view.notes.unsure(
                    format_args!("role `{name}`"),
                    format_args!(
                        "it is composed of a role that is not of this realm (`{child}`), which is left out"
                    ),
                ),
            }
        }
        draft.roles.push(drafted);
    }
    draft.roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(())
}

async fn ways(
    view: &mut View<'_>,
    draft: &mut Draft,
    schema: &str,
    label: &str,
    only: &[(&str, &str)],
) -> Result<(), HostError> {
    let table = view.table(schema, "keycloak_role")?;
    let mapped = view.table(schema, "user_role_mapping")?;
    draft.source.roles.push(RoleWay::Path(path(vec![
        hop(&mapped.name, "user_id", "role_id", &[])?,
        hop(&table.name, "id", label, only)?,
    ])));
    let tables = ["user_group_membership", "keycloak_group", "group_role_mapping"];
    let [Some(members), Some(groups), Some(held)] = tables.map(|name| view.database.table(schema, name))
    else {
        view.notes.not_looked_at("groups", "the tables of groups cannot be read");
        return Ok(());
    };
    let count = view.count(groups, only).await?;
    view.notes.found(
        format_args!("{}, {}", groups.name, held.name),
        format_args!("{count} groups; a member has the roles of the group and of all groups above it"),
    );
    let mut above = hop(&groups.name, "id", "parent_group", &[])?;
    above.closure = true;
    draft.source.roles.push(RoleWay::Path(path(vec![
        hop(&members.name, "user_id", "group_id", &[])?,
        above,
        hop(&held.name, "group_id", "role_id", &[])?,
        hop(&table.name, "id", label, only)?,
    ])));
    Ok(())
}

//! The tables that Apache Shiro's JdbcRealm asks: roles of users by name, permissions of roles with Shiro's wildcards.

use super::super::draft::{Draft, Part};
use super::super::names::Catalog;
use super::super::view::{View, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::RoleWay;

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let users = view.table(schema, "users")?;
    let user_roles = view.table(schema, "user_roles")?;
    let held = view.table(schema, "roles_permissions")?;
    let mut draft = Draft::new(source_of(users, "username")?);
    draft.source.roles.push(RoleWay::Path(path(vec![hop(&user_roles.name, "username", "role_name", &[])?])));

    let permissions = view.labels(held, "permission", &[]).await?;
    let wild = |name: &str| name.contains(['*', ',']);
    // A permission of one part means all below it, unless there is nothing below it.
    let short = |name: &String| {
        let below = format!("{name}:");
        !name.contains(':') && permissions.iter().any(|other| other.starts_with(&below))
    };
    let exact = permissions.iter().filter(|name| !wild(name) && !short(name));
    draft.catalog =
        Catalog::draft(exact.map(|name| (name.clone(), String::new())), "roles_permissions", view.notes);
    view.notes.found(
        &held.name,
        format_args!("{} permissions without a wildcard; they are the catalog", draft.catalog.entries.len()),
    );
    view.guess(
        &mut draft,
        Part::Catalog,
        &held.name,
        "the catalog is what the rows name without a wildcard; what the application asks for beside it is missing",
    );
    let grants = by_key(view.texts(held, ["role_name", "permission"], &[]).await?);
    let mut roles: std::collections::BTreeSet<String> = grants.keys().cloned().collect();
    roles.extend(view.labels(user_roles, "role_name", &[]).await?);
    view.notes.found(&user_roles.name, format_args!("{} roles, by their names", roles.len()));
    for name in roles {
        let Some(mut role) = view.role(user_roles, &name) else { continue };
        for grant in grants.get(&name).into_iter().flatten() {
            view.grant(&mut role, Dialect::Shiro, grant, &draft.catalog);
        }
        draft.roles.push(role);
    }
    view.activity(&mut draft, users).await?;
    Ok(Some(draft))
}

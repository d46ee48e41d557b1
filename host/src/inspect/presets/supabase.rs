//! Supabase's guide to roles: `user_roles` and `role_permissions`, over two enumerations.

use std::collections::BTreeSet;

use super::super::database::Table;
use super::super::draft::{Draft, Part};
use super::super::names::Catalog;
use super::super::view::{View, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::RoleWay;

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let user_roles = view.table(schema, "user_roles")?;
    let role_permissions = view.table(schema, "role_permissions")?;
    let candidates: Vec<&Table> = view.database.table("auth", "users").into_iter().collect();
    let Some(users) = view.users(&candidates) else { return Ok(None) };
    let Some(id) = users.key() else {
        view.notes.stop(&users.name, "it has no primary key of one column");
        return Ok(None);
    };
    view.notes.found(&users.name, "the table of users");
    let mut draft = Draft::new(source_of(users, id)?);
    draft.source.roles.push(RoleWay::Path(path(vec![hop(&user_roles.name, "user_id", "role", &[])?])));

    let roles = labels(view, user_roles, "role", role_permissions, "role").await?;
    let permissions = labels(view, role_permissions, "permission", role_permissions, "permission").await?;
    view.notes.found(
        format_args!("{}, {}", user_roles.name, role_permissions.name),
        format_args!(
            "{} roles and {} permissions, from the enumerations as well as from the rows",
            roles.len(),
            permissions.len()
        ),
    );
    let described = permissions.into_iter().map(|name| (name, String::new()));
    draft.catalog = Catalog::draft(described, "role_permissions", view.notes);
    let held = by_key(view.texts(role_permissions, ["role", "permission"], &[]).await?);
    for name in roles {
        let Some(mut role) = view.role(user_roles, &name) else { continue };
        for permission in held.get(&name).into_iter().flatten() {
            view.grant(&mut role, Dialect::Exact, permission, &draft.catalog);
        }
        draft.roles.push(role);
    }
    let several = view.repeated(user_roles, "user_id").await?;
    if several > 0 {
        view.notes.unsure(
            &user_roles.name,
            format_args!("{several} users have several roles; the guide's token hook puts one of them into the token, here all count"),
        );
    }
    if users.column("banned_until").is_some() {
        view.guess(
            &mut draft,
            Part::Activity,
            format_args!("{}.banned_until", users.name),
            "who is banned is inactive until then",
        );
        view.set_activity(&mut draft, users, "banned_until").await?;
        if users.column("deleted_at").is_some() {
            view.notes.unsure(
                format_args!("{}.deleted_at", users.name),
                "one column can say who is active; users that are deleted softly keep their roles here",
            );
        }
    } else {
        view.activity(&mut draft, users).await?;
    }
    Ok(Some(draft))
}

/// The labels of an enumeration, and the values of both columns.
async fn labels(
    view: &mut View<'_>,
    table: &Table,
    column: &str,
    other: &Table,
    other_column: &str,
) -> Result<BTreeSet<String>, HostError> {
    let mut labels: BTreeSet<String> = [(table, column), (other, other_column)]
        .into_iter()
        .filter_map(|(table, column)| table.column(column))
        .flat_map(|column| column.labels.iter().cloned())
        .collect();
    labels.extend(view.labels(table, column, &[]).await?);
    labels.extend(view.labels(other, other_column, &[]).await?);
    Ok(labels)
}

//! Django: groups, the permissions of groups and users, and `is_superuser`, which passes every check.

use std::collections::BTreeMap;

use policy_core::Pattern;

use super::super::database::{ColumnKind, Table};
use super::super::draft::{Draft, DraftRole, Part};
use super::super::names::Catalog;
use super::super::view::{View, allowed, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::RoleWay;
use crate::postgres::Identifier;

/// The role of those who have `is_superuser`.
const SUPERUSER: &str = "superuser";

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let Some(users) = users(view, schema) else { return Ok(None) };
    let name = users.name.table.as_str().to_owned();
    let groups = view.table(schema, "auth_group")?;
    let permissions = view.table(schema, "auth_permission")?;
    let types = view.table(schema, "django_content_type")?;
    let memberships = view.table(schema, &format!("{name}_groups"))?;
    let Some(id) = users.key() else {
        view.notes.stop(&users.name, "it has no primary key of one column");
        return Ok(None);
    };
    let mut draft = Draft::new(source_of(users, id)?);

    let labels: BTreeMap<String, String> = view
        .texts(types, ["id", "app_label"], &[])
        .await?
        .into_iter()
        .map(|[id, label]| (id, label))
        .collect();
    let mut legacy = BTreeMap::new();
    let mut described = Vec::new();
    for [id, content_type, codename, description] in
        view.texts(permissions, ["id", "content_type_id", "codename", "name"], &[]).await?
    {
        let Some(label) = labels.get(&content_type) else {
            view.notes.unsure(
                &permissions.name,
                format_args!("permission {id} is of a content type that is not there"),
            );
            continue;
        };
        let full = format!("{label}.{codename}");
        described.push((full.clone(), description));
        legacy.insert(id, full);
    }
    draft.catalog = Catalog::draft(described, "auth_permission", view.notes);
    view.notes.found(
        format_args!("{}, {}", permissions.name, types.name),
        format_args!("{} permissions, called `app_label.codename` as has_perm() is asked", legacy.len()),
    );

    let group_permissions = view.table(schema, "auth_group_permissions")?;
    let held = by_key(view.texts(group_permissions, ["group_id", "permission_id"], &[]).await?);
    let mut rows = view.texts(groups, ["id", "name"], &[]).await?;
    rows.sort_by(|[_, one], [_, other]| one.cmp(other));
    view.notes.found(&groups.name, format_args!("{} groups, each of which is a role", rows.len()));
    let label = if rows.iter().any(|[_, name]| name == SUPERUSER) { "is_superuser" } else { SUPERUSER };
    superuser(view, &mut draft, users, label).await?;
    for [id, name] in rows {
        let Some(mut role) = view.role(groups, &name) else { continue };
        for permission in held.get(&id).into_iter().flatten().filter_map(|id| legacy.get(id)) {
            view.grant(&mut role, Dialect::Exact, permission, &draft.catalog);
        }
        draft.roles.push(role);
    }

    let user_column = user_column(view, memberships, users, &["group_id"]);
    draft.source.roles.insert(
        0,
        RoleWay::Path(path(vec![
            hop(&memberships.name, &user_column, "group_id", &[])?,
            hop(&groups.name, "id", "name", &[])?,
        ])),
    );
    own_permissions(view, &mut draft, schema, users, legacy.values()).await?;
    if users.column("is_active").is_some_and(|column| column.kind == ColumnKind::Boolean) {
        view.notes
            .found(format_args!("{}.is_active", users.name), "who is not active has no permission at all");
        view.set_activity(&mut draft, users, "is_active").await?;
    }
    view.notes.unsure(
        format_args!("{}.is_staff", users.name),
        "it lets into the admin site and is no permission; it is not taken over",
    );
    view.notes.unsure(
        "AUTHENTICATION_BACKENDS",
        "backends of the application may give or take permissions that no table holds",
    );
    let objects: Vec<&Table> = view
        .database
        .tables
        .iter()
        .filter(|table| table.name.table.as_str().starts_with("guardian_"))
        .collect();
    for table in objects {
        view.notes.not_looked_at(
            &table.name,
            "permissions for single objects (django-guardian) are nothing that a policy can say",
        );
    }
    Ok(Some(draft))
}

/// `auth_user`, or the table of AUTH_USER_MODEL: one with `is_superuser` and a table of groups beside it.
fn users<'v>(view: &mut View<'v>, schema: &str) -> Option<&'v Table> {
    let candidates: Vec<&Table> = view
        .database
        .tables
        .iter()
        .filter(|table| {
            let groups = format!("{}_groups", table.name.table.as_str());
            table.has(&["is_superuser", "password"])
                && view.database.table(schema, &groups).is_some_and(|groups| groups.has(&["group_id"]))
        })
        .collect();
    let users = view.users(&candidates)?;
    let what = if users.name.table.as_str() == "auth_user" {
        "Django's own table of users"
    } else {
        "the table of users of AUTH_USER_MODEL: it has is_superuser, and a table of groups beside it"
    };
    view.notes.found(&users.name, what);
    Some(users)
}

async fn superuser(
    view: &mut View<'_>,
    draft: &mut Draft,
    users: &Table,
    label: &str,
) -> Result<(), HostError> {
    let count = view.count(users, &[("is_superuser", "true")]).await?;
    let about = format!("{}.is_superuser", users.name);
    view.notes.found(about, format_args!("{count} users pass every check; the role `{label}` holds `*`"));
    draft
        .source
        .roles
        .push(RoleWay::Flag { flag: Identifier::new("is_superuser")?, label: label.to_owned() });
    let mut role = DraftRole::named(label);
    role.description = "Django's is_superuser, which passes every check".to_owned();
    role.grants.extend(Pattern::parse("*").ok());
    draft.bypass.insert(label.to_owned());
    draft.roles.push(role);
    Ok(())
}

/// The column of `table` that refers to the users: by its foreign key, else the one that is left.
fn user_column(view: &mut View<'_>, table: &Table, users: &Table, others: &[&str]) -> String {
    let left: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|column| *column != "id" && !others.contains(column))
        .collect();
    let refers =
        |column: &&&str| view.database.leads_to(&table.name, column).is_some_and(|key| key.to == users.name);
    let found = left.iter().find(refers).or(left.first()).copied();
    found.unwrap_or("user_id").to_owned()
}

async fn own_permissions(
    view: &mut View<'_>,
    draft: &mut Draft,
    schema: &str,
    users: &Table,
    legacy: impl Iterator<Item = &String>,
) -> Result<(), HostError> {
    let own = format!("{}_user_permissions", users.name.table.as_str());
    let Some(own) = view.database.table(schema, &own) else { return Ok(()) };
    let count = view.count(own, &[]).await?;
    view.notes.found(
        &own.name,
        format_args!("{count} permissions of users themselves; they become overrides at the first migration"),
    );
    let column = user_column(view, own, users, &["permission_id"]);
    let permissions = view.table(schema, "auth_permission")?;
    let types = view.table(schema, "django_content_type")?;
    let mut named = hop(&permissions.name, "id", "content_type_id", &[])?;
    named.suffix = Some(Identifier::new("codename")?);
    let via = vec![
        hop(&own.name, &column, "permission_id", &[])?,
        named,
        hop(&types.name, "id", "app_label", &[])?,
    ];
    draft.source.permissions.push(allowed(via));
    draft.comment(Part::PermissionWays, "`app_label.codename` of each user's own permissions.");
    let catalog = draft.catalog.clone();
    for name in legacy {
        view.permission_name(draft, Dialect::Exact, name, &catalog);
    }
    Ok(())
}

//! Tables of users, roles and what joins them, by their foreign keys or by names that look like such; perhaps permissions
//! of roles and of users.

use std::collections::BTreeMap;

use super::super::database::{ColumnKind, Database, ForeignKey, Table};
use super::super::draft::{Draft, Part};
use super::super::names::Catalog;
use super::super::view::{View, allowed, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::RoleWay;
use crate::postgres::QualifiedName;

/// A table that joins two others.
#[derive(Clone, Copy)]
struct Join<'d> {
    table: &'d Table,
    left: &'d ForeignKey,
    right: &'d ForeignKey,
}

/// Says which keys are known by their names only.
fn say_likely(view: &mut View<'_>, draft: &mut Draft, join: Join<'_>) {
    let likely: Vec<&str> = [join.left, join.right]
        .into_iter()
        .filter(|key| view.database.likely_keys.contains(key))
        .map(|key| key.column.as_str())
        .collect();
    if !likely.is_empty() {
        let (left, right) = (&join.left.to, &join.right.to);
        let text = format!(
            "{} lead to {left} and {right} by their names; no foreign key says so",
            likely.join(" and ")
        );
        view.guess(draft, Part::RoleWays, &join.table.name, &text);
    }
}

fn is_role(table: &Table) -> bool {
    let name = table.name.table.as_str().to_lowercase();
    name.contains("role") || name.contains("group")
}

fn is_permission(table: &Table) -> bool {
    let name = table.name.table.as_str().to_lowercase();
    ["perm", "privilege", "right", "abilit", "authorit"].iter().any(|part| name.contains(part))
}

/// Every table with a key to a table that is `left` and another to one that is `right`.
fn joins<'d>(
    database: &'d Database,
    left: &dyn Fn(&Table) -> bool,
    right: &dyn Fn(&Table) -> bool,
) -> Vec<Join<'d>> {
    let table = |name: &QualifiedName| database.tables.iter().find(|table| table.name == *name);
    let mut found = Vec::new();
    for joining in &database.tables {
        let keys: Vec<&ForeignKey> =
            database.keys().filter(|key| key.table == joining.name && key.to != joining.name).collect();
        let to =
            |is: &dyn Fn(&Table) -> bool| keys.iter().copied().find(|key| table(&key.to).is_some_and(is));
        if let (Some(left), Some(right)) = (to(left), to(right))
            && left.to != right.to
        {
            found.push(Join { table: joining, left, right });
        }
    }
    found
}

/// Who is neither a role nor a permission may be a user, where the name says so or nothing else does.
fn is_user(table: &Table) -> bool {
    super::plain::holds_people(table)
}

fn role_only(table: &Table) -> bool {
    is_role(table) && !is_permission(table)
}

/// Whether there are tables that join people and roles.
pub(super) fn is_there(view: &View<'_>) -> bool {
    !joins(view.database, &is_user, &role_only).is_empty()
}

pub(super) async fn draft(view: &mut View<'_>) -> Result<Option<Draft>, HostError> {
    let chosen = view.notes.chosen("users");
    let is_chosen = |table: &Table| match &chosen {
        Some(name) => table.name.to_string() == *name,
        None => is_user(table),
    };
    let found = joins(view.database, &is_chosen, &role_only);
    let names: Vec<String> = found.iter().map(|join| join.table.name.to_string()).collect();
    if names.is_empty() {
        view.notes.stop(&view.database.name, "no table joins users and roles by foreign keys; say which are the users with `--choose users=schema.table`, or write the policy by hand");
        return Ok(None);
    }
    if names.len() > 1 {
        view.notes
            .unsure(names.join(", "), "several tables join users and roles; the roles of all of them count");
    }
    let Some(first) = found.first().copied() else { return Ok(None) };
    let Some(users) = view.database.tables.iter().find(|table| table.name == first.left.to) else {
        return Ok(None);
    };
    let mut draft = Draft::new(source_of(users, &first.left.to_column)?);
    view.notes.found(&users.name, format_args!("the table of users: `{}` refers to it", first.table.name));
    let permissions = catalog(view, &mut draft).await?;
    for join in found
        .into_iter()
        .filter(|join| join.left.to == users.name && join.left.to_column == first.left.to_column)
    {
        roles(view, &mut draft, join, &permissions).await?;
    }
    own(view, &mut draft, users, &permissions)?;
    left_over(view, &draft, users, &permissions);
    if draft.catalog.entries.is_empty() {
        draft.comment(
            Part::Catalog,
            "What each role may do stands in the application; `pbac init --python` reads it there.",
        );
        view.notes.unsure("permissions", "no table says what a role may do; the grants are empty");
    }
    view.activity(&mut draft, users).await?;
    Ok(Some(draft))
}

/// Permissions by the key of their table, and what `*` means in them.
struct Permissions<'d> {
    table: Option<(&'d Table, &'static str)>,
    by_key: BTreeMap<String, String>,
    dialect: Dialect,
}

const NAMES: [&str; 8] = ["name", "code", "slug", "key", "permission", "codename", "title", "role_name"];

async fn catalog<'v>(view: &mut View<'v>, draft: &mut Draft) -> Result<Permissions<'v>, HostError> {
    let mut permissions = Permissions { table: None, by_key: BTreeMap::new(), dialect: Dialect::Exact };
    let joined = joins(view.database, &role_only, &is_permission);
    let Some(join) = joined.first() else { return Ok(permissions) };
    let database = view.database;
    let Some(table) = database.tables.iter().find(|table| table.name == join.right.to) else {
        return Ok(permissions);
    };
    let Some(name) = table.first_of(&NAMES) else {
        view.notes.stop(&table.name, "no column of it is the name of a permission by its name");
        return Ok(permissions);
    };
    let rows = view.texts(table, [&join.right.to_column, name], &[]).await?;
    let names: Vec<String> = rows.iter().map(|[_, name]| name.clone()).collect();
    if let Some(dialect) = view.dialect(table, &names) {
        permissions.dialect = dialect;
    }
    let exact =
        names.iter().filter(|name| permissions.dialect == Dialect::Exact || !name.contains(['*', ',']));
    let about = table.name.to_string();
    draft.catalog = Catalog::draft(exact.map(|name| (name.clone(), String::new())), &about, view.notes);
    view.notes.found(&about, format_args!("{} permissions, by `{name}`", draft.catalog.entries.len()));
    permissions.by_key = rows.into_iter().map(|[key, name]| (key, name)).collect();
    permissions.table = Some((table, name));
    Ok(permissions)
}

async fn roles(
    view: &mut View<'_>,
    draft: &mut Draft,
    join: Join<'_>,
    permissions: &Permissions<'_>,
) -> Result<(), HostError> {
    let Some(table) = view.database.tables.iter().find(|table| table.name == join.right.to) else {
        return Ok(());
    };
    let Some(name) = table.first_of(&NAMES) else {
        view.notes.stop(&table.name, "no column of it is the name of a role by its name");
        return Ok(());
    };
    view.notes.found(
        format_args!("{}, {}", join.table.name, table.name),
        format_args!(
            "users have roles by `{}` and `{}`; a role is called by `{name}`",
            join.left.column, join.right.column
        ),
    );
    for column in &join.table.columns {
        let scope = ["tenant", "team", "org", "project", "domain", "expires", "valid", "until", "scope"];
        if scope.iter().any(|part| column.name.to_lowercase().contains(part)) {
            view.notes.unsure(
                format_args!("{}.{}", join.table.name, column.name),
                "the name suggests that a role holds in one place or for a time only; a policy does not look at it",
            );
        }
    }
    draft.source.roles.push(RoleWay::Path(path(vec![
        hop(&join.table.name, &join.left.column, &join.right.column, &[])?,
        hop(&table.name, &join.right.to_column, name, &[])?,
    ])));
    say_likely(view, draft, join);
    let mut held = BTreeMap::new();
    let of_roles = joins(view.database, &|other| other.name == table.name, &is_permission);
    if let Some(of) = of_roles.first() {
        view.notes.found(&of.table.name, "which permissions a role has");
        say_likely(view, draft, *of);
        held = by_key(view.texts(of.table, [&of.left.column, &of.right.column], &[]).await?);
    }
    let display =
        table.first_of(&["display_name", "label", "title", "display"]).filter(|column| *column != name);
    let shown: BTreeMap<String, String> = match display {
        Some(column) => {
            let rows =
                super::super::rows::rows(view.connection, &table.name, [&join.right.to_column, column], &[])
                    .await?;
            rows.into_iter().filter_map(|[key, shown]| Some((key?, shown?))).collect()
        }
        None => BTreeMap::new(),
    };
    let mut rows = view.texts(table, [&join.right.to_column, name], &[]).await?;
    rows.sort_by(|[_, one], [_, other]| one.cmp(other));
    let names: Vec<String> = rows.iter().map(|[_, name]| name.clone()).collect();
    for [key, name] in rows {
        if draft.roles.iter().any(|role| role.name == name) {
            view.notes
                .stop(&table.name, format_args!("two roles are called `{name}`; rename one there first"));
            continue;
        }
        let Some(mut role) = view.role(table, &name) else { continue };
        if let (Some(alias), Some(column)) = (shown.get(&key), display)
            && !names.contains(alias)
            && shown.values().filter(|other| *other == alias).count() == 1
            && policy_core::RoleName::parse(alias).is_ok()
        {
            let text = format!("`{alias}` is `{name}` as people are shown it");
            view.notes.guessed(format_args!("{}.{column}", table.name), &text);
            role.comments.push(format!("guessed: {text}"));
            role.aliases.insert(alias.clone());
        }
        for permission in held.get(&key).into_iter().flatten().filter_map(|key| permissions.by_key.get(key)) {
            view.grant(&mut role, permissions.dialect, permission, &draft.catalog);
        }
        draft.roles.push(role);
    }
    Ok(())
}

/// Permissions of users themselves, where a table joins them and says nothing more about it.
fn own(
    view: &mut View<'_>,
    draft: &mut Draft,
    users: &Table,
    permissions: &Permissions<'_>,
) -> Result<(), HostError> {
    let Some((table, name)) = permissions.table else { return Ok(()) };
    for join in joins(view.database, &|other| other.name == users.name, &|other| other.name == table.name) {
        let odd = join.table.columns.iter().find(|column| {
            let says_more = ["effect", "deny", "granted", "allow", "type", "expires", "until"];
            column.kind == ColumnKind::Boolean
                || says_more.iter().any(|part| column.name.to_lowercase().contains(part))
        });
        if let Some(column) = odd {
            view.notes.stop(
                format_args!("{}.{}", join.table.name, column.name),
                "the name suggests that it says whether or how long a permission of a user counts; write this [[source.permissions]] by hand",
            );
            continue;
        }
        say_likely(view, draft, join);
        view.notes.found(
            &join.table.name,
            "permissions of users themselves; they become overrides at the first migration",
        );
        draft.source.permissions.push(allowed(vec![
            hop(&join.table.name, &join.left.column, &join.right.column, &[])?,
            hop(&table.name, &join.right.to_column, name, &[])?,
        ]));
        let catalog = draft.catalog.clone();
        for legacy in permissions.by_key.values() {
            view.permission_name(draft, permissions.dialect, legacy, &catalog);
        }
    }
    Ok(())
}

/// Tables of roles or permissions by their names that refer to users or roles and of which nothing is taken over.
fn left_over(view: &mut View<'_>, draft: &Draft, users: &Table, permissions: &Permissions<'_>) {
    let of_roles = joins(view.database, &role_only, &is_permission);
    let used = |table: &Table| {
        draft.source.tables().contains(&&table.name)
            || (permissions.table.is_some() && of_roles.iter().any(|join| join.table.name == table.name))
            || permissions.table.is_some_and(|(found, _)| found.name == table.name)
    };
    let is_role_table = |name: &QualifiedName| draft.source.tables().contains(&name) && *name != users.name;
    let database = view.database;
    for table in &database.tables {
        let refers = database
            .keys()
            .any(|key| key.table == table.name && (key.to == users.name || is_role_table(&key.to)));
        if refers && (is_role(table) || is_permission(table)) && !used(table) {
            view.notes.unsure(
                &table.name,
                "by its name it says who may do what, and nothing of it is taken over; if it counts, write it by hand",
            );
        }
        let above = database.foreign_keys.iter().find(|key| key.table == table.name && key.to == table.name);
        if let Some(key) = above.filter(|_| is_role_table(&table.name)) {
            view.notes.unsure(
                format_args!("{}.{}", table.name, key.column),
                "roles refer to roles; which inherits which is not known, so write `inherits` by hand",
            );
        }
    }
}

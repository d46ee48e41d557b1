//! spatie/laravel-permission: roles and permissions of a guard, given to models, where teams are on within a team.

use std::collections::{BTreeMap, BTreeSet};

use super::super::database::Table;
use super::super::draft::{Draft, Part};
use super::super::names::Catalog;
use super::super::view::{View, allowed, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::RoleWay;

/// What of the rows counts.
struct Scope {
    guard: String,
    model: String,
    key: &'static str,
    team: Option<(String, String)>,
}

impl Scope {
    /// The filter for the tables of models.
    fn of_models(&self) -> Vec<(&str, &str)> {
        let team = self.team.iter().map(|(column, team)| (column.as_str(), team.as_str()));
        [("model_type", self.model.as_str())].into_iter().chain(team).collect()
    }

    fn of_guard(&self) -> [(&str, &str); 1] {
        [("guard_name", &self.guard)]
    }
}

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let roles = view.table(schema, "roles")?;
    let permissions = view.table(schema, "permissions")?;
    let Some(scope) = scope(view, schema).await? else { return Ok(None) };
    let Some(users) = users(view, schema, &scope.model) else { return Ok(None) };
    let Some(id) = users.key() else {
        view.notes.stop(&users.name, "it has no primary key of one column");
        return Ok(None);
    };
    let mut draft = Draft::new(source_of(users, id)?);
    let rows = view.texts(permissions, ["id", "name"], &scope.of_guard()).await?;
    let names: Vec<String> = rows.iter().map(|[_, name]| name.clone()).collect();
    let Some(dialect) = dialect(view, &mut draft, permissions, &names) else { return Ok(None) };
    let wild = |name: &str| dialect != Dialect::Exact && name.contains(['*', ',']);
    draft.catalog = Catalog::draft(
        names.iter().filter(|name| !wild(name)).map(|name| (name.clone(), String::new())),
        "permissions",
        view.notes,
    );
    view.notes.found(
        &permissions.name,
        format_args!("{} permissions of the guard `{}`", draft.catalog.entries.len(), scope.guard),
    );
    let by_id: BTreeMap<String, String> = rows.into_iter().map(|[id, name]| (id, name)).collect();
    give_roles(view, &mut draft, schema, &scope, dialect, &by_id).await?;

    let has_roles = view.table(schema, "model_has_roles")?;
    draft.source.roles.push(RoleWay::Path(path(vec![
        hop(&has_roles.name, scope.key, "role_id", &scope.of_models())?,
        hop(&roles.name, "id", "name", &scope.of_guard())?,
    ])));
    let has_permissions = view.table(schema, "model_has_permissions")?;
    let used: BTreeSet<String> =
        view.labels(has_permissions, "permission_id", &scope.of_models()).await?.into_iter().collect();
    draft.source.permissions.push(allowed(vec![
        hop(&has_permissions.name, scope.key, "permission_id", &scope.of_models())?,
        hop(&permissions.name, "id", "name", &scope.of_guard())?,
    ]));
    view.notes.found(
        &has_permissions.name,
        "permissions of users themselves; they become overrides at the first migration",
    );
    let catalog = draft.catalog.clone();
    for (id, name) in &by_id {
        // A wildcard that no user holds need not be sayable here.
        if !wild(name) || used.contains(id) {
            view.permission_name(&mut draft, dialect, name, &catalog);
        }
    }
    view.activity(&mut draft, users).await?;
    view.notes.unsure(
        "Gate::before",
        "code of the application may let somebody pass every check; no table says so",
    );
    Ok(Some(draft))
}

async fn scope(view: &mut View<'_>, schema: &str) -> Result<Option<Scope>, HostError> {
    let has_roles = view.table(schema, "model_has_roles")?;
    let has_permissions = view.table(schema, "model_has_permissions")?;
    let Some(key) = has_roles.first_of(&["model_id", "model_uuid", "model_ulid"]) else {
        view.notes.stop(
            &has_roles.name,
            "the column of the model's id has another name than model_id or model_uuid",
        );
        return Ok(None);
    };
    let mut guards = BTreeSet::new();
    for name in ["roles", "permissions"] {
        guards.extend(view.labels(view.table(schema, name)?, "guard_name", &[]).await?);
    }
    let guards: Vec<String> = guards.into_iter().collect();
    let mut models = BTreeSet::new();
    for table in [has_roles, has_permissions] {
        models.extend(view.labels(table, "model_type", &[]).await?);
    }
    let models: Vec<String> = models.into_iter().collect();
    let about = view.table(schema, "roles")?.name.clone();
    let guard = view.notes.one_of("guard", &about, &guards);
    let model = view.notes.one_of("model", &has_roles.name, &models);
    let known = ["role_id", "model_type", key];
    let team_column = has_roles.columns.iter().find(|column| !known.contains(&column.name.as_str()));
    let mut team = None;
    if let Some(column) = team_column {
        let teams = view.labels(has_roles, &column.name, &[]).await?;
        let about = format!("{}.{}", has_roles.name, column.name);
        view.notes
            .found(&about, "roles hold within a team; a policy has no teams, so that of one team is drafted");
        team = view.notes.one_of("team", &about, &teams).map(|team| (column.name.clone(), team));
        if team.is_none() {
            return Ok(None);
        }
    }
    if models.is_empty() || guards.is_empty() {
        view.notes
            .stop(&has_roles.name, "nobody has a role, so which models and guards count cannot be seen");
    }
    Ok(guard.zip(model).map(|(guard, model)| Scope { guard, model, key, team }))
}

/// The table of the class, by Laravel's rule: its name in small letters and in the plural.
fn users<'v>(view: &mut View<'v>, schema: &str, model: &str) -> Option<&'v Table> {
    let class = model.rsplit('\\').next().unwrap_or(model).to_lowercase();
    let plural = match class.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{class}s"),
    };
    let candidates: Vec<&Table> = view.database.table(schema, &plural).into_iter().collect();
    let users = view.users(&candidates)?;
    if candidates.contains(&users) {
        view.notes.guessed(
            &users.name,
            format_args!("the rows of `{model}`, by Laravel's rule for the names of tables"),
        );
    }
    Some(users)
}

/// The wildcards are in force when the configuration says so, which no table holds.
fn dialect(view: &mut View<'_>, draft: &mut Draft, table: &Table, names: &[String]) -> Option<Dialect> {
    if !names.iter().any(|name| name.contains('*')) {
        return view.dialect(table, &[]);
    }
    let chosen = view.notes.chosen("wildcards");
    if chosen.is_some() {
        return view.dialect(table, names);
    }
    view.guess(
        draft,
        Part::Catalog,
        &table.name,
        "enable_wildcard_permission is on, since names hold `*`; if it is off, choose `wildcards=exact`",
    );
    Some(Dialect::Laravel)
}

async fn give_roles(
    view: &mut View<'_>,
    draft: &mut Draft,
    schema: &str,
    scope: &Scope,
    dialect: Dialect,
    permissions: &BTreeMap<String, String>,
) -> Result<(), HostError> {
    let table = view.table(schema, "roles")?;
    let held = view.table(schema, "role_has_permissions")?;
    let held = by_key(view.texts(held, ["role_id", "permission_id"], &[]).await?);
    let mut rows = match &scope.team {
        // A role without a team is one of every team.
        Some((column, team)) if table.column(column).is_some() => {
            let all = view.texts(table, ["id", "name"], &scope.of_guard()).await?;
            let others: BTreeSet<String> = view
                .texts(table, ["id", column], &scope.of_guard())
                .await?
                .into_iter()
                .filter(|[_, of]| of != team)
                .map(|[id, _]| id)
                .collect();
            all.into_iter().filter(|[id, _]| !others.contains(id)).collect()
        }
        _ => view.texts(table, ["id", "name"], &scope.of_guard()).await?,
    };
    rows.sort_by(|[_, one], [_, other]| one.cmp(other));
    let other = view.count(table, &[]).await?.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    view.notes.found(&table.name, format_args!("{} roles of the guard `{}`", rows.len(), scope.guard));
    if other > 0 {
        view.notes.not_looked_at(&table.name, format_args!("{other} roles of other guards or teams"));
    }
    // Labels are read from the whole table of roles, where those of other teams stand too.
    let counted: BTreeSet<&str> = rows.iter().map(|[_, name]| name.as_str()).collect();
    let of_guard = view.labels(table, "name", &scope.of_guard()).await?;
    draft.source.ignore_labels =
        of_guard.into_iter().filter(|name| !counted.contains(name.as_str())).collect();
    let mut names = BTreeSet::new();
    for [id, name] in rows {
        if !names.insert(name.clone()) {
            view.notes.stop(
                &table.name,
                format_args!("two roles that count are called `{name}`; rename one there first"),
            );
            continue;
        }
        let Some(mut role) = view.role(table, &name) else { continue };
        for permission in held.get(&id).into_iter().flatten() {
            match permissions.get(permission) {
                Some(permission) => view.grant(&mut role, dialect, permission, &draft.catalog),
                None => view.notes.unsure(
                    format_args!("role `{name}`"),
                    format_args!("its permission {permission} is of another guard and gives nothing"),
                ),
            }
        }
        draft.roles.push(role);
    }
    Ok(())
}

//! ASP.NET Core Identity: roles, and permissions as claims of roles and of users.

use std::collections::BTreeMap;

use super::super::draft::{Draft, Part};
use super::super::names::Catalog;
use super::super::view::{View, allowed, by_key, hop, path, source_of};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::Dialect;
use crate::policy_file::{Activity, RoleWay};
use crate::postgres::Identifier;

pub(super) async fn draft(view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
    let users = view.table(schema, "AspNetUsers")?;
    let roles = view.table(schema, "AspNetRoles")?;
    let memberships = view.table(schema, "AspNetUserRoles")?;
    let mut draft = Draft::new(source_of(users, "Id")?);
    draft.source.activity = Some(Activity::InactiveUntil(Identifier::new("LockoutEnd")?));
    draft.comment(
        Part::Activity,
        "guessed: who is locked out (LockoutEnd) is inactive; Identity keeps such a user from logging in",
    );
    view.notes.guessed(format_args!("{}.LockoutEnd", users.name), "who is locked out is inactive until then");
    if users.column("LockoutEnabled").is_some() {
        let never = view.count(users, &[("LockoutEnabled", "false")]).await?;
        if never > 0 {
            view.notes.unsure(
                format_args!("{}.LockoutEnabled", users.name),
                format_args!("{never} users cannot be locked out, whatever LockoutEnd says; here LockoutEnd counts for them too"),
            );
        }
    }
    draft.source.roles.push(RoleWay::Path(path(vec![
        hop(&memberships.name, "UserId", "RoleId", &[])?,
        hop(&roles.name, "Id", "Name", &[])?,
    ])));

    let role_claims = view.database.table(schema, "AspNetRoleClaims");
    let user_claims = view.database.table(schema, "AspNetUserClaims");
    let mut types = Vec::new();
    if let Some(claims) = role_claims {
        types = view.labels(claims, "ClaimType", &[]).await?;
    }
    let about = role_claims.map_or_else(|| "AspNetRoleClaims".to_owned(), |table| table.name.to_string());
    let claim = view.notes.one_of("claim", &about, &types);
    let mut held = BTreeMap::new();
    if let (Some(claim), Some(claims)) = (&claim, role_claims) {
        let text = format!("claims of the type `{claim}` are permissions");
        view.guess(&mut draft, Part::Catalog, &about, &text);
        held = by_key(view.texts(claims, ["RoleId", "ClaimValue"], &[("ClaimType", claim)]).await?);
        let mut names: Vec<String> = held.values().flatten().cloned().collect();
        if let Some(claims) = user_claims {
            names.extend(view.labels(claims, "ClaimValue", &[("ClaimType", claim)]).await?);
        }
        draft.catalog =
            Catalog::draft(names.into_iter().map(|name| (name, String::new())), "claims", view.notes);
    } else if types.is_empty() {
        view.notes.unsure(&about, "no role has a claim; what a role may do stands in the application");
    }
    let mut rows = view.texts(roles, ["Id", "Name"], &[]).await?;
    rows.sort_by(|[_, one], [_, other]| one.cmp(other));
    view.notes.found(&roles.name, format_args!("{} roles", rows.len()));
    for [id, name] in rows {
        let Some(mut role) = view.role(roles, &name) else { continue };
        for permission in held.get(&id).into_iter().flatten() {
            view.grant(&mut role, Dialect::Exact, permission, &draft.catalog);
        }
        draft.roles.push(role);
    }
    if let (Some(claim), Some(claims)) = (claim, user_claims) {
        own_claims(view, &mut draft, claims, &claim).await?;
    }
    view.notes.unsure(
        "AddPolicy(…)",
        "policies of the application may ask for more than one claim or role; no table says so",
    );
    Ok(Some(draft))
}

async fn own_claims(
    view: &mut View<'_>,
    draft: &mut Draft,
    claims: &super::super::database::Table,
    claim: &str,
) -> Result<(), HostError> {
    let filter = [("ClaimType", claim)];
    let count = view.count(claims, &filter).await?;
    view.notes.found(
        &claims.name,
        format_args!("{count} permissions of users themselves; they become overrides at the first migration"),
    );
    let others: Vec<String> =
        view.labels(claims, "ClaimType", &[]).await?.into_iter().filter(|other| other != claim).collect();
    if !others.is_empty() {
        let text = format!("claims of other types: {}", others.join(", "));
        view.notes.not_looked_at(&claims.name, text);
    }
    draft.source.permissions.push(allowed(vec![hop(&claims.name, "UserId", "ClaimValue", &filter)?]));
    let catalog = draft.catalog.clone();
    let names: Vec<String> = catalog.entries.iter().map(|entry| entry.legacy.clone()).collect();
    for name in names {
        view.permission_name(draft, Dialect::Exact, &name, &catalog);
    }
    Ok(())
}

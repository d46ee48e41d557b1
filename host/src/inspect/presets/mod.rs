//! The frameworks whose tables are known: how each is recognised, and how a policy is drafted from it.

mod aspnet;
mod casbin;
mod django;
mod joined;
mod keycloak;
mod laravel;
mod plain;
mod shiro;
mod spring;
mod supabase;

use clap::ValueEnum;
use serde::Serialize;

use super::database::Database;
use super::draft::Draft;
use super::view::View;
use crate::error::HostError;

/// A framework, or a shape, that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Django: groups, user permissions, is_superuser
    Django,
    /// spatie/laravel-permission: roles and permissions of models, guards, teams
    LaravelPermission,
    /// Spring Security: users, authorities, groups
    SpringSecurity,
    /// Keycloak: realm and client roles, composites, groups
    Keycloak,
    /// ASP.NET Core Identity: roles, role claims, user claims
    AspnetIdentity,
    /// Casbin: casbin_rule with `p` and `g`
    Casbin,
    /// Supabase's guide: user_roles and role_permissions of two enumerations
    Supabase,
    /// Apache Shiro's JdbcRealm: users, user_roles, roles_permissions
    Shiro,
    /// Tables of users, roles and what joins them
    JoinTables,
    /// A column of the users that holds the role or the roles
    RoleColumn,
}

/// A table and the columns that it must have.
type Signature = (&'static str, &'static [&'static str]);

impl Preset {
    /// Every framework; the plain shapes, which many databases have by chance, are not among them.
    pub const FRAMEWORKS: [Self; 8] = [
        Self::Django,
        Self::LaravelPermission,
        Self::SpringSecurity,
        Self::Keycloak,
        Self::AspnetIdentity,
        Self::Casbin,
        Self::Supabase,
        Self::Shiro,
    ];

    /// Its name, as `--preset` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Django => "django",
            Self::LaravelPermission => "laravel-permission",
            Self::SpringSecurity => "spring-security",
            Self::Keycloak => "keycloak",
            Self::AspnetIdentity => "aspnet-identity",
            Self::Casbin => "casbin",
            Self::Supabase => "supabase",
            Self::Shiro => "shiro",
            Self::JoinTables => "join-tables",
            Self::RoleColumn => "role-column",
        }
    }

    /// The tables and columns by which it is recognised. None for the plain shapes.
    #[must_use]
    pub const fn signature(self) -> &'static [Signature] {
        match self {
            Self::Django => &[
                ("auth_group", &["id", "name"]),
                ("auth_permission", &["id", "name", "content_type_id", "codename"]),
                ("auth_group_permissions", &["group_id", "permission_id"]),
                ("django_content_type", &["id", "app_label"]),
            ],
            Self::LaravelPermission => &[
                ("roles", &["id", "name", "guard_name"]),
                ("permissions", &["id", "name", "guard_name"]),
                ("model_has_roles", &["role_id", "model_type"]),
                ("model_has_permissions", &["permission_id", "model_type"]),
                ("role_has_permissions", &["permission_id", "role_id"]),
            ],
            Self::SpringSecurity => {
                &[("authorities", &["username", "authority"]), ("users", &["username", "enabled"])]
            }
            Self::Keycloak => &[
                ("user_entity", &["id", "enabled", "realm_id", "username"]),
                ("keycloak_role", &["id", "name", "client_role", "realm_id", "client"]),
                ("user_role_mapping", &["user_id", "role_id"]),
                ("composite_role", &["composite", "child_role"]),
                ("realm", &["id", "name"]),
            ],
            Self::AspnetIdentity => &[
                ("AspNetUsers", &["Id", "UserName", "LockoutEnd"]),
                ("AspNetRoles", &["Id", "Name"]),
                ("AspNetUserRoles", &["UserId", "RoleId"]),
            ],
            Self::Casbin => &[("casbin_rule", &["ptype", "v0", "v1", "v2"])],
            Self::Supabase => {
                &[("user_roles", &["user_id", "role"]), ("role_permissions", &["role", "permission"])]
            }
            Self::Shiro => &[
                ("user_roles", &["username", "role_name"]),
                ("roles_permissions", &["role_name", "permission"]),
                ("users", &["username"]),
            ],
            Self::JoinTables | Self::RoleColumn => &[],
        }
    }

    /// The schemas that hold all of its tables.
    #[must_use]
    pub fn schemas(self, database: &Database) -> Vec<String> {
        database.schemas_with(self.signature())
    }

    /// The tables of its signature, for people.
    #[must_use]
    pub fn tables(self) -> String {
        self.signature().iter().map(|(table, _)| *table).collect::<Vec<_>>().join(", ")
    }

    /// Drafts a policy from what the framework's tables in `schema` hold; nothing where something stops it.
    pub(super) async fn draft(self, view: &mut View<'_>, schema: &str) -> Result<Option<Draft>, HostError> {
        match self {
            Self::Django => django::draft(view, schema).await,
            Self::LaravelPermission => laravel::draft(view, schema).await,
            Self::SpringSecurity => spring::draft(view, schema).await,
            Self::Keycloak => keycloak::draft(view, schema).await,
            Self::AspnetIdentity => aspnet::draft(view, schema).await,
            Self::Casbin => casbin::draft(view, schema).await,
            Self::Supabase => supabase::draft(view, schema).await,
            Self::Shiro => shiro::draft(view, schema).await,
            Self::JoinTables => joined::draft(view).await,
            Self::RoleColumn => plain::draft(view).await,
        }
    }
}

/// The preset that was asked for, or the one that is recognised, and the schema of its tables. What is ambiguous stops.
pub(super) fn recognise(asked: Option<Preset>, view: &mut View<'_>) -> Option<(Preset, String)> {
    let preset = match asked {
        Some(preset) => preset,
        None => only_one(view)?,
    };
    if preset.signature().is_empty() {
        return Some((preset, String::new()));
    }
    let schemas = preset.schemas(view.database);
    if schemas.is_empty() {
        let text = format!("these tables of `{}`, with their columns, are not all here", preset.name());
        view.notes.stop(preset.tables(), text);
        return None;
    }
    let schema = view.notes.one_of("schema", preset.tables(), &schemas)?;
    view.notes
        .found(preset.tables(), format_args!("the tables of `{}`, in the schema `{schema}`", preset.name()));
    Some((preset, schema))
}

fn only_one(view: &mut View<'_>) -> Option<Preset> {
    let mut found: Vec<Preset> =
        Preset::FRAMEWORKS.into_iter().filter(|preset| !preset.schemas(view.database).is_empty()).collect();
    if found.is_empty() {
        found.extend(joined::is_there(view).then_some(Preset::JoinTables));
        found.extend(plain::has_role_column(view).then_some(Preset::RoleColumn));
    }
    match found.as_slice() {
        [only] => Some(*only),
        [] => {
            let text = "neither a framework nor a table of users with roles is recognised; name a preset with --preset, and the users with `--choose users=schema.table`";
            view.notes.stop(&view.database.name, text);
            None
        }
        several => {
            let names: Vec<&str> = several.iter().map(|preset| preset.name()).collect();
            let text =
                format!("this looks like {}; say with --preset which one counts", names.join(" and like "));
            view.notes.stop(&view.database.name, text);
            None
        }
    }
}

//! The frameworks whose tables are known: how each is recognised, and how a policy is drafted from it.

use clap::ValueEnum;
use serde::Serialize;

use super::database::Database;

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
}

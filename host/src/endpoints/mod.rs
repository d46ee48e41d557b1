//! The legacy rules that a policy replaces: which roles each endpoint of the application asked for, and the permission
//! that it asks for now. `examples/erp/endpoints.toml` is a whole one.

mod access_check;
pub mod draft;
pub mod openapi;
mod read;
mod route_table;
mod routes;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use policy_core::PermissionName;
use serde::Serialize;

pub use access_check::{AccessChange, AccessCheck};
pub use route_table::{from_openapi, from_rules};
pub use routes::Routes;

use crate::toml_file;
pub use crate::toml_file::TomlFileError as EndpointsError;

/// The HTTP methods that an endpoint may have.
pub const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// The legacy rules of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// Every role of the legacy application, in the order of the file.
    pub roles: Vec<String>,
    /// Roles that passed every check.
    pub bypass: BTreeSet<String>,
    /// The roles that a role inherited, and so passed for.
    pub inherits: BTreeMap<String, Vec<String>>,
    /// The rules, in the order of the file.
    pub endpoints: Vec<Endpoint>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// One of [`METHODS`].
    pub method: String,
    /// The path, with `{name}` for its parameters.
    pub path: String,
    /// The roles that the legacy code listed.
    pub roles: Vec<String>,
    /// What the endpoint asks for after the migration.
    pub permission: PermissionName,
}

/// Reads and checks the endpoint file at `path`.
///
/// # Errors
///
/// When it cannot be read, has more than [`MAX_FILE_BYTES`](crate::toml_file::MAX_FILE_BYTES), is not UTF-8, or for
/// one of the reasons of [`parse`].
pub fn load(path: &Path) -> Result<Endpoints, EndpointsError> {
    toml_file::load(path, parse)
}

/// Checks the text of an endpoint file. `name` is how messages call the file.
///
/// # Errors
///
/// Reports every fault it can find independently of the others, in the order of the file: what is no TOML, what is not
/// of this format, a role that is not on the list of roles, a rule that is there twice.
pub fn parse(text: &str, name: &str) -> Result<Endpoints, EndpointsError> {
    toml_file::parse(text, name, read::read)
}

impl Endpoints {
    /// Whether the legacy code let a user of `role` through to `endpoint`: a bypass role passed, and so did a role that
    /// the endpoint lists or that inherits one it lists.
    #[must_use]
    pub fn legacy_allows(&self, role: &str, endpoint: &Endpoint) -> bool {
        self.bypass.contains(role)
            || self.with_inherited(role).iter().any(|held| endpoint.roles.iter().any(|listed| listed == held))
    }

    /// The role and all that it inherits. A circle ends where it began.
    fn with_inherited<'a>(&'a self, role: &'a str) -> BTreeSet<&'a str> {
        let mut held = BTreeSet::new();
        let mut open = vec![role];
        while let Some(role) = open.pop() {
            if held.insert(role) {
                open.extend(self.inherits.get(role).into_iter().flatten().map(String::as_str));
            }
        }
        held
    }
}

//! The route table as a JSON document.

use super::template::{self, TemplateFault};
use super::{Access, Clash, MAX_ROUTES, METHODS, Route, RouteTable};
use crate::error::LimitError;
use crate::name::PermissionName;
use crate::pattern::PatternError;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Deserialize;
use thiserror::Error;

/// One route as a document has it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// One of [`METHODS`].
    pub method: String,
    /// The path template: `/po/{id}/approve`.
    pub path: String,
    /// The permission that it asks for, or `none`, which makes it public.
    pub permission: String,
}

/// The whole document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    routes: Vec<RouteEntry>,
}

/// What makes a route public in a document. No permission is called so, since each has two segments at least.
const PUBLIC: &str = "none";

/// Why there is no route table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RouteTableError {
    /// It is not JSON of the form.
    #[error(
        "the route table is not of the form {{\"routes\": [{{\"method\": …, \"path\": …, \"permission\": …}}]}}: {0}"
    )]
    Malformed(String),
    /// A route has another method.
    #[error(
        "route {route}: this method is not known; write one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, in capitals"
    )]
    Method {
        /// Its place from 1, with its method and path.
        route: String,
    },
    /// The path of a route is no template.
    #[error("route {route}: {fault}")]
    Template {
        /// Its place from 1, with its method and path.
        route: String,
        /// What is wrong with it.
        fault: TemplateFault,
    },
    /// What a route asks for is no permission.
    #[error("route {route}: {error}; a route that is to be public says `none`")]
    Permission {
        /// Its place from 1, with its method and path.
        route: String,
        /// What is wrong with it.
        error: PatternError,
    },
    /// Two routes have one method and one path, but for the names of parameters.
    #[error("route {route}: the same requests fall under `{other}`; remove one of them")]
    Duplicate {
        /// Its place from 1, with its method and path.
        route: String,
        /// The method and path of the one before it.
        other: String,
    },
    /// Two literal segments in one place differ in case only: many servers take them for one.
    #[error(
        "route {route}: another route has `{other}` in the same place, which differs in case only; use one spelling"
    )]
    OtherCase {
        /// Its place from 1, with its method and path.
        route: String,
        /// The other spelling.
        other: Box<str>,
    },
    /// There are too many.
    #[error(transparent)]
    Limit(#[from] LimitError),
}

impl RouteTable {
    /// Reads a table from its JSON: `{"routes": [{"method": "GET", "path": "/po/{id}", "permission": "po.view"}]}`.
    ///
    /// # Errors
    ///
    /// When it is not of that form, or for one of the reasons of [`RouteTable::new`].
    pub fn from_document(json: &str) -> Result<Self, RouteTableError> {
        let document: Document =
            serde_json::from_str(json).map_err(|error| RouteTableError::Malformed(error.to_string()))?;
        Self::new(&document.routes)
    }

    /// Makes a table of routes.
    ///
    /// # Errors
    ///
    /// The first route that has an unknown method, no path template, no permission, or falls together with another, or
    /// more than [`MAX_ROUTES`] of them.
    pub fn new(entries: &[RouteEntry]) -> Result<Self, RouteTableError> {
        LimitError::check("routes", MAX_ROUTES, entries.len())?;
        let mut table = Self::empty();
        for (entry, number) in entries.iter().zip(1_usize..) {
            let RouteEntry { method, path, permission } = entry;
            let route = || format!("{number} (`{method} {path}`)");
            let method = METHODS.into_iter().find(|known| *known == method.as_str());
            let method = method.ok_or_else(|| RouteTableError::Method { route: route() })?;
            let segments =
                template::read(path).map_err(|fault| RouteTableError::Template { route: route(), fault })?;
            let access = match permission.as_str() {
                PUBLIC => Access::Public,
                name => PermissionName::parse(name)
                    .map(Access::Permission)
                    .map_err(|error| RouteTableError::Permission { route: route(), error })?,
            };
            let added = Route { method, path: path.as_str().into(), access };
            table.insert(added, &segments).map_err(|clash| match clash {
                Clash::OtherCase(other) => RouteTableError::OtherCase { route: route(), other },
                Clash::Duplicate(other) => {
                    let other = table.routes().get(other as usize);
                    let other = other.map(|other| format!("{} {}", other.method(), other.path()));
                    RouteTableError::Duplicate { route: route(), other: other.unwrap_or_default() }
                }
            })?;
        }
        Ok(table)
    }
}

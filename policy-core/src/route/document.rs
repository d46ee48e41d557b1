//! The route table as a JSON document.

use super::template::{self, TemplateFault};
use super::{Access, Clash, MAX_ROUTES, METHODS, Route, RouteTable};
use crate::error::LimitError;
use crate::name::PermissionName;
use crate::pattern::PatternError;
use crate::token::json::{Fault, Json};
use crate::token::value::Value;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use thiserror::Error;

/// One route as a document has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteEntry {
    /// One of [`METHODS`].
    pub method: String,
    /// The path template: `/po/{id}/approve`.
    pub path: String,
    /// The permission that it asks for, or `none`, which makes it public.
    pub permission: String,
}

/// What makes a route public in a document. No permission is called so, since each has two segments at least.
const PUBLIC: &str = "none";

/// Why there is no route table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RouteTableError {
    /// It is not JSON of the form.
    #[error(
        "the route table is not of the form {{\"routes\": [{{\"method\": …, \"path\": …, \"permission\": …}}]}}: see line {line}, column {column}"
    )]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// A route lacks a member, or has one that is no text.
    #[error(
        "route {route} has no text as `{member}`; a route that is to be public has the permission `none`"
    )]
    Missing {
        /// Its place from 1.
        route: usize,
        /// The member.
        member: &'static str,
    },
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
        let mut reader = Json::new(json);
        let routes = read(&mut reader).map_err(|_| {
            let (line, column) = reader.position();
            RouteTableError::Malformed { line, column }
        })?;
        let entries = routes.into_iter().zip(1..).map(|(members, route)| entry(members, route));
        Self::new(&entries.collect::<Result<Vec<_>, _>>()?)
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

/// The members of a route, in the order of `MEMBERS`.
type Members<'a> = [Value<'a>; 3];

const MEMBERS: [&str; 3] = ["method", "path", "permission"];

fn read<'a>(json: &mut Json<'a>) -> Result<Vec<Members<'a>>, Fault> {
    let mut routes: Option<Vec<Members<'a>>> = None;
    json.object(&mut |json, name| {
        if name != "routes" || routes.is_some() {
            return Err(Fault::Form);
        }
        let routes = routes.insert(Vec::new());
        json.list(&mut |json| {
            let mut members = [const { Value::Absent }; 3];
            json.members(&MEMBERS, &mut members, true)?;
            routes.push(members);
            Ok(())
        })
    })?;
    json.end()?;
    routes.ok_or(Fault::Form)
}

fn entry(members: Members<'_>, route: usize) -> Result<RouteEntry, RouteTableError> {
    let [method, path, permission] = members;
    let text = |value, member| match value {
        Value::Text(text) => Ok(text.into_owned()),
        _ => Err(RouteTableError::Missing { route, member }),
    };
    Ok(RouteEntry {
        method: text(method, "method")?,
        path: text(path, "path")?,
        permission: text(permission, "permission")?,
    })
}

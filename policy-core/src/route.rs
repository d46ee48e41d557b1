//! Which permission a request over HTTP asks for: its method and path, looked up in a table of path templates.
//!
//! A path that a gateway and an application could read differently is where doors open, so such a path is **refused**, never
//! normalised ([`PathFault`] says which and why), and what no template names is denied. `docs/routes.md` has the rules.
//!
//! ```
//! use policy_core::route::{Access, RouteDenial, RouteTable};
//!
//! let table = RouteTable::from_document(
//!     r#"{"routes": [
//!         {"method": "POST", "path": "/api/v1/po/{id}/approve", "permission": "po.approve"},
//!         {"method": "GET", "path": "/health", "permission": "none"}
//!     ]}"#,
//! )?;
//! let route = table.find("POST", "/api/v1/po/7/approve?notify=1").map(|route| route.access().name());
//! assert_eq!(route, Ok(Some("po.approve")));
//! assert_eq!(table.find("GET", "/health").map(|route| route.access()), Ok(&Access::Public));
//! assert_eq!(table.find("POST", "/api/v1/po/7/../8/approve").err().map(RouteDenial::reason), Some("path_dot_segment"));
//! assert_eq!(table.find("DELETE", "/health").err().map(RouteDenial::reason), Some("unknown_route"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod document;
mod path;
mod template;

use crate::name::PermissionName;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use thiserror::Error;

pub use document::{RouteEntry, RouteTableError};
pub use path::{MAX_PATH_BYTES, PathFault};
use template::Segment;
pub use template::{MAX_TEMPLATE_SEGMENTS, TemplateFault};

/// The methods that a route may have, exactly so. What has another one falls under no route.
pub const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// The most routes that a table may hold.
pub const MAX_ROUTES: usize = 65_535;

/// Routes by method and path template. Nothing but what is in it is let through.
#[derive(Clone, Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// A tree of segments; the first is the root. Every node has one parent, so a look-up visits each once at most.
    nodes: Vec<Node>,
}

/// One route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    method: &'static str,
    path: Box<str>,
    access: Access,
}

/// What a route asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing: no token, no permission (`"permission": "none"` in the document, always spelled out).
    Public,
    /// This permission.
    Permission(PermissionName),
}

/// Why a request falls under no route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RouteDenial {
    /// The path could mean something else to the application.
    #[error("the path is refused: {0}")]
    Path(#[from] PathFault),
    /// The table has nothing for this method and path.
    #[error("no route is known for this method and path")]
    UnknownRoute,
}

impl RouteDenial {
    /// The word for it, which never changes: for logs, counters and other languages.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Path(fault) => fault.reason(),
            Self::UnknownRoute => "unknown_route",
        }
    }
}

impl Access {
    /// The permission's name; none where nothing is asked for.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Public => None,
            Self::Permission(name) => Some(name.as_str()),
        }
    }
}

impl Route {
    /// One of [`METHODS`].
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// The path template.
    #[must_use]
    pub const fn path(&self) -> &str {
        &self.path
    }

    /// What it asks for.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.access
    }
}

/// What can come after the segments that lead here.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Literal segments, decoded, in the order of their lower-case spelling, of which no two are the same.
    literals: Vec<(Box<str>, u32)>,
    parameter: Option<u32>,
    /// The numbers of the routes that end here.
    ends: Vec<u32>,
    /// The numbers of the routes whose last parameter takes all that is left.
    rests: Vec<u32>,
}

/// What a look-up from one node on comes to.
enum Walk<'t> {
    Found(&'t Route),
    Nothing,
    /// A segment is a literal of the table but for its case: an application that ignores case would serve that one.
    OtherCase,
}

impl RouteTable {
    /// The routes, in the order of the document.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route of a request. `path` is the request's target as it came, with its query, which does not count. Where a
    /// literal segment and a parameter both fit, the literal one is taken. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`RouteDenial::Path`] for a path that is refused, whatever the table says; [`RouteDenial::UnknownRoute`] for a
    /// method and path that no route has.
    pub fn find(&self, method: &str, target: &str) -> Result<&Route, RouteDenial> {
        let path = path::of(target)?;
        let segments = path.strip_prefix('/').unwrap_or_default();
        match self.walk(0, Some(segments), method) {
            Walk::Found(route) => Ok(route),
            Walk::Nothing => Err(RouteDenial::UnknownRoute),
            Walk::OtherCase => Err(PathFault::OtherCase.into()),
        }
    }

    /// `rest` is what is left of the path after this node; none at its end, and an empty text after a slash that ends it.
    fn walk(&self, node: u32, rest: Option<&str>, method: &str) -> Walk<'_> {
        let Some(node) = self.nodes.get(node as usize) else { return Walk::Nothing };
        let Some(rest) = rest else { return self.of_method(&node.ends, method) };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        let literal = node.literals.binary_search_by(|(text, _)| compare(text, segment));
        if let Some((text, next)) = literal.ok().and_then(|at| node.literals.get(at)) {
            if !path::decoded(segment).eq(text.bytes()) {
                return Walk::OtherCase;
            }
            match self.walk(*next, after, method) {
                Walk::Nothing => {}
                found => return found,
            }
        }
        if let Some(next) = node.parameter.filter(|_| !segment.is_empty()) {
            match self.walk(next, after, method) {
                Walk::Nothing => {}
                found => return found,
            }
        }
        // An empty segment stands before a trailing slash only; a parameter is never empty.
        if rest.is_empty() || rest.ends_with('/') {
            Walk::Nothing
        } else {
            self.of_method(&node.rests, method)
        }
    }

    fn of_method(&self, routes: &[u32], method: &str) -> Walk<'_> {
        let mut routes = routes.iter().filter_map(|&number| self.routes.get(number as usize));
        routes.find(|route| route.method == method).map_or(Walk::Nothing, Walk::Found)
    }

    /// A table without routes: everything is denied.
    fn empty() -> Self {
        Self { routes: Vec::new(), nodes: Vec::from([Node::default()]) }
    }

    /// Adds a route whose path is well formed. Says which route stands in its way, if one does.
    fn insert(&mut self, route: Route, segments: &[Segment<'_>]) -> Result<(), Clash> {
        let number = u32::try_from(self.routes.len()).unwrap_or(u32::MAX);
        let mut at = 0;
        let mut takes_rest = false;
        for segment in segments {
            match segment {
                Segment::Literal(text) => at = self.literal(at, text).map_err(Clash::OtherCase)?,
                Segment::Parameter => at = self.parameter(at),
                Segment::Rest => takes_rest = true,
            }
        }
        let Some(node) = self.nodes.get_mut(at as usize) else { return Ok(()) };
        let ends = if takes_rest { &mut node.rests } else { &mut node.ends };
        let same = |other: &&u32| self.routes.get(**other as usize).is_some_and(|o| o.method == route.method);
        if let Some(other) = ends.iter().find(same) {
            return Err(Clash::Duplicate(*other));
        }
        ends.push(number);
        self.routes.push(route);
        Ok(())
    }

    /// The node after `at` for a literal segment, which is made where there is none.
    fn literal(&mut self, at: u32, raw: &str) -> Result<u32, Box<str>> {
        let text: Vec<u8> = path::decoded(raw).collect();
        let text = alloc::string::String::from_utf8(text).unwrap_or_default().into_boxed_str();
        let fresh = self.fresh();
        let Some(node) = self.nodes.get_mut(at as usize) else { return Ok(at) };
        match node.literals.binary_search_by(|(other, _)| compare(other, raw)) {
            Ok(found) => match node.literals.get(found) {
                Some((other, _)) if *other != text => Err(other.clone()),
                Some((_, next)) => Ok(*next),
                None => Ok(at),
            },
            Err(place) => {
                node.literals.insert(place, (text, fresh));
                self.nodes.push(Node::default());
                Ok(fresh)
            }
        }
    }

    /// The node after `at` for a parameter, which is made where there is none. Its name does not count.
    fn parameter(&mut self, at: u32) -> u32 {
        let fresh = self.fresh();
        let Some(node) = self.nodes.get_mut(at as usize) else { return at };
        let next = *node.parameter.get_or_insert(fresh);
        if next == fresh {
            self.nodes.push(Node::default());
        }
        next
    }

    fn fresh(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }
}

/// What stands in the way of a route.
enum Clash {
    /// The route of this number has the same method and the same path, but for the names of parameters.
    Duplicate(u32),
    /// This literal stands in the same place and differs in case only.
    OtherCase(Box<str>),
}

/// How a literal of the table and a raw segment are ordered, ASCII case aside.
fn compare(literal: &str, raw: &str) -> Ordering {
    let lower = literal.bytes().map(|byte| byte.to_ascii_lowercase());
    lower.cmp(path::decoded(raw).map(|byte| byte.to_ascii_lowercase()))
}

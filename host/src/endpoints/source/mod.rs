//! The endpoints of a FastAPI application, read from its source: paths, and the roles or permissions they ask for.
//!
//! Nothing is run and nothing is guessed: what cannot be told is a [`Finding`] with its file and line.

mod checks;
mod constants;
mod convert;
mod imports;
mod routers;

use std::ops::Range;

use serde::Serialize;

pub use convert::{Conversion, Row, State, convert};

use crate::python::{Class, Project, Statement, Target};

const WRONG_SYNTAX: &str = "the syntax is wrong here; the file is left alone";

/// Which functions check what.
#[derive(Clone, Debug)]
pub struct Checkers {
    /// Names of functions or classes that take roles.
    pub roles: Vec<String>,
    /// The name of the function that takes a permission.
    pub permission: String,
}

impl Default for Checkers {
    fn default() -> Self {
        Self { roles: vec!["require_roles".to_owned()], permission: "require_permission".to_owned() }
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// The endpoints, in the order of files and lines.
    pub routes: Vec<Route>,
    /// What could not be told, and what was taken for granted.
    pub findings: Vec<Finding>,
    /// Every role, in the order in which the source declares or uses them.
    pub roles: Vec<String>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: String,
    /// The whole path.
    pub path: String,
    /// Where it stands: `file:line`.
    pub place: String,
    /// The number of its file.
    pub module: usize,
    /// The decorator's call, to which an argument can be added.
    pub decorator: Decorator,
    /// Its checks, from the outermost router to its own.
    pub checks: Vec<Check>,
    /// What about its checks could not be told; then nothing is known about them.
    pub unclear: Option<String>,
}

/// The place of a decorator's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decorator {
    /// Where the last argument ends.
    pub end: usize,
    /// Where the elements of its own `dependencies` begin, if there are any.
    pub list: Option<usize>,
    /// Whether it has `dependencies` to which nothing can be added plainly.
    pub taken: bool,
}

/// One call of a checker that a request passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it asks for.
    pub asks: Asks,
    /// The file and bytes of the call.
    pub site: (usize, Range<usize>),
    /// How the endpoint came to it.
    pub holder: Holder,
}

/// What a check asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// One of these roles.
    Roles(Vec<String>),
    /// This permission.
    Permission(String),
}

/// How an endpoint came to a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The call stands in the endpoint's own decorator or parameters.
    Own,
    /// A name in the endpoint's own code leads to it.
    Name {
        /// The name's bytes, in the endpoint's file.
        range: Range<usize>,
        /// What the name is.
        what: Named,
        /// For a type: what it annotates, by file and bytes.
        base: Option<(usize, Range<usize>)>,
    },
    /// It is among the dependencies of a router or of an `include_router`.
    Shared {
        /// The file.
        module: usize,
        /// What to take out so that it is gone; `None` where that is not plain.
        removal: Option<Range<usize>>,
    },
}

/// What a name that leads to a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// What `Depends` is given.
    Callee,
    /// The whole `Depends(…)`.
    Dependency,
    /// A type with the dependency in it.
    Annotation,
}

/// Something about the source that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// `file:line`.
    pub place: String,
    /// Whether a person has to settle it; otherwise it was taken for granted.
    pub stops: bool,
    /// What it is.
    pub message: String,
}

impl Application {
    /// Reads the endpoints of a project.
    #[must_use]
    pub fn read(project: &Project, checkers: &Checkers) -> Self {
        let mut reader = Reader::new(project, checkers);
        for (number, module) in project.modules.iter().enumerate() {
            if let Some(at) = module.error {
                reader.find(number, at, true, WRONG_SYNTAX);
            }
        }
        let mut routes = reader.routes();
        if !reader.enums.is_empty() {
            // Now that the role classes are known, texts that are values of their members can be told.
            reader.findings.retain(|finding| finding.message == WRONG_SYNTAX);
            reader.sites.clear();
            routes = reader.routes();
        }
        reader.leftover();
        let roles = reader.all_roles(&routes);
        let mut findings = reader.findings;
        findings.sort();
        findings.dedup();
        Self { routes, findings, roles }
    }

    /// Whether a person has to settle something.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.findings.iter().any(|finding| finding.stops)
    }
}

impl Route {
    /// The roles of which one is enough, where the source says so in one way or in several that nest.
    ///
    /// # Errors
    ///
    /// Why they cannot be told as one list.
    pub fn roles(&self) -> Result<Option<Vec<String>>, String> {
        if let Some(why) = &self.unclear {
            return Err(why.clone());
        }
        let mut narrowest: Option<&Vec<String>> = None;
        for check in &self.checks {
            let Asks::Roles(roles) = &check.asks else { continue };
            let within = |a: &Vec<String>, b: &Vec<String>| a.iter().all(|role| b.contains(role));
            narrowest = match narrowest {
                None => Some(roles),
                Some(known) if within(known, roles) => Some(known),
                Some(known) if within(roles, known) => Some(roles),
                Some(known) => {
                    return Err(format!(
                        "two checks must both pass, of {} and of {}: no single list says that",
                        known.join(", "),
                        roles.join(", ")
                    ));
                }
            };
        }
        Ok(narrowest.cloned())
    }

    /// The permissions that it asks for.
    #[must_use]
    pub fn permissions(&self) -> Vec<&str> {
        let asked = self.checks.iter().filter_map(|check| match &check.asks {
            Asks::Permission(name) => Some(name.as_str()),
            Asks::Roles(_) => None,
        });
        asked.collect()
    }
}

/// What reading keeps.
struct Reader<'p> {
    project: &'p Project,
    checkers: &'p Checkers,
    findings: Vec<Finding>,
    /// Classes whose members were given as roles.
    enums: Vec<(usize, &'p Class)>,
    /// Calls of checkers that an endpoint leads to.
    sites: Vec<(usize, Range<usize>)>,
}

impl<'p> Reader<'p> {
    fn new(project: &'p Project, checkers: &'p Checkers) -> Self {
        Self { project, checkers, findings: Vec::new(), enums: Vec::new(), sites: Vec::new() }
    }

    fn find(&mut self, module: usize, at: usize, stops: bool, message: impl std::fmt::Display) {
        let place = self.project.place(module, at);
        self.findings.push(Finding { place, stops, message: message.to_string() });
    }

    /// Reports the use of a checker that no endpoint leads to.
    fn leftover(&mut self) {
        for (number, module) in self.project.modules.iter().enumerate() {
            for (name, range) in &module.names {
                if !self.checkers.roles.contains(name) || self.is_declaration(number, range) {
                    continue;
                }
                let used = self.sites.iter().any(|(place, site)| {
                    *place == number && site.start <= range.start && range.end <= site.end
                });
                if !used {
                    self.find(
                        number,
                        range.start,
                        false,
                        format!("no endpoint leads to this use of `{name}`"),
                    );
                }
            }
        }
    }

    /// Whether a name stands in an import or is the checker's own definition.
    fn is_declaration(&self, module: usize, range: &Range<usize>) -> bool {
        let Some(file) = self.project.modules.get(module) else { return false };
        let within = |outer: &Range<usize>| outer.start <= range.start && range.end <= outer.end;
        file.statements.iter().any(|statement| match statement {
            Statement::From(import) => within(&import.range),
            Statement::Import { range: whole, .. } => within(whole),
            Statement::Function(function) => {
                self.checkers.roles.contains(&function.name) && within(&function.range)
            }
            _ => file.text.get(..range.start).is_some_and(|before| before.ends_with("class ")),
        })
    }

    /// The members of the role classes, in their order; then roles that are in no such class.
    fn all_roles(&mut self, routes: &[Route]) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        for (module, class) in std::mem::take(&mut self.enums) {
            let mut spelled = None;
            for (name, value) in &class.members {
                if let Some(text) = self.project.text(module, value) {
                    if text != *name {
                        spelled = spelled.or(Some((name.clone(), text, value.range.start)));
                    }
                    roles.push(name.clone());
                }
            }
            if let Some((name, text, at)) = spelled {
                let message = format!(
                    "roles are written as the names in `{}`, such as `{name}`; that `{text}` is the same role, the policy has to say (`aliases`)",
                    class.name
                );
                self.find(module, at, false, message);
            }
        }
        for check in routes.iter().flat_map(|route| &route.checks) {
            if let Asks::Roles(asked) = &check.asks {
                for role in asked {
                    if !roles.contains(role) {
                        roles.push(role.clone());
                    }
                }
            }
        }
        roles
    }
}

impl Project {
    /// The text that an expression is, where it is a constant.
    #[must_use]
    pub fn text(&self, module: usize, expr: &crate::python::Expr) -> Option<String> {
        use crate::python::Kind;
        match &expr.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Format(parts) => parts.iter().map(|part| self.text(module, part)).collect(),
            Kind::Join(left, right) => Some(self.text(module, left)? + &self.text(module, right)?),
            Kind::Name(_) | Kind::Attribute(..) => match self.resolve(module, expr) {
                Target::Expr(inner, value)
                | Target::Default(inner, value)
                | Target::Member(inner, _, _, value) => {
                    // What resolves to itself is no constant.
                    if matches!(value.kind, Kind::Name(_) | Kind::Attribute(..)) {
                        None
                    } else {
                        self.text(inner, value)
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }
}

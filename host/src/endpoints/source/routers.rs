//! Routers, what they include, and the endpoints on them.

use std::ops::Range;

use super::checks::Found;
use super::{Decorator, Holder, Reader, Route};
use crate::python::{Argument, Expr, Function, Kind, Statement, Target};

/// What stands for a method where a route is a web socket.
pub(super) const WEBSOCKET: &str = "WEBSOCKET";
/// How deep routers may include each other.
const MAX_DEPTH: usize = 20;
/// The most places at which one router may be included, all ways counted.
const MAX_CONTEXTS: usize = 1_000;

/// A router: the call that makes it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Router<'p> {
    module: usize,
    call: &'p Expr,
    application: bool,
}

/// One router included in another.
struct Include<'p> {
    module: usize,
    parent: Router<'p>,
    child: Router<'p>,
    call: &'p Expr,
}

/// A way from the application to a router: its prefix and the calls whose dependencies count, outermost first.
#[derive(Clone)]
struct Context<'p> {
    prefix: String,
    calls: Vec<(usize, &'p Expr)>,
}

/// An endpoint before its router is known to be included.
struct Declared<'p> {
    module: usize,
    router: Router<'p>,
    methods: Vec<String>,
    path: &'p Expr,
    call: &'p Expr,
    handler: Option<(usize, &'p Function)>,
}

impl<'p> Reader<'p> {
    /// Every endpoint, in the order of files and lines.
    pub(super) fn routes(&mut self) -> Vec<Route> {
        let project = self.project;
        let (mut includes, mut declared) = (Vec::new(), Vec::new());
        for (number, module) in project.modules.iter().enumerate() {
            if module.error.is_some() {
                continue;
            }
            for statement in &module.statements {
                match statement {
                    Statement::Function(function) => {
                        for decorator in &function.decorators {
                            declared.extend(self.declared(number, decorator, Some((number, function))));
                        }
                    }
                    Statement::Expression(call) => {
                        includes.extend(self.include(number, call));
                        declared.extend(self.declared(number, call, None));
                    }
                    _ => {}
                }
            }
        }
        let whole = self.has_application();
        let mut routes = Vec::new();
        for one in &declared {
            let contexts = self.contexts(one.router, &includes, whole, 0);
            if contexts.is_empty() {
                self.find(
                    one.module,
                    one.call.range.start,
                    true,
                    "this endpoint's router is in no application that could be found",
                );
            }
            for context in contexts {
                routes.extend(self.route(one, &context));
            }
        }
        routes
    }

    /// Whether any file makes an application.
    fn has_application(&self) -> bool {
        let mut modules = self.project.modules.iter().enumerate();
        modules.any(|(number, module)| {
            module.statements.iter().any(|statement| match statement {
                Statement::Assign { value, .. } => {
                    self.router(number, value).is_some_and(|router| router.application)
                }
                _ => false,
            })
        })
    }

    fn router(&self, at: usize, expr: &'p Expr) -> Option<Router<'p>> {
        let Target::Expr(module, call) = self.project.resolve(at, expr) else { return None };
        let Kind::Call(function, _) = &call.kind else { return None };
        let application = self.is_external(module, function, &["FastAPI"]);
        (application || self.is_external(module, function, &["APIRouter"])).then_some(Router {
            module,
            call,
            application,
        })
    }

    fn include(&mut self, at: usize, call: &'p Expr) -> Option<Include<'p>> {
        let Kind::Call(function, arguments) = &call.kind else { return None };
        let Kind::Attribute(base, name) = &function.kind else { return None };
        if name == "mount" && self.router(at, base).is_some() {
            self.find(
                at,
                call.range.start,
                true,
                "`mount` is not followed: the endpoints of what is mounted are left out",
            );
        }
        if name != "include_router" {
            return None;
        }
        let parent = self.router(at, base);
        let child = argument(arguments, "router", 0).and_then(|router| self.router(at, router));
        let Some((parent, child)) = parent.zip(child) else {
            self.find(at, call.range.start, true, "which router includes which cannot be told");
            return None;
        };
        Some(Include { module: at, parent, child, call })
    }

    /// `@router.get("/path", …)`, or `router.add_api_route("/path", handler, …)`.
    fn declared(
        &mut self,
        at: usize,
        call: &'p Expr,
        handler: Option<(usize, &'p Function)>,
    ) -> Option<Declared<'p>> {
        let Kind::Call(function, arguments) = &call.kind else { return None };
        let Kind::Attribute(base, name) = &function.kind else { return None };
        let upper = name.to_uppercase();
        let several = if handler.is_some() { "api_route" } else { "add_api_route" };
        let socket = handler.is_some() && name == "websocket";
        let one_method =
            handler.is_some() && crate::endpoints::METHODS.contains(&upper.as_str()) && *name != upper;
        if !one_method && !socket && name != several {
            return None;
        }
        let path = argument(arguments, "path", 0)?;
        let Some(router) = self.router(at, base) else {
            let looks =
                self.project.text(at, path).is_some_and(|path| path.is_empty() || path.starts_with('/'));
            if looks && !matches!(self.project.resolve(at, base), Target::External(_)) {
                self.find(at, call.range.start, true, "what router this endpoint is on cannot be told");
            }
            return None;
        };
        let methods = if one_method {
            vec![upper]
        } else if socket {
            vec![WEBSOCKET.to_owned()]
        } else {
            match argument(arguments, "methods", usize::MAX) {
                None => vec!["GET".to_owned()],
                Some(list) => {
                    let items = match &list.kind {
                        Kind::List(items) => items.iter().map(|item| self.project.text(at, item)).collect(),
                        _ => None,
                    };
                    let items: Option<Vec<String>> = items;
                    let Some(items) = items else {
                        self.find(at, list.range.start, true, "the methods of this endpoint cannot be told");
                        return None;
                    };
                    items
                }
            }
        };
        let handler =
            handler.or_else(|| match self.project.resolve(at, argument(arguments, "endpoint", 1)?) {
                Target::Function(module, function) => Some((module, function)),
                _ => None,
            });
        if handler.is_none() {
            self.find(at, call.range.start, true, "the function of this endpoint cannot be told");
            return None;
        }
        Some(Declared { module: at, router, methods, path, call, handler })
    }

    /// The ways from an application to the router; a router counts as one where the source has no application.
    fn contexts(
        &mut self,
        router: Router<'p>,
        includes: &[Include<'p>],
        whole: bool,
        depth: usize,
    ) -> Vec<Context<'p>> {
        let own = (router.module, router.call);
        if router.application {
            return vec![Context { prefix: String::new(), calls: vec![own] }];
        }
        let prefix = self.prefix(router.module, router.call);
        let mut contexts = Vec::new();
        let mut included = false;
        for include in includes.iter().filter(|include| include.child == router) {
            included = true;
            if depth >= MAX_DEPTH {
                return Vec::new();
            }
            let at_include = self.prefix(include.module, include.call);
            for outer in self.contexts(include.parent, includes, whole, depth.saturating_add(1)) {
                let (Some(middle), Some(inner)) = (&at_include, &prefix) else { continue };
                let mut calls = outer.calls;
                calls.push((include.module, include.call));
                calls.push(own);
                if contexts.len() < MAX_CONTEXTS {
                    contexts.push(Context { prefix: format!("{}{middle}{inner}", outer.prefix), calls });
                }
            }
        }
        if !included && !whole {
            self.find(
                router.module,
                router.call.range.start,
                false,
                "no application was found that includes this router; its paths begin here",
            );
            contexts.extend(prefix.map(|prefix| Context { prefix, calls: vec![own] }));
        }
        contexts
    }

    /// The `prefix` of a call; `None` where it cannot be told, which is reported.
    fn prefix(&mut self, at: usize, call: &'p Expr) -> Option<String> {
        let Kind::Call(_, arguments) = &call.kind else { return None };
        let Some(prefix) = argument(arguments, "prefix", usize::MAX) else { return Some(String::new()) };
        if let Target::Default(inner, value) = self.project.resolve(at, prefix) {
            let from = self.project.place(inner, value.range.start);
            self.find(
                at,
                prefix.range.start,
                false,
                format!("this prefix is the default in {from}; a setting may say otherwise"),
            );
        }
        let text = self.project.text(at, prefix);
        if text.is_none() {
            self.find(at, prefix.range.start, true, "this prefix cannot be told");
        }
        text
    }

    fn route(&mut self, one: &Declared<'p>, context: &Context<'p>) -> Vec<Route> {
        let Kind::Call(_, arguments) = &one.call.kind else { return Vec::new() };
        let Some(path) = self.project.text(one.module, one.path) else {
            self.find(one.module, one.path.range.start, true, "this path cannot be told");
            return Vec::new();
        };
        let mut found = Found::default();
        for (module, call) in &context.calls {
            self.shared(*module, call, &mut found);
        }
        let list = argument(arguments, "dependencies", usize::MAX);
        if let Some(list) = list {
            match &list.kind {
                Kind::List(items) => {
                    items.iter().for_each(|item| self.dependency(one.module, item, None, &mut found));
                }
                _ => self.elements(one.module, list, None, &mut found),
            }
        }
        if let Some((module, function)) = one.handler {
            for parameter in &function.parameters {
                self.parameter(module, parameter, None, &mut found);
            }
        }
        let place = self.project.place(one.module, one.call.range.start);
        if let Some(why) = &found.unclear {
            self.find(
                one.module,
                one.call.range.start,
                true,
                format!("the checks of this endpoint cannot be told: {why}"),
            );
        }
        let literal = list.filter(|list| matches!(&list.kind, Kind::List(items) if !items.is_empty()));
        let decorator = Decorator {
            end: arguments.last().map_or(one.call.range.end, |last| last.range.end),
            list: literal.map(|list| list.range.start.saturating_add(1)),
            taken: list.is_some() && literal.is_none(),
        };
        let whole = format!("{}{path}", context.prefix);
        let routes = one.methods.iter().map(|method| Route {
            method: method.clone(),
            path: if whole.is_empty() { "/".to_owned() } else { whole.clone() },
            place: place.clone(),
            module: one.module,
            decorator: decorator.clone(),
            checks: found.checks.clone(),
            unclear: found.unclear.clone(),
        });
        routes.collect()
    }

    /// The dependencies of a router or an `include_router`.
    fn shared(&mut self, at: usize, call: &'p Expr, found: &mut Found) {
        let Kind::Call(_, arguments) = &call.kind else { return };
        let Some(place) = arguments.iter().position(|one| one.name.as_deref() == Some("dependencies")) else {
            return;
        };
        let Some(argument) = arguments.get(place) else { return };
        let Kind::List(items) = &argument.value.kind else {
            let holder = Holder::Shared { module: at, removal: None };
            return self.elements(at, &argument.value, Some(holder), found);
        };
        for (number, item) in items.iter().enumerate() {
            let removal = if items.len() == 1 {
                let ranges: Vec<_> = arguments.iter().map(|one| one.range.clone()).collect();
                without(&ranges, place)
            } else {
                let ranges: Vec<_> = items.iter().map(|one| one.range.clone()).collect();
                without(&ranges, number)
            };
            self.dependency(at, item, Some(Holder::Shared { module: at, removal }), found);
        }
    }

    /// A list of dependencies that is not written out where it is used.
    fn elements(&mut self, at: usize, expr: &'p Expr, holder: Option<Holder>, found: &mut Found) {
        match self.project.resolve(at, expr) {
            Target::Expr(module, Expr { kind: Kind::List(items), .. }) => {
                let holder = holder.unwrap_or(Holder::Shared { module, removal: None });
                items.iter().for_each(|item| self.dependency(module, item, Some(holder.clone()), found));
            }
            _ => {
                let place = self.project.place(at, expr.range.start);
                found.unclear.get_or_insert(format!("{place}: these dependencies cannot be told"));
            }
        }
    }
}

/// The argument of this keyword, or at this place.
fn argument<'p>(arguments: &'p [Argument], name: &str, place: usize) -> Option<&'p Expr> {
    let named = arguments.iter().find(|one| one.name.as_deref() == Some(name));
    named.or_else(|| arguments.get(place).filter(|one| one.name.is_none())).map(|one| &one.value)
}

/// What to take out of a list so that element `place` is gone, with one comma.
fn without(ranges: &[Range<usize>], place: usize) -> Option<Range<usize>> {
    let own = ranges.get(place)?;
    if let Some(before) = place.checked_sub(1).and_then(|before| ranges.get(before)) {
        return Some(before.end..own.end);
    }
    Some(own.start..ranges.get(place.saturating_add(1)).map_or(own.end, |next| next.start))
}

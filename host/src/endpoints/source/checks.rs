//! The checks that an endpoint's dependencies lead to, and the roles they are given.

use std::ops::Range;

use super::{Asks, Check, Holder, Named, Reader};
use crate::python::{Argument, Class, Expr, Function, Kind, Parameter, Target};

/// How many dependencies of dependencies are followed.
const MAX_DEPTH: usize = 20;

/// What was found on the way to an endpoint's checks.
#[derive(Default)]
pub(super) struct Found {
    pub(super) checks: Vec<Check>,
    /// What could not be told.
    pub(super) unclear: Option<String>,
    depth: usize,
}

impl<'p> Reader<'p> {
    /// A `Depends(…)`, or a name that stands for one.
    pub(super) fn dependency(
        &mut self,
        at: usize,
        expr: &'p Expr,
        holder: Option<Holder>,
        found: &mut Found,
    ) {
        match &expr.kind {
            Kind::Call(function, arguments) if self.is_external(at, function, &["Depends", "Security"]) => {
                let callee =
                    arguments.iter().find(|one| one.name.as_deref().is_none_or(|name| name == "dependency"));
                if let Some(callee) = callee {
                    self.callee(at, &callee.value, holder, found);
                }
            }
            Kind::Name(_) | Kind::Attribute(..) => match self.project.resolve(at, expr) {
                Target::Expr(inner, value) if matches!(value.kind, Kind::Call(..)) => {
                    let holder = holder.unwrap_or(named(expr, Named::Dependency));
                    self.deeper(found, |reader, found| reader.dependency(inner, value, Some(holder), found));
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// What `Depends` was given.
    fn callee(&mut self, at: usize, expr: &'p Expr, holder: Option<Holder>, found: &mut Found) {
        match &expr.kind {
            Kind::Call(function, arguments) => {
                let name = function.last_name().unwrap_or_default().to_owned();
                let target = self.project.resolve(at, function);
                let name = match &target {
                    Target::Function(_, function) => function.name.clone(),
                    Target::Class(_, class) => class.name.clone(),
                    Target::External(dotted) => dotted.rsplit('.').next().unwrap_or_default().to_owned(),
                    _ => name,
                };
                if self.checkers.roles.contains(&name) || self.checkers.permission == name {
                    self.sites.push((at, expr.range.clone()));
                    let asks = if self.checkers.permission == name {
                        self.permission(at, arguments)
                    } else {
                        self.roles(at, arguments)
                    };
                    match asks {
                        Ok(asks) => found.checks.push(Check {
                            asks,
                            site: (at, expr.range.clone()),
                            holder: holder.unwrap_or(Holder::Own),
                        }),
                        Err((place, why)) => {
                            let place = self.project.place(at, place);
                            found.unclear.get_or_insert(format!("{place}: {why}"));
                        }
                    }
                } else if let Target::Function(inner, function) = target {
                    self.suspect(inner, function, found);
                }
            }
            Kind::Name(_) | Kind::Attribute(..) => {
                let holder = holder.unwrap_or(named(expr, Named::Callee));
                match self.project.resolve(at, expr) {
                    Target::Expr(inner, value) if matches!(value.kind, Kind::Call(..)) => {
                        self.deeper(found, |reader, found| reader.callee(inner, value, Some(holder), found));
                    }
                    Target::Function(inner, function) => {
                        for parameter in &function.parameters {
                            let holder = Some(holder.clone());
                            self.deeper(found, |reader, found| {
                                reader.parameter(inner, parameter, holder, found)
                            });
                        }
                        self.suspect(inner, function, found);
                    }
                    Target::Unknown => {
                        let place = self.project.place(at, expr.range.start);
                        found
                            .unclear
                            .get_or_insert(format!("{place}: what this dependency is cannot be told"));
                    }
                    _ => {}
                }
            }
            _ => {
                let place = self.project.place(at, expr.range.start);
                found.unclear.get_or_insert(format!("{place}: what this dependency is cannot be told"));
            }
        }
    }

    /// A parameter: its default, or what its type carries.
    pub(super) fn parameter(
        &mut self,
        at: usize,
        parameter: &'p Parameter,
        holder: Option<Holder>,
        found: &mut Found,
    ) {
        if let Some(default) = &parameter.default {
            self.dependency(at, default, holder.clone(), found);
        }
        if let Some(annotation) = &parameter.annotation {
            self.annotation(at, annotation, holder, found);
        }
    }

    fn annotation(&mut self, at: usize, expr: &'p Expr, holder: Option<Holder>, found: &mut Found) {
        match &expr.kind {
            Kind::Index(base, items) if base.last_name() == Some("Annotated") => {
                for item in items.iter().skip(1) {
                    self.dependency(at, item, holder.clone(), found);
                }
                // An annotated type may be annotated again.
                if let Some(first) =
                    items.first().filter(|first| matches!(first.kind, Kind::Name(_) | Kind::Attribute(..)))
                {
                    self.annotation(at, first, holder, found);
                }
            }
            Kind::Name(_) | Kind::Attribute(..) => match self.project.resolve(at, expr) {
                Target::Expr(inner, value) if matches!(value.kind, Kind::Index(..)) => {
                    let holder = holder.unwrap_or_else(|| alias(expr, inner, value));
                    self.deeper(found, |reader, found| reader.annotation(inner, value, Some(holder), found));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn deeper(&mut self, found: &mut Found, go: impl FnOnce(&mut Self, &mut Found)) {
        if found.depth >= MAX_DEPTH {
            found.unclear.get_or_insert(format!("its dependencies go more than {MAX_DEPTH} steps deep"));
            return;
        }
        found.depth = found.depth.saturating_add(1);
        go(self, found);
        found.depth = found.depth.saturating_sub(1);
    }

    /// A function that names a checker in its body checks something that its parameters do not show.
    fn suspect(&mut self, module: usize, function: &Function, found: &mut Found) {
        let Some(file) = self.project.modules.get(module) else { return };
        let inside =
            |range: &Range<usize>| function.body.start <= range.start && range.end <= function.body.end;
        let named =
            file.names.iter().find(|(name, range)| self.checkers.roles.contains(name) && inside(range));
        if let Some((name, range)) = named {
            let place = self.project.place(module, range.start);
            found.unclear.get_or_insert(format!("{place}: `{}` uses `{name}` in its body", function.name));
        }
    }

    pub(super) fn is_external(&self, at: usize, function: &'p Expr, names: &[&str]) -> bool {
        let dotted = match self.project.resolve(at, function) {
            Target::External(dotted) => dotted,
            _ => return false,
        };
        dotted.rsplit('.').next().is_some_and(|last| names.contains(&last))
    }

    fn permission(&mut self, at: usize, arguments: &'p [Argument]) -> Result<Asks, (usize, String)> {
        let argument = arguments.first().ok_or((0, "no permission is given".to_owned()))?;
        let text = self.project.text(at, &argument.value);
        let text = text.ok_or((argument.range.start, "the permission is no constant".to_owned()))?;
        Ok(Asks::Permission(text))
    }

    fn roles(&mut self, at: usize, arguments: &'p [Argument]) -> Result<Asks, (usize, String)> {
        let mut roles = Vec::new();
        for argument in arguments {
            self.role(at, &argument.value, &mut roles, 0).map_err(|()| {
                (argument.range.start, "these roles cannot be told from the source".to_owned())
            })?;
        }
        let mut once: Vec<String> = Vec::new();
        for role in roles {
            if !once.contains(&role) {
                once.push(role);
            }
        }
        if once.is_empty() {
            let place = arguments.first().map_or(0, |argument| argument.range.start);
            return Err((place, "no role is listed".to_owned()));
        }
        Ok(Asks::Roles(once))
    }

    /// Adds the roles that an expression lists.
    pub(super) fn role(
        &mut self,
        at: usize,
        expr: &'p Expr,
        roles: &mut Vec<String>,
        depth: usize,
    ) -> Result<(), ()> {
        if depth > MAX_DEPTH {
            return Err(());
        }
        let next = depth.saturating_add(1);
        match &expr.kind {
            Kind::Text(text) => {
                roles.push(self.label(text));
                Ok(())
            }
            Kind::List(items) => items.iter().try_for_each(|item| self.role(at, item, roles, next)),
            Kind::Star(inner) => self.role(at, inner, roles, next),
            Kind::Join(left, right) => {
                self.role(at, left, roles, next)?;
                self.role(at, right, roles, next)
            }
            Kind::Call(function, arguments) => {
                let collects = ["list", "tuple", "set", "frozenset"];
                let collects =
                    matches!(&function.kind, Kind::Name(name) if collects.contains(&name.as_str()));
                match arguments.as_slice() {
                    [only] if collects => self.role(at, &only.value, roles, next),
                    [] if collects => Ok(()),
                    _ => Err(()),
                }
            }
            Kind::Attribute(base, name) if name == "value" || name == "name" => {
                match self.project.resolve(at, base) {
                    Target::Member(inner, class, member, _) => {
                        self.member(inner, class);
                        roles.push(member.to_owned());
                        Ok(())
                    }
                    _ => Err(()),
                }
            }
            Kind::Name(_) | Kind::Attribute(..) => match self.project.resolve(at, expr) {
                Target::Member(inner, class, member, value) if self.project.text(inner, value).is_some() => {
                    self.member(inner, class);
                    roles.push(member.to_owned());
                    Ok(())
                }
                Target::Member(inner, _, _, value) => self.role(inner, value, roles, next),
                Target::Class(inner, class) => {
                    self.member(inner, class);
                    roles.extend(class.members.iter().map(|(name, _)| name.clone()));
                    Ok(())
                }
                Target::Expr(inner, value) => self.role(inner, value, roles, next),
                _ => Err(()),
            },
            _ => Err(()),
        }
    }

    fn member(&mut self, module: usize, class: &'p Class) {
        if !self.enums.iter().any(|(place, known)| *place == module && known.name == class.name) {
            self.enums.push((module, class));
        }
    }

    /// The name of the member whose value a text is, where it is one and no member's name.
    fn label(&self, text: &str) -> String {
        for (module, class) in &self.enums {
            if class.members.iter().any(|(name, _)| name == text) {
                break;
            }
            let same = class
                .members
                .iter()
                .find(|(_, value)| self.project.text(*module, value).as_deref() == Some(text));
            if let Some((name, _)) = same {
                return name.clone();
            }
        }
        text.to_owned()
    }
}

fn named(expr: &Expr, what: Named) -> Holder {
    Holder::Name { range: expr.range.clone(), what, base: None }
}

/// A name for `Annotated[base, …]`.
fn alias(expr: &Expr, module: usize, value: &Expr) -> Holder {
    let base = match &value.kind {
        Kind::Index(_, items) => items.first().map(|base| (module, base.range.clone())),
        _ => None,
    };
    Holder::Name { range: expr.range.clone(), what: Named::Annotation, base }
}

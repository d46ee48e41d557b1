//! From `require_roles(…)` to `require_permission("…")`: what stands where, and the edits that change it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::imports::{self, Need};
use super::{Application, Asks, Check, Checkers, Finding, Holder, Named, Route};
use crate::endpoints::{Endpoint, Endpoints};
use crate::error::HostError;
use crate::python::{Project, Statement};

/// How far an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The source asks for the roles of the rule.
    Roles,
    /// The source asks for the rule's permission.
    Converted,
    /// The source asks for something else.
    Differs,
    /// What the source asks for cannot be told.
    Unclear,
    /// The source has no such endpoint.
    Missing,
    /// The source was not looked at.
    NotRead,
}

impl State {
    /// The word of the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Converted => "converted",
            Self::Differs => "differs",
            Self::Unclear => "unclear",
            Self::Missing => "missing",
            Self::NotRead => "not_read",
        }
    }
}

/// One rule, and what the source says about its endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The legacy roles of the rule.
    pub roles: Vec<String>,
    /// The permission of the rule.
    pub permission: String,
    /// How far the source is.
    pub state: State,
    /// Where the endpoint stands: `file:line`.
    pub place: Option<String>,
    /// What the source asks for, where it is neither the rule's roles nor its permission.
    pub found: Option<String>,
}

/// What the source looks like beside the rules, and what would convert it.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// One row a rule, in the order of the rules.
    pub rows: Vec<Row>,
    /// Endpoints with a check that no rule is about, as `METHOD path`.
    pub extra: Vec<String>,
    /// What a person has to do, and what was taken for granted.
    pub findings: Vec<Finding>,
    /// The files that change, with their texts before and after.
    pub files: Vec<(PathBuf, String, String)>,
}

/// A replacement in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

type Edits = BTreeMap<usize, BTreeSet<Edit>>;

/// Compares the source below `directory` with the rules and works out the edits. They are tried: the changed source is
/// read again, and must ask for exactly the permissions that were meant, with every other endpoint as it was.
///
/// # Errors
///
/// When the trial fails; then nothing should be changed.
pub fn convert(
    directory: &Path,
    project: &Project,
    checkers: &Checkers,
    rules: &Endpoints,
) -> Result<Conversion, HostError> {
    let application = Application::read(project, checkers);
    let mut conversion = Conversion { findings: application.findings.clone(), ..Conversion::default() };
    let mut pending: BTreeMap<usize, &Endpoint> = BTreeMap::new();
    for rule in &rules.endpoints {
        let place = application
            .routes
            .iter()
            .position(|route| route.method == rule.method && route.path == rule.path);
        let route = place.and_then(|place| application.routes.get(place));
        let row = compare(rule, route);
        if let Some(place) = place.filter(|_| row.state == State::Roles) {
            pending.insert(place, rule);
        }
        conversion.rows.push(row);
    }
    for route in &application.routes {
        let ruled = rules.endpoints.iter().any(|rule| rule.method == route.method && rule.path == route.path);
        if !ruled && !route.checks.is_empty() {
            conversion.extra.push(format!("{} {}", route.method, route.path));
        }
    }
    if pending.is_empty() {
        return Ok(conversion);
    }
    let Some(target) = target(project, checkers) else {
        conversion.findings.push(Finding {
            place: directory.display().to_string(),
            stops: true,
            message: format!("the source has no function `{0}`, or several; write one, as examples/erp/app/core/permissions.py has it", checkers.permission),
        });
        return Ok(conversion);
    };
    let planner = Planner { project, checkers, application: &application };
    let edits = planner.settle(&mut pending, &mut conversion.findings);
    let mut texts = project.texts();
    for (module, (edits, needs)) in edits {
        let Some((path, text)) = texts.get_mut(module) else { continue };
        let all = imports::with_imports(project, module, &edits, &needs, target, &checkers.permission);
        let changed = apply(text, &all).ok_or_else(|| {
            HostError::refused(format_args!("two changes of `{}` overlap", path.display()))
                .help("change the endpoints of this file by hand; this should not happen, please report it")
        })?;
        conversion.files.push((path.clone(), text.clone(), changed.clone()));
        *text = changed;
    }
    let after = Application::read(&Project::parse(directory, texts)?, checkers);
    verify(&application, &after, &pending)?;
    Ok(conversion)
}

fn compare(rule: &Endpoint, route: Option<&Route>) -> Row {
    let mut row = Row {
        method: rule.method.clone(),
        path: rule.path.clone(),
        roles: rule.roles.clone(),
        permission: rule.permission.to_string(),
        state: State::Missing,
        place: route.map(|route| route.place.clone()),
        found: None,
    };
    let Some(route) = route else { return row };
    let permissions: BTreeSet<&str> = route.permissions().into_iter().collect();
    let set = |roles: &[String]| roles.iter().cloned().collect::<BTreeSet<String>>();
    (row.state, row.found) = match route.roles() {
        Err(why) => (State::Unclear, Some(why)),
        Ok(None) if permissions.len() == 1 && permissions.contains(rule.permission.as_str()) => {
            (State::Converted, None)
        }
        Ok(Some(roles)) if permissions.is_empty() && set(&roles) == set(&rule.roles) => (State::Roles, None),
        Ok(roles) => {
            let mut found: Vec<String> =
                permissions.iter().map(|name| format!("permission {name}")).collect();
            found.extend(roles.map(|roles| format!("roles {}", roles.join(", "))));
            let nothing = "no check that could be found".to_owned();
            (State::Differs, Some(if found.is_empty() { nothing } else { found.join(" and ") }))
        }
    };
    row
}

/// The one file that defines the function that takes a permission.
fn target(project: &Project, checkers: &Checkers) -> Option<usize> {
    let mut files = project.modules.iter().enumerate().filter(|(_, module)| {
        module.statements.iter().any(|statement| match statement {
            Statement::Function(function) => function.name == checkers.permission,
            Statement::Class(class) => class.name == checkers.permission,
            _ => false,
        })
    });
    let first = files.next()?.0;
    files.next().is_none().then_some(first)
}

type Planned = BTreeMap<usize, (BTreeSet<Edit>, BTreeSet<Need>)>;

struct Planner<'a> {
    project: &'a Project,
    checkers: &'a Checkers,
    application: &'a Application,
}

impl Planner<'_> {
    /// The edits for as many endpoints as possible. One that cannot be changed keeps its check, and with it everybody
    /// who shares that check; so endpoints are given up until the rest holds.
    fn settle(&self, pending: &mut BTreeMap<usize, &Endpoint>, findings: &mut Vec<Finding>) -> Planned {
        loop {
            let (mut edits, mut needs) = (Edits::new(), BTreeMap::<usize, BTreeSet<Need>>::new());
            let mut given_up: Vec<(usize, String)> = Vec::new();
            for (&place, rule) in pending.iter() {
                let Some(route) = self.application.routes.get(place) else { continue };
                if let Err(why) = self.plan(route, rule, pending, &mut edits, &mut needs) {
                    given_up.push((place, why));
                }
            }
            for (&module, planned) in &edits {
                let clash = planned.iter().zip(planned.iter().skip(1)).find(|(one, next)| {
                    next.start < one.end || (next.start == one.start && next.end == one.end)
                });
                if let Some((one, _)) = clash {
                    let touching = pending.keys().filter(|place| self.touches(**place, module, one));
                    given_up.extend(touching.map(|place| {
                        (*place, "it shares its code with an endpoint of another permission".to_owned())
                    }));
                }
            }
            if given_up.is_empty() {
                let planned = edits
                    .into_iter()
                    .map(|(module, edits)| (module, (edits, needs.remove(&module).unwrap_or_default())));
                return planned.collect();
            }
            for (place, why) in given_up {
                if let (Some(_), Some(route)) = (pending.remove(&place), self.application.routes.get(place)) {
                    findings.push(Finding {
                        place: route.place.clone(),
                        stops: true,
                        message: format!("{} {} is to be changed by hand: {why}", route.method, route.path),
                    });
                }
            }
        }
    }

    fn touches(&self, place: usize, module: usize, edit: &Edit) -> bool {
        let Some(route) = self.application.routes.get(place) else { return false };
        let hits = |range: &Range<usize>| range.start < edit.end && edit.start < range.end;
        route.module == module && hits(&(route.decorator.end.saturating_sub(1)..route.decorator.end.saturating_add(1)))
            || route.checks.iter().any(|check| {
                check.site.0 == module && hits(&check.site.1)
                    || matches!(&check.holder, Holder::Name { range, .. } if route.module == module && hits(range))
            })
    }

    /// Whether every endpoint behind a check is to ask for this permission, and nothing else can be behind it.
    fn exclusive(&self, check: &Check, permission: &str, pending: &BTreeMap<usize, &Endpoint>) -> bool {
        let meant = |place| pending.get(&place).is_some_and(|rule| rule.permission.as_str() == permission);
        let alone = match &check.holder {
            Holder::Own => true,
            Holder::Name { .. } => !self.application.stops() && self.only_endpoints_use(check),
            Holder::Shared { .. } => !self.application.stops(),
        };
        alone && self.users(check).all(meant)
    }

    /// Whether the names that lead to the check occur nowhere but in endpoints, imports and their one definition.
    fn only_endpoints_use(&self, check: &Check) -> bool {
        let mut known = BTreeSet::new();
        let mut names = BTreeSet::new();
        for route in &self.application.routes {
            for other in route.checks.iter().filter(|other| other.site == check.site) {
                let Holder::Name { range, .. } = &other.holder else { return false };
                let Some(file) = self.project.modules.get(route.module) else { return false };
                let inside = |at: &Range<usize>| range.start <= at.start && at.end <= range.end;
                let Some((name, at)) =
                    file.names.iter().filter(|(_, at)| inside(at)).max_by_key(|(_, at)| at.start)
                else {
                    return false;
                };
                known.insert((route.module, at.start));
                names.insert(name);
            }
        }
        let [name] = names.into_iter().collect::<Vec<_>>()[..] else { return false };
        let occurs = self.project.modules.iter().enumerate().flat_map(|(number, file)| {
            let outside = file
                .names
                .iter()
                .filter(move |(own, at)| own == name && !imports::is_imported(file, at.start));
            outside.map(move |(_, at)| (number, at.start))
        });
        occurs.filter(|place| !known.contains(place)).count() == 1
    }

    /// The endpoints behind a check.
    fn users<'c>(&'c self, check: &'c Check) -> impl Iterator<Item = usize> + 'c {
        let routes = self.application.routes.iter().enumerate();
        routes
            .filter(|(_, route)| route.checks.iter().any(|other| other.site == check.site))
            .map(|(place, _)| place)
    }

    fn plan(
        &self,
        route: &Route,
        rule: &Endpoint,
        pending: &BTreeMap<usize, &Endpoint>,
        edits: &mut Edits,
        needs: &mut BTreeMap<usize, BTreeSet<Need>>,
    ) -> Result<(), String> {
        let permission = rule.permission.as_str();
        let call = format!("{}(\"{permission}\")", self.checkers.permission);
        let mut put = |module: usize, range: Range<usize>, text: String, more: &[Need]| {
            edits.entry(module).or_default().insert(Edit { start: range.start, end: range.end, text });
            let needs = needs.entry(module).or_default();
            needs.extend(more.iter().cloned());
        };
        let wants = Need::Checker;
        let (shared, own): (Vec<&Check>, Vec<&Check>) =
            route.checks.iter().partition(|check| matches!(check.holder, Holder::Shared { .. }));
        let mut kept = None;
        match own.as_slice() {
            [] => {}
            [check] if self.exclusive(check, permission, pending) => {
                put(check.site.0, check.site.1.clone(), call.clone(), std::slice::from_ref(&wants));
                kept = Some(&check.site);
            }
            [Check { holder: Holder::Name { range, what, base }, site, .. }] => {
                let (text, more) = match (what, base) {
                    (Named::Callee, _) => (call.clone(), vec![wants.clone()]),
                    (Named::Dependency, _) => {
                        (format!("Depends({call})"), vec![wants.clone(), Need::Depends])
                    }
                    (Named::Annotation, Some((module, base))) => {
                        let base = self.source(*module, base).ok_or("its type cannot be written out")?;
                        let need = imports::same_name(self.project, *module, route.module, &base)?;
                        let mut more = vec![wants.clone(), Need::Depends, Need::Annotated];
                        more.extend(need);
                        (format!("Annotated[{base}, Depends({call})]"), more)
                    }
                    (Named::Annotation, None) => return Err("its type cannot be written out".to_owned()),
                };
                put(route.module, range.clone(), text, &more);
                kept = Some(site);
            }
            [_] => return Err("its check also serves an endpoint of another permission".to_owned()),
            _ => return Err("it has several checks of its own".to_owned()),
        }
        for check in &shared {
            if kept.is_none() && self.exclusive(check, permission, pending) {
                put(check.site.0, check.site.1.clone(), call.clone(), std::slice::from_ref(&wants));
                kept = Some(&check.site);
                continue;
            }
            let Holder::Shared { module, removal } = &check.holder else { continue };
            if self.application.stops() {
                return Err("something above could not be told, and may rely on the check of its router too"
                    .to_owned());
            }
            if !self.users(check).all(|place| pending.contains_key(&place)) {
                return Err("it shares a router's check with an endpoint that keeps its roles".to_owned());
            }
            let removal =
                removal.clone().ok_or("the check of its router does not stand where it can be taken out")?;
            put(*module, removal, String::new(), &[]);
        }
        if kept.is_some() {
            return Ok(());
        }
        if shared.is_empty() {
            return Err("it has no check".to_owned());
        }
        let decorator = &route.decorator;
        let depends = format!("Depends({call})");
        match (decorator.list, decorator.taken) {
            (Some(start), _) => {
                put(route.module, start..start, format!("{depends}, "), &[wants, Need::Depends])
            }
            (None, false) => {
                let text = format!(", dependencies=[{depends}]");
                put(route.module, decorator.end..decorator.end, text, &[wants, Need::Depends]);
            }
            (None, true) => return Err("its `dependencies` are no plain list".to_owned()),
        }
        Ok(())
    }

    fn source(&self, module: usize, range: &Range<usize>) -> Option<String> {
        self.project.modules.get(module)?.text.get(range.clone()).map(str::to_owned)
    }
}

/// The text with all edits, which must not overlap.
fn apply(text: &str, edits: &BTreeSet<Edit>) -> Option<String> {
    let (mut changed, mut at) = (String::with_capacity(text.len()), 0);
    for edit in edits {
        changed.push_str(text.get(at..edit.start)?);
        changed.push_str(&edit.text);
        at = edit.end;
    }
    changed.push_str(text.get(at..)?);
    Some(changed)
}

/// Whether the changed source asks for what was meant, and for nothing else.
fn verify(
    before: &Application,
    after: &Application,
    changed: &BTreeMap<usize, &Endpoint>,
) -> Result<(), HostError> {
    let fail = |what: String| {
        HostError::refused(format_args!("the changed source does not ask for what was meant: {what}"))
            .help("nothing was changed; change it by hand, and report this")
    };
    if before.routes.len() != after.routes.len() {
        return Err(fail(format!("{} endpoints, then {}", before.routes.len(), after.routes.len())));
    }
    for (place, (old, new)) in before.routes.iter().zip(&after.routes).enumerate() {
        let same = old.method == new.method && old.path == new.path;
        let holds = match changed.get(&place) {
            Some(rule) => {
                let all: Vec<&Asks> = new.checks.iter().map(|check| &check.asks).collect();
                new.unclear.is_none()
                    && !all.is_empty()
                    && all.iter().all(
                        |asks| matches!(asks, Asks::Permission(name) if *name == rule.permission.as_str()),
                    )
            }
            None => old.roles().ok() == new.roles().ok() && old.permissions() == new.permissions(),
        };
        if !same || !holds {
            return Err(fail(format!("`{} {}`", old.method, old.path)));
        }
    }
    Ok(())
}

//! The imports that an edit needs and those that it leaves without use.

use std::collections::{BTreeMap, BTreeSet};

use super::convert::Edit;
use crate::python::{FromImport, Module, Project, Statement};

/// The longest line that is written; a longer import gets a line for each name.
const MAX_LINE: usize = 100;

/// A name that new code uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// The function that takes a permission.
    Checker,
    /// FastAPI's `Depends`.
    Depends,
    /// `typing.Annotated`.
    Annotated,
    /// A name that another file imports or defines: where it is imported from, and the name.
    Other(String, String),
}

/// What file `to` has to import so that a name of file `from` means the same there.
pub(super) fn same_name(
    project: &Project,
    from: usize,
    to: usize,
    name: &str,
) -> Result<Option<Need>, String> {
    if project.is_bound(to, name) {
        return Ok(None);
    }
    let file = project.modules.get(from).ok_or("a file is missing")?;
    let wrong = || format!("`{name}` is not known in its file");
    let import = file.statements.iter().find_map(|statement| match statement {
        Statement::From(import) if import.names.iter().any(|(own, local)| own == name && local == name) => {
            Some(import)
        }
        _ => None,
    });
    let module = match import {
        Some(import) if import.dots == 0 => import.module.clone(),
        Some(_) => return Err(wrong()),
        None if project.is_bound(from, name) && !name.contains('.') => {
            project.import_of(to, from).ok_or_else(wrong)?
        }
        None => return Err(wrong()),
    };
    Ok(Some(Need::Other(module, name.to_owned())))
}

/// The edits with those of the imports.
pub(super) fn with_imports(
    project: &Project,
    module: usize,
    edits: &BTreeSet<Edit>,
    needs: &BTreeSet<Need>,
    target: usize,
    checker: &str,
) -> BTreeSet<Edit> {
    let mut all = edits.clone();
    let Some(file) = project.modules.get(module) else { return all };
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for need in needs {
        let (from, name) = match need {
            Need::Checker => (project.import_of(module, target).unwrap_or_default(), checker.to_owned()),
            Need::Depends => ("fastapi".to_owned(), "Depends".to_owned()),
            Need::Annotated => ("typing".to_owned(), "Annotated".to_owned()),
            Need::Other(from, name) => (from.clone(), name.clone()),
        };
        if !project.is_bound(module, &name) {
            wanted.entry(from).or_default().insert(name);
        }
    }
    let unused: BTreeSet<String> =
        unused(file, edits).into_iter().filter(|name| !is_reexported(project, module, name)).collect();
    let mut anchor: Option<&FromImport> = None;
    for import in from_imports(file) {
        let dotted = format!("{}{}", ".".repeat(import.dots), import.module);
        let text = file.text.get(import.range.clone()).unwrap_or_default();
        let loses = import.names.iter().any(|(_, local)| unused.contains(local));
        if loses || anchor.is_none() {
            anchor = Some(import);
        }
        if text.contains('#') || import.names.iter().any(|(name, _)| name == "*") {
            continue;
        }
        let gains = wanted.remove(&dotted).unwrap_or_default();
        if !loses && gains.is_empty() {
            continue;
        }
        let mut names: Vec<String> = import
            .names
            .iter()
            .filter(|(_, local)| !unused.contains(local))
            .map(|(name, local)| if name == local { name.clone() } else { format!("{name} as {local}") })
            .collect();
        names.extend(gains);
        all.insert(rewritten(file, import, &dotted, &names));
    }
    let anchor = from_imports(file)
        .find(|import| import.names.iter().any(|(_, local)| unused.contains(local)))
        .or(anchor);
    for (from, names) in wanted {
        let names: Vec<String> = names.into_iter().collect();
        let line = statement(&from, &names);
        match anchor {
            // Before or after the import that gave the old check, as the order of names has it.
            Some(import) if from.as_str() > import.module.as_str() || from.starts_with('.') => {
                let end = line_end(&file.text, import.range.end);
                all.insert(Edit { start: end, end, text: format!("{line}\n") });
            }
            Some(import) => {
                let start = import.range.start;
                all.insert(Edit { start, end: start, text: format!("{line}\n") });
            }
            None => {
                all.insert(Edit { start: 0, end: 0, text: format!("{line}\n") });
            }
        }
    }
    merged(all)
}

/// Insertions at a place where something else begins become part of it, so that their order is plain.
fn merged(edits: BTreeSet<Edit>) -> BTreeSet<Edit> {
    let mut merged: Vec<Edit> = Vec::new();
    for edit in edits {
        match merged.last_mut() {
            Some(last) if last.start == last.end && last.start == edit.start => {
                last.text.push_str(&edit.text);
                last.end = edit.end;
            }
            _ => merged.push(edit),
        }
    }
    merged.into_iter().collect()
}

/// Whether the byte stands in an import.
pub(super) fn is_imported(file: &Module, at: usize) -> bool {
    from_imports(file).any(|import| import.range.contains(&at))
}

/// Whether another file takes the name from this one.
fn is_reexported(project: &Project, module: usize, name: &str) -> bool {
    project.modules.get(module).is_some_and(|file| file.package)
        || project.modules.iter().enumerate().any(|(number, file)| {
            from_imports(file).any(|import| {
                project.imported(number, import.dots, &import.module) == Some(module)
                    && import.names.iter().any(|(own, _)| own == name || own == "*")
            })
        })
}

fn from_imports(file: &Module) -> impl Iterator<Item = &FromImport> {
    file.statements.iter().filter_map(|statement| match statement {
        Statement::From(import) => Some(import),
        _ => None,
    })
}

/// Names that were used in what is replaced, and nowhere else but where they are imported.
fn unused(file: &Module, edits: &BTreeSet<Edit>) -> BTreeSet<String> {
    let within = |at: usize| edits.iter().any(|edit| edit.start <= at && at < edit.end);
    let gone: BTreeSet<&str> =
        file.names.iter().filter(|(_, range)| within(range.start)).map(|(name, _)| name.as_str()).collect();
    let kept: BTreeSet<&str> = file
        .names
        .iter()
        .filter(|(_, range)| !within(range.start) && !is_imported(file, range.start))
        .map(|(name, _)| name.as_str())
        .collect();
    let written = |name: &str| {
        let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|one| one == name);
        edits.iter().any(|edit| word(&edit.text))
    };
    gone.into_iter().filter(|name| !kept.contains(name) && !written(name)).map(str::to_owned).collect()
}

/// The import with other names; without any, its whole line goes.
fn rewritten(file: &Module, import: &FromImport, dotted: &str, names: &[String]) -> Edit {
    if names.is_empty() {
        let end = line_end(&file.text, import.range.end);
        return Edit { start: import.range.start, end, text: String::new() };
    }
    Edit { start: import.range.start, end: import.range.end, text: statement(dotted, names) }
}

fn statement(dotted: &str, names: &[String]) -> String {
    let line = format!("from {dotted} import {}", names.join(", "));
    if line.chars().count() <= MAX_LINE {
        return line;
    }
    let names: Vec<String> = names.iter().map(|name| format!("    {name},\n")).collect();
    format!("from {dotted} import (\n{})", names.concat())
}

/// Where the next line begins.
fn line_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find('\n').map_or(text.len(), |length| at.saturating_add(length).saturating_add(1))
}

//! Roles in constants that are named by a person: who passes every check, and who inherits whom.

use super::{Application, Checkers, Reader};
use crate::python::{Expr, Kind, Project, Statement};

impl Application {
    /// The roles in the constant `name`, or `module.name` where several files have one.
    #[must_use]
    pub fn constant_list(&self, project: &Project, checkers: &Checkers, name: &str) -> Option<Vec<String>> {
        let (module, value) = constant(project, name)?;
        list(&mut Reader::new(project, checkers), module, value)
    }

    /// The roles in the dictionary `name`, each with those that it holds.
    #[must_use]
    pub fn constant_pairs(
        &self,
        project: &Project,
        checkers: &Checkers,
        name: &str,
    ) -> Option<Vec<(String, Vec<String>)>> {
        let (module, value) = constant(project, name)?;
        let Kind::Dict(pairs) = &value.kind else { return None };
        let mut reader = Reader::new(project, checkers);
        let pairs = pairs.iter().map(|(key, value)| {
            let key = list(&mut reader, module, key)?;
            let [key] = key.as_slice() else { return None };
            Some((key.clone(), list(&mut reader, module, value)?))
        });
        pairs.collect()
    }
}

/// The one assignment of the name at the top of a file.
fn constant<'p>(project: &'p Project, name: &str) -> Option<(usize, &'p Expr)> {
    let (file, name) = name.rsplit_once('.').map_or((None, name), |(file, name)| (Some(file), name));
    let mut found = None;
    for (number, module) in project.modules.iter().enumerate() {
        let same = |file: &str| module.name == file || file.ends_with(&format!(".{}", module.name));
        if !file.is_none_or(same) {
            continue;
        }
        for statement in &module.statements {
            if let Statement::Assign { name: bound, value } = statement
                && bound == name
                && found.replace((number, value)).is_some()
            {
                return None;
            }
        }
    }
    found
}

fn list<'p>(reader: &mut Reader<'p>, module: usize, value: &'p Expr) -> Option<Vec<String>> {
    let mut roles = Vec::new();
    reader.role(module, value, &mut roles, 0).ok()?;
    Some(roles)
}

//! A draft from the source of a FastAPI application.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Draft, Drafted};
use crate::endpoints::source::{Application, Checkers, Finding};
use crate::error::HostError;
use crate::python::Project;

/// Reads the source below `directory`. `bypass` and `inherits` name the constants that hold the roles that pass every
/// check and the roles that each role inherits.
///
/// # Errors
///
/// When the source cannot be read, or a named constant is not there or not of the form.
pub fn python(
    directory: &Path,
    checkers: &Checkers,
    bypass: Option<&str>,
    inherits: Option<&str>,
) -> Result<Draft, HostError> {
    let project = Project::read(directory)?;
    let application = Application::read(&project, checkers);
    let mut draft = Draft {
        roles: application.roles.clone(),
        findings: application.findings.clone(),
        ..Draft::default()
    };
    for route in &application.routes {
        let what = format!("{} {}", route.method, route.path);
        match route.roles() {
            Ok(Some(roles)) if route.permissions().is_empty() => draft.endpoints.push(Drafted {
                method: route.method.clone(),
                path: route.path.clone(),
                roles,
                place: route.place.clone(),
            }),
            Ok(None) if route.permissions().is_empty() => {
                draft.open.push(format!("{what} ({})", route.place))
            }
            Ok(_) => draft.findings.push(Finding {
                place: route.place.clone(),
                stops: true,
                message: format!(
                    "{what} asks for a permission already; which roles it asked for is not in the source"
                ),
            }),
            // What is unclear has been reported where it was found.
            Err(_) if route.unclear.is_some() => {}
            Err(why) => {
                draft.findings.push(Finding {
                    place: route.place.clone(),
                    stops: true,
                    message: format!("{what}: {why}"),
                });
            }
        }
    }
    let wrong = |name: &str, form: &str| {
        HostError::usage(format_args!("`{name}` is no constant of the source that is {form}"))
            .help("give its name, or `module.NAME` where several files have one")
    };
    draft.bypass = bypass
        .map(|name| {
            application.constant_list(&project, checkers, name).ok_or_else(|| wrong(name, "a list of roles"))
        })
        .transpose()?;
    let inherits = inherits.map(|name| {
        let pairs = application.constant_pairs(&project, checkers, name);
        pairs.ok_or_else(|| wrong(name, "a dictionary of roles and lists of roles"))
    });
    draft.inherits = inherits.transpose()?.map(|pairs| pairs.into_iter().collect::<BTreeMap<_, _>>());
    Ok(draft)
}

//! A draft from an OpenAPI 3 document in JSON.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Draft, Drafted};
use crate::endpoints::openapi::{OpenApi, Operation, stop};
use crate::error::HostError;

/// The extensions that are known to list roles.
const EXTENSIONS: [&str; 2] = ["x-roles", "x-required-roles"];

/// Reads the document at `path`: the roles of an operation are its `x-roles` or `x-required-roles`, or else the scopes
/// of its `security`.
///
/// # Errors
///
/// When it cannot be read or is no OpenAPI 3 document in JSON.
pub fn openapi(path: &Path) -> Result<Draft, HostError> {
    let document = OpenApi::load(path)?;
    let mut draft = Draft { findings: document.findings().to_vec(), ..Draft::default() };
    for Operation { method, path, content } in document.operations() {
        let what = format!("{method} {path}");
        match roles(content, document.whole()) {
            Ok(Some(roles)) => {
                draft.roles.extend(roles.iter().cloned());
                draft.endpoints.push(Drafted { method: method.to_owned(), path, roles, place: what });
            }
            Ok(None) => draft.open.push(what),
            Err(why) => draft.findings.push(stop(&what, why)),
        }
    }
    draft.roles.sort();
    draft.roles.dedup();
    Ok(draft)
}

/// The roles of which one is enough; `None` where nothing is asked for.
fn roles(operation: &Map<String, Value>, document: &Value) -> Result<Option<Vec<String>>, &'static str> {
    for extension in EXTENSIONS {
        if let Some(value) = operation.get(extension) {
            let listed = match value {
                Value::String(role) => Some(vec![role.clone()]),
                Value::Array(_) => strings(value),
                _ => None,
            };
            let listed = listed.ok_or("its roles are no list of texts")?;
            return if listed.is_empty() { Err("it lists no role") } else { Ok(Some(listed)) };
        }
    }
    let security = operation.get("security").or_else(|| document.get("security"));
    let Some(alternatives) = security.and_then(Value::as_array) else { return Ok(None) };
    let mut listed: Vec<String> = Vec::new();
    let mut unasked = alternatives.is_empty();
    for alternative in alternatives {
        let schemes = alternative.as_object().ok_or("its `security` is not of the format")?;
        let mut scopes: Vec<String> = Vec::new();
        for scheme in schemes.values() {
            scopes.extend(strings(scheme).ok_or("its `security` is not of the format")?);
        }
        match scopes.as_slice() {
            [] => unasked = true,
            [one] => listed.push(one.clone()),
            _ => return Err("it asks for several scopes at once: no single list of roles says that"),
        }
    }
    match (listed.is_empty(), unasked) {
        (true, _) => Ok(None),
        (false, true) => Err("it asks for a scope in one way and for none in another"),
        (false, false) => Ok(Some(listed)),
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|one| one.as_str().map(str::to_owned)).collect()
}

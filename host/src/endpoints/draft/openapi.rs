//! A draft from an OpenAPI 3 document in JSON.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Draft, Drafted};
use crate::endpoints::METHODS;
use crate::endpoints::source::Finding;
use crate::error::HostError;
use crate::report::files::read_text;

/// The longest document that is read, in bytes: 64 MiB.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;
/// The extensions that are known to list roles.
const EXTENSIONS: [&str; 2] = ["x-roles", "x-required-roles"];

/// Reads the document at `path`: the roles of an operation are its `x-roles` or `x-required-roles`, or else the scopes
/// of its `security`.
///
/// # Errors
///
/// When it cannot be read or is no OpenAPI 3 document in JSON.
pub fn openapi(path: &Path) -> Result<Draft, HostError> {
    let text = read_text(path, MAX_DOCUMENT_BYTES)?;
    let shown = path.display();
    let document: Value = serde_json::from_str(&text).map_err(|error| {
        HostError::failed(format_args!("`{shown}` is no JSON: {error}"))
            .help("YAML is not read; save the document as JSON, as FastAPI serves it at /openapi.json")
    })?;
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    let paths = document.get("paths").and_then(Value::as_object);
    let Some(paths) = paths.filter(|_| version.starts_with("3.")) else {
        return Err(HostError::failed(format_args!("`{shown}` is no OpenAPI 3 document"))
            .help("it has `openapi` (3.…) and `paths`"));
    };
    let mut draft = Draft::default();
    let prefix = prefix(&document, &mut draft);
    for (route, item) in paths {
        let Some(item) = item.as_object() else { continue };
        if item.contains_key("$ref") {
            draft.findings.push(stop(route, "a path that is a reference is not followed"));
        }
        for method in METHODS {
            let Some(operation) = item.get(&method.to_lowercase()).and_then(Value::as_object) else {
                continue;
            };
            let path = format!("{prefix}{route}");
            let what = format!("{method} {path}");
            match roles(operation, &document) {
                Ok(Some(roles)) => {
                    draft.roles.extend(roles.iter().cloned());
                    draft.endpoints.push(Drafted { method: method.to_owned(), path, roles, place: what });
                }
                Ok(None) => draft.open.push(what),
                Err(why) => draft.findings.push(stop(&what, why)),
            }
        }
    }
    draft.roles.sort();
    draft.roles.dedup();
    Ok(draft)
}

fn stop(place: &str, message: &str) -> Finding {
    Finding { place: place.to_owned(), stops: true, message: message.to_owned() }
}

/// The path of the server, where all servers have the same.
fn prefix(document: &Value, draft: &mut Draft) -> String {
    let servers = document.get("servers").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<String> = servers
        .filter_map(|server| server.get("url")?.as_str())
        .map(|url| {
            let path = match url.split_once("://") {
                Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
                None => url,
            };
            path.trim_end_matches('/').to_owned()
        })
        .collect();
    found.dedup();
    match found.as_slice() {
        [] => String::new(),
        [one] if one.is_empty() => String::new(),
        [one] if !one.contains('{') => {
            let message = format!("paths begin with `{one}`, the path of the server");
            draft.findings.push(Finding { place: "servers".to_owned(), stops: false, message });
            one.clone()
        }
        _ => {
            draft
                .findings
                .push(stop("servers", "the servers have several paths; which comes first cannot be told"));
            String::new()
        }
    }
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

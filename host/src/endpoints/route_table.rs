//! The route table (`docs/routes.md`) from what an application already has: its endpoint rules, or its OpenAPI document.

use policy_core::route::RouteEntry;
use serde_json::Value;

use super::Endpoints;
use super::openapi::OpenApi;
use crate::error::HostError;
use crate::exit::Exit;

/// The extension that names what an operation asks for.
const EXTENSION: &str = "x-permission";

/// One route for each rule.
#[must_use]
pub fn from_rules(rules: &Endpoints) -> Vec<RouteEntry> {
    let entry = |rule: &super::Endpoint| RouteEntry {
        method: rule.method.clone(),
        path: rule.path.clone(),
        permission: rule.permission.as_str().to_owned(),
    };
    rules.endpoints.iter().map(entry).collect()
}

/// One route for each operation: its `x-permission`, a permission or `none`.
///
/// # Errors
///
/// When an operation has none, which could not be told from one that was forgotten, or when the document leaves open which
/// operations there are.
pub fn from_openapi(document: &OpenApi) -> Result<Vec<RouteEntry>, HostError> {
    let mut open: Vec<String> = document
        .findings()
        .iter()
        .filter(|finding| finding.stops)
        .map(|f| format!("{}: {}", f.place, f.message))
        .collect();
    let mut entries = Vec::new();
    for operation in document.operations() {
        let (method, path) = (operation.method.to_owned(), operation.path);
        match operation.content.get(EXTENSION) {
            Some(Value::String(permission)) => {
                entries.push(RouteEntry { method, path, permission: permission.clone() });
            }
            Some(_) => open.push(format!("{method} {path}: its `{EXTENSION}` is no text")),
            None => open.push(format!("{method} {path}: it has no `{EXTENSION}`")),
        }
    }
    if open.is_empty() {
        return Ok(entries);
    }
    let message = format!("{} place(s) of the document need a person:\n  {}", open.len(), open.join("\n  "));
    Err(HostError::new(Exit::NeedsPerson, message)
        .help(format!("give each operation `{EXTENSION}`: a permission, or `none` where nobody has to ask")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn load(text: &str) -> OpenApi {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        OpenApi::load(file.path()).unwrap()
    }

    #[test]
    fn every_operation_has_to_say_what_it_asks_for() {
        let document = load(
            r#"{"openapi": "3.1.0", "servers": [{"url": "https://erp.example/api"}], "paths": {
                "/po/{id}": {"get": {"x-permission": "po.view"}, "post": {"x-permission": "po.create"}},
                "/health": {"get": {"x-permission": "none"}}}}"#,
        );
        let routes = from_openapi(&document).unwrap();
        let shown: Vec<String> = routes
            .iter()
            .map(|route| format!("{} {} {}", route.method, route.path, route.permission))
            .collect();
        assert_eq!(
            shown,
            ["GET /api/health none", "GET /api/po/{id} po.view", "POST /api/po/{id} po.create"]
        );
        let document = load(
            r#"{"openapi": "3.1.0", "paths": {"/a": {"get": {}, "put": {"x-permission": ["a.b"]}}, "/b": {"$ref": "x"}}}"#,
        );
        let message = from_openapi(&document).unwrap_err().to_string();
        for part in
            ["3 place(s)", "GET /a: it has no", "PUT /a: its `x-permission` is no text", "/b: a path that is"]
        {
            assert!(message.contains(part), "{message}");
        }
    }
}

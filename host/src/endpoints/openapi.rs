//! OpenAPI 3 documents in JSON, as far as they say which operations there are.

use std::path::Path;

use serde_json::{Map, Value};

use super::METHODS;
use super::source::Finding;
use crate::error::HostError;
use crate::report::files::read_text;

/// The longest document that is read, in bytes: 64 MiB.
const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// A document.
#[derive(Debug)]
pub struct OpenApi {
    document: Value,
    /// What comes before every path.
    prefix: String,
    findings: Vec<Finding>,
}

/// One operation.
#[derive(Debug)]
pub struct Operation<'d> {
    /// One of [`METHODS`].
    pub method: &'static str,
    /// The path as clients write it, with that of the server before it.
    pub path: String,
    /// What the document says of it.
    pub content: &'d Map<String, Value>,
}

impl OpenApi {
    /// Reads the document at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no OpenAPI 3 document in JSON.
    pub fn load(path: &Path) -> Result<Self, HostError> {
        let text = read_text(path, MAX_DOCUMENT_BYTES)?;
        let shown = path.display();
        let document: Value = serde_json::from_str(&text).map_err(|error| {
            HostError::failed(format_args!("`{shown}` is no JSON: {error}"))
                .help("YAML is not read; save the document as JSON, as FastAPI serves it at /openapi.json")
        })?;
        let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("3.") || !document.get("paths").is_some_and(Value::is_object) {
            return Err(HostError::failed(format_args!("`{shown}` is no OpenAPI 3 document"))
                .help("it has `openapi` (3.…) and `paths`"));
        }
        let mut findings = Vec::new();
        let prefix = prefix(&document, &mut findings);
        for (route, _) in paths(&document).filter(|(_, item)| item.contains_key("$ref")) {
            findings.push(stop(route, "a path that is a reference is not followed"));
        }
        Ok(Self { document, prefix, findings })
    }

    /// The whole of it.
    #[must_use]
    pub const fn whole(&self) -> &Value {
        &self.document
    }

    /// What could not be told, and what was taken for granted.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Its operations, path after path.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        paths(&self.document).flat_map(move |(route, item)| {
            METHODS.into_iter().filter_map(move |method| {
                let content = item.get(&method.to_lowercase()).and_then(Value::as_object)?;
                Some(Operation { method, path: format!("{}{route}", self.prefix), content })
            })
        })
    }
}

fn paths(document: &Value) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    paths.filter_map(|(route, item)| Some((route, item.as_object()?)))
}

/// A finding that a person has to settle.
pub(super) fn stop(place: &str, message: &str) -> Finding {
    Finding { place: place.to_owned(), stops: true, message: message.to_owned() }
}

/// The path of the server, where all servers have the same.
fn prefix(document: &Value, findings: &mut Vec<Finding>) -> String {
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
            findings.push(Finding { place: "servers".to_owned(), stops: false, message });
            one.clone()
        }
        _ => {
            findings
                .push(stop("servers", "the servers have several paths; which comes first cannot be told"));
            String::new()
        }
    }
}

//! Holds the route table to the cases in `tests/cases/routes`, and to what must hold for any path.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]

use policy_core::route::{PathFault, RouteDenial, RouteEntry, RouteTable};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    route: Vec<RouteCase>,
    #[serde(default)]
    request: Vec<RequestCase>,
    #[serde(default)]
    refused: Vec<RefusedCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteCase {
    method: String,
    path: String,
    permission: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestCase {
    name: String,
    method: String,
    target: String,
    /// The method and path of the route; without it the request is denied, and `reason` says why.
    route: Option<String>,
    /// What it asks for; without it nothing.
    permission: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedCase {
    name: String,
    document: String,
    begins: String,
}

fn case_file(name: &str) -> CaseFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/routes").join(name);
    toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn check_requests(file: &CaseFile) {
    let entry = |case: &RouteCase| RouteEntry {
        method: case.method.clone(),
        path: case.path.clone(),
        permission: case.permission.clone(),
    };
    let table = RouteTable::new(&file.route.iter().map(entry).collect::<Vec<_>>()).unwrap();
    assert!(!file.request.is_empty());
    for case in &file.request {
        let found = table.find(&case.method, &case.target);
        let route = found.ok().map(|route| format!("{} {}", route.method(), route.path()));
        assert_eq!(route, case.route, "{}", case.name);
        let permission = found.ok().and_then(|route| route.access().name());
        assert_eq!(permission, case.permission.as_deref(), "{}", case.name);
        let reason = found.err().map(RouteDenial::reason);
        assert_eq!(reason, case.reason.as_deref(), "{}", case.name);
    }
}

#[test]
fn requests_fall_under_their_routes() {
    check_requests(&case_file("find.toml"));
}

#[test]
fn ambiguous_paths_are_refused() {
    let file = case_file("path_tricks.toml");
    check_requests(&file);
    let seen: BTreeSet<&str> = file.request.iter().filter_map(|case| case.reason.as_deref()).collect();
    let all = PathFault::ALL.into_iter().filter(|fault| *fault != PathFault::TooLong);
    assert_eq!(seen, all.map(PathFault::reason).collect::<BTreeSet<&str>>(), "every fault has its case");
}

#[test]
fn bad_tables_are_refused_by_name() {
    let file = case_file("tables.toml");
    assert!(!file.refused.is_empty());
    for case in &file.refused {
        let message = RouteTable::from_document(&case.document).unwrap_err().to_string();
        assert!(message.starts_with(&case.begins), "{}: {message}", case.name);
    }
}

#[test]
fn the_order_of_a_document_does_not_count() {
    let mut file = case_file("find.toml");
    file.route.reverse();
    check_requests(&file);
    file.route.rotate_left(5);
    check_requests(&file);
}

#[test]
fn a_path_has_its_length() {
    let table = RouteTable::from_document(
        r#"{"routes": [{"method": "GET", "path": "/{all:path}", "permission": "none"}]}"#,
    )
    .unwrap();
    let reason = |length: usize| {
        let target = format!("/{}?{}", "a".repeat(length - 1), "q".repeat(100_000));
        table.find("GET", &target).err().map(RouteDenial::reason)
    };
    assert_eq!(reason(8 * 1024), None);
    assert_eq!(reason(8 * 1024 + 1), Some("path_too_long"));
}

/// Whatever is put into an allowed path: what is let through is read by nobody in another way, since it has none of the
/// characters that servers disagree about, decoded or not.
#[test]
fn what_is_let_through_is_unambiguous() {
    let table = RouteTable::from_document(
        r#"{"routes": [{"method": "GET", "path": "/{all:path}", "permission": "none"}]}"#,
    )
    .unwrap();
    let mut let_through = 0;
    for first in 0_u8..=0x7f {
        for second in 0_u8..=0x7f {
            for form in 0..4 {
                let encode = |byte: u8, encoded: bool| {
                    if encoded { format!("%{byte:02x}") } else { char::from(byte).to_string() }
                };
                let target =
                    format!("/a/{}{}/b", encode(first, form & 1 != 0), encode(second, form & 2 != 0));
                if table.find("GET", &target).is_err() {
                    continue;
                }
                let_through += 1;
                for bad in ["//", "/./", "/../", "\\", ";", "#", "%2f", "%5c", "%2e", "%00", "%25", " ", "\0"]
                {
                    let path = target.split('?').next().unwrap();
                    assert!(!path.contains(bad), "{target:?} has {bad}");
                }
            }
        }
    }
    assert!(let_through > 10_000, "{let_through}");
}

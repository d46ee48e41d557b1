//! A permission for each endpoint, from its path and method.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::PermissionName;

use super::{Drafted, fallback};

/// The most segments of a path that go into a name.
const MAX_SEGMENTS: usize = 4;

/// One permission an endpoint, in the same order. Endpoints share one only where they ask for the same roles: else the
/// policy could not give each its own.
pub(super) fn permissions(endpoints: &[Drafted]) -> Vec<PermissionName> {
    let mut taken: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
    let mut names = Vec::with_capacity(endpoints.len());
    for (number, endpoint) in endpoints.iter().enumerate() {
        let roles: BTreeSet<&String> = endpoint.roles.iter().collect();
        let base = base(endpoint);
        let mut candidates = std::iter::once(base.clone())
            .chain(std::iter::once(format!("{base}-{}", endpoint.method.to_lowercase())))
            .chain((2..=endpoints.len().saturating_add(2)).map(|number| format!("{base}-{number}")));
        let free = candidates.find_map(|name| {
            let free = taken.get(&name).is_none_or(|others| *others == roles);
            PermissionName::parse(&name).ok().filter(|_| free)
        });
        if let Some(name) = free.or_else(|| fallback(number)) {
            taken.insert(name.to_string(), roles);
            names.push(name);
        }
    }
    names
}

/// `purchasing.orders.approve` of `POST /api/v1/purchasing/orders/{order_id}/approve`.
fn base(endpoint: &Drafted) -> String {
    let path: Vec<&str> = endpoint.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let ends_in_parameter = path.last().is_some_and(|last| last.starts_with('{'));
    let after_parameter = path.iter().rev().nth(1).is_some_and(|before| before.starts_with('{'));
    let version = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    };
    let mut segments: Vec<String> = path
        .iter()
        .filter(|segment| !segment.starts_with('{') && **segment != "api" && !version(segment))
        .map(|segment| plain(segment))
        .filter(|segment| !segment.is_empty())
        .collect();
    let skip = segments.len().saturating_sub(MAX_SEGMENTS);
    segments.drain(..skip);
    // `POST /orders/{id}/approve` does what its last segment says.
    if endpoint.method == "POST" && after_parameter && segments.len() > 1 {
        return segments.join(".");
    }
    let action = match endpoint.method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => "view",
        "POST" if ends_in_parameter => "update",
        "POST" => "create",
        "DELETE" => "delete",
        _ => "update",
    };
    if segments.is_empty() {
        segments.push("root".to_owned());
    }
    segments.push(action.to_owned());
    segments.join(".")
}

/// What of a segment a permission can hold.
fn plain(segment: &str) -> String {
    let lower = segment.to_lowercase();
    let kept: String =
        lower.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' }).collect();
    let kept = kept.trim_matches('_');
    kept.get(..kept.len().min(20)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(endpoints: &[(&str, &str, &[&str])]) -> Vec<String> {
        let endpoints: Vec<Drafted> = endpoints
            .iter()
            .map(|(method, path, roles)| Drafted {
                method: (*method).to_owned(),
                path: (*path).to_owned(),
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
                place: String::new(),
            })
            .collect();
        permissions(&endpoints).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn says_what_is_done_to_what() {
        assert_eq!(
            names(&[
                ("GET", "/api/v1/orders", &["A"]),
                ("GET", "/api/v1/orders/{id}", &["A"]),
                ("POST", "/api/v1/orders", &["A"]),
                ("PATCH", "/api/v1/orders/{id}", &["A"]),
                ("DELETE", "/api/v1/orders/{id}", &["A"]),
                ("POST", "/api/v1/orders/{id}/approve", &["B"]),
                ("GET", "/Über-Uns/{x}/", &["A"]),
                ("GET", "/", &["A"]),
            ]),
            [
                "orders.view",
                "orders.view",
                "orders.create",
                "orders.update",
                "orders.delete",
                "orders.approve",
                "ber_uns.view",
                "root.view"
            ]
        );
    }

    #[test]
    fn endpoints_of_other_roles_get_another_permission() {
        assert_eq!(
            names(&[
                ("GET", "/orders", &["A", "B"]),
                ("GET", "/orders/{id}", &["B", "A"]),
                ("GET", "/orders/{id}/{part}", &["A"]),
                ("HEAD", "/orders/{id}/{part}", &["B"]),
                ("GET", "/orders/{a}/{b}/{c}", &["C"]),
            ]),
            ["orders.view", "orders.view", "orders.view-get", "orders.view-head", "orders.view-2"]
        );
    }
}

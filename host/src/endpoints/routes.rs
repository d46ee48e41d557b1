//! Which rule a request falls under: `POST /orders/7/approve` is one of `POST /orders/{order_id}/approve`.

use std::collections::HashMap;

use super::{Endpoint, Endpoints};

/// The rules by method and path, for look-ups that cost one step a segment.
#[derive(Debug)]
pub struct Routes<'e> {
    nodes: Vec<Node<'e>>,
}

/// What can come after the segments that lead here.
#[derive(Debug, Default)]
struct Node<'e> {
    literal: HashMap<&'e str, usize>,
    parameter: Option<usize>,
    /// Rules that end here.
    rules: Vec<&'e Endpoint>,
    /// Rules whose last parameter, `{name:path}`, takes all that is left.
    rest: Vec<&'e Endpoint>,
}

impl<'e> Routes<'e> {
    /// Sorts the rules into a tree.
    #[must_use]
    pub fn new(endpoints: &'e Endpoints) -> Self {
        let mut routes = Self { nodes: vec![Node::default()] };
        for endpoint in &endpoints.endpoints {
            routes.insert(endpoint);
        }
        routes
    }

    /// The rule of a request. `path` may carry a query, which does not count, and may be the rule's own path with its
    /// parameters as they are. Where a literal segment and a parameter both fit, the literal one is taken.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<&'e Endpoint> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        self.walk(0, &segments, method)
    }

    fn insert(&mut self, endpoint: &'e Endpoint) {
        let mut node = 0;
        for segment in endpoint.path.strip_prefix('/').unwrap_or_default().split('/') {
            if segment.starts_with('{') && segment.ends_with(":path}") {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.rest.push(endpoint);
                }
                return;
            }
            node = self.child(node, segment);
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.rules.push(endpoint);
        }
    }

    /// The node after `node` for a segment of a rule, which is made where there is none.
    fn child(&mut self, node: usize, segment: &'e str) -> usize {
        let next = self.nodes.len();
        let Some(parent) = self.nodes.get_mut(node) else { return node };
        let child = if segment.starts_with('{') {
            *parent.parameter.get_or_insert(next)
        } else {
            *parent.literal.entry(segment).or_insert(next)
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Visits each node once at most, since every node has one parent.
    fn walk(&self, node: usize, segments: &[&str], method: &str) -> Option<&'e Endpoint> {
        let node = self.nodes.get(node)?;
        let of_method = |rules: &[&'e Endpoint]| rules.iter().find(|rule| rule.method == method).copied();
        let Some((segment, rest)) = segments.split_first() else { return of_method(&node.rules) };
        let literal = node.literal.get(segment).and_then(|next| self.walk(*next, rest, method));
        let found = literal.or_else(|| {
            let next = node.parameter.filter(|_| !segment.is_empty())?;
            self.walk(next, rest, method)
        });
        found.or_else(|| of_method(&node.rest))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use crate::endpoints::parse;

    fn rules(rules: &[(&str, &str)]) -> Endpoints {
        let mut text = "[legacy]\nroles = [\"A\"]\n".to_owned();
        for (method, path) in rules {
            let more =
                format!("method = \"{method}\"\npath = \"{path}\"\nroles = [\"A\"]\npermission = \"a.b\"\n");
            text.push_str(&format!("[[endpoints]]\n{more}"));
        }
        parse(&text, "rules").unwrap()
    }

    #[test]
    fn finds_the_rule_of_a_request() {
        let endpoints = rules(&[
            ("GET", "/users/{id}"),
            ("GET", "/users/me"),
            ("PUT", "/users/{user_id}"),
            ("GET", "/users/{id}/orders/{order}"),
            ("GET", "/users/me/roles"),
            ("GET", "/files/{name:path}"),
            ("GET", "/files/index"),
            ("GET", "/"),
        ]);
        let routes = Routes::new(&endpoints);
        let found = |method, path| routes.find(method, path).map(|rule| rule.path.as_str());
        assert_eq!(found("GET", "/users/7"), Some("/users/{id}"));
        assert_eq!(found("GET", "/users/7?page=2"), Some("/users/{id}"));
        assert_eq!(found("GET", "/users/{id}"), Some("/users/{id}"));
        assert_eq!(found("GET", "/users/me"), Some("/users/me"));
        assert_eq!(found("PUT", "/users/me"), Some("/users/{user_id}"), "a literal of another method");
        assert_eq!(
            found("GET", "/users/me/orders/3"),
            Some("/users/{id}/orders/{order}"),
            "back from a literal"
        );
        assert_eq!(found("GET", "/files/a/b/c"), Some("/files/{name:path}"));
        assert_eq!(found("GET", "/files/index"), Some("/files/index"));
        assert_eq!(found("GET", "/files/index/x"), Some("/files/{name:path}"));
        assert_eq!(found("GET", "/"), Some("/"));
        for (method, path) in [
            ("POST", "/users/7"),
            ("GET", "/users"),
            ("GET", "/users/"),
            ("GET", "/users/7/"),
            ("GET", "/users//orders/3"),
            ("GET", "users/7"),
            ("GET", ""),
            ("get", "/users/7"),
        ] {
            assert_eq!(found(method, path), None, "{method} {path}");
        }
    }
}

//! Who may do what, before and after: every endpoint × every role, the legacy rule against the policy.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::{Index, Policy, PolicyError, Request, Roles, Timestamp};
use serde::Serialize;

use super::{Endpoint, Endpoints};

/// What the comparison found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessCheck {
    /// How many endpoints were compared.
    pub endpoints: usize,
    /// How many roles were compared.
    pub roles: usize,
    /// For how many pairs of endpoint and role both sides give the same verdict.
    pub agreeing: usize,
    /// Where the policy allows what the legacy rule did not.
    pub gained: Vec<AccessChange>,
    /// Where the policy denies what the legacy rule allowed.
    pub lost: Vec<AccessChange>,
    /// Permissions that endpoints ask for and that are not in the catalog, by name: nobody passes there.
    pub unknown_permissions: BTreeSet<String>,
    /// Legacy roles that the policy does not know, by name: they hold nothing.
    pub unknown_roles: BTreeSet<String>,
}

/// One pair of endpoint and role on which the two sides differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessChange {
    /// The legacy role.
    pub role: String,
    /// The endpoint's method.
    pub method: String,
    /// The endpoint's path.
    pub path: String,
    /// What it asks for.
    pub permission: String,
    /// What the policy says, for people.
    pub decision: String,
}

impl AccessCheck {
    /// Compares every endpoint and role. `rename` says which role of the policy a legacy role is, where the names
    /// differ. Only roles are compared: overrides and users of `policy` are left out.
    ///
    /// # Errors
    ///
    /// When the policy is too large to compile.
    pub fn run(
        endpoints: &Endpoints,
        policy: &Policy,
        rename: &BTreeMap<String, String>,
    ) -> Result<Self, PolicyError> {
        let index = Index::compile(&roles_only(policy)?)?;
        let mut check = Self {
            endpoints: endpoints.endpoints.len(),
            roles: endpoints.roles.len(),
            agreeing: 0,
            gained: Vec::new(),
            lost: Vec::new(),
            unknown_permissions: BTreeSet::new(),
            unknown_roles: BTreeSet::new(),
        };
        for endpoint in &endpoints.endpoints {
            if index.permission_id(endpoint.permission.as_str()).is_none() {
                check.unknown_permissions.insert(endpoint.permission.to_string());
            }
        }
        for role in &endpoints.roles {
            let name = rename.get(role).unwrap_or(role);
            if index.role_id(name).is_none() {
                check.unknown_roles.insert(role.clone());
            }
            for endpoint in &endpoints.endpoints {
                check.compare(endpoints, endpoint, role, &index, name);
            }
        }
        Ok(check)
    }

    /// Whether nobody gains and nobody loses.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }

    /// How many pairs of endpoint and role were compared.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.agreeing.saturating_add(self.gained.len()).saturating_add(self.lost.len())
    }

    fn compare(&mut self, endpoints: &Endpoints, endpoint: &Endpoint, role: &str, index: &Index, name: &str) {
        let decision = index.decide(&Request {
            user: "access check",
            roles: Roles::Named(&[name]),
            permission: endpoint.permission.as_str(),
            // Nothing of a role expires.
            now: Timestamp::from_micros(0),
        });
        let legacy = endpoints.legacy_allows(role, endpoint);
        if legacy == decision.is_allowed() {
            self.agreeing = self.agreeing.saturating_add(1);
            return;
        }
        let change = AccessChange {
            role: role.to_owned(),
            method: endpoint.method.clone(),
            path: endpoint.path.clone(),
            permission: endpoint.permission.to_string(),
            decision: decision.to_string(),
        };
        if legacy { self.lost.push(change) } else { self.gained.push(change) }
    }
}

fn roles_only(policy: &Policy) -> Result<Policy, PolicyError> {
    let mut parts = policy.clone().into_parts();
    parts.overrides.clear();
    parts.users.clear();
    Policy::new(parts)
}

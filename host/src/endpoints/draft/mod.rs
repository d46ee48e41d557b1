//! A first file of endpoint rules, from the application's source or from an OpenAPI document.
//!
//! What is written is what was found; a permission is a proposal and says so, and what could not be told is a comment in
//! the draft and a finding in the answer.

mod openapi;
mod propose;
mod python;

use std::collections::BTreeMap;

use policy_core::{PermissionName, RoleName};

pub use openapi::openapi;
pub use python::python;

use super::source::Finding;
use crate::report::printable;
use crate::toml_file::{quoted, quoted_list};

/// What a draft is made of.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The endpoints with their roles, in the order in which they were found.
    pub endpoints: Vec<Drafted>,
    /// Endpoints without any check that was found, as `METHOD path`.
    pub open: Vec<String>,
    /// Every role.
    pub roles: Vec<String>,
    /// Roles that pass every check; `None` where nothing was said.
    pub bypass: Option<Vec<String>>,
    /// The roles that a role inherits; `None` where nothing was said.
    pub inherits: Option<BTreeMap<String, Vec<String>>>,
    /// What could not be told, and what was taken for granted.
    pub findings: Vec<Finding>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drafted {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The roles of which one is enough.
    pub roles: Vec<String>,
    /// Where it was found.
    pub place: String,
}

impl Draft {
    /// The text of the file. `origin` says what it was drafted from.
    #[must_use]
    pub fn text(&mut self, origin: &str) -> String {
        self.settle();
        let mut text = format!(
            "# Drafted by `pbac init` from {}. Review every line: the roles are what was found, and each\n# permission is a proposal, made of the path and the method.\n\n[legacy]\nroles = [\n",
            printable(origin)
        );
        for role in &self.roles {
            text.push_str(&format!("    {},\n", quoted(role)));
        }
        text.push_str("]\n");
        match &self.bypass {
            Some(roles) => text.push_str(&format!("bypass = {}\n", quoted_list(roles))),
            None => text.push_str("# Not known: roles that pass every check. bypass = [\"…\"]\n"),
        }
        match &self.inherits {
            Some(inherits) => {
                text.push_str("\n[legacy.inherits]\n");
                for (role, inherited) in inherits {
                    text.push_str(&format!("{} = {}\n", quoted(role), quoted_list(inherited)));
                }
            }
            None => text.push_str(
                "# Not known: roles that pass wherever another one does. [legacy.inherits] A = [\"B\"]\n",
            ),
        }
        let proposals = propose::permissions(&self.endpoints);
        for (endpoint, permission) in self.endpoints.iter().zip(proposals) {
            text.push_str(&format!(
                "\n# {}\n[[endpoints]]\nmethod = {}\npath = {}\nroles = {}\npermission = {} # proposed\n",
                printable(&endpoint.place),
                quoted(&endpoint.method),
                quoted(&endpoint.path),
                quoted_list(&endpoint.roles),
                quoted(permission.as_str())
            ));
        }
        let list = |title: &str, lines: Vec<String>| {
            if lines.is_empty() {
                return String::new();
            }
            let lines: Vec<String> = lines.iter().map(|line| format!("#   {}\n", printable(line))).collect();
            format!("\n# {title}\n{}", lines.concat())
        };
        text.push_str(&list(
            "No check was found for these; they are not among the rules:",
            self.open.clone(),
        ));
        let findings = |stops: bool| {
            let chosen = self.findings.iter().filter(|finding| finding.stops == stops);
            chosen.map(|finding| format!("{}: {}", finding.place, finding.message)).collect()
        };
        text.push_str(&list("To settle by hand:", findings(true)));
        text.push_str(&list("Taken for granted:", findings(false)));
        text
    }

    /// Whether a person has to settle something.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.findings.iter().any(|finding| finding.stops)
    }

    /// Leaves out what a file of rules cannot hold, and says so: an endpoint that is there twice, a method or a role
    /// that is none.
    fn settle(&mut self) {
        let mut seen: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let mut findings = Vec::new();
        self.endpoints.retain(|endpoint| {
            let mut leave_out = |why: String| {
                let message = format!("{} {} is left out: {why}", endpoint.method, endpoint.path);
                findings.push(Finding { place: endpoint.place.clone(), stops: true, message });
                false
            };
            if !super::METHODS.contains(&endpoint.method.as_str()) {
                return leave_out("rules are about HTTP methods".to_owned());
            }
            if let Some(what) = super::read::wrong_in_path(&endpoint.path) {
                return leave_out(format!("of a path, {what}"));
            }
            if let Some(role) = endpoint.roles.iter().find(|role| RoleName::parse(role).is_err()) {
                return leave_out(format!("`{role}` can be no role"));
            }
            let rule = (endpoint.method.clone(), endpoint.path.clone());
            match seen.get(&rule) {
                Some(roles) if *roles == endpoint.roles => false,
                Some(_) => leave_out("it is there before, with other roles".to_owned()),
                None => {
                    seen.insert(rule, endpoint.roles.clone());
                    true
                }
            }
        });
        self.findings.append(&mut findings);
        self.roles.retain(|role| RoleName::parse(role).is_ok());
        let named = self.inherits.iter().flatten().flat_map(|(role, held)| std::iter::once(role).chain(held));
        let named =
            named.chain(self.bypass.iter().flatten()).chain(self.endpoints.iter().flat_map(|one| &one.roles));
        let missing: Vec<String> = named.filter(|role| !self.roles.contains(role)).cloned().collect();
        for role in missing {
            if !self.roles.contains(&role) {
                self.roles.push(role);
            }
        }
    }
}

/// A permission of a proposal that holds no matter what the path was.
fn fallback(number: usize) -> Option<PermissionName> {
    PermissionName::parse(&format!("endpoint.number-{number}")).ok()
}

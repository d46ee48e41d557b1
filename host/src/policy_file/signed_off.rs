//! `[[signed_off]]`: access that somebody gains by the migration, and who answers for it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use policy_core::{Permission, PermissionName, Role, UserId};

use super::source::unknown_role;
use crate::report::printable;
use crate::toml_file::{Reader, Section};

/// One permission that a role or a user may gain, since a person said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOff {
    /// Who gains it.
    pub whom: Gainer,
    /// What is gained: a permission of the catalog, never a pattern.
    pub permission: PermissionName,
    /// Who answers for it.
    pub by: String,
    /// Why it is meant.
    pub reason: String,
}

/// Whom a sign-off is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gainer {
    /// Every user who holds this role of the policy, by name.
    Role(String),
    /// One user.
    User(UserId),
}

impl Gainer {
    /// The role, where it is one.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Role(name) => Some(name),
            Self::User(_) => None,
        }
    }

    /// The user, where it is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Role(_) => None,
            Self::User(id) => Some(id.as_str()),
        }
    }
}

impl fmt::Display for Gainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(name) => write!(f, "role `{}`", printable(name)),
            Self::User(id) => write!(f, "user `{}`", printable(id.as_str())),
        }
    }
}

const KEYS: [&str; 5] = ["role", "user", "permission", "by", "reason"];

pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Section<'_, '_>,
    catalog: &[Permission],
    roles: &[Role],
) -> Vec<SignOff> {
    let known =
        Known { permissions: catalog.iter().map(|entry| entry.name.as_str()).collect(), catalog, roles };
    let mut places = HashMap::new();
    let mut signed = Vec::new();
    for section in reader.tables(root, "signed_off", "a sign-off", &KEYS) {
        let Some((sign_off, place)) = known.sign_off(reader, &section) else { continue };
        match places.get(&(sign_off.whom.clone(), sign_off.permission.clone())) {
            Some(first) => {
                let already = reader.already(*first);
                let SignOff { whom, permission, .. } = &sign_off;
                reader.fault(place, format_args!("`{permission}` of {whom} is signed off twice{already}"));
            }
            None => {
                places.insert((sign_off.whom.clone(), sign_off.permission.clone()), place.start);
                signed.push(sign_off);
            }
        }
    }
    signed
}

/// What a sign-off may name.
struct Known<'p> {
    permissions: HashSet<&'p str>,
    /// The same in the order of the file, for hints.
    catalog: &'p [Permission],
    roles: &'p [Role],
}

impl Known<'_> {
    /// The sign-off, and the place of its permission.
    fn sign_off(
        &self,
        reader: &mut Reader<'_>,
        section: &Section<'_, '_>,
    ) -> Option<(SignOff, Range<usize>)> {
        let whom = self.gainer(reader, section);
        let permission = reader.required_string(section, "permission", "permission = \"…\"");
        let permission = permission.and_then(|(text, place)| {
            let name = reader.permission(text, place.clone())?;
            if !self.permissions.contains(name.as_str()) {
                let hint = reader.did_you_mean(text, self.catalog.iter().map(|entry| entry.name.as_str()));
                let hint = hint.unwrap_or_else(|| "; nobody can gain it".to_owned());
                let text = printable(text);
                reader.fault(place.clone(), format_args!("`{text}` is not in the catalog{hint}"));
            }
            Some((name, place))
        });
        let by = said(reader, section, "by", "by = \"your name\"");
        let reason = said(reader, section, "reason", "reason = \"…\"");
        let (permission, place) = permission?;
        Some((SignOff { whom: whom?, permission, by: by?, reason: reason? }, place))
    }

    fn gainer(&self, reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<Gainer> {
        let role = reader.optional_string(section, "role");
        let user = reader.optional_string(section, "user");
        match (role, user) {
            (Some((text, place)), None) => {
                if self.roles.iter().all(|role| role.name.as_str() != text) {
                    let message = unknown_role(reader, text, self.roles);
                    reader.fault(place, message);
                }
                Some(Gainer::Role(text.to_owned()))
            }
            (None, Some((text, place))) => reader.parsed(text, place, UserId::parse).map(Gainer::User),
            (Some(_), Some((_, place))) => {
                reader.fault(place, "a sign-off is about a `role` or a `user`, not both; write two");
                None
            }
            // A value of another type has been reported.
            (None, None) if section.get("role").is_none() && section.get("user").is_none() => {
                let message = "a sign-off says who gains it; add `role = \"…\"` or `user = \"…\"`";
                reader.fault(section.place(), message);
                None
            }
            (None, None) => None,
        }
    }
}

/// A text that somebody has to have written.
fn said(reader: &mut Reader<'_>, section: &Section<'_, '_>, key: &str, example: &str) -> Option<String> {
    let (text, place) = reader.required_string(section, key, example)?;
    if text.trim().is_empty() {
        reader.fault(place, format_args!("`{key}` of a sign-off is empty; write `{example}`"));
        return None;
    }
    Some(text.to_owned())
}

//! `[roles.X]`: what roles hold, which roles they inherit, and their other spellings (SPEC section 2).

mod inheritance;

use std::collections::HashMap;
use std::ops::Range;

use policy_core::{LimitError, MAX_ROLES, PolicyError, Role, RoleName};

use crate::report::printable;
use crate::toml_file::{Key, Reader, Section, Value};

/// A role with the places of what can clash with other roles.
struct RoleEntry {
    role: Role,
    key: Range<usize>,
    inherits: Vec<(RoleName, Range<usize>)>,
    aliases: Vec<(RoleName, Range<usize>)>,
}

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_, '_>) -> Vec<Role> {
    let Some(value) = root.get("roles") else { return Vec::new() };
    let place = root.key_place("roles").unwrap_or(value.span());
    let Some(section) = reader.table(value, place, "`roles`".to_owned()) else { return Vec::new() };
    let entries = section.entries();
    if let Some((first_too_many, _)) = entries.get(MAX_ROLES) {
        let limit = LimitError { limit: "roles", max: MAX_ROLES as u64, value: entries.len() as u64 };
        reader.fault(first_too_many.span(), format_args!("{limit}; this is the first one too many"));
    }
    let roles: Vec<RoleEntry> =
        entries.into_iter().filter_map(|(key, value)| role(reader, key, value)).collect();
    let spellings = check_spellings(reader, &roles);
    inheritance::check(reader, &roles, &spellings);
    roles.into_iter().map(|entry| entry.role).collect()
}

fn role(reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) -> Option<RoleEntry> {
    let name = reader.parsed(key.get_ref(), key.span(), RoleName::parse);
    let shown = format!("role `{}`", printable(key.get_ref()));
    let keys = ["description", "grants", "inherits", "aliases"];
    let section = reader.section(value, key.span(), shown, &keys)?;
    let description = reader.text(&section, "description");
    let grants = reader.strings(&section, "grants");
    let grants = grants.into_iter().filter_map(|(text, place)| reader.pattern(text, place)).collect();
    let inherits = names(reader, &section, "inherits");
    let aliases = names(reader, &section, "aliases");
    let plain = |names: &[(RoleName, _)]| names.iter().map(|(name, _)| name.clone()).collect();
    let role =
        Role { name: name?, description, grants, inherits: plain(&inherits), aliases: plain(&aliases) };
    Some(RoleEntry { role, key: key.span(), inherits, aliases })
}

fn names(reader: &mut Reader<'_>, section: &Section<'_, '_>, key: &str) -> Vec<(RoleName, Range<usize>)> {
    let texts = reader.strings(section, key);
    let parsed = texts.into_iter().filter_map(|(text, place)| {
        reader.parsed(text, place.clone(), RoleName::parse).map(|name| (name, place))
    });
    parsed.collect()
}

/// Every spelling with the place of its role among `roles`. One that stands for two roles is reported.
fn check_spellings<'r>(reader: &mut Reader<'_>, roles: &'r [RoleEntry]) -> HashMap<&'r RoleName, usize> {
    let mut spellings: HashMap<&RoleName, usize> =
        roles.iter().enumerate().map(|(index, entry)| (&entry.role.name, index)).collect();
    for (index, entry) in roles.iter().enumerate() {
        for (alias, place) in &entry.aliases {
            let first = spellings.entry(alias).or_insert(index);
            if *first == index {
                if *alias == entry.role.name {
                    let message = format!("`{alias}` is the role's own name; leave it out of its aliases");
                    reader.fault(place.clone(), message);
                }
                continue;
            }
            let Some(other) = roles.get(*first) else { continue };
            let clash = PolicyError::AliasClash {
                alias: alias.clone(),
                first: other.role.name.clone(),
                second: entry.role.name.clone(),
            };
            let held = other.aliases.iter().find(|(held, _)| held == alias);
            let already = reader.already(held.map_or(other.key.start, |(_, place)| place.start));
            reader.fault(place.clone(), format_args!("{clash}{already}"));
        }
    }
    spellings
}

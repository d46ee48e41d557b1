//! `[modules.X]` and `[modules.X.permissions]`: the closed catalog (SPEC section 2).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use policy_core::{Label, LimitError, MAX_PERMISSIONS, Permission, PolicyError};
use toml::de::DeValue;

use crate::report::printable;
use crate::toml_file::{Key, Reader, Section, Value};

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_, '_>) -> Vec<Permission> {
    let mut catalog = Catalog::default();
    let Some(value) = root.get("modules") else { return Vec::new() };
    let place = root.key_place("modules").unwrap_or(value.span());
    let Some(modules) = reader.table(value, place, "`modules`".to_owned()) else { return Vec::new() };
    for (key, value) in modules.entries() {
        module(reader, key, value, &mut catalog);
    }
    catalog.permissions
}

#[derive(Default)]
struct Catalog {
    permissions: Vec<Permission>,
    /// Where each name stands first.
    places: HashMap<String, usize>,
}

fn module(reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>, catalog: &mut Catalog) {
    let label = reader.parsed(key.get_ref(), key.span(), Label::parse);
    let name = format!("module `{}`", printable(key.get_ref()));
    let Some(section) = reader.section(value, key.span(), name, &["description", "permissions"]) else {
        return;
    };
    reader.text(&section, "description");
    let table = format!("[modules.{}.permissions]", printable(key.get_ref()));
    let Some(value) = reader.required(&section, "permissions", &table) else { return };
    let place = section.key_place("permissions").unwrap_or(value.span());
    let name = format!("`permissions` of {}", section.name());
    let Some(permissions) = reader.table(value, place, name) else { return };
    for (key, value) in permissions.entries() {
        if let Some(entry) = permission(reader, key, value, label.as_ref()) {
            catalog.add(reader, key, entry);
        }
    }
}

fn permission(
    reader: &mut Reader<'_>,
    key: &Key<'_>,
    value: &Value<'_>,
    module: Option<&Label>,
) -> Option<Permission> {
    let text = printable(key.get_ref());
    if let DeValue::Table(_) = value.get_ref() {
        // `po.view = "…"` without quotes is TOML for a table `po`.
        reader.fault(
            key.span(),
            format_args!(
                "`{text}` is a table here; write the permission in quotes, as in `\"{text}.view\" = \"…\"`"
            ),
        );
        return None;
    }
    let name = reader.permission(key.get_ref(), key.span());
    let description = reader.string(value, &format!("the description of `{text}`"))?.to_owned();
    Some(Permission { name: name?, module: module?.clone(), description })
}

impl Catalog {
    fn add(&mut self, reader: &mut Reader<'_>, key: &Key<'_>, entry: Permission) {
        match self.places.entry(entry.name.to_string()) {
            Entry::Occupied(first) => {
                let error = PolicyError::DuplicatePermission(entry.name);
                let already = reader.already(*first.get());
                return reader.fault(key.span(), format_args!("{error}{already}"));
            }
            Entry::Vacant(place) => {
                place.insert(key.span().start);
            }
        }
        self.permissions.push(entry);
        if self.permissions.len() == MAX_PERMISSIONS.saturating_add(1) {
            let max = MAX_PERMISSIONS as u64;
            let limit = LimitError { limit: "permissions", max, value: max.saturating_add(1) };
            reader.fault(key.span(), format_args!("{limit}; this is the first one too many"));
        }
    }
}

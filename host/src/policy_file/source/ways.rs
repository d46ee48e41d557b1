//! Reading `[[source.roles]]`, `[[source.permissions]]` and `[source.permission_names]`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use policy_core::{Effect, Permission};
use toml::de::DeValue;

use super::read::{boolean, column, optional_column};
use super::{Condition, Form, Hop, PermissionWay, RoleWay, SourcePath};
use crate::postgres::QualifiedName;
use crate::report::printable;
use crate::toml_file::{Reader, Section, Value};

const ROLE_KEYS: [&str; 6] = ["column", "form", "separator", "via", "flag", "label"];
const PERMISSION_KEYS: [&str; 5] = ["column", "form", "separator", "via", "effect"];
const HOP_KEYS: [&str; 7] = ["table", "from", "to", "where", "empty", "closure", "suffix"];

pub(super) fn roles(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Vec<RoleWay> {
    let ways = reader.tables(section, "roles", "`[[source.roles]]`", &ROLE_KEYS);
    if section.get("roles").is_some() && ways.is_empty() && reader.is_content() {
        let place = section.key_place("roles").unwrap_or(section.place());
        reader
            .fault(place, "`roles` of `[source]` is empty; add a `[[source.roles]]` for each way to a role");
    }
    ways.into_iter().filter_map(|way| role_way(reader, &way)).collect()
}

fn role_way(reader: &mut Reader<'_>, way: &Section<'_, '_>) -> Option<RoleWay> {
    let Some((flag, place)) = reader.optional_string(way, "flag") else {
        if let Some(place) = way.key_place("label") {
            let message = "`label` belongs to a `flag`; elsewhere the labels are what the way ends in";
            reader.fault(place, message);
        }
        return path(reader, way).map(RoleWay::Path);
    };
    let flag = column(reader, flag, place);
    for key in ["column", "form", "separator", "via"] {
        if let Some(place) = way.key_place(key) {
            let message =
                format!("`{key}` means nothing beside `flag`; put it into a `[[source.roles]]` of its own");
            reader.fault(place, message);
        }
    }
    let (label, place) = reader.required_string(way, "label", "label = \"superuser\"")?;
    // As of every label, what is no role name could never be asked for.
    let label = reader.parsed(label, place, policy_core::RoleName::parse)?;
    Some(RoleWay::Flag { flag: flag?, label: label.to_string() })
}

pub(super) fn permissions(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Vec<PermissionWay> {
    let ways = reader.tables(section, "permissions", "`[[source.permissions]]`", &PERMISSION_KEYS);
    ways.into_iter()
        .filter_map(|way| {
            let path = path(reader, &way);
            let effect = effect(reader, &way)?;
            Some(PermissionWay { path: path?, effect })
        })
        .collect()
}

fn effect(reader: &mut Reader<'_>, way: &Section<'_, '_>) -> Option<Effect> {
    let (text, place) = reader.required_string(way, "effect", "effect = \"allow\"")?;
    let effect = [Effect::Allow, Effect::Deny].into_iter().find(|effect| effect.as_str() == text);
    if effect.is_none() {
        reader.fault(place, format_args!("`{}` is no effect; write `allow` or `deny`", printable(text)));
    }
    effect
}

fn path(reader: &mut Reader<'_>, way: &Section<'_, '_>) -> Option<SourcePath> {
    let column = optional_column(reader, way, "column");
    let form = form(reader, way);
    let hops = hops(reader, way);
    if way.get("column").is_none() {
        if way.get("via").is_none() {
            let message = format!(
                "{} leads nowhere; name the `column` that holds the values, or the tables it goes `via`",
                way.name()
            );
            reader.fault(way.place(), message);
        }
        if let Some(place) = way.key_place("form") {
            reader.fault(
                place,
                "`form` says how a `column` holds its values; name the column, or leave it out",
            );
        }
    }
    let suffixes = hops.iter().flatten().filter(|hop| hop.suffix.is_some()).count();
    if suffixes > 1 {
        let place = way.key_place("via").unwrap_or(way.place());
        reader.fault(place, "a way can have one `suffix`; keep that of one table");
    }
    Some(SourcePath { column, form: form?, via: hops? })
}

fn form(reader: &mut Reader<'_>, way: &Section<'_, '_>) -> Option<Form> {
    let separator = reader.optional_string(way, "separator");
    let Some((text, place)) = reader.optional_string(way, "form") else {
        if let Some((_, place)) = separator {
            let place = way.key_place("separator").unwrap_or(place);
            reader.fault(place, "`separator` belongs to `form = \"list\"`; write that, or leave it out");
        }
        return Some(Form::One);
    };
    if text == "list" {
        let (separator, place) = match separator {
            Some(given) => given,
            None => {
                reader.required(way, "separator", "separator = \",\"")?;
                return None;
            }
        };
        if separator.trim().is_empty() && separator != " " {
            reader.fault(place, "`separator` must be a character or more that is not blank, or one space");
            return None;
        }
        return Some(Form::List { separator: separator.to_owned() });
    }
    if let Some((_, place)) = separator {
        let place = way.key_place("separator").unwrap_or(place);
        reader.fault(place, "`separator` belongs to `form = \"list\"`; write that, or leave it out");
    }
    match text {
        "one" => Some(Form::One),
        "array" => Some(Form::Array),
        "json" => Some(Form::Json),
        other => {
            let other = printable(other);
            let message = format!("`{other}` is no form of a column; write `one`, `array`, `json` or `list`");
            reader.fault(place, message);
            None
        }
    }
}

fn hops(reader: &mut Reader<'_>, way: &Section<'_, '_>) -> Option<Vec<Hop>> {
    let sections = reader.tables(way, "via", "a table of `via`", &HOP_KEYS);
    let count = sections.len();
    let hops: Vec<Hop> = sections.into_iter().filter_map(|section| hop(reader, &section)).collect();
    (hops.len() == count).then_some(hops)
}

fn hop(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<Hop> {
    let table = reader.required_string(section, "table", "table = \"public.user_roles\"");
    let table = table.and_then(|(text, place)| reader.parsed(text, place, QualifiedName::parse));
    let from = reader.required_string(section, "from", "from = \"user_id\"");
    let from = from.and_then(|(text, place)| column(reader, text, place));
    let to = reader.required_string(section, "to", "to = \"role_id\"");
    let to = to.and_then(|(text, place)| column(reader, text, place));
    let only = condition(reader, section);
    let closure = boolean(reader, section, "closure");
    let suffix = optional_column(reader, section, "suffix");
    if let Some(place) = section.key_place("suffix").filter(|_| closure) {
        reader.fault(place, "a `closure` is followed any number of times, so it has no one `suffix`");
    }
    Some(Hop { table: table?, from: from?, to: to?, only, closure, suffix })
}

/// `where` and `empty` of a section.
pub(super) fn condition(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Condition {
    let mut condition = Condition::default();
    for (text, place) in reader.strings(section, "empty") {
        condition.empty.extend(column(reader, text, place));
    }
    let Some(value) = section.get("where") else { return condition };
    let place = section.key_place("where").unwrap_or(value.span());
    let name = format!("`where` of {}", section.name());
    let Some(table) = reader.table(value, place, name) else { return condition };
    for (key, value) in table.entries() {
        let name = column(reader, key.get_ref(), key.span());
        let values = texts(reader, value, &printable(key.get_ref()));
        if let Some(name) = name {
            condition.equals.insert(name, values);
        }
    }
    condition
}

/// One value or a list of them: strings, integers and booleans, as the text that PostgreSQL prints for them.
fn texts(reader: &mut Reader<'_>, value: &Value<'_>, column: &str) -> BTreeSet<String> {
    let items: Vec<&Value<'_>> = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    };
    let mut texts = BTreeSet::new();
    for item in items {
        let text = match item.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Boolean(value) => Some(value.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
            }
            _ => None,
        };
        match text {
            Some(text) if !text.contains('\0') => drop(texts.insert(text)),
            _ => {
                let message = format!(
                    "the value of `{column}` must be a string, an integer, a boolean or a list of them, which PostgreSQL can hold"
                );
                reader.fault(item.span(), message);
            }
        }
    }
    if texts.is_empty() && matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()) {
        reader.fault(value.span(), format_args!("no row has a `{column}` of an empty list; name a value"));
    }
    texts
}

pub(super) fn permission_names(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    catalog: &[Permission],
) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    let Some(value) = section.get("permission_names") else { return names };
    let place = section.key_place("permission_names").unwrap_or(value.span());
    if section.get("permissions").is_none() {
        let message =
            "`permission_names` means nothing without `[[source.permissions]]`; add it, or leave this out";
        reader.fault(place.clone(), message);
    }
    let title = "`[source.permission_names]`".to_owned();
    let Some(table) = reader.table(value, place, title) else { return names };
    for (key, _) in table.entries() {
        // What PostgreSQL cannot hold never comes from it.
        let name: &str = key.get_ref();
        if name.is_empty() || name.contains('\0') {
            reader.fault(
                key.span(),
                "a legacy permission has a name; an empty one or one with NUL never occurs",
            );
            continue;
        }
        let patterns = patterns(reader, &table, name, catalog);
        names.insert(name.to_owned(), patterns);
    }
    names
}

fn patterns(
    reader: &mut Reader<'_>,
    table: &Section<'_, '_>,
    name: &str,
    catalog: &[Permission],
) -> Vec<String> {
    let texts: Vec<(&str, Range<usize>)> = reader.strings(table, name);
    let mut patterns = Vec::new();
    for (text, place) in texts {
        let Some(pattern) = reader.pattern(text, place.clone()) else { continue };
        if catalog.iter().any(|permission| pattern.matches(&permission.name)) {
            patterns.push(text.to_owned());
            continue;
        }
        let names = catalog.iter().map(|permission| permission.name.as_str());
        let hint = reader
            .did_you_mean(text, names)
            .unwrap_or_else(|| "; add it, or write what it means here".to_owned());
        reader.fault(place, format_args!("`{text}` matches nothing in the catalog{hint}"));
    }
    patterns.sort_unstable();
    patterns
}

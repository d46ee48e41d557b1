//! Reading `[source]`, but for the ways.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use policy_core::{Permission, Role, RoleName};

use super::{Activity, NullActive, RoleWay, Source, SourceKind, SourcePath, Treatment, ways};
use crate::postgres::{Identifier, QualifiedName};
use crate::report::printable;
use crate::toml_file::{Reader, Section, listed};

const KEYS: [&str; 18] = [
    "kind",
    "table",
    "user_id",
    "role",
    "where",
    "empty",
    "distinct",
    "active",
    "inactive_if_set",
    "inactive_until",
    "null_active",
    "null_role",
    "orphans",
    "cycles",
    "ignore_labels",
    "rename",
    "roles",
    "permissions",
];

/// What a source may refer to.
#[derive(Clone, Copy)]
pub(in super::super) struct Known<'p> {
    pub(in super::super) permissions: &'p [Permission],
    pub(in super::super) roles: &'p [Role],
}

pub(in super::super) fn read(
    reader: &mut Reader<'_>,
    root: &Section<'_, '_>,
    known: Known<'_>,
) -> Option<Source> {
    let value = root.get("source")?;
    let place = root.key_place("source").unwrap_or(value.span());
    let keys: Vec<&str> = KEYS.into_iter().chain(["permission_names"]).collect();
    let section = reader.section(value, place, "`[source]`".to_owned(), &keys)?;
    let kind = kind(reader, &section);
    let table = reader.required_string(&section, "table", "table = \"public.users\"");
    let table = table.and_then(|(text, place)| reader.parsed(text, place, QualifiedName::parse));
    let user_id = reader.required_string(&section, "user_id", "user_id = \"id\"");
    let user_id = user_id.and_then(|(text, place)| column(reader, text, place));
    let roles = kind.map(|kind| roles(reader, &section, kind)).unwrap_or_default();
    let permissions = ways::permissions(reader, &section);
    let only = ways::condition(reader, &section);
    let distinct = boolean(reader, &section, "distinct");
    let activity = activity(reader, &section, distinct);
    let null_active = null_active(reader, &section);
    let null_role = treatment(reader, &section, "null_role", "none");
    let orphans = treatment(reader, &section, "orphans", "ignore");
    let cycles = treatment(reader, &section, "cycles", "ignore");
    let rename = rename(reader, &section, known.roles);
    let ignore_labels = ignore_labels(reader, &section, known.roles, &rename);
    let permission_names = ways::permission_names(reader, &section, known.permissions);
    Some(Source {
        kind: kind?,
        table: table?,
        user_id: user_id?,
        only,
        distinct,
        activity,
        null_active,
        null_role,
        orphans,
        cycles,
        ignore_labels,
        rename,
        roles,
        permissions,
        permission_names,
    })
}

/// A name of a column at `place`.
pub(super) fn column(reader: &mut Reader<'_>, text: &str, place: Range<usize>) -> Option<Identifier> {
    reader.parsed(text, place, |text| Identifier::new(text))
}

/// The name of a column that `key` may have.
pub(super) fn optional_column(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    key: &str,
) -> Option<Identifier> {
    reader.optional_string(section, key).and_then(|(text, place)| column(reader, text, place))
}

/// The boolean that `key` may have; false without it.
pub(super) fn boolean(reader: &mut Reader<'_>, section: &Section<'_, '_>, key: &str) -> bool {
    let Some(value) = section.get(key) else { return false };
    value.get_ref().as_bool().unwrap_or_else(|| {
        let message = format!("`{key}` of {} must be `true` or `false`, without quotes", section.name());
        reader.fault(value.span(), message);
        false
    })
}

fn kind(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<SourceKind> {
    let kinds = [SourceKind::RoleColumn, SourceKind::RolePaths];
    let (text, place) = reader.required_string(section, "kind", "kind = \"role-column\"")?;
    let kind = kinds.into_iter().find(|kind| kind.to_string() == text);
    if kind.is_none() {
        let [column, paths] = kinds;
        let text = printable(text);
        reader.fault(
            place,
            format_args!("`{text}` is not a kind of source; write `{column}` for one role a user in a column of the users, `{paths}` for all else"),
        );
    }
    kind
}

fn roles(reader: &mut Reader<'_>, section: &Section<'_, '_>, kind: SourceKind) -> Vec<RoleWay> {
    let other = match kind {
        SourceKind::RoleColumn => "roles",
        SourceKind::RolePaths => "role",
    };
    if let Some(place) = section.key_place(other) {
        let message = match kind {
            SourceKind::RoleColumn => {
                "`roles` belongs to `kind = \"role-paths\"`; with `role-column` there is one column, `role`"
            }
            SourceKind::RolePaths => {
                "`role` belongs to `kind = \"role-column\"`; write `[[source.roles]]` with `column`"
            }
        };
        reader.fault(place, message);
    }
    match kind {
        SourceKind::RoleColumn => {
            let role = reader.required_string(section, "role", "role = \"role\"");
            let role = role.and_then(|(text, place)| column(reader, text, place));
            role.map(|role| RoleWay::Path(SourcePath::column(role))).into_iter().collect()
        }
        SourceKind::RolePaths => {
            reader.required(section, "roles", "[[source.roles]]");
            ways::roles(reader, section)
        }
    }
}

fn activity(reader: &mut Reader<'_>, section: &Section<'_, '_>, distinct: bool) -> Option<Activity> {
    let boolean = optional_column(reader, section, "active").map(Activity::Boolean);
    let if_set = optional_column(reader, section, "inactive_if_set").map(Activity::InactiveIfSet);
    let until = optional_column(reader, section, "inactive_until").map(Activity::InactiveUntil);
    let mut given = [boolean, if_set, until].into_iter().flatten();
    let first = given.next()?;
    let place = |key| section.key_place(key).unwrap_or(section.place());
    if let Some(second) = given.next() {
        let message = format!("`{}` says already who is active; keep one of the two", first.key());
        reader.fault(place(second.key()), message);
    }
    if distinct {
        let message =
            "where several rows are one user (`distinct`), no column says whether the user is active";
        reader.fault(place(first.key()), message);
    }
    Some(first)
}

fn null_active(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<NullActive> {
    let (text, place) = reader.optional_string(section, "null_active")?;
    if section.get("active").is_none() {
        let place = section.key_place("null_active").unwrap_or(place);
        reader.fault(place, "`null_active` means nothing without `active`; name the column, or leave it out");
        return None;
    }
    let known = [NullActive::Active, NullActive::Inactive];
    let meant = known.into_iter().find(|value| value.to_string() == text);
    if meant.is_none() {
        let text = printable(text);
        reader.fault(place, format_args!("`{text}` is not a meaning of NULL; write `active` or `inactive`"));
    }
    meant
}

/// `key = "word"` ignores; without the key it stops.
fn treatment(reader: &mut Reader<'_>, section: &Section<'_, '_>, key: &str, word: &str) -> Treatment {
    match reader.optional_string(section, key) {
        None => Treatment::Stop,
        Some((text, _)) if text == word => Treatment::Ignore,
        Some((text, place)) => {
            let text = printable(text);
            let message = format!(
                "`{text}` is no way to treat it; write `{key} = \"{word}\"`, or leave it out: it stops the run then"
            );
            reader.fault(place, message);
            Treatment::Stop
        }
    }
}

fn ignore_labels(
    reader: &mut Reader<'_>,
    section: &Section<'_, '_>,
    roles: &[Role],
    rename: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let spellings: HashSet<&str> = roles
        .iter()
        .flat_map(|role| [&role.name].into_iter().chain(&role.aliases))
        .map(RoleName::as_str)
        .collect();
    let mut ignored = BTreeSet::new();
    for (text, place) in reader.strings(section, "ignore_labels") {
        let shown = printable(text);
        if spellings.contains(text) {
            let message = format!(
                "`{shown}` is a role or an alias of one, so it cannot be ignored; remove it from one of the two"
            );
            reader.fault(place, message);
        } else if rename.contains_key(text) {
            let message = format!(
                "`{shown}` is renamed in [source.rename], so it cannot be ignored; remove it from one of the two"
            );
            reader.fault(place, message);
        } else {
            ignored.insert(text.to_owned());
        }
    }
    ignored
}

fn rename(reader: &mut Reader<'_>, section: &Section<'_, '_>, roles: &[Role]) -> BTreeMap<String, String> {
    let mut renamed = BTreeMap::new();
    let Some(value) = section.get("rename") else { return renamed };
    let place = section.key_place("rename").unwrap_or(value.span());
    let Some(table) = reader.table(value, place, "`[source.rename]`".to_owned()) else { return renamed };
    let names: HashSet<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    for (key, value) in table.entries() {
        // A label that is no role name could never be asked for.
        let label = reader.parsed(key.get_ref(), key.span(), RoleName::parse);
        let what = format!("the role that `{}` means", printable(key.get_ref()));
        let Some(text) = reader.string(value, &what) else { continue };
        if !names.contains(text) {
            let message = unknown_role(reader, text, roles);
            reader.fault(value.span(), message);
        }
        if let Some(label) = label {
            renamed.insert(label.to_string(), text.to_owned());
        }
    }
    renamed
}

pub(in super::super) fn unknown_role(reader: &mut Reader<'_>, text: &str, roles: &[Role]) -> String {
    let mut aliased = roles.iter().filter(|role| role.aliases.iter().any(|alias| alias.as_str() == text));
    let hint = match aliased.next() {
        Some(role) => format!("; it is an alias of `{}`, write that", role.name),
        None => {
            let hint = reader.did_you_mean(text, roles.iter().map(|role| role.name.as_str()));
            hint.unwrap_or_else(|| match roles.len() {
                1..=10 => {
                    format!("; the roles are {}", listed(roles.iter().map(|role| role.name.as_str())))
                }
                _ => "; write the name of one".to_owned(),
            })
        }
    };
    format!("`{}` is not the name of a role{hint}", printable(text))
}

//! `[source]`: where the legacy roles lie. Everything is named; nothing is guessed.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display};

use policy_core::{Role, RoleName};
use serde::Serialize;

use crate::postgres::{Identifier, QualifiedName};
use crate::report::printable;
use crate::toml_file::{Reader, Section, listed};

/// Where the legacy roles lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The shape of the legacy schema.
    pub kind: SourceKind,
    /// The table of users.
    pub table: QualifiedName,
    /// The column of the user's id. A name that PostgreSQL can hold, unquoted; the same for the other columns.
    pub user_id: String,
    /// The column of the user's role.
    pub role: String,
    /// The column that says whether the user is active. Without it, all are.
    pub active: Option<String>,
    /// What a NULL in `active` means. Without it, a NULL stops the run.
    pub null_active: Option<NullActive>,
    /// Legacy labels that mean a role of another name. The values are names of roles of the policy.
    pub rename: BTreeMap<String, String>,
}

/// The shape of a legacy schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// One role a user, in a column of the table of users.
    RoleColumn,
}

/// What it means when it is not known whether a user is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NullActive {
    /// The user is active.
    Active,
    /// The user is not active, and holds no role.
    Inactive,
}

impl Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoleColumn => "role-column",
        })
    }
}

impl Display for NullActive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        })
    }
}

const KEYS: [&str; 7] = ["kind", "table", "user_id", "role", "active", "null_active", "rename"];

pub(super) fn read(reader: &mut Reader<'_>, root: &Section<'_, '_>, roles: &[Role]) -> Option<Source> {
    let value = root.get("source")?;
    let place = root.key_place("source").unwrap_or(value.span());
    let section = reader.section(value, place, "`[source]`".to_owned(), &KEYS)?;
    let kind = kind(reader, &section);
    let table = reader.required_string(&section, "table", "table = \"public.users\"");
    let table = table.and_then(|(text, place)| reader.parsed(text, place, QualifiedName::parse));
    let user_id = reader.required_string(&section, "user_id", "user_id = \"id\"");
    let user_id = user_id.and_then(|(text, place)| reader.parsed(text, place, column));
    let role = reader.required_string(&section, "role", "role = \"role\"");
    let role = role.and_then(|(text, place)| reader.parsed(text, place, column));
    let active = reader.optional_string(&section, "active");
    let active = active.and_then(|(text, place)| reader.parsed(text, place, column));
    let null_active = null_active(reader, &section);
    let rename = rename(reader, &section, roles);
    Some(Source { kind: kind?, table: table?, user_id: user_id?, role: role?, active, null_active, rename })
}

fn kind(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<SourceKind> {
    let only = SourceKind::RoleColumn;
    let (text, place) = reader.required_string(section, "kind", "kind = \"role-column\"")?;
    if text == only.to_string() {
        return Some(only);
    }
    let text = printable(text);
    reader.fault(place, format_args!("`{text}` is not a kind of source; the only one is `{only}`"));
    None
}

fn column(text: &str) -> Result<String, crate::postgres::IdentifierError> {
    Identifier::new(text).map(|name| name.as_str().to_owned())
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

fn unknown_role(reader: &mut Reader<'_>, text: &str, roles: &[Role]) -> String {
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

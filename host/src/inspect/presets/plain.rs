//! Databases of no framework: a column of the users that holds roles, or tables that join users, roles and permissions.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::Pattern;

use super::super::database::{Column, ColumnKind, ForeignKey, Table};
use super::super::draft::{Draft, DraftRole, Part};
use super::super::view::{View, hop, source_of};
use crate::error::HostError;
use crate::policy_file::{Form, RoleWay, SourceKind, SourcePath};
use crate::postgres::Identifier;

/// Names of tables that hold people.
const USERS: [&str; 14] = [
    "user",
    "users",
    "account",
    "accounts",
    "app_user",
    "app_users",
    "member",
    "members",
    "employee",
    "employees",
    "person",
    "people",
    "staff",
    "login",
];

/// Names of columns that hold roles.
const ROLES: [&str; 10] = [
    "role",
    "roles",
    "user_role",
    "user_roles",
    "role_name",
    "role_id",
    "role_ids",
    "user_type",
    "account_type",
    "is_superuser",
];

/// The most values a column of roles may have; a column with more holds something else.
const MAX_ROLES: usize = 500;

/// Whether a table holds people, by its name.
pub(super) fn holds_people(table: &Table) -> bool {
    USERS.contains(&table.name.table.as_str().to_lowercase().as_str())
}

/// The columns that may hold the role, as `schema.table.column`.
fn candidates<'v>(tables: impl Iterator<Item = &'v Table>) -> Vec<(&'v Table, &'v Column)> {
    let mut found = Vec::new();
    for table in tables {
        let named = ROLES
            .iter()
            .filter_map(|name| table.columns.iter().find(|column| column.name.to_lowercase() == *name));
        let roles: Vec<&Column> = named.collect();
        // A flag counts only where nothing else says a role.
        let others = roles.iter().any(|column| column.kind != ColumnKind::Boolean);
        found.extend(
            roles
                .into_iter()
                .filter(|column| !others || column.kind != ColumnKind::Boolean)
                .map(|column| (table, column)),
        );
    }
    found
}

/// Whether there is a table of people with a column that may hold a role.
pub(super) fn has_role_column(view: &View<'_>) -> bool {
    !candidates(view.database.tables.iter().filter(|table| holds_people(table))).is_empty()
}

pub(super) async fn draft(view: &mut View<'_>) -> Result<Option<Draft>, HostError> {
    let tables = view.database.tables.iter();
    let found = match view.notes.chosen("users") {
        Some(chosen) => candidates(tables.filter(|table| table.name.to_string() == chosen)),
        None => candidates(tables.filter(|table| holds_people(table))),
    };
    let name = |(table, column): &(&Table, &Column)| format!("{}.{}", table.name, column.name);
    let names: Vec<String> = found.iter().map(name).collect();
    if names.is_empty() {
        view.notes.stop(
            &view.database.name,
            "no table of users with a column of roles is recognised by its name; write the policy by hand",
        );
        return Ok(None);
    }
    let Some(chosen) = view.notes.one_of("role", "the column of roles", &names) else { return Ok(None) };
    let Some((users, column)) = found.into_iter().find(|pair| name(pair) == chosen) else { return Ok(None) };
    let Some(id) = users.key() else {
        view.notes.stop(&users.name, "it has no primary key of one column");
        return Ok(None);
    };
    let mut draft = Draft::new(source_of(users, id)?);
    view.notes.found(&users.name, format_args!("a table of people by its name, with the primary key `{id}`"));
    if column.kind == ColumnKind::Boolean {
        flag(view, &mut draft, users, column).await?;
    } else {
        let Some(labels) = labels(view, &mut draft, users, column).await? else { return Ok(None) };
        roles(view, &mut draft, users, labels);
    }
    view.activity(&mut draft, users).await?;
    draft.comment(
        Part::Catalog,
        "What each role may do stands in the application; `pbac init --python` reads it there.",
    );
    view.notes.unsure("permissions", "no table says what a role may do; the grants are empty");
    Ok(Some(draft))
}

async fn flag(
    view: &mut View<'_>,
    draft: &mut Draft,
    users: &Table,
    column: &Column,
) -> Result<(), HostError> {
    let count = view.count(users, &[(&column.name, "true")]).await?;
    let about = format!("{}.{}", users.name, column.name);
    view.notes.found(
        &about,
        format_args!("a flag, which {count} users have set; there is no other column of roles"),
    );
    view.guess(draft, Part::Roles, &about, "who has the flag may do everything");
    draft
        .source
        .roles
        .push(RoleWay::Flag { flag: Identifier::new(column.name.as_str())?, label: "superuser".to_owned() });
    let mut role = DraftRole::named("superuser");
    role.grants.extend(Pattern::parse("*").ok());
    draft.bypass.insert(role.name.clone());
    draft.roles.push(role);
    Ok(())
}

/// The labels of the column with how often each occurs; sets the way to them.
async fn labels(
    view: &mut View<'_>,
    draft: &mut Draft,
    users: &Table,
    column: &Column,
) -> Result<Option<BTreeMap<String, i64>>, HostError> {
    let about = format!("{}.{}", users.name, column.name);
    let name = Identifier::new(column.name.as_str())?;
    let mut labels: BTreeMap<String, i64> = column.labels.iter().map(|label| (label.clone(), 0)).collect();
    let is_this = |key: &&ForeignKey| key.table == users.name && key.column == column.name;
    let lookup = view.database.keys().find(is_this).cloned();
    if let Some(key) = lookup.as_ref().filter(|key| view.database.likely_keys.contains(key)) {
        let text = format!("it leads to `{}` by its name; no foreign key says so", key.to);
        view.guess(draft, Part::RoleWays, &about, &text);
    }
    let (form, via) = match (column.kind, lookup) {
        (_, Some(key)) => {
            let Some(table) = view.database.tables.iter().find(|table| table.name == key.to) else {
                view.notes.stop(&key.to, "the table of roles cannot be read");
                return Ok(None);
            };
            let Some(text) =
                table.first_of(&["name", "code", "slug", "key", "role", "role_name", "title", "label"])
            else {
                view.notes.stop(&table.name, "no column of it is a name of a role by its name");
                return Ok(None);
            };
            view.notes.found(
                &about,
                format_args!("a role by its number, which `{}` names in `{text}`", table.name),
            );
            for label in view.labels(table, text, &[]).await? {
                labels.insert(label, 0);
            }
            (Form::One, vec![hop(&table.name, &key.to_column, text, &[])?])
        }
        (ColumnKind::TextArray, None) => {
            view.notes.found(&about, format_args!("an array of roles ({})", column.type_name));
            (Form::Array, Vec::new())
        }
        (ColumnKind::Json, None) => {
            view.notes.found(&about, format_args!("a list of roles ({})", column.type_name));
            (Form::Json, Vec::new())
        }
        (ColumnKind::Enum, None) => {
            view.notes.found(&about, format_args!("an enumeration of {} roles", labels.len()));
            (Form::One, Vec::new())
        }
        (ColumnKind::Text | ColumnKind::Number, None) => {
            view.notes.found(&about, format_args!("a role a user ({})", column.type_name));
            (Form::One, Vec::new())
        }
        _ => {
            view.notes.stop(
                &about,
                format_args!("{} is a type of which it is not known how it holds roles", column.type_name),
            );
            return Ok(None);
        }
    };
    let Some(form) = read_values(view, draft, (users, column), form, via.is_empty(), &mut labels).await?
    else {
        return Ok(None);
    };
    if form == Form::One && via.is_empty() {
        draft.source.kind = SourceKind::RoleColumn;
    }
    draft.source.roles.push(RoleWay::Path(SourcePath { column: Some(name), form, via }));
    if labels.len() > MAX_ROLES {
        view.notes.stop(&about, format_args!("it has {} values, which is too many for roles", labels.len()));
        return Ok(None);
    }
    Ok(Some(labels))
}

/// Counts the labels that occur, and finds out whether a text is a list.
async fn read_values(
    view: &mut View<'_>,
    draft: &mut Draft,
    (users, column): (&Table, &Column),
    form: Form,
    direct: bool,
    labels: &mut BTreeMap<String, i64>,
) -> Result<Option<Form>, HostError> {
    if !direct {
        return Ok(Some(form));
    }
    let about = format!("{}.{}", users.name, column.name);
    let values = view.values(users, &column.name, &[]).await?;
    let empty: i64 = values
        .iter()
        .filter(|counted| counted.value.as_deref().is_none_or(|value| value.trim().is_empty()))
        .map(|counted| counted.rows)
        .sum();
    if empty > 0 {
        let text = format!(
            "{empty} users have NULL or nothing there; say `null_role = \"none\"` if that means no role, else it stops the migration"
        );
        view.notes.unsure(&about, &text);
        draft.comment(Part::RoleWays, text);
    }
    let form = match (form, column.kind) {
        (Form::One, ColumnKind::Text) => {
            let of = |separator: char| {
                values
                    .iter()
                    .filter(|counted| counted.value.as_deref().is_some_and(|value| value.contains(separator)))
                    .count()
            };
            match [',', ';', '|'].into_iter().find(|separator| of(*separator) > 0) {
                Some(separator) => {
                    let text =
                        format!("the column is a list, since {} values hold `{separator}`", of(separator));
                    view.guess(draft, Part::RoleWays, &about, &text);
                    Form::List { separator: separator.to_string() }
                }
                None => Form::One,
            }
        }
        (form, _) => form,
    };
    for counted in values {
        let Some(value) = counted.value else { continue };
        let Some(parts) = parts(&form, &value) else {
            view.notes
                .stop(&about, format_args!("`{value}` is no list of texts; {} users have it", counted.rows));
            return Ok(None);
        };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let users = labels.entry(part).or_default();
            *users = users.saturating_add(counted.rows);
        }
    }
    Ok(Some(form))
}

/// The labels in one value of the column.
fn parts(form: &Form, value: &str) -> Option<Vec<String>> {
    match form {
        Form::One => Some(vec![value.to_owned()]),
        Form::List { separator } => {
            Some(value.split(separator.as_str()).map(|part| part.trim().to_owned()).collect())
        }
        Form::Json => serde_json::from_str::<Vec<String>>(value).ok(),
        Form::Array => array(value),
    }
}

/// The elements of an array as PostgreSQL prints it: `{A,"B C",NULL}`.
fn array(value: &str) -> Option<Vec<String>> {
    let inner = value.strip_prefix('{')?.strip_suffix('}')?;
    let mut parts = Vec::new();
    let mut letters = inner.chars().peekable();
    while letters.peek().is_some() {
        let mut part = String::new();
        let quoted = letters.next_if_eq(&'"').is_some();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => part.extend(letters.next()),
                '"' if quoted => {
                    letters.next_if_eq(&',');
                    break;
                }
                ',' if !quoted => break,
                '{' if !quoted => return None,
                letter => part.push(letter),
            }
        }
        if quoted || part != "NULL" {
            parts.push(part);
        }
    }
    Some(parts)
}

/// A role for each label. Labels that differ in case, blanks and underscores only are taken for one role.
fn roles(view: &mut View<'_>, draft: &mut Draft, users: &Table, labels: BTreeMap<String, i64>) {
    let mut spelled: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for (label, count) in labels {
        let plain: String =
            label.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        // A label of signs only is like no other.
        let plain = if plain.is_empty() { label.clone() } else { plain };
        spelled.entry(plain).or_default().push((label, count));
    }
    let mut found = Vec::new();
    for mut spellings in spelled.into_values() {
        // The one that most users have names the role.
        spellings.sort_by_key(|(label, count)| (std::cmp::Reverse(*count), label.clone()));
        let mut spellings = spellings.into_iter().map(|(label, _)| label);
        let Some(name) = spellings.next() else { continue };
        let Some(mut role) = view.role(users, &name) else { continue };
        let aliases: BTreeSet<String> = spellings.collect();
        if !aliases.is_empty() {
            let listed = aliases.iter().map(|alias| format!("`{alias}`")).collect::<Vec<_>>().join(", ");
            let text = format!("{listed} is `{name}` in another spelling");
            view.notes.guessed(&users.name, &text);
            role.comments.push(format!("guessed: {text}"));
        }
        role.aliases = aliases;
        found.push(role);
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    draft.roles = found;
}

#[cfg(test)]
mod tests {
    use super::array;

    #[test]
    fn arrays_are_read_as_they_are_printed() {
        for (text, elements) in [
            ("{}", vec![]),
            ("{A}", vec!["A"]),
            ("{A,\"B C\",D}", vec!["A", "B C", "D"]),
            ("{\"a\\\"b\",NULL,\"NULL\"}", vec!["a\"b", "NULL"]),
        ] {
            assert_eq!(array(text), Some(elements.into_iter().map(str::to_owned).collect()), "{text}");
        }
        assert_eq!(array("{{A}}"), None);
        assert_eq!(array("A"), None);
    }
}

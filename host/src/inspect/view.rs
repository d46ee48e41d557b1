//! What a preset is given: the catalogs, the rows, the choices, and where to say what it finds.

use std::collections::{BTreeMap, BTreeSet};

use policy_core::{Effect, Pattern, RoleName};
use serde::Serialize;
use sqlx::PgConnection;

use super::database::{Column, ColumnKind, Database, Table};
use super::draft::{Draft, DraftRole, Part};
use super::names::Catalog;
use super::notes::Notes;
use super::rows::{self, Counted, Filter};
use crate::error::HostError;
use crate::legacy::foreign_wildcards::{Dialect, How, Rewritten, rewrite};
use crate::policy_file::{Activity, Condition, Form, Hop, PermissionWay, Source, SourcePath};
use crate::postgres::{Identifier, QualifiedName};

/// A grant whose wildcard means something else here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RewrittenGrant {
    /// Who holds it there.
    pub holder: String,
    /// What it is and becomes.
    #[serde(flatten)]
    pub grant: Rewritten,
}

/// What a preset looks at, and says.
pub(super) struct View<'v> {
    /// The connection, in a snapshot that cannot be written.
    pub connection: &'v mut PgConnection,
    /// The catalogs.
    pub database: &'v Database,
    /// What is said.
    pub notes: &'v mut Notes,
    /// The grants that had to be rewritten.
    pub rewritten: Vec<RewrittenGrant>,
}

impl<'v> View<'v> {
    /// A table of the catalogs.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub(super) fn table(&self, schema: &str, name: &str) -> Result<&'v Table, HostError> {
        self.database.table(schema, name).ok_or_else(|| {
            HostError::failed(format_args!("there is no table `{schema}.{name}` that this user may read"))
                .help("grant SELECT on it, or name another preset")
        })
    }

    /// The columns of the rows that pass the filter, as texts. Rows with NULL in one of them are told and left out.
    pub(super) async fn texts<const N: usize>(
        &mut self,
        table: &Table,
        columns: [&str; N],
        filter: Filter<'_>,
    ) -> Result<Vec<[String; N]>, HostError> {
        let found = rows::rows(self.connection, &table.name, columns, filter).await?;
        let all = found.len();
        let whole: Vec<[String; N]> = found
            .into_iter()
            .filter_map(|row| row.into_iter().collect::<Option<Vec<String>>>()?.try_into().ok())
            .collect();
        let left_out = all.saturating_sub(whole.len());
        if left_out > 0 {
            let columns = columns.join(", ");
            self.notes.unsure(
                &table.name,
                format_args!("{left_out} rows have NULL in {columns}; they are taken to say nothing"),
            );
        }
        Ok(whole)
    }

    /// Every value of a column, and how often it occurs.
    pub(super) async fn values(
        &mut self,
        table: &Table,
        column: &str,
        filter: Filter<'_>,
    ) -> Result<Vec<Counted>, HostError> {
        rows::values(self.connection, &table.name, column, filter).await
    }

    /// The values of a column, without NULL.
    pub(super) async fn labels(
        &mut self,
        table: &Table,
        column: &str,
        filter: Filter<'_>,
    ) -> Result<Vec<String>, HostError> {
        let values = self.values(table, column, filter).await?;
        Ok(values.into_iter().filter_map(|counted| counted.value).collect())
    }

    /// How many rows pass the filter.
    pub(super) async fn count(&mut self, table: &Table, filter: Filter<'_>) -> Result<i64, HostError> {
        rows::count(self.connection, &table.name, filter).await
    }

    /// How many values of the column are in more than one row.
    pub(super) async fn repeated(&mut self, table: &Table, column: &str) -> Result<i64, HostError> {
        rows::repeated(self.connection, &table.name, column).await
    }

    /// The table of users: the one that was chosen, else the only candidate.
    pub(super) fn users(&mut self, candidates: &[&'v Table]) -> Option<&'v Table> {
        if let Some(chosen) = self.notes.chosen("users") {
            let found = self.database.named(&chosen);
            if found.is_none() {
                self.notes.stop(&chosen, "no such table is readable; correct `--choose users=schema.table`");
            }
            return found;
        }
        let names: Vec<String> = candidates.iter().map(|table| table.name.to_string()).collect();
        if names.is_empty() {
            self.notes.stop(
                &self.database.name,
                "no table of users is recognised; say it with `--choose users=schema.table`",
            );
            return None;
        }
        let name = self.notes.one_of("users", "the table of users", &names)?;
        candidates.iter().find(|table| table.name.to_string() == name).copied()
    }

    /// Adds a guess to the output and to the draft.
    pub(super) fn guess(&mut self, draft: &mut Draft, part: Part, about: impl std::fmt::Display, text: &str) {
        self.notes.guessed(&about, text);
        draft.comment(part, format!("guessed: {text} ({about})"));
    }

    /// The column that says whether a user is active, by its name and type; a guess, since a name is no proof.
    pub(super) async fn activity(&mut self, draft: &mut Draft, users: &Table) -> Result<(), HostError> {
        let chosen = self.notes.chosen("active");
        if chosen.as_deref() == Some("none") {
            return Ok(());
        }
        let of = |names: &[&str], wanted: &dyn Fn(&Column) -> bool| -> Vec<String> {
            let columns = names.iter().filter_map(|name| users.column(name)).filter(|column| wanted(column));
            columns.map(|column| column.name.clone()).collect()
        };
        let mut candidates = of(&["is_active", "active", "enabled", "is_enabled"], &|column| {
            column.kind == ColumnKind::Boolean
        });
        candidates.extend(of(&["deleted_at", "deactivated_at", "disabled_at", "archived_at"], &|column| {
            column.kind == ColumnKind::Time
        }));
        candidates.extend(of(&["locked_until", "banned_until", "lockout_end"], &|column| {
            column.type_name.starts_with("timestamp") && column.type_name.ends_with("with time zone")
        }));
        for inverted in
            of(&["is_deleted", "disabled", "is_disabled", "blocked", "is_blocked", "banned"], &|column| {
                column.kind == ColumnKind::Boolean
            })
        {
            self.notes.unsure(
                format_args!("{}.{inverted}", users.name),
                "the name suggests that who has it set is not active; [source] has no word for that, so it is not used",
            );
        }
        let column = match chosen {
            Some(chosen) if users.column(&chosen).is_none() => {
                self.notes.stop(
                    &users.name,
                    format_args!("it has no column `{chosen}`; correct `--choose active=…`"),
                );
                return Ok(());
            }
            Some(chosen) => chosen,
            None => {
                let Some(column) = self.notes.one_of("active", &users.name, &candidates) else {
                    if candidates.is_empty() {
                        self.guess(
                            draft,
                            Part::Activity,
                            &users.name,
                            "every user is active: no column says anything else by its name",
                        );
                    }
                    return Ok(());
                };
                let text = format!("`{column}` says by its name who is active");
                self.guess(draft, Part::Activity, &users.name, &text);
                column
            }
        };
        self.set_activity(draft, users, &column).await
    }

    /// Takes `column` of the users for what says whether they are active, as its type allows.
    pub(super) async fn set_activity(
        &mut self,
        draft: &mut Draft,
        users: &Table,
        column: &str,
    ) -> Result<(), HostError> {
        let Some(found) = users.column(column) else { return Ok(()) };
        let name = Identifier::new(column)?;
        let until = column.to_lowercase().contains("until") || column.to_lowercase().contains("end");
        draft.source.activity = Some(match found.kind {
            ColumnKind::Boolean => Activity::Boolean(name),
            ColumnKind::Time if until => Activity::InactiveUntil(name),
            _ => Activity::InactiveIfSet(name),
        });
        if found.kind == ColumnKind::Boolean && found.nullable {
            let nulls = rows::nulls(self.connection, &users.name, column).await?;
            if nulls > 0 {
                let text = format!(
                    "{nulls} users have NULL there; say `null_active = \"inactive\"` or `\"active\"`, else it stops the migration"
                );
                self.notes.unsure(format_args!("{}.{column}", users.name), &text);
                draft.comment(Part::Activity, text);
            }
        }
        Ok(())
    }

    /// A role of the draft; a name that can be none stops.
    pub(super) fn role(&mut self, about: &Table, name: &str) -> Option<DraftRole> {
        match RoleName::parse(name) {
            Ok(_) => Some(DraftRole::named(name)),
            Err(error) => {
                self.notes.stop(&about.name, format_args!("{error}; rename the role there first"));
                None
            }
        }
    }

    /// Gives a role what it holds there, in patterns that mean the same here. What cannot be said so stops.
    pub(super) fn grant(&mut self, role: &mut DraftRole, dialect: Dialect, grant: &str, catalog: &Catalog) {
        match rewrite(dialect, grant, &catalog.entries) {
            Ok(rewritten) => self.give(role, rewritten, catalog),
            Err(refusal) => self.notes.stop(format_args!("role `{}`", role.name), refusal),
        }
    }

    /// Gives a role a grant that was worked out already.
    pub(super) fn give(&mut self, role: &mut DraftRole, rewritten: Rewritten, catalog: &Catalog) {
        role.grants.extend(rewritten.patterns.iter().cloned());
        role.held.extend(rewritten.meant.iter().filter_map(|legacy| catalog.name_of(legacy)).cloned());
        if rewritten.how != How::Same {
            let patterns = rewritten.patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
            role.comments.push(format!(
                "`{}` there gives {} permissions, and is {patterns} here",
                rewritten.grant,
                rewritten.meant.len()
            ));
            self.rewritten.push(RewrittenGrant { holder: format!("role `{}`", role.name), grant: rewritten });
        }
    }

    /// What a legacy permission that users hold themselves means here, where its name alone does not say it.
    pub(super) fn permission_name(
        &mut self,
        draft: &mut Draft,
        dialect: Dialect,
        legacy: &str,
        catalog: &Catalog,
    ) {
        match rewrite(dialect, legacy, &catalog.entries) {
            Ok(rewritten) => {
                let same = matches!(rewritten.patterns.as_slice(), [only] if only.as_str() == legacy);
                if !same {
                    let patterns = rewritten.patterns.iter().map(ToString::to_string).collect();
                    draft.source.permission_names.insert(legacy.to_owned(), patterns);
                }
                if rewritten.how != How::Same {
                    let holder = "users themselves".to_owned();
                    self.rewritten.push(RewrittenGrant { holder, grant: rewritten });
                }
            }
            Err(refusal) => self.notes.stop("permissions of users", refusal),
        }
    }

    /// What `*` means in these permissions: what was chosen, else nothing where none has one.
    pub(super) fn dialect(&mut self, about: &Table, permissions: &[String]) -> Option<Dialect> {
        let names: Vec<String> = Dialect::ALL.iter().map(|dialect| dialect.name().to_owned()).collect();
        let wild: BTreeSet<&str> =
            permissions.iter().map(String::as_str).filter(|name| name.contains('*')).collect();
        if let Some(chosen) = self.notes.chosen("wildcards") {
            let found = Dialect::ALL.into_iter().find(|dialect| dialect.name() == chosen);
            if found.is_none() {
                let text = format!("`{chosen}` is none of {}", names.join(", "));
                self.notes.stop("--choose wildcards", text);
            }
            return found;
        }
        let Some(first) = wild.first() else { return Some(Dialect::Exact) };
        self.notes.stop(
            &about.name,
            format_args!(
                "{} permissions hold `*` (first: `{first}`), and the database does not say what it means; say it with `--choose wildcards=…`: {}",
                wild.len(),
                names.join(", ")
            ),
        );
        None
    }
}

/// A hop of a way.
pub(super) fn hop(table: &QualifiedName, from: &str, to: &str, filter: Filter<'_>) -> Result<Hop, HostError> {
    let mut only = Condition::default();
    for (column, value) in filter {
        only.equals.insert(Identifier::new(*column)?, BTreeSet::from([(*value).to_owned()]));
    }
    Ok(Hop {
        table: table.clone(),
        from: Identifier::new(from)?,
        to: Identifier::new(to)?,
        only,
        closure: false,
        suffix: None,
    })
}

/// A way from the user's id over tables.
pub(super) fn path(via: Vec<Hop>) -> SourcePath {
    SourcePath { column: None, form: Form::One, via }
}

/// A way from the user's id to permissions that it may do.
pub(super) fn allowed(via: Vec<Hop>) -> PermissionWay {
    PermissionWay { path: path(via), effect: Effect::Allow }
}

/// A source over ways, none of which is known yet.
pub(super) fn source_of(users: &Table, user_id: &str) -> Result<Source, HostError> {
    let id = Identifier::new(user_id)?;
    let mut source = Source::role_column(users.name.clone(), id.clone(), id);
    source.kind = crate::policy_file::SourceKind::RolePaths;
    source.roles.clear();
    Ok(source)
}

/// Values by key, for the joins of small tables that are done here.
pub(super) fn by_key(rows: impl IntoIterator<Item = [String; 2]>) -> BTreeMap<String, BTreeSet<String>> {
    let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for [key, value] in rows {
        map.entry(key).or_default().insert(value);
    }
    map
}

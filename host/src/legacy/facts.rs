//! What the catalogs say about the tables that a source names: whether they are there, of the right types, and readable.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::finding::{Finding, FindingCode};
use crate::policy_file::{Activity, Form, RoleWay, Source, SourcePath};
use crate::postgres::{Identifier, QualifiedName};

/// What forbids to look at the rows, and what makes looking slow.
pub(super) async fn read(connection: &mut PgConnection, source: &Source) -> Result<Facts, sqlx::Error> {
    let mut facts = Facts { findings: Vec::new(), unique: Vec::new() };
    let needs = needs(source);
    for table in source.tables() {
        let needs: Vec<&Need<'_>> = needs.iter().filter(|need| need.table == table).collect();
        facts.look(connection, source, table, &needs).await?;
    }
    Ok(facts)
}

/// What was found.
pub(super) struct Facts {
    pub(super) findings: Vec<Finding>,
    /// Columns of which no two rows have the same value.
    unique: Vec<(QualifiedName, Identifier)>,
}

impl Facts {
    /// Whether the catalogs say that no two rows of the table have the same value there.
    pub(super) fn is_unique(&self, table: &QualifiedName, column: &Identifier) -> bool {
        self.unique.iter().any(|(of, name)| of == table && name == column)
    }

    async fn look(
        &mut self,
        connection: &mut PgConnection,
        source: &Source,
        name: &QualifiedName,
        needs: &[&Need<'_>],
    ) -> Result<(), sqlx::Error> {
        let section = needs.first().map_or("[source]", |need| need.section);
        let Some(table) = TableFacts::read(connection, name).await? else {
            let message = format!(
                "the table `{name}` is not there; check `table` in the policy's {section}, and the database's name"
            );
            self.stop(FindingCode::MissingSource, message);
            return Ok(());
        };
        let columns = ColumnFacts::read(connection, name, needs).await?;
        let before = self.findings.len();
        if !table.usable_schema {
            let message = format!("this user may not use the schema `{}`; grant USAGE on it", name.schema);
            self.stop(FindingCode::MissingRight, message);
        }
        if table.hidden_rows {
            let message = format!(
                "row security of `{name}` may hide users from this user; run as the owner or as a user with BYPASSRLS"
            );
            self.stop(FindingCode::RowSecurity, message);
        }
        let mut unreadable: Vec<&Identifier> = Vec::new();
        for need in needs {
            let Need { key, column: column_name, section, .. } = need;
            let Some(column) = columns.get(column_name.as_str()) else {
                let message = format!(
                    "`{name}` has no column `{}`; check `{key}` in the policy's {section}",
                    column_name.as_str()
                );
                self.stop(FindingCode::MissingSource, message);
                continue;
            };
            if !column.readable && !unreadable.contains(column_name) {
                let column_name = column_name.as_str();
                let message = format!(
                    "this user may not read the column `{column_name}` of `{name}`; grant SELECT on it"
                );
                self.stop(FindingCode::MissingRight, message);
            }
            unreadable.push(column_name);
            if !need.takes.accepts(column) {
                let message = format!(
                    "the column `{}` of `{name}` is `{}`, and `{key}` takes {}",
                    column_name.as_str(),
                    column.type_name,
                    need.takes.wanted()
                );
                self.stop(FindingCode::WrongType, message);
            }
        }
        let stored = matches!(table.kind.as_str(), "r" | "p");
        for need in needs {
            let Some(column) = columns.get(need.column.as_str()) else { continue };
            if column.unique_here {
                self.unique.push((name.clone(), need.column.clone()));
            }
        }
        if self.findings.len() == before && stored {
            self.findings.extend(slow(source, name, needs, &columns));
        }
        Ok(())
    }

    fn stop(&mut self, code: FindingCode, message: String) {
        self.findings.push(Finding::stop(code, message));
    }
}

/// Where each question will read a whole table.
fn slow(
    source: &Source,
    name: &QualifiedName,
    needs: &[&Need<'_>],
    columns: &BTreeMap<String, ColumnFacts>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for need in needs.iter().filter(|need| need.looked_up) {
        let Some(column) = columns.get(need.column.as_str()) else { continue };
        let users = *name == source.table && *need.column == source.user_id;
        let (slow, what, code) = if users && !source.distinct {
            (!column.unique_here, "no unique index covers", FindingCode::BadUserId)
        } else {
            (!column.indexed, "no index begins with", FindingCode::SlowLookup)
        };
        let message =
            format!("{what} `{}` of `{name}`: each question will read the whole table", need.column.as_str());
        if slow && found.iter().all(|other: &Finding| other.message != message) {
            found.push(Finding::note(code, message));
        }
    }
    found
}

/// A column that a source names.
struct Need<'s> {
    table: &'s QualifiedName,
    column: &'s Identifier,
    /// The key of the policy file, and the section in which it stands.
    key: &'static str,
    section: &'static str,
    takes: Takes,
    /// Whether rows are looked up by it.
    looked_up: bool,
}

/// What a column must hold.
#[derive(Clone, Copy)]
enum Takes {
    Anything,
    One,
    Boolean,
    Moment,
    Array,
    Json,
}

impl Takes {
    fn accepts(self, column: &ColumnFacts) -> bool {
        match self {
            Self::Anything => true,
            // `B` is boolean, `A` an array.
            Self::One => column.category != "A",
            Self::Boolean => column.category == "B",
            Self::Moment => column.base_type == "timestamptz",
            Self::Array => column.category == "A",
            Self::Json => ["json", "jsonb"].contains(&column.base_type.as_str()),
        }
    }

    const fn wanted(self) -> &'static str {
        match self {
            Self::Anything | Self::One => "one value a user",
            Self::Boolean => "a boolean",
            Self::Moment => "a `timestamp with time zone`",
            Self::Array => "an array",
            Self::Json => "`json` or `jsonb`",
        }
    }
}

const SOURCE: &str = "[source]";
const ROLES: &str = "[[source.roles]]";
const PERMISSIONS: &str = "[[source.permissions]]";

fn needs(source: &Source) -> Vec<Need<'_>> {
    let of_users = |column, key, section, takes| Need {
        table: &source.table,
        column,
        key,
        section,
        takes,
        looked_up: false,
    };
    let mut needs =
        vec![Need { looked_up: true, ..of_users(&source.user_id, "user_id", SOURCE, Takes::One) }];
    needs.extend(source.only.columns().map(|column| of_users(column, "where", SOURCE, Takes::Anything)));
    for way in &source.roles {
        match way {
            RoleWay::Flag { flag, .. } => needs.push(of_users(flag, "flag", ROLES, Takes::Boolean)),
            RoleWay::Path(path) => {
                // The shorthand of one column has a key of its own.
                let plain = source.kind == crate::policy_file::SourceKind::RoleColumn;
                let (key, section) = if plain { ("role", SOURCE) } else { ("column", ROLES) };
                needs.extend(start(source, path, key, section));
                needs.extend(hops(path, section));
            }
        }
    }
    for way in &source.permissions {
        needs.extend(start(source, &way.path, "column", PERMISSIONS));
        needs.extend(hops(&way.path, PERMISSIONS));
    }
    needs.extend(source.activity.iter().map(|activity| {
        let takes = match activity {
            Activity::Boolean(_) => Takes::Boolean,
            Activity::InactiveIfSet(_) => Takes::Anything,
            Activity::InactiveUntil(_) => Takes::Moment,
        };
        of_users(activity.column(), activity.key(), SOURCE, takes)
    }));
    needs
}

fn start<'s>(
    source: &'s Source,
    path: &'s SourcePath,
    key: &'static str,
    section: &'static str,
) -> Option<Need<'s>> {
    let takes = match path.form {
        Form::One | Form::List { .. } => Takes::One,
        Form::Array => Takes::Array,
        Form::Json => Takes::Json,
    };
    let column = path.column.as_ref()?;
    Some(Need { table: &source.table, column, key, section, takes, looked_up: false })
}

fn hops<'s>(path: &'s SourcePath, section: &'static str) -> impl Iterator<Item = Need<'s>> {
    path.via.iter().flat_map(move |hop| {
        let need = move |column, key, takes, looked_up| Need {
            table: &hop.table,
            column,
            key,
            section,
            takes,
            looked_up,
        };
        [need(&hop.from, "from", Takes::One, true), need(&hop.to, "to", Takes::One, false)]
            .into_iter()
            .chain(hop.only.columns().map(move |column| need(column, "where", Takes::Anything, false)))
            .chain(hop.suffix.iter().map(move |column| need(column, "suffix", Takes::One, false)))
    })
}

/// What the catalogs say about a table.
#[derive(FromRow)]
struct TableFacts {
    kind: String,
    usable_schema: bool,
    hidden_rows: bool,
}

impl TableFacts {
    async fn read(connection: &mut PgConnection, name: &QualifiedName) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as(
            "SELECT c.relkind::text AS kind, has_schema_privilege(n.oid, 'USAGE') AS usable_schema, \
             c.relrowsecurity AND row_security_active(c.oid) AS hidden_rows \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        )
        .bind(name.schema.as_str())
        .bind(name.table.as_str())
        .fetch_optional(connection)
        .await
    }
}

/// What the catalogs say about one column.
#[derive(FromRow)]
struct ColumnFacts {
    name: String,
    type_name: String,
    /// The type under the column's domain.
    base_type: String,
    category: String,
    readable: bool,
    /// A unique index over this column alone, which no predicate restricts.
    unique_here: bool,
    /// An index that begins with this column.
    indexed: bool,
}

impl ColumnFacts {
    async fn read(
        connection: &mut PgConnection,
        table: &QualifiedName,
        needs: &[&Need<'_>],
    ) -> Result<BTreeMap<String, Self>, sqlx::Error> {
        let names: Vec<&str> = needs.iter().map(|need| need.column.as_str()).collect();
        let columns: Vec<Self> = sqlx::query_as(
            "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type_name, \
             coalesce(b.typname, t.typname)::text AS base_type, t.typcategory::text AS category, \
             has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable, \
             EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid \
                 AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS unique_here, \
             EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid \
                 AND i.indpred IS NULL AND i.indkey[0] = a.attnum) AS indexed \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid \
             LEFT JOIN pg_type b ON b.oid = t.typbasetype \
             WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = ANY ($3) AND a.attnum > 0 AND NOT a.attisdropped",
        )
        .bind(table.schema.as_str())
        .bind(table.table.as_str())
        .bind(names)
        .fetch_all(connection)
        .await?;
        Ok(columns.into_iter().map(|column| (column.name.clone(), column)).collect())
    }
}

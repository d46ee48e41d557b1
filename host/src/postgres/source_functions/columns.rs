//! What the catalogs say about the columns that a source names, and how two of them are compared so that an index helps.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection};

use super::super::identifier::{Identifier, QualifiedName};
use crate::policy_file::Source;

/// The type of a value, as far as comparing needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    kind: Kind,
    /// The collation's name, quoted, where the type has one.
    collation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The type's name, and between which numbers its values lie.
    Integer {
        name: &'static str,
        range: &'static str,
    },
    Uuid,
    /// `text` and `varchar`.
    Text,
    /// `char`, padded with blanks that do not count.
    Padded,
    /// Any other; `comparable` with its own kind by an operator of PostgreSQL itself.
    Other {
        name: String,
        comparable: bool,
    },
}

impl Typed {
    /// A text that is compared by its bytes.
    pub(super) fn bytes() -> Self {
        Self { kind: Kind::Text, collation: Some(r#""pg_catalog"."C""#.to_owned()) }
    }

    /// Of a column that is not there: the server will say so.
    fn unknown() -> Self {
        Self { kind: Kind::Other { name: String::new(), comparable: false }, collation: None }
    }

    /// Whether `=` between values of the two needs no conversion and can use an index.
    fn compares_with(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Integer { .. }, Kind::Integer { .. }) => true,
            (Kind::Other { comparable: true, .. }, _) | (Kind::Uuid | Kind::Text | Kind::Padded, _) => {
                self == other
            }
            _ => false,
        }
    }

    /// SQL: `column`, of this type, has the value of another expression.
    pub(super) fn equals(&self, column: &str, value: &str, of: &Self) -> String {
        if self.compares_with(of) {
            return format!("{column} = {value}");
        }
        self.is_written(column, &format!("{value}::text"))
    }

    /// SQL: `column`, of this type, is what `text` says, as PostgreSQL writes it.
    ///
    /// The typed comparison is for the index, the comparison as text for the meaning: 7 is not written `007`. The two
    /// conversions are nested, since AND promises no order.
    pub(super) fn is_written(&self, column: &str, text: &str) -> String {
        let collation = self.collation.as_ref().map_or_else(String::new, |name| format!(" collate {name}"));
        let looked_up = match &self.kind {
            Kind::Integer { name, range } => format!(
                "{column} = case when {text} ~ '^(0|-?[1-9][0-9]{{0,18}})$' then case when {text}::numeric between {range} then {text}::{name} end end and "
            ),
            Kind::Uuid => format!(
                "{column} = case when {text} ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$' then {text}::uuid end and "
            ),
            Kind::Text => format!("{column} = {text}{collation} and "),
            Kind::Padded => format!("{column} = {text}::bpchar{collation} and "),
            Kind::Other { .. } => String::new(),
        };
        format!("{looked_up}{column}::text = {text} collate \"C\"")
    }
}

/// The columns that a source names.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns(BTreeMap<(QualifiedName, Identifier), Typed>);

impl Columns {
    /// The type of a column.
    pub(super) fn of(&self, table: &QualifiedName, column: &Identifier) -> Typed {
        self.0.get(&(table.clone(), column.clone())).cloned().unwrap_or_else(Typed::unknown)
    }

    /// Asks the catalogs for every column that is compared with something.
    pub(super) async fn read(connection: &mut PgConnection, source: &Source) -> Result<Self, sqlx::Error> {
        let mut names = vec![(&source.table, &source.user_id)];
        names.extend(source.only.columns().map(|column| (&source.table, column)));
        for path in source.paths() {
            names.extend(path.column.iter().map(|column| (&source.table, column)));
            for hop in &path.via {
                names.extend(
                    [&hop.from, &hop.to]
                        .into_iter()
                        .chain(hop.only.columns())
                        .map(|column| (&hop.table, column)),
                );
            }
        }
        let schemas: Vec<&str> = names.iter().map(|(table, _)| table.schema.as_str()).collect();
        let tables: Vec<&str> = names.iter().map(|(table, _)| table.table.as_str()).collect();
        let columns: Vec<&str> = names.iter().map(|(_, column)| column.as_str()).collect();
        let rows: Vec<Row> =
            sqlx::query_as(COLUMNS).bind(schemas).bind(tables).bind(columns).fetch_all(connection).await?;
        let typed = rows.into_iter().filter_map(|row| {
            let place = usize::try_from(row.place).ok()?.checked_sub(1)?;
            let (table, column) = names.get(place)?;
            Some((((*table).clone(), (*column).clone()), row.typed()))
        });
        Ok(Self(typed.collect()))
    }
}

#[derive(FromRow)]
struct Row {
    place: i64,
    name: String,
    builtin: bool,
    category: String,
    collation: Option<String>,
}

impl Row {
    fn typed(self) -> Typed {
        let kind = match (self.builtin, self.name.as_str()) {
            (true, "int2") => Kind::Integer { name: "smallint", range: "-32768 and 32767" },
            (true, "int4") => Kind::Integer { name: "integer", range: "-2147483648 and 2147483647" },
            (true, "int8") => {
                Kind::Integer { name: "bigint", range: "-9223372036854775808 and 9223372036854775807" }
            }
            (true, "uuid") => Kind::Uuid,
            (true, "text" | "varchar") => Kind::Text,
            (true, "bpchar") => Kind::Padded,
            // Numbers, times, booleans, enumerations: compared in `pg_catalog`, which every search path has.
            (builtin, _) => {
                let comparable =
                    self.category == "E" || (builtin && ["N", "D", "B"].contains(&self.category.as_str()));
                Kind::Other { name: self.name, comparable }
            }
        };
        Typed { kind, collation: self.collation }
    }
}

/// The type that a column's domain stands on, and the column's collation. Other types of one name are told apart by
/// their schema.
const COLUMNS: &str = "\
    WITH RECURSIVE named (place, schema_name, table_name, column_name) AS ( \
        SELECT n.place, n.s, n.t, n.c FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS n (s, t, c, place)), \
    base (place, type, collated) AS ( \
        SELECT n.place, a.atttypid, a.attcollation FROM named n \
        JOIN pg_namespace s ON s.nspname = n.schema_name \
        JOIN pg_class c ON c.relnamespace = s.oid AND c.relname = n.table_name \
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = n.column_name AND a.attnum > 0 AND NOT a.attisdropped \
        UNION ALL \
        SELECT b.place, t.typbasetype, b.collated FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typbasetype <> 0) \
    SELECT b.place, s.nspname = 'pg_catalog' AS builtin, t.typcategory::text AS category, \
        CASE WHEN s.nspname = 'pg_catalog' THEN t.typname::text ELSE format('%I.%I', s.nspname, t.typname) END AS name, \
        (SELECT format('%I.%I', n.nspname, o.collname) FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace \
            WHERE o.oid = b.collated) AS \"collation\" \
    FROM base b JOIN pg_type t ON t.oid = b.type JOIN pg_namespace s ON s.oid = t.typnamespace WHERE t.typbasetype = 0";

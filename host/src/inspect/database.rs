//! What the catalogs say: tables, columns, keys and enumerations. No row of a table is read here.

use sqlx::{FromRow, PgConnection};

use crate::error::HostError;
use crate::postgres::{Identifier, QualifiedName};

/// What a database consists of, as far as this user may read it.
#[derive(Clone, Debug, Default)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Tables, in the byte order of schema and name. Partitions are left out for the table that they are of.
    pub tables: Vec<Table>,
    /// Foreign keys of one column.
    pub foreign_keys: Vec<ForeignKey>,
    /// What would be foreign keys by their names, and is said by no constraint: `role_id` beside a table `roles`.
    pub likely_keys: Vec<ForeignKey>,
    /// Views, foreign tables and materialized views, which are not looked at.
    pub others: Vec<String>,
    /// Tables of which this user may read nothing.
    pub forbidden: Vec<String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Schema and name.
    pub name: QualifiedName,
    /// In the order of the table.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub primary_key: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// What it can hold.
    pub kind: ColumnKind,
    /// The type in the words of PostgreSQL.
    pub type_name: String,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The labels of its enumeration, in their order; of an array, those of its elements.
    pub labels: Vec<String>,
}

/// What a column can hold, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// `boolean`.
    Boolean,
    /// Any number.
    Number,
    /// `text`, `varchar` and the like.
    Text,
    /// An enumeration.
    Enum,
    /// A date or a time.
    Time,
    /// `uuid`.
    Uuid,
    /// An array of texts or of an enumeration.
    TextArray,
    /// `json` or `jsonb`.
    Json,
    /// Anything else.
    Other,
}

/// A foreign key of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table that refers.
    pub table: QualifiedName,
    /// Its column.
    pub column: String,
    /// The table that is referred to.
    pub to: QualifiedName,
    /// Its column.
    pub to_column: String,
}

impl Database {
    /// Reads the catalogs. What lies in `ours`, the schema of pbac's own tables, is left out.
    ///
    /// # Errors
    ///
    /// When the server refuses a query.
    pub async fn read(connection: &mut PgConnection, ours: &Identifier) -> Result<Self, HostError> {
        let name = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut *connection).await;
        let mut database = Self { name: name.map_err(HostError::failed)?, ..Self::default() };
        let columns: Vec<ColumnRow> = sqlx::query_as(COLUMNS)
            .bind(ours.as_str())
            .fetch_all(&mut *connection)
            .await
            .map_err(HostError::failed)?;
        for row in columns {
            database.add(row)?;
        }
        let keys: Vec<KeyRow> =
            sqlx::query_as(FOREIGN_KEYS).fetch_all(&mut *connection).await.map_err(HostError::failed)?;
        for key in keys {
            database.foreign_keys.push(ForeignKey {
                table: qualified(key.schema, key.table)?,
                column: key.column,
                to: qualified(key.to_schema, key.to_table)?,
                to_column: key.to_column,
            });
        }
        database.likely_keys = database.likely_keys();
        Ok(database)
    }

    /// Every foreign key, then what is likely to be one.
    pub fn keys(&self) -> impl Iterator<Item = &ForeignKey> {
        self.foreign_keys.iter().chain(&self.likely_keys)
    }

    /// The table of that name in that schema.
    #[must_use]
    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.name.schema.as_str() == schema && table.name.table.as_str() == name)
    }

    /// The table that a person named, as `schema.table`.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Table> {
        let name = QualifiedName::parse(name).ok()?;
        self.tables.iter().find(|table| table.name == name)
    }

    /// The schemas in which every one of these tables has these columns.
    #[must_use]
    pub fn schemas_with(&self, tables: &[(&str, &[&str])]) -> Vec<String> {
        let Some((first, _)) = tables.first() else { return Vec::new() };
        let candidates = self.tables.iter().filter(|table| table.name.table.as_str() == *first);
        candidates
            .map(|table| table.name.schema.as_str())
            .filter(|schema| {
                tables
                    .iter()
                    .all(|(name, columns)| self.table(schema, name).is_some_and(|table| table.has(columns)))
            })
            .map(str::to_owned)
            .collect()
    }

    /// Where the column of the table leads by a foreign key.
    #[must_use]
    pub fn leads_to(&self, table: &QualifiedName, column: &str) -> Option<&ForeignKey> {
        self.foreign_keys.iter().find(|key| key.table == *table && key.column == column)
    }

    fn likely_keys(&self) -> Vec<ForeignKey> {
        let mut found = Vec::new();
        for table in &self.tables {
            for column in &table.columns {
                let Some(stem) = column.name.strip_suffix("_id") else { continue };
                if self.leads_to(&table.name, &column.name).is_some() {
                    continue;
                }
                let names = [stem.to_owned(), format!("{stem}s")];
                let to = names.iter().find_map(|name| self.table(table.name.schema.as_str(), name));
                let Some((to, key)) = to.and_then(|to| Some((to, to.key()?))) else { continue };
                if to.name != table.name {
                    found.push(ForeignKey {
                        table: table.name.clone(),
                        column: column.name.clone(),
                        to: to.name.clone(),
                        to_column: key.to_owned(),
                    });
                }
            }
        }
        found
    }

    fn add(&mut self, row: ColumnRow) -> Result<(), HostError> {
        let name = qualified(row.schema, row.table)?;
        if row.kind != "r" && row.kind != "p" {
            if self.others.last() != Some(&name.to_string()) {
                self.others.push(name.to_string());
            }
            return Ok(());
        }
        if !row.readable {
            if self.forbidden.last() != Some(&name.to_string()) {
                self.forbidden.push(name.to_string());
            }
            return Ok(());
        }
        if self.tables.last().is_none_or(|table| table.name != name) {
            self.tables.push(Table { name, columns: Vec::new(), primary_key: row.primary_key });
        }
        let column = Column {
            kind: kind(&row.category, &row.base_type),
            name: row.column,
            type_name: row.type_name,
            nullable: row.nullable,
            labels: row.labels,
        };
        if let Some(table) = self.tables.last_mut() {
            table.columns.push(column);
        }
        Ok(())
    }
}

impl Table {
    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether it has all of these columns.
    #[must_use]
    pub fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.column(column).is_some())
    }

    /// The column that is the whole primary key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self.primary_key.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The first of these columns that it has.
    #[must_use]
    pub fn first_of<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().find(|name| self.column(name).is_some()).copied()
    }
}

fn qualified(schema: String, table: String) -> Result<QualifiedName, HostError> {
    Ok(QualifiedName::new(Identifier::new(schema)?, Identifier::new(table)?))
}

fn kind(category: &str, base_type: &str) -> ColumnKind {
    match (category, base_type) {
        ("B", _) => ColumnKind::Boolean,
        ("N", _) => ColumnKind::Number,
        ("S", _) => ColumnKind::Text,
        ("E", _) => ColumnKind::Enum,
        ("D", _) => ColumnKind::Time,
        ("AS" | "AE", _) => ColumnKind::TextArray,
        (_, "uuid") => ColumnKind::Uuid,
        (_, "json" | "jsonb") => ColumnKind::Json,
        _ => ColumnKind::Other,
    }
}

#[derive(FromRow)]
struct ColumnRow {
    schema: String,
    table: String,
    kind: String,
    readable: bool,
    column: String,
    type_name: String,
    base_type: String,
    category: String,
    nullable: bool,
    labels: Vec<String>,
    primary_key: Vec<String>,
}

#[derive(FromRow)]
struct KeyRow {
    schema: String,
    table: String,
    column: String,
    to_schema: String,
    to_table: String,
    to_column: String,
}

/// `$1` pbac's own schema. The category of an array is `A` and that of its elements.
const COLUMNS: &str = r#"
select n.nspname::text as schema, c.relname::text as "table", c.relkind::text as kind,
    has_any_column_privilege(c.oid, 'SELECT') as readable,
    a.attname::text as "column", format_type(a.atttypid, a.atttypmod) as type_name, b.typname::text as base_type,
    case when b.typcategory = 'A' then 'A' || e.typcategory::text else b.typcategory::text end as category,
    not a.attnotnull as nullable,
    array(select l.enumlabel::text from pg_enum l
          where l.enumtypid in (b.oid, b.typelem) order by l.enumtypid, l.enumsortorder) as labels,
    array(select k.attname::text from pg_constraint p
          cross join unnest(p.conkey) with ordinality x (attnum, place)
          join pg_attribute k on k.attrelid = p.conrelid and k.attnum = x.attnum
          where p.conrelid = c.oid and p.contype = 'p' order by x.place) as primary_key
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_type e on e.oid = b.typelem
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
    and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname <> $1
order by n.nspname collate "C", c.relname collate "C", a.attnum
"#;

const FOREIGN_KEYS: &str = r#"
select n.nspname::text as schema, c.relname::text as "table", a.attname::text as "column",
    m.nspname::text as to_schema, d.relname::text as to_table, b.attname::text as to_column
from pg_constraint f
join pg_class c on c.oid = f.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum = f.conkey[1]
join pg_class d on d.oid = f.confrelid
join pg_namespace m on m.oid = d.relnamespace
join pg_attribute b on b.attrelid = d.oid and b.attnum = f.confkey[1]
where f.contype = 'f' and cardinality(f.conkey) = 1
order by n.nspname collate "C", c.relname collate "C", a.attname collate "C", f.conname collate "C"
"#;

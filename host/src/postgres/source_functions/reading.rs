//! The SQL that reads what a source names: who the users are, and where each way leads from them.
//!
//! A way becomes a chain of common table expressions, each with the user's id and the value that the way has come to.
//! For one user the first is a look-up and the planner goes on by indexes; for all users each step is a join of whole
//! tables. It is the same text but for one condition, so that the two cannot mean different things.

use sqlx::PgConnection;

use super::super::identifier::{Identifier, QualifiedName};
use super::columns::{Columns, Typed};
use super::text::{Literals, name, table};
use crate::policy_file::{Activity, Condition, Form, Hop, NullActive, RoleWay, Source, SourcePath};

/// A source with what the catalogs say about it, and the SQL that is made of them.
pub(crate) struct Reading<'s> {
    pub(super) source: &'s Source,
    columns: Columns,
    pub(crate) literals: Literals,
}

/// A step of a way: the expression that others select from, and what its values are.
struct Step {
    name: String,
    typed: Typed,
    suffixed: bool,
}

/// A way as SQL: its common table expressions, and the one in which it ends with the columns `id`, `v` and, with a
/// suffix, `s`.
pub(crate) struct Chain {
    pub(crate) expressions: Vec<String>,
    last: Step,
}

impl Chain {
    /// The text in which the way ends: the value, and the suffix behind a dot.
    pub(crate) fn text(&self) -> String {
        let suffix = if self.last.suffixed { " || '.' || p.s" } else { "" };
        format!("(p.v::text{suffix}) collate \"C\"")
    }

    /// What [`Chain::text`] is selected from.
    pub(crate) fn from(&self) -> String {
        format!("{} p", self.last.name)
    }
}

impl<'s> Reading<'s> {
    /// Asks the catalogs for the columns. What is not there is not found here.
    pub(crate) async fn of(connection: &mut PgConnection, source: &'s Source) -> Result<Self, sqlx::Error> {
        let columns = Columns::read(connection, source).await?;
        Ok(Self { source, columns, literals: Literals::default() })
    }

    /// Text in which the literals stand, ready to be sent.
    pub(crate) async fn ask(&self, connection: &mut PgConnection, text: &str) -> Result<String, sqlx::Error> {
        let [text] = self.literals.render(connection, [text]).await?;
        Ok(text)
    }

    /// Whether a column of `a` has the value of a column of `b`.
    pub(crate) fn same(
        &self,
        a: (&str, &QualifiedName, &Identifier),
        b: (&str, &QualifiedName, &Identifier),
    ) -> String {
        let column =
            |(alias, _, column): (&str, &QualifiedName, &Identifier)| format!("{alias}.{}", name(column));
        let typed = |(_, table, column): (&str, &QualifiedName, &Identifier)| self.columns.of(table, column);
        typed(a).equals(&column(a), &column(b), &typed(b))
    }

    /// Whether a column of `a` has the value that is written so.
    pub(crate) fn written(
        &self,
        (alias, table, column): (&str, &QualifiedName, &Identifier),
        text: &str,
    ) -> String {
        self.columns.of(table, column).is_written(&format!("{alias}.{}", name(column)), text)
    }

    /// The user's id as text.
    pub(crate) fn id(&self) -> String {
        format!("u.{}::text", name(&self.source.user_id))
    }

    /// The users that also fulfil all of `more`: what stands behind `from`. `join` stands between table and conditions.
    pub(crate) fn users(&mut self, join: &str, more: &[&str]) -> String {
        let source = self.source;
        let mut conditions = self.condition("u", &source.only);
        conditions.extend(more.iter().map(|&condition| condition.to_owned()));
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!(" where {}", conditions.join(" and "))
        };
        format!("{} u{join}{conditions}", table(&source.table))
    }

    /// Whether `u` is the user `$1`.
    pub(crate) fn is_user(&self) -> String {
        let id = self.columns.of(&self.source.table, &self.source.user_id);
        id.is_written(&format!("u.{}", name(&self.source.user_id)), "$1")
    }

    /// Whether `u` is active: NULL where that is not known.
    pub(crate) fn active(&self) -> String {
        let Some(activity) = &self.source.activity else { return "true".to_owned() };
        let column = format!("u.{}", name(activity.column()));
        match (activity, self.source.null_active) {
            (Activity::Boolean(_), None) => column,
            (Activity::Boolean(_), Some(meaning)) => {
                format!("coalesce({column}, {})", meaning == NullActive::Active)
            }
            (Activity::InactiveIfSet(_), _) => format!("({column} is null)"),
            (Activity::InactiveUntil(_), _) => format!("coalesce({column} <= now(), true)"),
        }
    }

    /// What is stored about the activity of `u`, as text: it changes only when somebody changes it.
    pub(crate) fn stored_activity(&self) -> String {
        let Some(activity) = &self.source.activity else { return "'t'::text".to_owned() };
        let column = format!("u.{}", name(activity.column()));
        match activity {
            Activity::Boolean(_) => format!("case when {column} then 't' when not {column} then 'f' end"),
            Activity::InactiveIfSet(_) => format!("case when {column} is null then 't' else 'f' end"),
            Activity::InactiveUntil(_) => format!("coalesce(extract(epoch from {column})::text, 't')"),
        }
    }

    /// What must hold of the rows of a table.
    pub(crate) fn condition(&mut self, alias: &str, condition: &Condition) -> Vec<String> {
        let mut parts = Vec::new();
        for (column, values) in &condition.equals {
            let values: Vec<String> = values.iter().map(|value| self.literals.add(value)).collect();
            parts.push(format!("{alias}.{}::text in ({})", name(column), values.join(", ")));
        }
        parts.extend(
            condition.empty.iter().map(|column| format!("coalesce({alias}.{}::text, '') = ''", name(column))),
        );
        parts
    }

    /// The column in which every user has one label, where that is all there is to follow.
    pub(crate) fn only_column(&self) -> Option<String> {
        match self.source.roles.as_slice() {
            [RoleWay::Path(SourcePath { column: Some(column), form: Form::One, via })]
                if via.is_empty() && !self.source.distinct =>
            {
                Some(format!("u.{}::text", name(column)))
            }
            _ => None,
        }
    }

    /// A way, from the users that also fulfil `who`. `number` tells the ways of one query apart.
    pub(crate) fn chain(&mut self, number: usize, path: &SourcePath, who: &[&str]) -> Chain {
        let first = format!("way_{number}_0");
        let (select, typed) = self.start(path, who);
        let mut expressions = vec![format!("{first} as ({select})")];
        let mut last = Step { name: first, typed, suffixed: false };
        for (at, hop) in path.via.iter().enumerate() {
            let next = format!("way_{number}_{}", at.saturating_add(1));
            last = if hop.closure {
                self.closure(&next, hop, &last, &mut expressions)
            } else {
                self.hop(&next, hop, &last, &mut expressions)
            };
        }
        Chain { expressions, last }
    }

    /// The users with the values of the column where a way starts.
    fn start(&mut self, path: &SourcePath, who: &[&str]) -> (String, Typed) {
        let column = path.column.as_ref().unwrap_or(&self.source.user_id);
        let id = self.id();
        let value = format!("u.{}", name(column));
        if path.form == Form::One {
            let typed = self.columns.of(&self.source.table, column);
            return (format!("select {id} as id, {value} as v from {}", self.users("", who)), typed);
        }
        let parts = self.parts(&value, &path.form);
        let users = self.users(&format!(" cross join lateral ({parts}) e (v)"), who);
        let select = format!("select {id} as id, e.v from {users}");
        (select, Typed::bytes())
    }

    /// The entries of a column that holds several, each as text; what is no list has none.
    fn parts(&mut self, value: &str, form: &Form) -> String {
        match form {
            Form::One => format!("select {value}"),
            Form::Array => format!("select i.v::text collate \"C\" from unnest({value}) i (v)"),
            Form::Json => format!(
                "select (i.v #>> '{{}}') collate \"C\" from jsonb_array_elements({}) i (v) where jsonb_typeof(i.v) = 'string'",
                json_list(value)
            ),
            Form::List { separator } => {
                let separator = self.literals.add(separator);
                format!(
                    "select btrim(i.v, E' \\t\\r\\n') collate \"C\" from unnest(string_to_array({value}::text, {separator})) i (v) \
                     where btrim(i.v, E' \\t\\r\\n') <> ''"
                )
            }
        }
    }

    fn hop(&mut self, next: &str, hop: &Hop, last: &Step, expressions: &mut Vec<String>) -> Step {
        let on = self.arrives(hop, "p.v", &last.typed);
        let suffix = match &hop.suffix {
            Some(column) => format!(", h.{}::text as s", name(column)),
            None if last.suffixed => ", p.s".to_owned(),
            None => String::new(),
        };
        expressions.push(format!(
            "{next} as (select p.id, h.{} as v{suffix} from {} p join {} h on {on})",
            name(&hop.to),
            last.name,
            table(&hop.table)
        ));
        let typed = self.columns.of(&hop.table, &hop.to);
        Step { name: next.to_owned(), typed, suffixed: last.suffixed || hop.suffix.is_some() }
    }

    /// Each value that arrives once, with all that it leads to; then those who came with it.
    fn closure(&mut self, next: &str, hop: &Hop, last: &Step, expressions: &mut Vec<String>) -> Step {
        let on = self.arrives(hop, "c.b", &Typed::bytes());
        let suffix = if last.suffixed { ", p.s" } else { "" };
        let to = name(&hop.to);
        expressions.push(format!(
            "{next}_reached (a, b) as (\
             select d.v, d.v from (select distinct p.v::text collate \"C\" from {0} p where p.v is not null) d (v) \
             union select c.a, h.{to}::text collate \"C\" from {next}_reached c join {1} h on {on} where h.{to} is not null)",
            last.name,
            table(&hop.table)
        ));
        expressions.push(format!(
            "{next} as (select p.id, c.b as v{suffix} from {} p join {next}_reached c on c.a = p.v::text collate \"C\")",
            last.name
        ));
        Step { name: next.to_owned(), typed: Typed::bytes(), suffixed: last.suffixed }
    }

    /// Which rows `h` of a table one comes to with a value.
    fn arrives(&mut self, hop: &Hop, value: &str, of: &Typed) -> String {
        let from = self.columns.of(&hop.table, &hop.from);
        let mut parts = vec![from.equals(&format!("h.{}", name(&hop.from)), value, of)];
        parts.extend(self.condition("h", &hop.only));
        parts.join(" and ")
    }
}

/// A list out of a JSON column, an empty one where it holds anything else.
pub(crate) fn json_list(value: &str) -> String {
    format!("case when jsonb_typeof({value}::jsonb) = 'array' then {value}::jsonb else '[]'::jsonb end")
}

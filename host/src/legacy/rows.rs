//! What is wrong with the rows: values that are no roles, rows that lead nowhere, circles.

use policy_core::MAX_USER_ID_BYTES;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::circles;
use super::facts::Facts;
use super::finding::{Finding, FindingCode, MAX_FIRST};
use crate::policy_file::{Form, Hop, NullActive, RoleWay, Source, SourceKind, SourcePath, Treatment};
use crate::postgres::source_functions::{Reading, json_list, name, table};

/// How many users there are.
#[derive(FromRow)]
pub(super) struct Users {
    pub(super) all: i64,
    pub(super) active: i64,
    /// Of whom it is not known whether they are active.
    unknown: i64,
    bad_ids: i64,
}

impl Users {
    /// In one pass over the users.
    pub(super) async fn count(connection: &mut PgConnection, source: &Source) -> Result<Self, sqlx::Error> {
        let mut reading = Reading::of(connection, source).await?;
        let select = format!("{} as id, {} as active", reading.id(), reading.active());
        let users = reading.each_user(&select);
        let null_active = source.null_active == Some(NullActive::Active);
        let text = format!(
            "select count(*) as \"all\", count(*) filter (where coalesce(active, {null_active})) as active, \
             count(*) filter (where active is null) as unknown, count(*) filter (where {}) as bad_ids from {users}",
            bad("u.id")
        );
        let text = reading.ask(connection, &text).await?;
        sqlx::query_as(AssertSqlSafe(text)).fetch_one(connection).await
    }

    /// Users who cannot be told apart, or of whom it is not known whether they are active.
    pub(super) async fn findings(
        &self,
        connection: &mut PgConnection,
        source: &Source,
        facts: &Facts,
    ) -> Result<Vec<Finding>, sqlx::Error> {
        let mut found = Vec::new();
        let mut reading = Reading::of(connection, source).await?;
        let id = reading.id();
        if self.unknown > 0 && source.null_active.is_none() {
            let unknown = format!("{} is null", reading.active());
            let ids = format!("select {id} from {}", reading.users("", &[&unknown]));
            let (_, first) = first(connection, &reading, &ids).await?;
            let message = "users are neither active nor inactive; say `null_active = \"inactive\"` or `\"active\"` in the policy's [source]";
            found.push(Finding::stop(FindingCode::NullActive, message).about(self.unknown, first));
        }
        if self.bad_ids > 0 {
            let ids = format!("select {id} from {}", reading.users("", &[&bad(&id)]));
            let (_, first) = first(connection, &reading, &ids).await?;
            let message = format!(
                "user ids are null, empty or longer than {MAX_USER_ID_BYTES} bytes; name another column"
            );
            found.push(Finding::stop(FindingCode::BadUserId, message).about(self.bad_ids, first));
        }
        if !source.distinct && !facts.is_unique(&source.table, &source.user_id) {
            let ids = format!("select {id} from {} group by 1 having count(*) > 1", reading.users("", &[]));
            let (count, first) = first(connection, &reading, &ids).await?;
            let message = "user ids are there more than once; name a column that tells users apart, or say `distinct = true` where the rows of one user belong together";
            found.extend(
                (count > 0).then(|| Finding::stop(FindingCode::BadUserId, message).about(count, first)),
            );
        }
        Ok(found)
    }
}

fn bad(id: &str) -> String {
    format!("({id} is null or octet_length({id}) not between 1 and {MAX_USER_ID_BYTES})")
}

/// Values that are no roles, rows that lead nowhere, and circles.
pub(super) async fn findings(
    connection: &mut PgConnection,
    source: &Source,
    facts: &Facts,
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut found = Vec::new();
    found.extend(null_roles(connection, source).await?);
    for path in source.paths() {
        found.extend(no_list(connection, source, path).await?);
        found.extend(orphans(connection, source, path, facts).await?);
    }
    for hop in closures(source) {
        found.extend(circle(connection, source, hop).await?);
    }
    Ok(found)
}

/// Users of whom a value is NULL or empty where a role should be.
async fn null_roles(connection: &mut PgConnection, source: &Source) -> Result<Option<Finding>, sqlx::Error> {
    let mut reading = Reading::of(connection, source).await?;
    let (mut expressions, mut arms) = (Vec::new(), Vec::new());
    let permissions = source.permissions.iter().map(|way| (&way.path, false));
    let roles = source.roles.iter().filter_map(|way| match way {
        RoleWay::Path(path) => Some((path, true)),
        RoleWay::Flag { .. } => None,
    });
    for (number, (path, is_role)) in roles.chain(permissions).enumerate() {
        // A user may have no permission of its own.
        if let Some(column) = path.column.as_ref().filter(|_| is_role) {
            let without = without_value(&format!("u.{}", name(column)), &path.form);
            arms.push(format!("select {} from {}", reading.id(), reading.users("", &[&without])));
        }
        if path.via.last().is_some_and(|hop| !hop.closure) {
            let chain = reading.chain(number, path, &[]);
            let (text, from) = (chain.text(), chain.from());
            arms.push(format!("select p.id from {from} where coalesce({text}, '') = ''"));
            expressions.extend(chain.expressions);
        }
    }
    if arms.is_empty() {
        return Ok(None);
    }
    let with = if expressions.is_empty() {
        String::new()
    } else {
        format!("with recursive {} ", expressions.join(", "))
    };
    let (count, first) = first(connection, &reading, &format!("{with}{}", arms.join(" union all "))).await?;
    if count == 0 {
        return Ok(None);
    }
    let who = match source.kind {
        SourceKind::RoleColumn => "users have no role; give each one, or",
        SourceKind::RolePaths => {
            "users have NULL or an empty text where a role or permission should be; mend them, or"
        }
    };
    let finding = treated(
        source.null_role,
        FindingCode::NullRole,
        &format!("{who} say `null_role = \"none\"` in the policy's [source]"),
        "users have NULL or an empty text where a role should be, which means none",
    );
    Ok(Some(finding.about(count, first)))
}

/// SQL: a column holds no value, or one that is no value.
fn without_value(column: &str, form: &Form) -> String {
    match form {
        Form::One => format!("({column} is null or {column}::text = '')"),
        Form::List { .. } => format!("({column} is null or btrim({column}::text) = '')"),
        Form::Array => format!(
            "({column} is null or exists (select from unnest({column}) i (v) where i.v is null or i.v::text = ''))"
        ),
        Form::Json => format!(
            "({column} is null or jsonb_typeof({column}::jsonb) = 'null' \
             or exists (select from jsonb_array_elements({}) i (v) where i.v in ('null', '\"\"')))",
            json_list(column)
        ),
    }
}

/// Users of whom a JSON column holds something else than a list of strings.
async fn no_list(
    connection: &mut PgConnection,
    source: &Source,
    path: &SourcePath,
) -> Result<Option<Finding>, sqlx::Error> {
    let (Some(column), Form::Json) = (&path.column, &path.form) else { return Ok(None) };
    let mut reading = Reading::of(connection, source).await?;
    let value = format!("u.{}", name(column));
    let wrong = format!(
        "jsonb_typeof({value}::jsonb) <> 'null' and (jsonb_typeof({value}::jsonb) <> 'array' \
         or exists (select from jsonb_array_elements({}) i (v) where jsonb_typeof(i.v) not in ('string', 'null')))",
        json_list(&value)
    );
    let ids = format!("select {} from {}", reading.id(), reading.users("", &[&wrong]));
    let (count, first) = first(connection, &reading, &ids).await?;
    let message = format!(
        "users have something else than a list of strings in `{}` of `{}`; mend them",
        column.as_str(),
        source.table
    );
    Ok((count > 0).then(|| Finding::stop(FindingCode::BadValue, message).about(count, first)))
}

/// Rows of a way that lead to no user, and those that lead to nothing in the next table. That a table is to hold what
/// others lead to is seen by its unique index; a table of memberships may hold nothing for a value.
async fn orphans(
    connection: &mut PgConnection,
    source: &Source,
    path: &SourcePath,
    facts: &Facts,
) -> Result<Vec<Finding>, sqlx::Error> {
    let mut found = Vec::new();
    for (at, hop) in path.via.iter().enumerate() {
        if at == 0 && path.column.is_none() && !hop.closure {
            let mut reading = Reading::of(connection, source).await?;
            let user = reading.same(("u", &source.table, &source.user_id), ("h", &hop.table, &hop.from));
            let lost = format!("not exists (select from {} u where {user})", table(&source.table));
            let rows = rows(&mut reading, hop, &lost);
            found
                .extend(orphan(connection, source, &reading, &rows, hop, "no user in", &source.table).await?);
        }
        if hop.closure || !facts.is_unique(&hop.table, &hop.from) {
            continue;
        }
        // Those that lead here: the step before, and the one before that where a step may be none.
        for before in path.via.iter().take(at).rev() {
            let mut reading = Reading::of(connection, source).await?;
            let next = reading.same(("n", &hop.table, &hop.from), ("h", &before.table, &before.to));
            let to = format!("h.{}", name(&before.to));
            let missing = format!("not exists (select from {} n where {next})", table(&hop.table));
            let lost = if before.closure { format!("{to} is not null and {missing}") } else { missing };
            let rows = rows(&mut reading, before, &lost);
            found
                .extend(orphan(connection, source, &reading, &rows, before, "nothing in", &hop.table).await?);
            if !before.closure {
                break;
            }
        }
        let from_users = path.via.iter().take(at).all(|before| before.closure);
        if let Some(column) = path.column.as_ref().filter(|_| from_users) {
            let mut reading = Reading::of(connection, source).await?;
            let start = SourcePath { column: Some(column.clone()), form: path.form.clone(), via: Vec::new() };
            let chain = reading.chain(0, &start, &[]);
            let next = reading.written(("n", &hop.table, &hop.from), "p.v::text");
            let rows = format!(
                "with {} select p.id || ' -> ' || p.v::text from {} where p.v::text <> '' \
                 and not exists (select from {} n where {next})",
                chain.expressions.join(", "),
                chain.from(),
                table(&hop.table)
            );
            let (count, first) = first(connection, &reading, &rows).await?;
            let message = format!("users lead by `{}` to nothing in `{}`", column.as_str(), hop.table);
            found.extend((count > 0).then(|| lost(source.orphans, &message).about(count, first)));
        }
    }
    Ok(found)
}

/// The rows of a hop of which `lost` holds, as people read them.
fn rows(reading: &mut Reading<'_>, hop: &Hop, lost: &str) -> String {
    let mut conditions = reading.condition("h", &hop.only);
    conditions.push(lost.to_owned());
    format!(
        "select coalesce(h.{}::text, 'NULL') || ' -> ' || coalesce(h.{}::text, 'NULL') from {} h where {}",
        name(&hop.from),
        name(&hop.to),
        table(&hop.table),
        conditions.join(" and ")
    )
}

async fn orphan(
    connection: &mut PgConnection,
    source: &Source,
    reading: &Reading<'_>,
    rows: &str,
    hop: &Hop,
    what: &str,
    target: &crate::postgres::QualifiedName,
) -> Result<Option<Finding>, sqlx::Error> {
    let (count, first) = first(connection, reading, rows).await?;
    let message = format!("rows of `{}` lead to {what} `{target}`", hop.table);
    Ok((count > 0).then(|| lost(source.orphans, &message).about(count, first)))
}

fn lost(treatment: Treatment, message: &str) -> Finding {
    let stop = format!("{message}; delete them, or say `orphans = \"ignore\"` in the policy's [source]");
    treated(treatment, FindingCode::OrphanRow, &stop, &format!("{message} and grant nothing"))
}

/// The tables that are followed as far as they lead, none twice.
fn closures(source: &Source) -> Vec<&Hop> {
    let mut hops: Vec<&Hop> = Vec::new();
    for hop in source.paths().flat_map(|path| &path.via).filter(|hop| hop.closure) {
        if !hops.contains(&hop) {
            hops.push(hop);
        }
    }
    hops
}

async fn circle(
    connection: &mut PgConnection,
    source: &Source,
    hop: &Hop,
) -> Result<Option<Finding>, sqlx::Error> {
    let mut reading = Reading::of(connection, source).await?;
    let (from, to) = (format!("h.{}", name(&hop.from)), format!("h.{}", name(&hop.to)));
    let mut conditions = reading.condition("h", &hop.only);
    conditions.push(format!("{from} is not null and {to} is not null"));
    let text = format!(
        "select distinct {from}::text collate \"C\", {to}::text collate \"C\" from {} h where {} order by 1, 2",
        table(&hop.table),
        conditions.join(" and ")
    );
    let text = reading.ask(connection, &text).await?;
    let edges: Vec<(String, String)> = sqlx::query_as(AssertSqlSafe(text)).fetch_all(connection).await?;
    Ok(circles::find(&edges).map(|(count, circle)| {
        let message = format!("values of `{}` lead back to themselves", hop.table);
        let stop =
            format!("{message}; break the circle, or say `cycles = \"ignore\"` in the policy's [source]");
        let note = format!("{message}, and hold what each other hold");
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        treated(source.cycles, FindingCode::Cycle, &stop, &note).about(count, circle)
    }))
}

fn treated(treatment: Treatment, code: FindingCode, stop: &str, note: &str) -> Finding {
    if treatment.stops() { Finding::stop(code, stop) } else { Finding::note(code, note) }
}

/// How many different texts a query finds, and the first of them: shorter ones first, so that numbers are in order.
pub(super) async fn first(
    connection: &mut PgConnection,
    reading: &Reading<'_>,
    query: &str,
) -> Result<(i64, Vec<String>), sqlx::Error> {
    let text = format!(
        "select coalesce(f.id, 'NULL'), count(*) over () from (select distinct x.id collate \"C\" as id from ({query}) x (id)) f \
         order by length(f.id), f.id limit {MAX_FIRST}"
    );
    let text = reading.ask(connection, &text).await?;
    let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(text)).fetch_all(connection).await?;
    let count = rows.first().map_or(0, |(_, count)| *count);
    Ok((count, rows.into_iter().map(|(id, _)| id).collect()))
}

//! Dropping our tables and functions one by one, each before what it depends on, and never with `CASCADE`.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, PgConnection};

use super::owned::Owned;
use super::undo_error::UndoError;

/// Drops everything of ours in the schema, in the transaction of the connection.
///
/// # Errors
///
/// When the server refuses, as it does while anything of others depends on ours.
pub(super) async fn drop_objects(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<String>, UndoError> {
    let order = drop_order(connection, owned).await?;
    for object in &order {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP {object} RESTRICT"))).execute(&mut *connection).await?;
    }
    Ok(order)
}

/// The objects as `DROP` names them, dependents first: tables in the order of their foreign keys, functions before the
/// tables they read and after those whose checks call them.
///
/// # Errors
///
/// When the server refuses the query, or two objects depend on each other.
pub(super) async fn drop_order(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<String>, UndoError> {
    let dependencies: Vec<(String, String)> = sqlx::query_as(DEPENDENCIES)
        .bind(owned.table_oids())
        .bind(owned.function_oids())
        .fetch_all(connection)
        .await?;
    let tables = owned.tables.iter().map(|table| {
        (format!("t{}", table.oid.0), format!("TABLE {}.{}", owned.schema.quoted(), table.name))
    });
    let functions = owned.functions.iter().map(|function| {
        (format!("f{}", function.oid.0), format!("FUNCTION {}", function.quoted(&owned.schema)))
    });
    let mut left: Vec<(String, String)> = tables.chain(functions).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<String> = left.iter().map(|(key, _)| key.clone()).collect();
        let needed: BTreeSet<&String> = dependencies
            .iter()
            .filter(|(dependent, _)| waiting.contains(dependent))
            .map(|(_, on)| on)
            .collect();
        let (stay, go): (Vec<_>, Vec<_>) = left.into_iter().partition(|(key, _)| needed.contains(key));
        if go.is_empty() {
            let names = stay.into_iter().map(|(_, name)| name).collect();
            return Err(UndoError::Circle { objects: names });
        }
        order.extend(go.into_iter().map(|(_, name)| name));
        left = stay;
    }
    Ok(order)
}

/// Pairs of our objects of which the first depends on the second, through whatever part of either.
const DEPENDENCIES: &str = "WITH part (classid, objid, whole) AS ( \
        SELECT 'pg_class'::regclass::oid, oid, 't' || oid FROM pg_class WHERE oid = ANY ($1) \
        UNION ALL SELECT 'pg_proc'::regclass, oid, 'f' || oid FROM pg_proc WHERE oid = ANY ($2) \
        UNION ALL SELECT 'pg_constraint'::regclass, oid, 't' || conrelid FROM pg_constraint WHERE conrelid = ANY ($1) \
        UNION ALL SELECT 'pg_attrdef'::regclass, oid, 't' || adrelid FROM pg_attrdef WHERE adrelid = ANY ($1) \
        UNION ALL SELECT 'pg_class'::regclass, indexrelid, 't' || indrelid FROM pg_index WHERE indrelid = ANY ($1) \
        UNION ALL SELECT 'pg_type'::regclass, oid, 't' || typrelid FROM pg_type WHERE typrelid = ANY ($1)) \
    SELECT DISTINCT a.whole, b.whole FROM pg_depend d \
    JOIN part a ON a.classid = d.classid AND a.objid = d.objid \
    JOIN part b ON b.classid = d.refclassid AND b.objid = d.refobjid \
    WHERE a.whole <> b.whole";

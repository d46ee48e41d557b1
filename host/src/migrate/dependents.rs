//! Objects of others that depend on ours: views, foreign keys, row-level security policies, functions, triggers, defaults.
//!
//! Each of them would be broken, or quietly go on working on tables that were put aside, so each is named and stops the
//! way back. What PostgreSQL does not record (names inside the text of a function) can only be pointed at.

use sqlx::PgConnection;

use super::owned::Owned;
use crate::postgres::Identifier;

/// Everything of others that depends on our tables and functions, as people name it, in byte order.
///
/// # Errors
///
/// When the server refuses the query.
pub async fn read(connection: &mut PgConnection, owned: &Owned) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(DEPENDENTS)
        .bind(owned.table_oids())
        .bind(owned.function_oids())
        .fetch_all(connection)
        .await
}

/// Functions outside of our schema whose text names it: they may call ours, and PostgreSQL does not know.
///
/// # Errors
///
/// When the server refuses the query.
pub async fn read_mentions(
    connection: &mut PgConnection,
    schema: &Identifier,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT DISTINCT i.type || ' ' || i.identity FROM pg_proc p, \
         pg_identify_object('pg_proc'::regclass, p.oid, 0) i \
         WHERE p.pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname = $1 \
             OR starts_with(nspname::text, $1 || '_parked_') OR nspname IN ('pg_catalog', 'information_schema')) \
         AND (position(quote_ident($1) || '.' IN p.prosrc) > 0) \
         ORDER BY 1",
    )
    .bind(schema.as_str())
    .fetch_all(connection)
    .await
}

/// `ours` holds the tables and functions with everything that is only a part of them; whatever depends on one of those
/// and is none of them belongs to somebody else. A rule of a view is named as the view.
const DEPENDENTS: &str = "WITH ours (classid, objid) AS ( \
        SELECT 'pg_class'::regclass::oid, oid FROM pg_class WHERE oid = ANY ($1) \
        UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = ANY ($1) \
        UNION SELECT 'pg_class'::regclass, reltoastrelid FROM pg_class WHERE oid = ANY ($1) AND reltoastrelid <> 0 \
        UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index JOIN pg_class c ON c.reltoastrelid = indrelid \
            WHERE c.oid = ANY ($1) \
        UNION SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typrelid = ANY ($1) \
        UNION SELECT 'pg_type'::regclass, typarray FROM pg_type WHERE typrelid = ANY ($1) \
        UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = ANY ($1) \
        UNION SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = ANY ($1) \
        UNION SELECT 'pg_trigger'::regclass, oid FROM pg_trigger \
            WHERE tgisinternal AND (tgrelid = ANY ($1) OR tgconstrrelid = ANY ($1)) \
        UNION SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE oid = ANY ($2)), \
    found AS ( \
        SELECT DISTINCT d.classid, d.objid, d.objsubid FROM pg_depend d JOIN ours o \
            ON o.classid = d.refclassid AND o.objid = d.refobjid \
        WHERE NOT EXISTS (SELECT FROM ours x WHERE x.classid = d.classid AND x.objid = d.objid)) \
    SELECT DISTINCT (i.type || ' ' || i.identity) COLLATE \"C\" AS name FROM found f \
    LEFT JOIN pg_rewrite r ON f.classid = 'pg_rewrite'::regclass AND r.oid = f.objid AND r.rulename = '_RETURN', \
    LATERAL pg_identify_object( \
        CASE WHEN r.oid IS NULL THEN f.classid ELSE 'pg_class'::regclass END, \
        CASE WHEN r.oid IS NULL THEN f.objid ELSE r.ev_class END, \
        CASE WHEN r.oid IS NULL THEN f.objsubid ELSE 0 END) i \
    ORDER BY name";

//! All of a database as lines of text, to be compared: what pg_dump would write, in a tenth of its time, and without
//! what differs between two runs of the same.

use sqlx::{AssertSqlSafe, PgConnection};

/// Every definition and every row, but for the audit log's, for the schema that holds it (which the attempt creates), and
/// for the time in the ledger.
///
/// # Panics
///
/// When the server refuses.
pub async fn picture(connection: &mut PgConnection, schema: &str) -> Vec<String> {
    let mut all = vec!["SET search_path = pg_catalog".to_owned()];
    sqlx::raw_sql(AssertSqlSafe(all.remove(0))).execute(&mut *connection).await.expect("a setting");
    for sql in DEFINITIONS {
        all.extend(lines(connection, sql).await);
    }
    let tables = lines(
        connection,
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
    )
    .await;
    for table in tables {
        let sql = format!(
            "SELECT 'row {} ' || (to_jsonb(t) - 'applied_at')::text FROM {table} t",
            table.replace('\'', "''")
        );
        all.extend(lines(connection, &sql).await);
    }
    let of_the_log = |line: &String| {
        let name = line.split(' ').nth(1).unwrap_or_default();
        name.contains(".audit_") || line.starts_with(&format!("schema {schema} "))
    };
    all.retain(|line| !of_the_log(line));
    all.sort();
    all
}

async fn lines(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Each line begins with the kind and the qualified name; no number of an object is in any.
const DEFINITIONS: [&str; 8] = [
    "SELECT concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl, obj_description(oid, 'pg_namespace')) \
     FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
    "SELECT concat_ws(' ', 'relation', c.oid::regclass, relkind, relpersistence, relowner::regrole, relacl, reloptions, \
     relrowsecurity, relforcerowsecurity, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, \
     CASE WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END, obj_description(c.oid, 'pg_class')) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
     WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
    "SELECT concat_ws(' ', 'column', a.attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, \
     attcollation::regcollation, attidentity, attgenerated, attacl, pg_get_expr(adbin, adrelid), \
     col_description(a.attrelid, attnum)) \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = relnamespace \
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE attnum > 0 AND NOT attisdropped AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    "SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(c.oid), convalidated) \
     FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace \
     WHERE conrelid <> 0 AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    "SELECT concat_ws(' ', 'function', p.oid::regprocedure, proowner::regrole, proacl, pg_get_functiondef(p.oid), \
     obj_description(p.oid, 'pg_proc')) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace \
     WHERE prokind IN ('f', 'p', 'w') AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    "SELECT concat_ws(' ', 'trigger', tgrelid::regclass, pg_get_triggerdef(t.oid), tgenabled) FROM pg_trigger t \
     JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace \
     WHERE NOT tgisinternal AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    "SELECT concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid), \
     pg_get_expr(polwithcheck, polrelid)) FROM pg_policy",
    "SELECT concat_ws(' ', 'type', t.oid::regtype, typtype, typowner::regrole, typacl, \
     (SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)) \
     FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace \
     WHERE typrelid = 0 AND typelem = 0 AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
];

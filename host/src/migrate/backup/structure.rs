//! What our tables and functions look like, as statements without the name of their schema: run with another schema first
//! on the search path they make the same there. That is what lets a backup be tried out beside the original.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use sqlx::postgres::types::Oid;

use crate::migrate::owned::Owned;
use crate::postgres::Identifier;

/// The statements before the rows, and those after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Structure {
    /// The tables, without constraints.
    pub(super) before: String,
    /// Functions, constraints, indexes, comments, owners, rights.
    pub(super) after: String,
}

impl Structure {
    /// Reads it. The schema has to be the first of the search path, so that names in it are shown bare; `home` is the
    /// schema that the functions' own search paths name (parked functions still name the one they came from).
    pub(super) async fn read(
        connection: &mut PgConnection,
        owned: &Owned,
        home: &Identifier,
    ) -> Result<Self, sqlx::Error> {
        let before = statements(connection, owned, TABLES).await?;
        let mut after = functions(connection, owned, home).await?;
        for query in [CONSTRAINTS, INDEXES, COMMENTS, OWNERS] {
            after.extend(statements(connection, owned, query).await?);
        }
        if !owned.is_empty() {
            after.push(clear_rights(owned));
        }
        after.extend(statements(connection, owned, RIGHTS).await?);
        Ok(Self { before: join(&before), after: join(&after) })
    }
}

/// What belongs to our tables and no statement above would make again.
pub(in crate::migrate) async fn not_representable(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<String>, sqlx::Error> {
    statements(connection, owned, NOT_REPRESENTABLE).await
}

async fn statements(
    connection: &mut PgConnection,
    owned: &Owned,
    query: &'static str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(query).bind(owned.table_oids()).bind(owned.function_oids()).fetch_all(connection).await
}

fn join(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement}\n")).collect()
}

/// The functions, each after those it calls.
async fn functions(
    connection: &mut PgConnection,
    owned: &Owned,
    home: &Identifier,
) -> Result<Vec<String>, sqlx::Error> {
    let rows: Vec<(Oid, String, String)> = sqlx::query_as(
        "SELECT p.oid, pg_get_functiondef(p.oid), \
         'CREATE OR REPLACE FUNCTION ' || quote_ident(n.nspname) || '.' || quote_ident(p.proname) \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = ANY ($1) \
         ORDER BY (p.proname || '(' || oidvectortypes(p.proargtypes)) COLLATE \"C\"",
    )
    .bind(owned.function_oids())
    .fetch_all(&mut *connection)
    .await?;
    let calls: Vec<(Oid, Oid)> = sqlx::query_as(
        "SELECT DISTINCT objid, refobjid FROM pg_depend WHERE classid = 'pg_proc'::regclass \
         AND refclassid = 'pg_proc'::regclass AND objid = ANY ($1) AND refobjid = ANY ($1) AND objid <> refobjid",
    )
    .bind(owned.function_oids())
    .fetch_all(&mut *connection)
    .await?;
    let mut needs: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for (caller, called) in calls {
        needs.entry(caller.0).or_default().insert(called.0);
    }
    let mut written = BTreeSet::new();
    let mut left = rows;
    let mut definitions = Vec::new();
    while !left.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(oid, _, _)| needs.get(&oid.0).is_none_or(|needed| needed.is_subset(&written)));
        if ready.is_empty() {
            // Functions that call each other cannot be made one by one; the server refuses them when they are tried out.
            definitions.extend(waiting.iter().map(|(_, text, start)| relative(text, start, home)));
            break;
        }
        for (oid, text, start) in &ready {
            written.insert(oid.0);
            definitions.push(relative(text, start, home));
        }
        left = waiting;
    }
    Ok(definitions)
}

/// The definition without its schema, and with the search path of whoever runs it where it names `home`.
fn relative(definition: &str, start: &str, home: &Identifier) -> String {
    let name = start.rsplit_once('.').map_or(start, |(_, name)| name);
    let text = match definition.strip_prefix(start) {
        Some(rest) => format!("CREATE FUNCTION {name}{rest}"),
        None => definition.to_owned(),
    };
    let path = format!("\n SET search_path TO {}, 'pg_temp'\n", literal(home.as_str()));
    let text = text.replacen(&path, "\n SET search_path FROM CURRENT\n", 1);
    format!("{};", text.trim_end())
}

/// A string as `pg_get_functiondef` writes it.
fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\'', "''").replace('\\', "\\\\"))
}

/// Takes back the rights that default privileges of the database or the role may have given to what was just made.
fn clear_rights(owned: &Owned) -> String {
    let names = |list: Vec<String>| match list.is_empty() {
        true => "NULL".to_owned(),
        false => list.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "),
    };
    let tables = names(owned.table_names().into_iter().map(str::to_owned).collect());
    let functions = names(
        owned.functions.iter().map(|function| format!("{}({})", function.name, function.arguments)).collect(),
    );
    CLEAR_RIGHTS.replace("{tables}", &tables).replace("{functions}", &functions)
}

const CLEAR_RIGHTS: &str = "DO $pbac$
DECLARE statement text;
BEGIN
    FOR statement IN
        SELECT format('REVOKE ALL ON TABLE %s FROM %s', c.oid::regclass,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
        FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
        WHERE c.oid = ANY (ARRAY[{tables}]::regclass[])
        UNION SELECT format('REVOKE ALL ON FUNCTION %s FROM %s', p.oid::regprocedure,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
        FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.oid = ANY (ARRAY[{functions}]::regprocedure[])
    LOOP
        EXECUTE statement;
    END LOOP;
END
$pbac$;";

const TABLES: &str = "SELECT format(E'CREATE %sTABLE %I (%s\\n)%s;', \
        CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, c.relname, \
        (SELECT string_agg(format(E'\\n    %I %s', a.attname, format_type(a.atttypid, a.atttypmod)) \
            || coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_collation l \
                JOIN pg_namespace n ON n.oid = l.collnamespace \
                WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), '') \
            || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') \
            || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, ',' ORDER BY a.attnum) \
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
        coalesce(' WITH (' || array_to_string(c.reloptions, ', ') || ')', '')) \
    FROM pg_class c WHERE c.oid = ANY ($1) AND $2::oid[] IS NOT NULL ORDER BY c.relname::text COLLATE \"C\"";

/// Keys before what may refer to them. Not-null constraints, which PostgreSQL 18 keeps here too, are in the tables.
const CONSTRAINTS: &str = "SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s;', c.relname, k.conname, \
        pg_get_constraintdef(k.oid)) \
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
    WHERE k.conrelid = ANY ($1) AND k.contype IN ('p', 'u', 'x', 'c', 'f') AND $2::oid[] IS NOT NULL \
    ORDER BY position(k.contype::text IN 'puxcf'), c.relname::text COLLATE \"C\", k.conname::text COLLATE \"C\"";

const INDEXES: &str = "SELECT pg_get_indexdef(i.indexrelid, 0, true) || ';' \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
    WHERE i.indrelid = ANY ($1) AND $2::oid[] IS NOT NULL \
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) \
    ORDER BY c.relname::text COLLATE \"C\"";

const COMMENTS: &str = "SELECT format('COMMENT ON %s IS %L;', o.what, d.description) FROM ( \
        SELECT 'pg_class'::regclass::oid AS classoid, c.oid AS objoid, 0 AS objsubid, format('TABLE %I', c.relname) AS what \
            FROM pg_class c WHERE c.oid = ANY ($1) \
        UNION ALL SELECT 'pg_class'::regclass, c.oid, a.attnum, format('COLUMN %I.%I', c.relname, a.attname) \
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = ANY ($1) AND a.attnum > 0 \
        UNION ALL SELECT 'pg_class'::regclass, x.oid, 0, format('INDEX %I', x.relname) \
            FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = ANY ($1) \
        UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 0, format('CONSTRAINT %I ON %I', k.conname, c.relname) \
            FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.oid = ANY ($1) \
        UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, \
            format('FUNCTION %I(%s)', p.proname, oidvectortypes(p.proargtypes)) \
            FROM pg_proc p WHERE p.oid = ANY ($2)) o \
    JOIN pg_description d ON d.classoid = o.classoid AND d.objoid = o.objoid AND d.objsubid = o.objsubid \
    ORDER BY o.what COLLATE \"C\"";

const OWNERS: &str = "SELECT statement FROM ( \
        SELECT format('ALTER TABLE %I OWNER TO %I;', c.relname, pg_get_userbyid(c.relowner)) AS statement \
            FROM pg_class c WHERE c.oid = ANY ($1) \
        UNION ALL SELECT format('ALTER FUNCTION %I(%s) OWNER TO %I;', p.proname, oidvectortypes(p.proargtypes), \
            pg_get_userbyid(p.proowner)) FROM pg_proc p WHERE p.oid = ANY ($2)) s ORDER BY statement COLLATE \"C\"";

/// Who granted a right is not kept; that somebody may pass it on is.
const RIGHTS: &str = "SELECT statement FROM ( \
        SELECT format('GRANT %s ON %s TO %s%s;', \
            string_agg(g.privilege || g.columns, ', ' ORDER BY g.privilege COLLATE \"C\"), g.what, \
            CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END, \
            CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement \
        FROM ( \
            SELECT DISTINCT format('TABLE %I', c.relname) AS what, '' AS columns, a.privilege_type AS privilege, \
                a.grantee, a.is_grantable \
            FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE c.oid = ANY ($1) \
            UNION ALL SELECT DISTINCT format('TABLE %I', c.relname), format(' (%I)', t.attname), a.privilege_type, \
                a.grantee, a.is_grantable \
            FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a WHERE c.oid = ANY ($1) \
            UNION ALL SELECT DISTINCT format('FUNCTION %I(%s)', p.proname, oidvectortypes(p.proargtypes)), '', \
                a.privilege_type, a.grantee, a.is_grantable \
            FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.oid = ANY ($2)) g \
        GROUP BY g.what, g.columns, g.grantee, g.is_grantable) s ORDER BY statement COLLATE \"C\"";

const NOT_REPRESENTABLE: &str = "SELECT what COLLATE \"C\" AS what FROM ( \
        SELECT format('the identity or generated column `%s` of `%s`', a.attname, c.relname) AS what \
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
            WHERE c.oid = ANY ($1) AND a.attnum > 0 AND (a.attidentity <> '' OR a.attgenerated <> '') \
        UNION ALL SELECT format('the row-level security of `%s`', c.relname) FROM pg_class c \
            WHERE c.oid = ANY ($1) AND (c.relrowsecurity OR c.relforcerowsecurity) \
        UNION ALL SELECT format('the replica identity of `%s`', c.relname) FROM pg_class c \
            WHERE c.oid = ANY ($1) AND c.relreplident <> 'd' \
        UNION ALL SELECT format('the inheritance of `%s`', c.relname) FROM pg_class c \
            WHERE c.oid = ANY ($1) AND EXISTS (SELECT FROM pg_inherits h WHERE c.oid IN (h.inhrelid, h.inhparent)) \
        UNION ALL SELECT format('the sequence behind a column of `%s`', c.relname) FROM pg_class c \
            WHERE c.oid = ANY ($1) AND EXISTS (SELECT FROM pg_depend d JOIN pg_class s ON s.oid = d.objid \
                WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass \
                AND d.refobjid = c.oid AND s.relkind = 'S') \
        ) s WHERE $2::oid[] IS NOT NULL ORDER BY 1";

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn a_definition_loses_its_schema_and_nothing_else() {
        let home = Identifier::new("it's").unwrap();
        let text = "CREATE OR REPLACE FUNCTION \"it's\".f(a text)\n RETURNS text\n LANGUAGE plpgsql\n \
                    SET search_path TO 'it''s', 'pg_temp'\nAS $function$\n SET search_path TO 'it''s', 'pg_temp'\n$function$\n";
        assert_eq!(
            relative(text, "CREATE OR REPLACE FUNCTION \"it's\".f", &home),
            "CREATE FUNCTION f(a text)\n RETURNS text\n LANGUAGE plpgsql\n SET search_path FROM CURRENT\nAS $function$\n \
             SET search_path TO 'it''s', 'pg_temp'\n$function$;"
        );
    }

    #[test]
    fn strings_are_written_as_the_server_writes_them() {
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
    }
}

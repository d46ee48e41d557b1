//! The tables of pbac and their columns, as `migrations/` creates them.

use sqlx::PgConnection;

use super::fault::Fault;
use super::state::{AUDIT_TABLE, LEDGER_TABLE};
use super::validate::{Check, Checked};
use crate::postgres::Identifier;

/// Whether each table is there, with these columns and no others.
///
/// # Errors
///
/// When the server refuses the query.
pub(super) async fn check(connection: &mut PgConnection, schema: &Identifier) -> Result<Checked, Fault> {
    let found: Vec<(String, String, String, bool)> = sqlx::query_as(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname = ANY ($2) AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY c.relname, a.attnum",
    )
    .bind(schema.as_str())
    .bind(EXPECTED.map(|(table, _)| table).as_slice())
    .fetch_all(connection)
    .await?;
    let mut wrong = Vec::new();
    let mut columns: usize = 0;
    for (table, expected) in EXPECTED {
        let there: Vec<_> = found.iter().filter(|(name, ..)| name == table).collect();
        if there.is_empty() {
            wrong.push(format!("the table `{table}` is not there"));
            continue;
        }
        for &(column, kind, not_null) in expected {
            columns = columns.saturating_add(1);
            match there.iter().find(|(_, name, ..)| name == column) {
                None => wrong.push(format!("`{table}` has no column `{column}`")),
                Some((_, _, is, _)) if is != kind => {
                    wrong.push(format!("`{table}.{column}` is `{is}`, not `{kind}`"));
                }
                Some((_, _, _, is)) if *is != not_null => {
                    let may = if not_null { "may be null and must not" } else { "must not be null and may" };
                    wrong.push(format!("`{table}.{column}` {may}"));
                }
                Some(_) => {}
            }
        }
        let more = there.iter().filter(|(_, name, ..)| !expected.iter().any(|(column, ..)| column == name));
        wrong.extend(more.map(|(_, name, ..)| format!("`{table}` has a column `{name}` that is not pbac's")));
    }
    Ok(Checked::new(Check::Tables, format!("{columns} columns of {} tables", EXPECTED.len()), wrong))
}

/// Name, type, and whether it is never null.
type Column = (&'static str, &'static str, bool);

const TEXT: &str = "text";
const BIGINT: &str = "bigint";
const BYTES: &str = "bytea";
const JSON: &str = "jsonb";
const TIME: &str = "timestamp with time zone";

const EXPECTED: [(&str, &[Column]); 9] = [
    (
        AUDIT_TABLE,
        &[
            ("seq", BIGINT, true),
            ("at", TIME, true),
            ("actor", TEXT, true),
            ("action", TEXT, true),
            ("subject", TEXT, true),
            ("outcome", TEXT, true),
            ("details", JSON, true),
            ("previous_hash", BYTES, true),
            ("hash", BYTES, true),
        ],
    ),
    (
        LEDGER_TABLE,
        &[
            ("id", BIGINT, true),
            ("kind", TEXT, true),
            ("applied_at", TIME, true),
            ("applied_by", TEXT, true),
            ("tool_version", TEXT, true),
            ("version", BIGINT, false),
            ("description", TEXT, false),
            ("checksum", BYTES, false),
            ("policy_name", TEXT, false),
            ("policy_hash", BYTES, false),
            ("text_hash", BYTES, false),
            ("source", JSON, false),
            ("counts", JSON, false),
            ("legacy_rows", BIGINT, false),
            ("legacy_hash", BYTES, false),
        ],
    ),
    ("permissions", &[("name", TEXT, true), ("module", TEXT, true), ("description", TEXT, true)]),
    ("roles", &[("name", TEXT, true), ("description", TEXT, true)]),
    ("role_permissions", &[("role", TEXT, true), ("pattern", TEXT, true)]),
    ("role_inherits", &[("role", TEXT, true), ("inherits", TEXT, true)]),
    ("role_aliases", &[("alias", TEXT, true), ("role", TEXT, true)]),
    (
        "conflicts",
        &[
            ("name", TEXT, true),
            ("left_pattern", TEXT, true),
            ("right_pattern", TEXT, true),
            ("reason", TEXT, true),
        ],
    ),
    (
        "user_custom_permissions",
        &[
            ("user_id", TEXT, true),
            ("pattern", TEXT, true),
            ("effect", TEXT, true),
            ("expires_at", TIME, false),
            ("reason", TEXT, true),
            ("granted_by", TEXT, true),
            ("granted_at", TIME, true),
        ],
    ),
];

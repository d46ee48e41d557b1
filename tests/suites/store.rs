//! What the database side promises, held against a real server: files, ledger, audit chain, the stored policy, and the
//! functions over the legacy roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use pbac::error::HostError;
use pbac::exit::Exit;
use pbac::policy_file::{Activity, NullActive, PolicyFile, Source};
use pbac::postgres::audit::{self, Entry, FaultKind, Head, Outcome};
use pbac::postgres::ledger::{PolicyRun, record_policy, source_from_json};
use pbac::postgres::policy_store::{self, GrantOutcome, StoreError};
use pbac::postgres::schema::{self, SchemaError};
use pbac::postgres::source_functions::{self, legacy_state};
use pbac::postgres::{Identifier, QualifiedName};
use pbac_tests::database::TestDatabase;
use policy_core::{
    Conflict, ContentHash, Effect, Index, Label, Override, Pattern, Permission, PermissionName, Policy,
    PolicyParts, Request, Role, RoleName, Roles, Timestamp, UserId,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A name that has to be quoted everywhere.
const SCHEMA: &str = "p b\"ac; --";

fn name() -> Identifier {
    Identifier::new(SCHEMA).unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.replace("SCHEMA", &name().quoted()))).execute(connection).await.map(drop)
}

async fn one<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let sql = sql.replace("SCHEMA", &name().quoted());
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

/// A database with all files applied, and a connection to it.
async fn migrated() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create().await;
    let mut connection = database.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    assert!(schema::ensure_audit_log(&mut transaction, &name(), "tester").await.unwrap());
    transaction.commit().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let applied = schema::apply(&mut transaction, &name(), "tester").await.unwrap();
    assert_eq!(applied, schema::files().collect::<Vec<_>>());
    transaction.commit().await.unwrap();
    (database, connection)
}

fn role(name: &str, grants: &[&str], inherits: &[&str], aliases: &[&str]) -> Role {
    let names = |list: &[&str]| list.iter().map(|name| RoleName::parse(name).unwrap()).collect();
    Role {
        description: format!("{name}'s description"),
        grants: grants.iter().map(|pattern| Pattern::parse(pattern).unwrap()).collect(),
        inherits: names(inherits),
        aliases: names(aliases),
        ..Role::named(RoleName::parse(name).unwrap())
    }
}

fn permission(name: &str, module: &str) -> Permission {
    Permission {
        name: PermissionName::parse(name).unwrap(),
        module: Label::parse(module).unwrap(),
        description: format!("allows {name}"),
    }
}

fn conflict(name: &str, left: &str, right: &str) -> Conflict {
    Conflict {
        name: Label::parse(name).unwrap(),
        left: Pattern::parse(left).unwrap(),
        right: Pattern::parse(right).unwrap(),
        reason: "two pairs of eyes".to_owned(),
    }
}

fn parts() -> PolicyParts {
    PolicyParts {
        permissions: vec![
            permission("po.view", "buying"),
            permission("po.approve", "buying"),
            permission("stock.view", "'; drop table roles; --"),
        ],
        roles: vec![
            role("Head", &["po.approve"], &["Buyer"], &["HEAD", "head"]),
            role("Buyer", &["po.view"], &[], &["BUYER"]),
            role("'); drop schema public; --", &["*"], &[], &[]),
        ],
        conflicts: vec![conflict("four eyes", "po.view", "po.approve")],
        ..PolicyParts::default()
    }
}

fn given(user: &str, effect: Effect, pattern: &str, expires_at: Option<i64>, reason: &str) -> Override {
    Override {
        user: UserId::parse(user).unwrap(),
        effect,
        pattern: Pattern::parse(pattern).unwrap(),
        expires_at: expires_at.map(Timestamp::from_micros),
        reason: reason.to_owned(),
    }
}

fn column(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn source(table: &str) -> Source {
    Source {
        activity: Some(Activity::Boolean(column("is_active"))),
        null_active: Some(NullActive::Inactive),
        ..Source::role_column(QualifiedName::parse(table).unwrap(), column("id"), column("role"))
    }
}

mod files {
    use super::*;

    #[tokio::test]
    async fn are_applied_once_and_recorded() {
        let (_database, mut connection) = migrated().await;
        let mut transaction = connection.begin().await.unwrap();
        assert!(!schema::ensure_audit_log(&mut transaction, &name(), "tester").await.unwrap());
        assert!(schema::apply(&mut transaction, &name(), "tester").await.unwrap().is_empty());
        let recorded = schema::check(&mut transaction, &name()).await.unwrap();
        let versions: Vec<i64> = recorded.iter().map(|row| row.version).collect();
        assert_eq!(versions, schema::files().map(|file| file.version).collect::<Vec<_>>());
        transaction.commit().await.unwrap();
        // Nothing of it lies outside the schema.
        let elsewhere: i64 =
            one(&mut connection, "select count(*) from pg_class where relnamespace = 'public'::regnamespace")
                .await;
        assert_eq!(elsewhere, 0);
    }

    #[tokio::test]
    async fn a_changed_file_is_an_error_with_both_checksums() {
        let (_database, mut connection) = migrated().await;
        run(
            &mut connection,
            "update SCHEMA.pbac_migrations set checksum = decode(repeat('ab', 48), 'hex') where version = 3",
        )
        .await
        .unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let error = schema::apply(&mut transaction, &name(), "tester").await.unwrap_err();
        let file = schema::files().nth(2).unwrap();
        let current: String = file.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            error.to_string(),
            format!(
                "`0003_policy_tables.sql` was changed after it was applied: the database has checksum {}, this pbac has {current}",
                "ab".repeat(48)
            )
        );
    }

    #[tokio::test]
    async fn a_database_that_is_ahead_is_an_error() {
        let (_database, mut connection) = migrated().await;
        run(&mut connection, "update SCHEMA.pbac_migrations set version = 9, description = 'from the future' where version = 3").await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let error = schema::check(&mut transaction, &name()).await.unwrap_err();
        assert!(
            matches!(&error, SchemaError::Newer { file, .. } if file == "0009_from_the_future.sql"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_audit_log_of_somebody_else_is_not_touched() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        run(&mut connection, "create schema SCHEMA; create table SCHEMA.audit_log (id int)").await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let error = schema::ensure_audit_log(&mut transaction, &name(), "tester").await.unwrap_err();
        assert!(matches!(error, SchemaError::ForeignTable { table: "audit_log" }), "{error}");
    }

    #[tokio::test]
    async fn nothing_runs_outside_a_transaction() {
        let (_database, mut connection) = migrated().await;
        let error =
            policy_store::write(&mut connection, &name(), &Policy::new(parts()).unwrap()).await.unwrap_err();
        assert!(matches!(error, StoreError::Schema(SchemaError::NoTransaction)), "{error}");
    }

    #[tokio::test]
    async fn a_failed_migration_leaves_the_log_alone() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        let mut transaction = connection.begin().await.unwrap();
        schema::ensure_audit_log(&mut transaction, &name(), "tester").await.unwrap();
        transaction.commit().await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        schema::apply(&mut transaction, &name(), "tester").await.unwrap();
        transaction.rollback().await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar("select relname::text from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1) and relkind = 'r'")
            .bind(SCHEMA)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(tables, ["audit_log"]);
        let mut transaction = connection.begin().await.unwrap();
        assert_eq!(
            schema::apply(&mut transaction, &name(), "tester").await.unwrap().len(),
            schema::files().count()
        );
    }
}

mod audit_chain {
    use super::*;

    fn entry(subject: &str) -> Entry<'_> {
        let details = json!({ "b": [1, 2.50, null], "a\0": "é\0", "nested": { "zz": 1, "y": "x" } });
        Entry { actor: "tester", action: "test.append", subject, outcome: Outcome::Succeeded, details }
    }

    async fn filled(rows: usize) -> (TestDatabase, PgConnection, Head) {
        let (database, mut connection) = migrated().await;
        let mut head = None;
        for number in 0..rows {
            head = Some(
                audit::append(&mut connection, &name(), &entry(&format!("row {number}"))).await.unwrap(),
            );
        }
        (database, connection, head.unwrap())
    }

    /// Changes the table as its owner can, with the triggers off.
    async fn tamper(connection: &mut PgConnection, sql: &str) {
        run(connection, &format!("alter table SCHEMA.audit_log disable trigger all; {sql}; alter table SCHEMA.audit_log enable always trigger audit_chain; alter table SCHEMA.audit_log enable always trigger audit_refuse")).await.unwrap();
    }

    #[tokio::test]
    async fn verifies_and_lists() {
        let (_database, mut connection, head) = filled(5).await;
        // The log's own creation is the first row.
        assert_eq!(head.seq, 6);
        let found = audit::verify(&mut connection, &name(), Some(head)).await.unwrap();
        assert_eq!((found.rows, found.head, found.fault), (6, Some(head), None));
        assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
        for text in [
            "",
            "1",
            "1:",
            "0:".to_owned().as_str(),
            &format!("-1:{}", "0".repeat(64)),
            &format!("1:{}", "é".repeat(32)),
        ] {
            assert!(text.parse::<Head>().is_err(), "{text}");
        }
        let last = audit::list(&mut connection, &name(), Some(2)).await.unwrap();
        let subjects: Vec<&str> = last.iter().map(|record| record.subject.as_str()).collect();
        assert_eq!(subjects, ["row 3", "row 4"]);
        assert_eq!(last[0].details["a\u{fffd}"], "é\u{fffd}");
        assert_eq!(audit::list(&mut connection, &name(), None).await.unwrap().len(), 6);
    }

    #[tokio::test]
    async fn refuses_to_be_changed() {
        let (_database, mut connection, head) = filled(2).await;
        for sql in [
            "update SCHEMA.audit_log set actor = 'x'",
            "delete from SCHEMA.audit_log",
            "truncate SCHEMA.audit_log",
            "set session_replication_role = replica; delete from SCHEMA.audit_log",
        ] {
            let error = run(&mut connection, sql).await.unwrap_err();
            assert!(error.to_string().contains("append-only"), "{sql}: {error}");
        }
        run(&mut connection, "reset session_replication_role").await.unwrap();
        // What an insert claims about number, time and hashes does not count.
        run(&mut connection, "insert into SCHEMA.audit_log values (1, 'epoch', 'x', 'forged', '', 'failed', '{}', '\\x00', '\\x00')").await.unwrap();
        let found = audit::verify(&mut connection, &name(), Some(head)).await.unwrap();
        assert_eq!((found.rows, found.fault), (4, None));
    }

    #[tokio::test]
    async fn every_tampering_shows_where_it_is() {
        for (sql, seq, kind) in [
            ("update SCHEMA.audit_log set actor = 'other' where seq = 3", 3, FaultKind::Hash),
            (
                "update SCHEMA.audit_log set action = 'test.appendr', subject = 'ow 1' where seq = 3",
                3,
                FaultKind::Hash,
            ),
            (
                "update SCHEMA.audit_log set at = at + interval '1 microsecond' where seq = 3",
                3,
                FaultKind::Hash,
            ),
            ("update SCHEMA.audit_log set details = '{}' where seq = 3", 3, FaultKind::Hash),
            ("update SCHEMA.audit_log set outcome = 'failed' where seq = 6", 6, FaultKind::Hash),
            ("delete from SCHEMA.audit_log where seq = 3", 3, FaultKind::Missing),
            ("delete from SCHEMA.audit_log where seq = 1", 1, FaultKind::Missing),
            (
                "delete from SCHEMA.audit_log where seq = 3; update SCHEMA.audit_log set seq = seq - 1 where seq > 3",
                3,
                FaultKind::PreviousHash,
            ),
            ("delete from SCHEMA.audit_log where seq >= 5", 5, FaultKind::Truncated),
            ("delete from SCHEMA.audit_log", 1, FaultKind::Truncated),
            (
                "update SCHEMA.audit_log l set actor = 'other', hash = SCHEMA.audit_hash(previous_hash, seq, at, 'other', action, subject, outcome, details) where seq = 6",
                6,
                FaultKind::ExpectedHash,
            ),
        ] {
            let (_database, mut connection, head) = filled(5).await;
            tamper(&mut connection, sql).await;
            let found = audit::verify(&mut connection, &name(), Some(head)).await.unwrap();
            let fault = found.fault.unwrap_or_else(|| panic!("{sql}: not found"));
            assert_eq!((fault.seq, fault.kind), (seq, kind), "{sql}");
            assert_eq!(found.rows, u64::try_from(seq).unwrap() - 1, "{sql}");
        }
    }

    #[tokio::test]
    async fn an_append_that_waits_in_vain_is_busy() {
        let (database, mut connection, _) = filled(1).await;
        let mut first = connection.begin().await.unwrap();
        audit::append(&mut first, &name(), &entry("first")).await.unwrap();
        let mut second = database.connect().await;
        run(&mut second, "set lock_timeout = '50ms'").await.unwrap();
        let error = audit::append(&mut second, &name(), &entry("second")).await.unwrap_err();
        assert_eq!(HostError::from(error).exit(), Exit::Busy);
        first.commit().await.unwrap();
        assert_eq!(audit::append(&mut second, &name(), &entry("second")).await.unwrap().seq, 4);
    }

    #[tokio::test]
    async fn many_at_once_do_not_fork_it() {
        let (database, mut connection, _) = filled(1).await;
        let failures = AtomicUsize::new(0);
        let appender = async || {
            let mut connection = database.connect().await;
            for number in 0..20 {
                let mut transaction = connection.begin().await.unwrap();
                if audit::append(&mut transaction, &name(), &entry("concurrent")).await.is_err() {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                if number % 4 == 0 {
                    transaction.rollback().await.unwrap()
                } else {
                    transaction.commit().await.unwrap()
                }
            }
        };
        tokio::join!(appender(), appender(), appender(), appender(), appender(), appender());
        assert_eq!(failures.into_inner(), 0);
        let found = audit::verify(&mut connection, &name(), None).await.unwrap();
        assert_eq!((found.rows, found.fault), (2 + 6 * 15, None));
    }
}

mod stored_policy {
    use super::*;

    async fn write(connection: &mut PgConnection, parts: PolicyParts) -> policy_store::WriteCounts {
        let mut transaction = connection.begin().await.unwrap();
        let policy = Policy::new(parts).unwrap();
        let counts = policy_store::write(&mut transaction, &name(), &policy).await.unwrap();
        let stored = policy_store::read_within(&mut transaction, &name()).await.unwrap();
        assert_eq!(stored.policy_alone().unwrap(), policy);
        transaction.commit().await.unwrap();
        counts
    }

    #[tokio::test]
    async fn is_written_as_the_exact_difference() {
        let (_database, mut connection) = migrated().await;
        let counts = write(&mut connection, parts()).await;
        let inserted: BTreeMap<&str, u64> =
            counts.0.iter().map(|(table, counts)| (*table, counts.inserted)).collect();
        assert_eq!(
            inserted,
            BTreeMap::from([
                ("permissions", 3),
                ("roles", 3),
                ("role_permissions", 3),
                ("role_inherits", 1),
                ("role_aliases", 3),
                ("conflicts", 1)
            ])
        );
        assert!(write(&mut connection, parts()).await.is_empty());

        let mut changed = parts();
        changed.permissions.remove(2);
        changed.permissions[0].description = "another".to_owned();
        changed.permissions.push(permission("po.close", "buying"));
        changed.roles.remove(2);
        changed.roles[0] = role("Head", &["po.*"], &[], &["HEAD"]);
        // The alias `head` goes over to the other role.
        changed.roles[1] = role("Buyer", &["po.view"], &[], &["BUYER", "head"]);
        changed.conflicts[0].left = Pattern::parse("po.close").unwrap();
        let counts = write(&mut connection, changed).await;
        let seen: BTreeMap<&str, (u64, u64, u64)> =
            counts.0.iter().map(|(table, c)| (*table, (c.inserted, c.updated, c.deleted))).collect();
        assert_eq!(
            seen,
            BTreeMap::from([
                ("permissions", (1, 1, 1)),
                ("roles", (0, 0, 1)),
                ("role_permissions", (1, 0, 2)),
                ("role_inherits", (0, 0, 1)),
                ("role_aliases", (0, 1, 0)),
                ("conflicts", (0, 1, 0)),
            ])
        );
        write(&mut connection, PolicyParts::default()).await;
        assert!(!write(&mut connection, parts()).await.is_empty());
    }

    #[tokio::test]
    async fn overrides_are_kept_and_the_later_expiry_counts() {
        let (_database, mut connection) = migrated().await;
        write(&mut connection, parts()).await;
        let mut transaction = connection.begin().await.unwrap();
        let user = "'; delete from roles; --";
        for (expires_at, reason, expected, kept) in [
            (Some(1_700_000_000_000_001), "first", GrantOutcome::Created, "first"),
            (Some(1_700_000_000_000_001), "same", GrantOutcome::Unchanged, "first"),
            (Some(1_600_000_000_000_000), "earlier", GrantOutcome::Unchanged, "first"),
            (Some(1_700_000_000_000_002), "later", GrantOutcome::Extended, "later"),
            (None, "for ever", GrantOutcome::Extended, "for ever"),
            (Some(9_000_000_000_000_000_000), "late", GrantOutcome::Unchanged, "for ever"),
            (None, "again", GrantOutcome::Unchanged, "for ever"),
        ] {
            let entry = given(user, Effect::Allow, "po.*", expires_at, reason);
            let outcome = policy_store::grant(&mut transaction, &name(), &entry, "tester").await.unwrap();
            assert_eq!(outcome, expected, "{reason}");
            let listed = policy_store::list_overrides(&mut transaction, &name(), &entry.user).await.unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].entry.reason, kept);
        }
        let deny = given(user, Effect::Deny, "po.*", Some(9_000_000_000_000_000_001), "");
        assert_eq!(
            policy_store::grant(&mut transaction, &name(), &deny, "tester").await.unwrap(),
            GrantOutcome::Created
        );
        let counts =
            policy_store::write(&mut transaction, &name(), &Policy::new(PolicyParts::default()).unwrap())
                .await
                .unwrap();
        assert!(!counts.0.contains_key("user_custom_permissions"));
        let stored = policy_store::read_within(&mut transaction, &name()).await.unwrap();
        assert_eq!(stored.parts.overrides.len(), 2);
        assert!(stored.parts.overrides.contains(&deny));

        let removed =
            policy_store::revoke(&mut transaction, &name(), &deny.user, Effect::Deny, &deny.pattern)
                .await
                .unwrap();
        assert_eq!(removed.map(|row| (row.entry, row.granted_by)), Some((deny.clone(), "tester".to_owned())));
        assert_eq!(
            policy_store::revoke(&mut transaction, &name(), &deny.user, Effect::Deny, &deny.pattern)
                .await
                .unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn no_bad_row_can_be_stored() {
        let (_database, mut connection) = migrated().await;
        write(&mut connection, parts()).await;
        let long = "a".repeat(63);
        let texts: Vec<String> = [
            "",
            "a",
            "a.b",
            "a.b.c.d.e.f.g.h",
            "a.b.c.d.e.f.g.h.i",
            "*",
            "**",
            "*.*",
            "a.*",
            "*.a",
            "a.b*",
            "a.*b",
            "a*.b",
            "a*b.c",
            "*a.b",
            "a.b**",
            "A.b",
            "a.B",
            "a b.c",
            " a.b",
            "a.b ",
            "a.b\n",
            "a\n.b",
            "a..b",
            ".a.b",
            "a.b.",
            "_a.b",
            "-a.b",
            "a.-b",
            "a-.b_",
            "0.9",
            "é.a",
            "a.é",
            "a.b*.",
            "a.'b",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain([
            format!("a.{long}"),
            format!("a.{long}a"),
            format!("a.{}*", &long[..62]),
            format!("a.{long}*"),
            format!("{}.{}.{}", &long[..33], &long[..33], &long[..32]),
            format!("{}.{}.{}", &long[..33], &long[..33], &long[..33]),
            "a".repeat(200),
        ])
        .collect();
        for text in &texts {
            for (function, valid) in [
                ("is_permission", PermissionName::parse(text).is_ok()),
                ("is_pattern", Pattern::parse(text).is_ok()),
            ] {
                let sql = format!("select {}.{function}($1)", name().quoted());
                let says: bool = sqlx::query_scalar(AssertSqlSafe(sql))
                    .bind(text)
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(says, valid, "{function} of `{text}`");
            }
            for (sql, valid) in [
                ("insert into SCHEMA.permissions values ($1, 'm', '')", PermissionName::parse(text).is_ok()),
                ("insert into SCHEMA.role_permissions values ('Buyer', $1)", Pattern::parse(text).is_ok()),
                (
                    "insert into SCHEMA.user_custom_permissions values ('u', $1, 'allow', null, '', 'g')",
                    Pattern::parse(text).is_ok(),
                ),
                ("insert into SCHEMA.conflicts values ('c', $1, 'a.b', '')", Pattern::parse(text).is_ok()),
                ("insert into SCHEMA.conflicts values ('c', 'a.b', $1, '')", Pattern::parse(text).is_ok()),
            ] {
                let mut transaction = connection.begin().await.unwrap();
                let sql = sql.replace("SCHEMA", &name().quoted());
                let done =
                    sqlx::query(AssertSqlSafe(sql.clone())).bind(text).execute(&mut *transaction).await;
                assert_eq!(done.is_ok(), valid, "{sql} with `{text}`: {done:?}");
                transaction.rollback().await.unwrap();
            }
        }
        let names = [
            "",
            "a",
            "Purchasing Head",
            "é",
            "a\u{1}b",
            "a\tb",
            "\u{7f}",
            "\u{80}",
            "\u{9f}",
            "\u{a0}",
            "名",
            &"a".repeat(128),
            &"a".repeat(129),
            &"é".repeat(64),
            &"é".repeat(65),
        ];
        for text in names {
            let sql = format!("select {}.is_label($1)", name().quoted());
            let says: bool =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(text).fetch_one(&mut connection).await.unwrap();
            assert_eq!(says, RoleName::parse(text).is_ok(), "{text:?}");
        }
    }
}

mod legacy_roles {
    use super::*;

    async fn install(connection: &mut PgConnection, source: Option<&Source>) -> Result<(), SchemaError> {
        let mut transaction = connection.begin().await.unwrap();
        source_functions::install(&mut transaction, &name(), source).await?;
        transaction.commit().await.unwrap();
        Ok(())
    }

    async fn roles(connection: &mut PgConnection, user: &str) -> Vec<Option<String>> {
        let sql = format!("select r from {}.user_roles($1) r order by 1", name().quoted());
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(user).fetch_all(connection).await.unwrap()
    }

    async fn active(connection: &mut PgConnection, user: &str) -> bool {
        let sql = format!("select {}.user_is_active($1)", name().quoted());
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(user).fetch_one(connection).await.unwrap()
    }

    #[tokio::test]
    async fn are_found_by_every_type_of_id() {
        for (id_type, known, unknown) in [
            ("smallint", "7", vec!["007", "+7", "7.0", " 7", "-0", "99999", "x", "", "7; drop table users"]),
            ("integer", "-7", vec!["7", "2147483648", "-2147483649", "99999999999999999999", "abc", "7\n"]),
            (
                "bigint",
                "9223372036854775807",
                vec!["9223372036854775808", "-9223372036854775809", "1e3", "9223372036854775806"],
            ),
            (
                "uuid",
                "00000000-0000-0000-0000-00000000000a",
                vec![
                    "00000000-0000-0000-0000-00000000000A",
                    "x",
                    "{00000000-0000-0000-0000-00000000000a}",
                    "0000000000000000000000000000000a",
                ],
            ),
            ("text", "Änne O'Neil; --", vec!["änne o'neil; --", "Änne O'Neil; -- ", ""]),
            ("varchar(40)", "'); drop table \"us ers\"; --", vec!["'", "%"]),
            ("char(5)", "ab", vec!["ab   ", "ab ", "a"]),
            ("numeric", "7.50", vec!["7.5", "x"]),
            ("id_domain", "7", vec!["07", "8"]),
        ] {
            let (_database, mut connection) = migrated().await;
            run(
                &mut connection,
                "create domain id_domain as integer; create type userrole as enum ('HEAD', 'It''s')",
            )
            .await
            .unwrap();
            run(&mut connection, &format!("create table public.\"us ers\" (\"i\"\"d\" {id_type} primary key, user_id text default 'decoy', role userrole, is_active boolean)")).await.unwrap();
            let sql = format!(
                "insert into public.\"us ers\" (\"i\"\"d\", role, is_active) values ($1::text::{id_type}, 'HEAD', true)"
            );
            sqlx::query(AssertSqlSafe(sql)).bind(known).execute(&mut connection).await.unwrap();
            let source = Source {
                table: QualifiedName::parse("public.\"us ers\"").unwrap(),
                user_id: column("i\"d"),
                ..source("public.users")
            };
            install(&mut connection, Some(&source)).await.unwrap();
            assert_eq!(roles(&mut connection, known).await, [Some("HEAD".to_owned())], "{id_type}");
            assert!(active(&mut connection, known).await);
            for user in unknown {
                assert!(roles(&mut connection, user).await.is_empty(), "{id_type} `{user}`");
                assert!(active(&mut connection, user).await, "{id_type} `{user}`");
            }
            if id_type != "numeric" {
                run(&mut connection, &format!("insert into public.\"us ers\" (\"i\"\"d\", role, is_active) select {}, 'HEAD', true from generate_series(1, 3000) i where i <> 7; analyze", match id_type {
                    "uuid" => "md5(i::text)::uuid",
                    "text" | "varchar(40)" | "char(5)" => "i::text",
                    _ => "i",
                })).await.unwrap();
                let literal = known.replace('\'', "''");
                let sql = format!("explain select r from {}.user_roles('{literal}') r", name().quoted());
                let plan: Vec<String> =
                    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
                assert!(plan.iter().any(|line| line.contains("Index Scan")), "{id_type}: {plan:#?}");
            }
        }
    }

    #[tokio::test]
    async fn follow_activity_renames_and_nulls() {
        let (_database, mut connection) = migrated().await;
        run(&mut connection, "create table users (id integer primary key, role text, is_active boolean); insert into users values (1, 'HEAD', true), (2, 'HEAD', false), (3, 'HEAD', null), (4, null, true), (5, 'It''s \"old\"', true)").await.unwrap();
        let found = async |connection: &mut PgConnection| {
            let mut seen = Vec::new();
            for user in ["1", "2", "3", "4", "5", "6"] {
                seen.push((roles(connection, user).await.len(), active(connection, user).await));
            }
            seen
        };
        let mut source = source("public.users");
        install(&mut connection, Some(&source)).await.unwrap();
        assert_eq!(
            found(&mut connection).await,
            [(1, true), (0, false), (0, false), (0, true), (1, true), (0, true)]
        );
        source.null_active = Some(NullActive::Active);
        install(&mut connection, Some(&source)).await.unwrap();
        assert_eq!(
            found(&mut connection).await,
            [(1, true), (0, false), (1, true), (0, true), (1, true), (0, true)]
        );
        source.null_active = None;
        install(&mut connection, Some(&source)).await.unwrap();
        assert_eq!(
            found(&mut connection).await,
            [(1, true), (0, false), (0, false), (0, true), (1, true), (0, true)]
        );
        source.activity = None;
        source.rename = BTreeMap::from([("It's \"old\"".to_owned(), "'new'".to_owned())]);
        install(&mut connection, Some(&source)).await.unwrap();
        assert_eq!(
            found(&mut connection).await,
            [(1, true), (1, true), (1, true), (0, true), (1, true), (0, true)]
        );
        assert_eq!(roles(&mut connection, "5").await, [Some("'new'".to_owned())]);
        // The functions do not stand in the way of the application.
        run(&mut connection, "alter table users rename column role to roles; drop table users")
            .await
            .unwrap();
        install(&mut connection, None).await.unwrap();
        assert_eq!(found(&mut connection).await, [(0, true); 6]);
    }

    #[tokio::test]
    async fn a_missing_table_or_column_stops_the_installation() {
        let (_database, mut connection) = migrated().await;
        assert!(install(&mut connection, Some(&source("public.users"))).await.is_err());
        run(&mut connection, "create table users (id integer, role text)").await.unwrap();
        assert!(install(&mut connection, Some(&source("public.users"))).await.is_err());
    }

    #[tokio::test]
    async fn the_state_of_the_legacy_table_shows_every_change_and_the_ledger_keeps_it() {
        let (_database, mut connection) = migrated().await;
        run(&mut connection, "create table users (id integer primary key, role text, is_active boolean, name text); insert into users values (1, 'HEAD', true, 'a'), (2, 'x', null, 'b'), (10, 'x', false, 'c')").await.unwrap();
        let source = Source {
            rename: BTreeMap::from([("x".to_owned(), "Buyer".to_owned())]),
            ..source("public.users")
        };
        let first = legacy_state(&mut connection, &source).await.unwrap();
        assert_eq!(first.rows, 3);
        run(&mut connection, "update users set name = 'other'").await.unwrap();
        assert_eq!(legacy_state(&mut connection, &source).await.unwrap(), first);
        let mut seen = BTreeSet::from([first.hash]);
        for sql in [
            "update users set role = 'Buyer' where id = 2",
            "update users set is_active = false where id = 2",
            "update users set is_active = true where id = 10",
            "update users set id = 11 where id = 10",
            "update users set role = null where id = 1",
            "delete from users where id = 1",
        ] {
            run(&mut connection, sql).await.unwrap();
            assert!(seen.insert(legacy_state(&mut connection, &source).await.unwrap().hash), "{sql}");
        }

        let policy = Policy::new(parts()).unwrap();
        let file = PolicyFile {
            name: "erp".to_owned(),
            policy: policy.clone(),
            signed_off: Vec::new(),
            source: Some(source.clone()),
            text_hash: "0f".repeat(32),
        };
        let mut transaction = connection.begin().await.unwrap();
        let counts = policy_store::write(&mut transaction, &name(), &policy).await.unwrap();
        let mut run = PolicyRun {
            file: &file,
            policy_hash: ContentHash::of(&policy).unwrap(),
            counts: &counts,
            legacy: Some(first),
            applied_by: "tester",
        };
        let files = i64::try_from(schema::files().count()).unwrap();
        assert_eq!(record_policy(&mut transaction, &name(), &run).await.unwrap(), files + 1);
        let recorded: String =
            one(&mut transaction, "select source::text from SCHEMA.pbac_migrations where kind = 'policy'")
                .await;
        assert_eq!(source_from_json(&serde_json::from_str(&recorded).unwrap()).unwrap(), source);
        // A source without the state of its tables could not be verified later.
        run.legacy = None;
        assert!(record_policy(&mut transaction, &name(), &run).await.is_err());
    }

    #[tokio::test]
    async fn sql_and_the_policy_that_is_read_decide_the_same() {
        let (_database, mut connection) = migrated().await;
        run(&mut connection, "create table users (id integer primary key, role text, is_active boolean); insert into users values (1, 'HEAD', true), (2, 'head', false), (3, 'BUYER', null), (4, 'nobody', true), (5, E'bad\\nlabel', true)").await.unwrap();
        install(&mut connection, Some(&source("public.users"))).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        policy_store::write(&mut transaction, &name(), &Policy::new(parts()).unwrap()).await.unwrap();
        for entry in [
            given("1", Effect::Deny, "po.v*", Some(2_000_000), ""),
            given("2", Effect::Allow, "stock.*", None, ""),
            given("2", Effect::Deny, "po.*", None, ""),
            given("3", Effect::Allow, "stock.view", Some(2_000_000), ""),
            given("ghost", Effect::Allow, "*", None, ""),
        ] {
            policy_store::grant(&mut transaction, &name(), &entry, "tester").await.unwrap();
        }
        transaction.commit().await.unwrap();
        let stored = policy_store::read(&mut connection, &name()).await.unwrap();
        assert_eq!(stored.inactive, BTreeSet::from(["2", "3"].map(|user| UserId::parse(user).unwrap())));
        assert_eq!(stored.unusable, ["bad\nlabel"]);
        let index = Index::compile(&stored.into_policy().unwrap()).unwrap();
        let sql = format!(
            "select allowed, reason, role, pattern from {}.decide($1, $2, 'epoch'::timestamptz + $3 * interval '1 microsecond')",
            name().quoted()
        );
        let mut reasons = BTreeSet::new();
        for user in ["1", "2", "3", "4", "5", "01", "ghost", ""] {
            for permission in ["po.view", "po.approve", "stock.view", "po.unknown", "po.*"] {
                for now in [1_999_999, 2_000_000] {
                    let request =
                        Request { user, roles: Roles::Stored, permission, now: Timestamp::from_micros(now) };
                    let expected = serde_json::to_value(index.decide(&request)).unwrap();
                    let (allowed, reason, role, pattern): (bool, String, Option<String>, Option<String>) =
                        sqlx::query_as(AssertSqlSafe(sql.clone()))
                            .bind(user)
                            .bind(permission)
                            .bind(now)
                            .fetch_one(&mut connection)
                            .await
                            .unwrap();
                    let mut said =
                        json!({ "decision": if allowed { "allow" } else { "deny" }, "reason": reason });
                    if let Some(role) = role {
                        said["role"] = role.into();
                    }
                    if let Some(pattern) = pattern {
                        said["pattern"] = pattern.into();
                    }
                    assert_eq!(said, expected, "{user} {permission} {now}");
                    reasons.insert(reason);
                }
            }
        }
        assert_eq!(reasons.len(), 6, "{reasons:?}");
    }
}

//! What `pbac::postgres` promises, held against a real server: names, URLs, connecting, locks and retries.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use pbac::postgres::{
    Cluster, ClusterOptions, ConnectErrorKind, ConnectSettings, DatabaseUrl, DatabaseUrlError, Identifier,
    LockError, QualifiedName, RetryError, RetryPolicy, SchemaLock, Server, SessionLimits, SqlState, connect,
    retry_when_locked, session_user, transaction,
};
use pbac_tests::database::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

fn schema(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

mod names {
    use super::*;

    const HOSTILE: [&str; 9] = [
        "users; DROP TABLE victim; --",
        "\"; DROP TABLE victim; --",
        "\"\"",
        "'; SELECT 1; --",
        "a.b",
        "Ünïcødé 名",
        "\\",
        " ",
        "$1",
    ];

    #[tokio::test]
    async fn hostile_names_are_only_names() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        run(&mut connection, "CREATE TABLE victim ()").await;
        for text in HOSTILE {
            let name = QualifiedName::new(schema(text), schema(text));
            run(&mut connection, &format!("CREATE SCHEMA {}", name.schema.quoted())).await;
            run(&mut connection, &format!("CREATE TABLE {} ({} int)", name.quoted(), name.table.quoted()))
                .await;
            let found: (String, String) = sqlx::query_as(
                "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = $1",
            )
            .bind(text)
            .fetch_one(&mut connection)
            .await
            .unwrap();
            assert_eq!(found, (text.to_owned(), text.to_owned()));
        }
        let victims: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE tablename = 'victim'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(victims, 1);
    }

    #[tokio::test]
    async fn the_longest_name_is_kept_whole() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        let longest = schema(&"é".repeat(31));
        run(&mut connection, &format!("CREATE SCHEMA {}", longest.quoted())).await;
        let kept: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(longest.as_str())
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(kept);
    }

    #[tokio::test]
    async fn bare_names_mean_what_the_server_reads() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        for text in ["public.users", "a_1.b$2", "\"A\".\"b\"\"c\"", "_x.\"y.z\""] {
            let name = QualifiedName::parse(text).unwrap();
            let parts: Vec<String> = sqlx::query_scalar("SELECT parse_ident($1)")
                .bind(text)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(parts, [name.schema.as_str(), name.table.as_str()], "{text}");
        }
    }
}

mod urls {
    use super::*;

    /// Every URL here holds `s3cr3t` in some way; no output may.
    #[test]
    fn no_form_of_a_url_shows_its_password() {
        for (text, shown) in [
            ("postgres://u:s3cr3t@h/d", "postgres://u:***@h/d"),
            ("postgresql://u:s3cr3t@h:6000/d", "postgres://u:***@h:6000/d"),
            ("postgresql+psycopg2://u:s3cr3t@h/d", "postgres://u:***@h/d"),
            ("postgres://u:s3cr3t@h", "postgres://u:***@h"),
            ("postgres://u:x@s3cr3t@h/d", "postgres://u:***@h/d"),
            ("postgres://u:%73%33cr3t%40@h/d", "postgres://u:***@h/d"),
            ("postgres://:s3cr3t@h/d", "postgres://:***@h/d"),
            ("postgres:///d?host=/run/pg&password=s3cr3t", "postgres:///d?host=/run/pg&password=***"),
            ("postgres:///d?p%61ssword=s3cr3t", "postgres:///d?password=***"),
            ("postgres://u:s3cr3t@h/d?password=s3cr3t", "postgres://u:***@h/d?password=***"),
            ("postgres://u@h/d?sslpassword=s3cr3t&sslmode=require", "postgres://u@h/d?sslmode=require"),
            ("postgres://u@h/d?PASSWORD=s3cr3t", "postgres://u@h/d"),
            ("postgres://u@h/d?options=-c%20app.key%3Ds3cr3t", "postgres://u@h/d?options=***"),
            ("postgres://u@h/d?sslkey=s3cr3t", "postgres://u@h/d?sslkey=***"),
            ("postgres://u:s3cr3t@%2Frun%2Fpg/d", "postgres://u:***@%2Frun%2Fpg/d"),
        ] {
            let url = DatabaseUrl::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), shown, "{text}");
            let other = url.with_database("other");
            assert_eq!(other.database(), "other");
            for output in
                [format!("{url:?}"), format!("{url:#?}"), other.to_string(), format!("{:?}", url.clone())]
            {
                assert!(!output.contains("s3cr3t") && !output.contains("%73"), "{text}: {output}");
            }
        }
    }

    /// A password that was not percent-encoded: parts of it end up in the port, the path, the query or the fragment.
    #[test]
    fn no_error_shows_a_part_of_a_password() {
        for text in [
            "postgres://u:12/s3cr3t@h/d",
            "postgres://u:12?s3cr3t@h/d",
            "postgres://u:12#s3cr3t@h/d",
            "postgres://u:12#s3cr3t",
            "postgres://u:a/s3cr3t@h/d",
            "postgres://u:s3cr3t/@h/d",
            "postgres://u:s3cr3t#@h/d",
            "postgres://u:s3cr3t@h:port/d",
            "postgres://u:s3cr3t@[h/d",
            "postgres://u:s3 cr3t s3cr3t@h/d",
            "postgres://u:s3cr3t@h/d\n",
            " postgres://u:s3cr3t@h/d",
            "postgres://u:%ff s3cr3t@h/d",
            "postgres://u:%ffs3cr3t@h/d",
            "postgres://u:12/s3cr3t/d",
            "u:s3cr3t@h/d",
            "host=h password=s3cr3t",
            "mysql://u:s3cr3t@h/d",
            "s3cr3t",
            "postgres://u:s3cr3t@h/d?sslmode=no",
            "postgres://u:s3cr3t@h/d?port=x",
            "postgres://u:s3cr3t@h/d?connect_timeout=soon",
            "",
        ] {
            let error = DatabaseUrl::from_str(text).unwrap_err();
            for output in [error.to_string(), format!("{error:?}")] {
                assert!(!output.contains("s3cr3t"), "{text}: {output}");
                assert!(!output.is_empty());
            }
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = |text| DatabaseUrl::from_str(text).unwrap_err();
        assert_eq!(error("mysql://h/d"), DatabaseUrlError::Scheme);
        assert_eq!(error("postgres://h/d "), DatabaseUrlError::Blank);
        assert_eq!(error("postgres://u:1/2@h/d"), DatabaseUrlError::Ambiguous { found: '@' });
        assert_eq!(error("postgres://h/d#x"), DatabaseUrlError::Ambiguous { found: '#' });
        assert_eq!(error("postgres://h/d/e"), DatabaseUrlError::Path);
        assert!(error("postgres://h/d/e").to_string().contains("%2F"));
        assert!(
            error("postgres://h/d?connect_timeout=soon")
                .to_string()
                .contains("a number of seconds, not `soon`")
        );
    }

    #[test]
    fn parameters_reach_the_connection() {
        let url =
            DatabaseUrl::from_str("postgres:///d?host=/run/pg&port=6000&user=me&schema=x&connect_timeout=3")
                .unwrap();
        let options = url.options();
        assert_eq!(options.get_socket().map(PathBuf::as_path), Some(Path::new("/run/pg")));
        assert_eq!((options.get_port(), options.get_username(), url.database()), (6000, "me", "d"));
        assert_eq!(url.connect_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(url.ignored_parameters(), ["schema"]);
    }
}

mod connecting {
    use super::*;

    async fn refusal(text: &str) -> (ConnectErrorKind, String) {
        let url = DatabaseUrl::from_str(text).unwrap();
        let error = connect(&url, &ConnectSettings::default()).await.unwrap_err();
        let message = error.to_string();
        (error.kind, message)
    }

    #[tokio::test]
    async fn a_good_connection_says_who_it_is() {
        let database = TestDatabase::create().await;
        let mut connection = connect(database.url(), &ConnectSettings::default()).await.unwrap();
        let server = Server::ask(&mut connection).await.unwrap();
        assert!(
            server.major() >= 14 && server.backend_pid > 0 && !server.standby && !server.read_only,
            "{server:?}"
        );
        let application: String = sqlx::query_scalar("SELECT current_setting('application_name')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(application, "pbac");
        assert_eq!(session_user(&mut connection).await.unwrap(), "postgres");
    }

    #[tokio::test]
    async fn failures_are_put_into_words() {
        let database = TestDatabase::create().await;
        let (kind, message) = refusal("postgres:///d?host=/nowhere&port=6000&user=u&password=s3cr3t").await;
        assert!(matches!(kind, ConnectErrorKind::NoServer { .. }), "{kind:?}");
        assert!(message.contains("`/nowhere/.s.PGSQL.6000`") && !message.contains("s3cr3t"), "{message}");

        let (kind, message) = refusal("postgres://u:s3cr3t@127.0.0.1:1/d").await;
        assert!(matches!(kind, ConnectErrorKind::NoServer { .. }), "{kind:?}");
        assert!(message.contains("`127.0.0.1:1`") && !message.contains("s3cr3t"), "{message}");

        let (kind, message) = refusal(&database.url_text().replace(database.name().as_str(), "absent")).await;
        assert!(matches!(kind, ConnectErrorKind::NoDatabase { .. }), "{kind:?}");
        assert!(message.contains("there is no database `absent`"), "{message}");
    }

    #[tokio::test]
    async fn a_silent_server_runs_into_the_time_out() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let began = Instant::now();
        let (kind, message) = refusal(&format!("postgres://u@127.0.0.1:{port}/d?connect_timeout=1")).await;
        assert!(matches!(kind, ConnectErrorKind::Timeout { .. }), "{kind:?}");
        assert!(message.contains("no answer within 1 s"), "{message}");
        // The other end keeps silent for ever; a busy machine may take its time.
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_wrong_password_is_a_refused_login() {
        let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        run(&mut connection, "CREATE ROLE guarded LOGIN PASSWORD 'right'").await;
        std::fs::write(cluster.socket_dir().join("data/pg_hba.conf"), "local all guarded scram-sha-256\n")
            .unwrap();
        run(&mut connection, "SELECT pg_reload_conf()").await;
        let place = format!("host={}&port={}", cluster.socket_dir().display(), cluster.port());
        let login = |password: &str| format!("postgres:///postgres?{place}&user=guarded&password={password}");
        let deadline = Instant::now() + Duration::from_secs(10);
        // The reload is a signal: until it has arrived everybody is let in.
        let (kind, message) = loop {
            let url = DatabaseUrl::from_str(&login("wr0ng")).unwrap();
            match connect(&url, &ConnectSettings::default()).await {
                Err(error) => break (format!("{:?}", error.kind), error.to_string()),
                Ok(_) => assert!(Instant::now() < deadline, "the new rules were never read"),
            }
        };
        assert!(kind.starts_with("Login"), "{kind}");
        assert!(
            message.contains("password authentication failed") && !message.contains("wr0ng"),
            "{message}"
        );
        let right = DatabaseUrl::from_str(&login("right")).unwrap();
        connect(&right, &ConnectSettings::default()).await.unwrap();

        let (kind, message) = refusal(&format!("postgres:///postgres?{place}&user=stranger")).await;
        assert!(matches!(kind, ConnectErrorKind::Login { .. }), "{kind:?}");
        assert!(message.contains("stranger"), "{message}");
    }

    #[tokio::test]
    async fn a_read_only_session_is_refused_where_writing_is_needed() {
        let database = TestDatabase::create().await;
        let join = if database.url_text().contains('?') { '&' } else { '?' };
        let text = format!("{}{join}options=-c%20default_transaction_read_only%3Don", database.url_text());
        let (kind, _) = refusal(&text).await;
        assert!(matches!(kind, ConnectErrorKind::ReadOnly), "{kind:?}");
        let url = DatabaseUrl::from_str(&text).unwrap();
        let settings = ConnectSettings { writable: false, ..ConnectSettings::default() };
        connect(&url, &settings).await.unwrap();
    }
}

mod locks {
    use super::*;

    #[tokio::test]
    async fn the_second_is_told_who_holds_the_lock_and_gets_it_afterwards() {
        let database = TestDatabase::create().await;
        let name = schema("pbac");
        let mut first = SchemaLock::acquire(database.url(), &name, Duration::ZERO).await.unwrap();
        first.check().await.unwrap();

        let began = Instant::now();
        let busy = SchemaLock::acquire(database.url(), &name, Duration::from_millis(300)).await.unwrap_err();
        assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(30));
        let message = busy.to_string();
        let LockError::Busy { holder: Some(holder), .. } = busy else { panic!("{busy:?}") };
        let mut connection = database.connect().await;
        // Other tests hold locks in other databases of the same server.
        let pid: i32 = sqlx::query_scalar(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!((holder.pid, holder.application.as_deref()), (pid, Some("pbac")));
        assert!(message.contains(&format!("backend {pid}, application `pbac`")), "{message}");
        assert!(message.contains("connected since 2"), "{message}");

        // Another schema is another lock.
        SchemaLock::acquire(database.url(), &schema("other"), Duration::ZERO)
            .await
            .unwrap()
            .release()
            .await
            .unwrap();

        let url = database.url().clone();
        let waiting =
            tokio::spawn(
                async move { SchemaLock::acquire(&url, &schema("pbac"), Duration::from_secs(20)).await },
            );
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished());
        first.release().await.unwrap();
        waiting.await.unwrap().unwrap().release().await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_lock_is_free() {
        let database = TestDatabase::create().await;
        drop(SchemaLock::acquire(database.url(), &schema("pbac"), Duration::ZERO).await.unwrap());
        let again = SchemaLock::acquire(database.url(), &schema("pbac"), Duration::from_secs(10)).await;
        again.unwrap().release().await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_whose_connection_was_ended_is_noticed() {
        let database = TestDatabase::create().await;
        let mut lock = SchemaLock::acquire(database.url(), &schema("pbac"), Duration::ZERO).await.unwrap();
        let mut connection = database.connect().await;
        // Of this database only: other tests hold locks in other databases of the same server.
        run(
            &mut connection,
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await;
        assert!(matches!(lock.check().await, Err(LockError::Lost { .. })));
    }

    /// The transaction that holds it lies open for as long as the work takes, and must be in nobody's way.
    #[tokio::test]
    async fn a_held_lock_delays_no_index_and_no_vacuum() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        run(&mut connection, "CREATE TABLE t AS SELECT 1 AS n").await;
        run(&mut connection, "SET statement_timeout = '20s'").await;
        let mut lock = SchemaLock::acquire(database.url(), &schema("pbac"), Duration::ZERO).await.unwrap();
        run(&mut connection, "UPDATE t SET n = 2").await;
        run(&mut connection, "CREATE INDEX CONCURRENTLY i ON t (n)").await;
        let held_back: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(held_back, 0);
        lock.check().await.unwrap();
    }

    #[tokio::test]
    async fn of_many_at_once_each_gets_it_alone() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        run(&mut connection, "CREATE TABLE inside (n int)").await;
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let url = database.url().clone();
                tokio::spawn(async move {
                    let lock =
                        SchemaLock::acquire(&url, &schema("pbac"), Duration::from_secs(30)).await.unwrap();
                    let mut connection = connect(&url, &ConnectSettings::default()).await.unwrap();
                    run(&mut connection, "INSERT INTO inside VALUES (1)").await;
                    let others: i64 = sqlx::query_scalar("SELECT count(*) FROM inside")
                        .fetch_one(&mut connection)
                        .await
                        .unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    run(&mut connection, "DELETE FROM inside").await;
                    lock.release().await.unwrap();
                    others
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1);
        }
    }
}

mod transactions {
    use pbac::postgres::transaction::{Kind, snapshot, within};

    use super::*;

    const SHOW: &str = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')";

    #[tokio::test]
    async fn limits_end_with_the_transaction_and_nothing_stays_prepared() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        let limits = SessionLimits {
            statement_timeout: Some(Duration::from_secs(1)),
            lock_timeout: Some(Duration::from_secs(2)),
        };
        let shown = within(&mut connection, Kind::Work, limits, async |connection| {
            let shown: (String, String) = sqlx::query_as(SHOW).fetch_one(&mut *connection).await?;
            let prepared: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements")
                .fetch_one(connection)
                .await?;
            assert_eq!(prepared, 2);
            Ok::<_, sqlx::Error>(shown)
        });
        assert_eq!(shown.await.unwrap(), ("2s".to_owned(), "1s".to_owned()));
        let slow = within(&mut connection, Kind::Work, limits, async |connection| {
            sqlx::query("SELECT pg_sleep($1)").bind(60.0).execute(connection).await
        });
        let error = slow.await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("57014"));
        let row = sqlx::raw_sql(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), \
             (SELECT count(*) FROM pg_prepared_statements)::text",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        let found: (String, String, String) = sqlx::FromRow::from_row(&row).unwrap();
        assert_eq!(found, ("0".to_owned(), "0".to_owned(), "0".to_owned()));
    }

    /// A snapshot of the catalogs shows what is no longer there.
    #[tokio::test]
    async fn what_goes_while_it_is_read_is_looked_for_again() {
        const THERE: &str = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 't')";
        let database = TestDatabase::create().await;
        let (mut connection, mut other) = (database.connect().await, database.connect().await);
        run(&mut other, "CREATE TABLE t AS SELECT 7 AS n").await;
        let mut snapshots = 0;
        let found = snapshot(&mut connection, SessionLimits::default(), async |connection| {
            snapshots += 1;
            let there: bool = sqlx::query_scalar(THERE).fetch_one(&mut *connection).await?;
            run(&mut other, "DROP TABLE IF EXISTS t").await;
            match there {
                true => sqlx::query_scalar("SELECT n FROM t").fetch_optional(connection).await,
                false => Ok(None::<i32>),
            }
        });
        assert_eq!(found.await.unwrap(), None);
        assert_eq!(snapshots, 2);

        let mut snapshots = 0;
        let missing = snapshot(&mut connection, SessionLimits::default(), async |connection| {
            snapshots += 1;
            sqlx::query("SELECT FROM never_there").execute(connection).await
        });
        assert_eq!(missing.await.unwrap_err().sql_state().as_deref(), Some("42P01"));
        assert_eq!(snapshots, 3);
    }

    #[tokio::test]
    async fn work_that_fails_is_undone_and_a_snapshot_cannot_write() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        run(&mut connection, "CREATE TABLE t (n int)").await;
        let limits = SessionLimits::default();
        let write = async |connection: &mut PgConnection| {
            sqlx::query("INSERT INTO t VALUES (1)").execute(&mut *connection).await?;
            sqlx::query("SELECT 1 / (SELECT 0)").execute(connection).await
        };
        within(&mut connection, Kind::SnapshotWork, limits, write).await.unwrap_err();
        let refused = within(&mut connection, Kind::Snapshot, limits, write).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("25006"));
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(&mut connection).await.unwrap();
        assert_eq!(rows, 0);
    }
}

mod retries {
    use super::*;

    const QUICK: RetryPolicy = RetryPolicy {
        attempts: 4,
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(50),
    };

    async fn alter(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let limits =
            SessionLimits { lock_timeout: Some(Duration::from_millis(50)), ..SessionLimits::default() };
        transaction::within(connection, transaction::Kind::Work, limits, async |connection| {
            sqlx::raw_sql("ALTER TABLE busy ADD COLUMN IF NOT EXISTS added int").execute(connection).await
        })
        .await
        .map(drop)
    }

    #[tokio::test]
    async fn a_lock_held_for_ever_ends_in_busy_and_changes_nothing() {
        let database = TestDatabase::create().await;
        let (mut holder, mut connection) = (database.connect().await, database.connect().await);
        run(&mut holder, "CREATE TABLE busy ()").await;
        run(&mut holder, "BEGIN; LOCK TABLE busy IN ACCESS SHARE MODE").await;
        let mut runs = 0;
        let outcome = retry_when_locked(&QUICK, async || {
            runs += 1;
            alter(&mut connection).await
        })
        .await;
        assert!(matches!(outcome, Err(RetryError::Busy { attempts: 4, .. })), "{outcome:?}");
        assert_eq!(runs, 4);
        run(&mut holder, "ROLLBACK").await;
        let columns: i64 =
            sqlx::query_scalar("SELECT count(*) FROM information_schema.columns WHERE table_name = 'busy'")
                .fetch_one(&mut holder)
                .await
                .unwrap();
        assert_eq!(columns, 0);
    }

    #[tokio::test]
    async fn a_lock_given_back_in_between_lets_the_step_succeed() {
        let database = TestDatabase::create().await;
        let (mut holder, mut connection) = (database.connect().await, database.connect().await);
        run(&mut holder, "CREATE TABLE busy ()").await;
        run(&mut holder, "BEGIN; LOCK TABLE busy IN ACCESS SHARE MODE").await;
        let mut runs = 0;
        retry_when_locked(&QUICK, async || {
            runs += 1;
            if runs == 3 {
                run(&mut holder, "ROLLBACK").await;
            }
            alter(&mut connection).await
        })
        .await
        .unwrap();
        assert_eq!(runs, 3);
    }

    #[tokio::test]
    async fn any_other_error_is_final() {
        let database = TestDatabase::create().await;
        let mut connection = database.connect().await;
        let mut runs = 0;
        let outcome = retry_when_locked(&QUICK, async || {
            runs += 1;
            alter(&mut connection).await
        })
        .await;
        let Err(RetryError::Step(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("42P01"));
        assert_eq!(runs, 1);
    }
}

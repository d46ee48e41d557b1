//! The way back, held against a real server: what comes back is what went, and what is not safe is refused.

#[path = "rollback/bench.rs"]
mod bench;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::{Bench, program, run, same, same_shape};
use pbac::migrate::backup::Backup;
use pbac::migrate::owned::Owned;
use pbac::postgres::SchemaLock;
use serde_json::json;

const YES: &[&str] = &["rollback", "--yes"];
const DROP: &[&str] = &["rollback", "--yes", "--drop", "--accept-data-loss"];

mod cycles {
    use super::*;

    /// A schema whose name has to be quoted, and is data everywhere else.
    const NAMES: [&str; 2] = ["pbac", "p \"b'a\\c; --"];

    #[tokio::test]
    async fn parked_tables_come_back_exactly() {
        for name in NAMES {
            let bench = Bench::hostile(name).await;
            let (ours, theirs) = (bench.ours(), bench.theirs());
            assert!(ours.contains("user_custom_permissions") && theirs.contains("DROP TABLE users"));

            let report = bench.json(YES);
            assert_eq!(report["status"], "rolled_back");
            assert_eq!(report["overrides"], 18);
            assert_eq!(report["legacy"]["unchanged"], true);
            let first = report["parked_in"].as_str().unwrap().to_owned();
            assert_eq!(bench.parked().await, std::slice::from_ref(&first));
            let left = bench.ours();
            assert!(left.contains("audit_log") && !left.contains("role_permissions"));
            same(&bench.theirs(), &theirs);

            bench.migrate().await;
            // The same second is no obstacle.
            bench.json(YES);
            bench.migrate().await;
            bench.json(YES);
            assert_eq!(bench.parked().await.len(), 3);
            bench.pbac(&["restore"], 8).says(&["several schemas", &first.replace('"', "\"\"")]);

            let restored = bench.json(&["restore", "--from", &first]);
            assert_eq!((&restored["status"], &restored["verified"]), (&json!("restored"), &json!(true)));
            same(&bench.ours(), &ours);
            same(&bench.theirs(), &theirs);
            assert!(!bench.parked().await.contains(&first));
            assert_eq!(bench.count("SELECT count(*) FROM SCHEMA.effective_permissions('3')").await, 2);
        }
    }

    #[tokio::test]
    async fn dropped_tables_come_back_exactly_from_the_backup() {
        for name in NAMES {
            let bench = Bench::hostile(name).await;
            let (ours, theirs) = (bench.ours(), bench.theirs());
            let report = bench.json(DROP);
            assert_eq!(report["parked_in"], json!(null));
            assert!(bench.parked().await.is_empty());
            let [backup] = bench.backups().try_into().unwrap();
            let mode = std::fs::metadata(&backup).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
            same(&bench.theirs(), &theirs);

            let file = backup.to_str().unwrap();
            bench.migrate().await;
            bench.pbac(&["restore", "--backup", file, "--yes"], 6).says(&["in the way", "permissions"]);
            bench.json(DROP);
            bench.pbac(&["restore", "--backup", file], 6).says(&["nobody confirmed"]);
            let restored = bench.json(&["restore", "--yes", "--backup", file]);
            assert_eq!((&restored["status"], &restored["verified"]), (&json!("restored"), &json!(true)));
            same_shape(&bench.ours(), &ours);
            same(&bench.theirs(), &theirs);
            // Again, as somebody does whose first run was cut off at its end: no question, and nothing to do.
            let again = bench.json(&["restore", "--backup", file]);
            assert_eq!(
                (&again["status"], &again["earlier"]["ending"]),
                (&json!("nothing_to_do"), &json!("succeeded"))
            );
        }
    }

    /// What was added to our tables by hand is part of them.
    #[tokio::test]
    async fn owners_rights_indexes_comments_and_columns_come_back() {
        let bench = Bench::hostile("pbac").await;
        let role = format!("{}_reader", bench.database.name());
        bench
            .run(&format!(
                "CREATE ROLE {role}; CREATE ROLE \"{role} owner\"; GRANT USAGE, CREATE ON SCHEMA pbac TO \"{role} owner\"; \
                 ALTER TABLE SCHEMA.conflicts OWNER TO \"{role} owner\"; \
                 GRANT SELECT ON SCHEMA.permissions TO {role} WITH GRANT OPTION; \
                 GRANT UPDATE (reason), SELECT (reason, user_id) ON SCHEMA.user_custom_permissions TO {role}; \
                 REVOKE ALL ON SCHEMA.roles FROM postgres; REVOKE EXECUTE ON FUNCTION SCHEMA.has_permission(text, text) FROM public; \
                 GRANT EXECUTE ON FUNCTION SCHEMA.has_permission(text, text) TO {role}; \
                 ALTER TABLE SCHEMA.permissions ADD COLUMN note varchar(7) DEFAULT 'a''b\\c', ADD CONSTRAINT nice CHECK (note <> 'x''') NOT VALID; \
                 CREATE INDEX by_reason ON SCHEMA.user_custom_permissions (lower(reason), user_id DESC) WHERE effect = 'deny'; \
                 COMMENT ON INDEX SCHEMA.by_reason IS 'it''s \\ mine'; ALTER TABLE SCHEMA.roles SET (fillfactor = 70); \
                 ALTER DEFAULT PRIVILEGES IN SCHEMA pbac GRANT ALL ON TABLES TO {role}; \
                 ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO {role};"
            ))
            .await;
        let ours = bench.ours();
        bench.json(YES);
        bench.json(&["restore"]);
        same(&bench.ours(), &ours);
        bench.json(DROP);
        let backup = bench.backups().pop().unwrap();
        bench.json(&["restore", "--yes", "--backup", backup.to_str().unwrap()]);
        same_shape(&bench.ours(), &ours);
        bench
            .run(&format!("DROP OWNED BY {role}, \"{role} owner\"; DROP ROLE {role}, \"{role} owner\""))
            .await;
    }

    #[tokio::test]
    async fn psql_restores_a_backup_too() {
        let bench = Bench::hostile("p \"b'a\\c; --").await;
        let ours = bench.ours();
        bench.json(DROP);
        let output = Command::new(program("psql"))
            .args(["--no-psqlrc", "--single-transaction", "--set", "ON_ERROR_STOP=1", "--quiet"])
            .args(["--dbname", bench.database.url_text(), "--file"])
            .arg(bench.backups().pop().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        same_shape(&bench.ours(), &ours);
    }

    /// A user who may create schemas and nothing more goes the whole way.
    #[tokio::test]
    async fn a_user_without_special_rights_goes_there_and_back() {
        let bench = Bench::legacy("pbac").await;
        let role = format!("{}_plain", bench.database.name());
        let database = bench.database.name().quoted();
        bench
            .run(&format!(
                "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}; GRANT SELECT ON public.users TO {role}"
            ))
            .await;
        let plain = bench.login(&role);
        assert_eq!(plain.strings("SELECT session_user::text").await, std::slice::from_ref(&role));
        plain.migrate().await;
        let ours = bench.ours();
        plain.json(YES);
        plain.json(&["restore"]);
        same(&bench.ours(), &ours);
        plain.json(DROP);
        let backup = plain.backups().pop().unwrap();
        plain.json(&["restore", "--yes", "--backup", backup.to_str().unwrap()]);
        same_shape(&bench.ours(), &ours);
        bench.run(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    }
}

mod refusals {
    use super::*;

    /// Something of others, how PostgreSQL calls it, and how to take it away again.
    const FOREIGN: [(&str, &str, &str); 8] = [
        (
            "CREATE VIEW public.v AS SELECT name FROM SCHEMA.permissions",
            "view public.v",
            "DROP VIEW public.v",
        ),
        (
            "CREATE MATERIALIZED VIEW public.m AS SELECT SCHEMA.covers('*', 'a.b')",
            "materialized view public.m",
            "DROP MATERIALIZED VIEW public.m",
        ),
        (
            "CREATE TABLE public.t (p text COLLATE \"C\" CONSTRAINT fk REFERENCES SCHEMA.permissions (name))",
            "fk on public.t",
            "DROP TABLE public.t",
        ),
        (
            "CREATE POLICY only_head ON public.orders USING (SCHEMA.has_permission(by_user::text, 'po.view'))",
            "policy only_head on public.orders",
            "DROP POLICY only_head ON public.orders",
        ),
        (
            "CREATE FUNCTION public.f(p SCHEMA.permissions) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function public.f(",
            "DROP FUNCTION public.f",
        ),
        (
            "CREATE FUNCTION public.g() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'; \
             CREATE TRIGGER mine BEFORE INSERT ON SCHEMA.roles FOR EACH ROW EXECUTE FUNCTION public.g()",
            "trigger mine on ",
            "DROP FUNCTION public.g CASCADE",
        ),
        (
            "CREATE TABLE public.d (b boolean DEFAULT SCHEMA.is_permission('a.b'))",
            "default value for public.d.b",
            "DROP TABLE public.d",
        ),
        (
            "CREATE POLICY theirs ON SCHEMA.permissions USING (true)",
            "policy theirs on ",
            "DROP POLICY theirs ON SCHEMA.permissions",
        ),
    ];

    #[tokio::test]
    async fn objects_of_others_stop_it_and_are_named() {
        let bench = Bench::migrated().await;
        for (create, name, remove) in FOREIGN {
            bench.run(create).await;
            let before = (bench.ours(), bench.theirs());
            for arguments in [YES, DROP, &["rollback", "--dry-run"]] {
                bench.pbac(arguments, 6).says(&[name, "depend"]);
            }
            assert_eq!((bench.ours(), bench.theirs()), before, "{create}");
            bench.run(remove).await;
        }
        assert_eq!(bench.audit().await, vec!["rollback refused"; FOREIGN.len() * 2]);
        assert!(bench.backups().is_empty() && bench.parked().await.is_empty());
        bench.json(YES);
    }

    #[tokio::test]
    async fn what_others_put_into_our_schema_stays() {
        let bench = Bench::migrated().await;
        bench
            .run(
                "CREATE TABLE SCHEMA.theirs (a int); INSERT INTO SCHEMA.theirs VALUES (7); \
                 CREATE FUNCTION SCHEMA.has_permission(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
                 CREATE TYPE SCHEMA.mood AS ENUM ('good')",
            )
            .await;
        for arguments in [YES, DROP] {
            let report = bench.json(arguments);
            let left: Vec<&str> =
                report["left_alone"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            assert_eq!(
                left,
                ["function pbac.has_permission(integer)", "table pbac.theirs", "type pbac.mood"]
            );
            assert_eq!(
                bench.count("SELECT a::bigint + SCHEMA.has_permission(1) FROM SCHEMA.theirs").await,
                8
            );
            bench.migrate().await;
        }
    }

    #[tokio::test]
    async fn nobody_confirmed() {
        let bench = Bench::migrated().await;
        let ours = bench.ours();
        for arguments in [&["rollback"][..], &["rollback", "--no-input"], &["rollback", "--json"]] {
            bench.pbac(arguments, 6).says(&["nobody confirmed", "park 8 tables"]);
        }
        same(&bench.ours(), &ours);
    }

    #[tokio::test]
    async fn yes_does_not_accept_the_loss_of_overrides() {
        let bench = Bench::hostile("pbac").await;
        let ours = bench.ours();
        bench.pbac(&["rollback", "--yes", "--drop"], 6).says(&["18 overrides", "--accept-data-loss"]);
        same(&bench.ours(), &ours);
        assert!(bench.backups().is_empty());
    }

    /// A legacy application may have tables and functions of our names.
    #[tokio::test]
    async fn what_only_has_our_names_is_not_ours() {
        let bench = Bench::legacy("public").await;
        bench
            .run(
                "CREATE TABLE public.roles (id int, name text, description text); \
                 CREATE TABLE public.permissions (name text PRIMARY KEY, module text, description text); \
                 CREATE FUNCTION public.has_permission(a text, b text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
            )
            .await;
        let theirs = bench.theirs();
        for arguments in [YES, DROP] {
            assert_eq!(bench.json(arguments)["status"], "nothing_to_do");
        }
        same(&bench.theirs(), &theirs);
    }

    #[tokio::test]
    async fn a_damaged_backup_is_refused() {
        let bench = Bench::hostile("pbac").await;
        bench.json(DROP);
        let ours = bench.ours();
        let backup = bench.backups().pop().unwrap();
        let good = std::fs::read(&backup).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        let second = text.find('\n').unwrap() + 1;
        let cases: Vec<Vec<u8>> = vec![
            text.replacen("po.approve\tbuying", "po.approve\tselling", 1).into_bytes(),
            text.replacen("\"format\":1", "\"format\":2", 1).into_bytes(),
            text.replacen("sha256 ", "sha256 0", 1).into_bytes(),
            text.replacen("format 1", "format 2", 1).into_bytes(),
            text.replacen("CREATE SCHEMA", "DROP SCHEMA", 1).into_bytes(),
            good[..good.len() - 1].to_vec(),
            [&good[..], b"DROP TABLE public.users;\n"].concat(),
            good[..second].to_vec(),
            Vec::new(),
            b"SELECT 1;\n".to_vec(),
            vec![0; 100_000],
        ];
        let file = bench.files.path().join("tampered");
        for (number, case) in cases.into_iter().enumerate() {
            assert_ne!(case, good, "case {number} changes something");
            std::fs::write(&file, case).unwrap();
            bench.pbac(&["restore", "--yes", "--backup", "tampered"], 6).says(&["tampered"]);
        }
        // A file with a right hash and a wrong header: whoever can write it can also run SQL, and still gets nothing half.
        let rows = text.find("\"rows\":18").unwrap();
        let mut forged = text.clone();
        forged.replace_range(rows..rows + 9, "\"rows\":17");
        let rest = forged[second..].to_owned();
        let hash: String = {
            use sha2::Digest;
            sha2::Sha256::digest(rest.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let first = format!("-- pbac backup, format 1, sha256 {hash} of everything after this line\n");
        std::fs::write(&file, first + &rest).unwrap();
        bench.pbac(&["restore", "--yes", "--backup", "tampered"], 6).says(&["not as many rows"]);
        bench.pbac(&["restore", "--yes", "--backup", "none.sql"], 1).says(&["none.sql"]);
        same(&bench.ours(), &ours);
        bench.json(&["restore", "--yes", "--backup", backup.to_str().unwrap()]);
    }

    #[tokio::test]
    async fn parked_tables_that_were_changed_are_not_brought_back_in_silence() {
        let bench = Bench::migrated().await;
        let report = bench.json(YES);
        let parked = format!("\"{}\"", report["parked_in"].as_str().unwrap());
        bench.run(&format!("UPDATE {parked}.role_permissions SET pattern = '*' WHERE role = 'BUYER'")).await;
        let before = bench.ours();
        bench.pbac(&["restore"], 4).says(&["were changed"]);
        assert_eq!(bench.ours(), before);
        let restored = bench.json(&["restore", "--accept-changes"]);
        assert_eq!(restored["verified"], false);
        assert_eq!(bench.count("SELECT count(*) FROM SCHEMA.role_permissions WHERE pattern = '*'").await, 2);
    }

    #[tokio::test]
    async fn nothing_is_overwritten() {
        let bench = Bench::migrated().await;
        bench.json(YES);
        bench
            .run("CREATE FUNCTION SCHEMA.covers(a text, b text) RETURNS int LANGUAGE sql AS 'SELECT 1'")
            .await;
        bench.pbac(&["restore"], 6).says(&["function pbac.covers(", "in the way"]);
        bench.run("DROP FUNCTION SCHEMA.covers; CREATE VIEW SCHEMA.roles AS SELECT 1 AS one").await;
        bench.pbac(&["restore"], 6).says(&["view pbac.roles"]);
        bench.run("DROP VIEW SCHEMA.roles").await;
        bench.json(&["restore"]);
        assert_eq!(bench.json(&["restore"])["status"], "nothing_to_do");
    }
}

mod waiting {
    use super::*;

    /// A writer and a reader that do not end, each in the way of another lock: all tries are used up, and nothing is done.
    #[tokio::test]
    async fn tables_in_use_are_busy() {
        for (held, backups) in [
            ("UPDATE SCHEMA.roles SET description = description", 0),
            ("SELECT count(*) FROM SCHEMA.roles", 1),
        ] {
            let bench = Bench::migrated().await;
            let ours = bench.ours();
            let mut holder = bench.connect().await;
            run(&mut holder, "BEGIN").await;
            run(&mut holder, &bench.sql(held)).await;
            let began = Instant::now();
            bench.pbac(YES, 5).says(&["locked by others"]);
            assert!(began.elapsed() < Duration::from_secs(40));
            run(&mut holder, "ROLLBACK").await;
            same(&bench.ours(), &ours);
            assert!(bench.parked().await.is_empty());
            assert_eq!(bench.backups().len(), backups);
            assert_eq!(bench.audit().await, ["rollback attempted", "rollback failed"]);
            bench.json(YES);
        }
    }

    #[tokio::test]
    async fn another_pbac_is_named() {
        let bench = Bench::migrated().await;
        let lock = SchemaLock::acquire(bench.database.url(), &bench.schema, Duration::ZERO).await.unwrap();
        for arguments in [&["rollback", "--yes", "--wait", "0"][..], &["restore", "--wait", "0"]] {
            bench.pbac(arguments, 5).says(&["another pbac", "application `pbac`"]);
        }
        lock.release().await.unwrap();
        bench.json(YES);
    }

    /// A lock that is given back in time is waited for, and readers are not held up for long.
    #[tokio::test]
    async fn a_short_lock_is_waited_for() {
        let bench = Bench::migrated().await;
        let mut holder = bench.connect().await;
        run(&mut holder, &bench.sql("BEGIN; SELECT count(*) FROM SCHEMA.roles")).await;
        let mut command = bench.command(YES);
        let rollback = std::thread::spawn(move || command.output().unwrap());
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let began = Instant::now();
        assert_eq!(bench.count("SELECT count(*) FROM SCHEMA.roles").await, 3);
        // Behind a rollback that does not let go, it would wait until the holder ends, which it does only after this.
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        run(&mut holder, "COMMIT").await;
        let output = rollback.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

mod afterwards {
    use super::*;

    fn configure(bench: &Bench, restart: &str, health: &str, login: &str) {
        let text = format!(
            "[rollback]\nrestart = {{ command = [{restart:?}, 'now'], timeout_ms = 5000 }}\n\
             health_check = {{ command = [{health:?}], timeout_ms = 500 }}\n\
             login_check = {{ command = '{login} SENTINEL-SECRET', timeout_ms = 5000 }}\n"
        );
        std::fs::write(bench.files.path().join("pbac.toml"), text).unwrap();
    }

    #[tokio::test]
    async fn the_configured_commands_run_in_order() {
        let bench = Bench::migrated().await;
        let say = |name: &str| bench.script(name, &format!("echo {name} \"$1\" >> order"));
        configure(&bench, &say("restart"), &say("health"), &say("login"));
        let report = bench.json(YES);
        let order = std::fs::read_to_string(bench.files.path().join("order")).unwrap();
        assert_eq!(order, "restart now\nhealth \nlogin SENTINEL-SECRET\n");
        let checks = report["checks"].as_array().unwrap();
        assert!(checks.iter().all(|check| check["status"] == "succeeded"), "{checks:?}");
        assert!(!report.to_string().contains("SENTINEL"));
        assert_eq!(
            bench.audit().await,
            ["rollback attempted", "rollback succeeded", "rollback.checks succeeded"]
        );
        assert_eq!(bench.json(YES)["status"], "nothing_to_do");
    }

    #[tokio::test]
    async fn a_command_that_fails_leaves_the_tables_parked() {
        let bench = Bench::migrated().await;
        let restart = bench.script("restart", "touch restarted");
        let health = bench.script("health", "[ -e up ] || sleep 60");
        let login = bench.script("login", "[ -e up ] && exit 0; echo no such user >&2; exit 7");
        configure(&bench, &restart, &health, &login);
        let ours = bench.ours();
        let answer = bench.pbac(YES, 1);
        answer.says(&[
            "health_check: timed out",
            "login_check: failed with status 7",
            "no such user",
            "the rollback is done, but `health_check` timed out and `login_check` failed",
            "pbac restore --from pbac_parked_",
        ]);
        assert!(!answer.stdout.contains("SENTINEL") && !answer.stderr.contains("SENTINEL"));
        assert!(bench.files.path().join("restarted").exists());
        assert_eq!(bench.parked().await.len(), 1);
        assert_eq!(
            bench.audit().await,
            ["rollback attempted", "rollback succeeded", "rollback.checks failed"]
        );
        // The second run has only the commands left to do, and the third nothing.
        std::fs::write(bench.files.path().join("up"), "").unwrap();
        bench.pbac(&["rollback"], 6).says(&["nobody confirmed", "run the commands that follow"]);
        assert_eq!(bench.json(YES)["status"], "checks_run");
        assert_eq!(bench.json(YES)["status"], "nothing_to_do");
        bench.json(&["restore"]);
        same(&bench.ours(), &ours);
    }

    #[tokio::test]
    async fn what_the_application_did_meanwhile_is_counted() {
        let bench = Bench::migrated().await;
        bench
            .run(
                "INSERT INTO public.users (role, is_active) SELECT 'BUYER', true FROM generate_series(1, 12)",
            )
            .await;
        let theirs = bench.theirs();
        bench.pbac(&["rollback", "--dry-run", "--strict"], 4).says(&["72 users, +12 since the migration"]);
        let answer = bench.pbac(YES, 0);
        answer.says(&["72 users, +12 since the migration", "restart: skipped", "login_check: skipped"]);
        same(&bench.theirs(), &theirs);
        bench.json(&["restore"]);
        bench.run("DROP TABLE public.orders; DROP TABLE public.users").await;
        bench.pbac(YES, 0).says(&["could not be looked at"]);
    }

    #[tokio::test]
    async fn a_dry_run_changes_nothing() {
        let bench = Bench::hostile("pbac").await;
        let before = (bench.ours(), bench.theirs(), bench.audit().await);
        let touched = bench.script("touch", "touch touched");
        configure(&bench, &touched, &touched, &touched);
        let report = bench.json(&["rollback", "--dry-run"]);
        assert_eq!(report["status"], "dry_run");
        assert!(report["backup"]["bytes"].as_u64().unwrap() > 1000);
        let report = bench.json(&["rollback", "--dry-run", "--drop", "--accept-data-loss"]);
        let order: Vec<&str> =
            report["drop_order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let place = |name: &str| order.iter().position(|object| *object == name).unwrap();
        assert!(place("TABLE \"pbac\".role_permissions") < place("TABLE \"pbac\".roles"));
        assert!(place("TABLE \"pbac\".role_aliases") < place("TABLE \"pbac\".roles"));
        assert!(place("TABLE \"pbac\".permissions") < place("FUNCTION \"pbac\".is_permission(text)"));
        assert_eq!(order.len(), 23);
        assert_eq!((bench.ours(), bench.theirs(), bench.audit().await), before);
        assert!(bench.backups().is_empty() && bench.parked().await.is_empty());
        assert!(!bench.files.path().join("touched").exists());

        bench.json(YES);
        let parked = bench.parked().await;
        let ours = bench.ours();
        assert_eq!(bench.json(&["restore", "--dry-run"])["status"], "dry_run");
        assert_eq!((bench.parked().await, bench.ours()), (parked, ours));
    }
}

mod states {
    use super::*;

    #[tokio::test]
    async fn everything_that_a_migration_makes_is_ours() {
        let bench = Bench::migrated().await;
        let mut connection = bench.connect().await;
        let owned = Owned::read(&mut connection, &bench.schema).await.unwrap();
        assert_eq!((owned.tables.len(), owned.functions.len()), (8, 15));
        assert_eq!(owned.others, Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_is_only_partly_there_goes_and_comes_back() {
        let bench = Bench::hostile("pbac").await;
        bench.run("DROP TABLE SCHEMA.pbac_migrations; DROP FUNCTION SCHEMA.decide").await;
        let (ours, theirs) = (bench.ours(), bench.theirs());
        bench.json(YES);
        same(&bench.theirs(), &theirs);
        // Without the audit log, another one is begun.
        bench.run("DROP SCHEMA pbac CASCADE").await;
        bench.json(&["restore"]);
        assert_eq!(bench.audit().await, ["restore attempted", "restore succeeded"]);
        same(&bench.ours(), &ours);
    }

    #[tokio::test]
    async fn a_database_that_was_never_migrated_has_nothing_to_undo() {
        let bench = Bench::legacy("pbac").await;
        let theirs = bench.theirs();
        assert_eq!(bench.json(YES)["status"], "nothing_to_do");
        bench.pbac(&["restore"], 1).says(&["nothing of `pbac` is parked"]);
        assert_eq!(bench.count("SELECT count(*) FROM pg_namespace WHERE nspname = 'pbac'").await, 0);
        same(&bench.theirs(), &theirs);
    }

    #[tokio::test]
    async fn a_backup_says_what_it_holds() {
        let bench = Bench::hostile("pbac").await;
        let report = bench.json(YES);
        let backup = Backup::open(&bench.backups().pop().unwrap()).unwrap();
        let header = backup.header();
        assert_eq!((header.schema.as_str(), header.policy.as_deref()), ("pbac", Some("shop")));
        assert_eq!(header.rows["user_custom_permissions"], 18);
        assert_eq!(header.rows["permissions"], 3);
        assert_eq!(report["backup"]["sha256"], backup.sha256());
    }

    /// A schema whose name leaves no room for a date can be dropped and restored.
    #[tokio::test]
    async fn a_name_too_long_to_be_parked() {
        let bench = Bench::legacy(&"x".repeat(41)).await;
        bench.migrate().await;
        let ours = bench.ours();
        bench.pbac(YES, 6).says(&["41 bytes", "--drop"]);
        bench.json(DROP);
        let backup = bench.backups().pop().unwrap();
        bench.json(&["restore", "--yes", "--backup", backup.to_str().unwrap()]);
        same_shape(&bench.ours(), &ours);
    }
}

/// The signing keys lie in the same schema, and no way there or back touches them: it would log everybody out.
mod signing_keys {
    use pbac::keys::postgres_store::{PostgresStore, SealingKeys};
    use pbac::keys::{Applying, KeySettings, Operation};
    use policy_core::Timestamp;

    use super::*;

    const KEK: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff1";
    const ALL: &str = "SELECT k::text FROM SCHEMA.signing_keys k UNION ALL SELECT r::text FROM SCHEMA.revoked_keys r ORDER BY 1";

    fn store(bench: &Bench) -> PostgresStore {
        PostgresStore::new(bench.url(), bench.schema.clone(), SealingKeys::parse(KEK).unwrap())
    }

    /// Three keys, of which one is revoked.
    async fn keys(bench: &Bench) -> Vec<String> {
        let settings = KeySettings { logs: bench.files.path().join("logs"), ..KeySettings::default() };
        let rotate = Operation::Rotate { force: false };
        for day in 0..3 {
            let now = Timestamp::from_seconds(1_800_000_000 + day * 86_400);
            let applying =
                Applying { operation: &rotate, settings: &settings, now, who: "the test", watch: &|_| {} };
            store(bench).apply(applying).await.unwrap();
        }
        let id = store(bench).load().await.unwrap().history().retired().next().unwrap().id.clone();
        let revoke = Operation::Revoke { id, unknown: false };
        let now = Timestamp::from_seconds(1_800_000_000 + 3 * 86_400);
        let applying =
            Applying { operation: &revoke, settings: &settings, now, who: "the test", watch: &|_| {} };
        store(bench).apply(applying).await.unwrap();
        bench.strings(ALL).await
    }

    async fn are_as_before(bench: &Bench, before: &[String], what: &str) {
        assert_eq!(bench.strings(ALL).await, before, "{what}");
        let keys = store(bench).load().await.unwrap();
        assert_eq!((keys.history().keys().len(), keys.history().revoked().len()), (2, 1), "{what}");
    }

    #[tokio::test]
    async fn no_way_there_or_back_touches_them() {
        for name in ["pbac", "p \"b'a\\c; --"] {
            // Before there was any policy.
            let bench = Bench::legacy(name).await;
            let before = keys(&bench).await;
            assert_eq!(before.len(), 3);
            assert_eq!(bench.json(&["status"])["stage"], "audit_only");
            bench.migrate().await;
            are_as_before(&bench, &before, "a migration").await;
            let ways: [&[&str]; 4] = [YES, &["restore"], DROP, &["restore", "--yes", "--backup", "BACKUP"]];
            for way in ways {
                let backup = bench.backups().pop().map(|path| path.display().to_string()).unwrap_or_default();
                let way: Vec<&str> =
                    way.iter().map(|word| if *word == "BACKUP" { backup.as_str() } else { word }).collect();
                let report = bench.json(&way);
                if report.get("left_alone").is_some() {
                    assert_eq!(report["left_alone"], json!([]), "{way:?}");
                }
                are_as_before(&bench, &before, &format!("{way:?}")).await;
                let status = bench.json(&["status"]);
                assert_eq!(status["foreign"], json!([]), "{way:?}");
                assert!(!std::fs::read_to_string(&backup).unwrap_or_default().contains("signing_keys"));
            }
            // And they go on being changed, with or without a policy.
            bench.json(YES);
            assert!(bench.parked().await.len() == 1);
            let settings = KeySettings { logs: bench.files.path().join("logs"), ..KeySettings::default() };
            let now = Timestamp::from_seconds(1_800_000_000 + 10 * 86_400);
            let operation = Operation::Stage;
            let applying =
                Applying { operation: &operation, settings: &settings, now, who: "the test", watch: &|_| {} };
            store(&bench).apply(applying).await.unwrap();
            bench.json(&["restore"]);
            assert!(bench.parked().await.is_empty());
            assert_eq!(store(&bench).load().await.unwrap().history().keys().len(), 3);
        }
    }

    /// A table of the application that happens to have the name is named, as every other.
    #[tokio::test]
    async fn a_table_of_the_same_name_is_not_taken_for_them() {
        let bench = Bench::migrated().await;
        bench
            .run("CREATE TABLE SCHEMA.signing_keys (kid text); CREATE TABLE SCHEMA.revoked_keys (kid text)")
            .await;
        assert_eq!(bench.json(&["status"])["foreign"], json!(["revoked_keys", "signing_keys"]));
        let report = bench.json(YES);
        assert_eq!(report["left_alone"], json!(["table pbac.revoked_keys", "table pbac.signing_keys"]));
    }
}

//! Several pbac at once on one database, as processes: one works at a time, the others wait or say who is at it, and what
//! comes out is what some order of them gives.

use std::process::{Child, Command, Output, Stdio};

use pbac::postgres::{Identifier, audit};
use pbac_tests::binary::pbac;
use pbac_tests::database::TestDatabase;
use pbac_tests::record::Recorded;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// How many start at once.
const PROCESSES: usize = 6;

const POLICY: &str = r#"
[policy]
name = "shop"
version = 1
[modules.buying.permissions]
"po.view" = "See orders"
"po.approve" = "Approve orders"
[roles.HEAD]
grants = ["*"]
[roles.BUYER]
grants = ["po.view"]
[source]
kind = "role-column"
table = "public.users"
user_id = "id"
role = "role"
"#;

const LEGACY: &str = "
    CREATE TABLE public.users (id integer PRIMARY KEY, role text NOT NULL);
    INSERT INTO public.users SELECT i, CASE WHEN i % 2 = 0 THEN 'HEAD' ELSE 'BUYER' END FROM generate_series(1, 50) i;
";

struct Shop {
    database: TestDatabase,
    directory: TempDir,
}

impl Shop {
    async fn open() -> Self {
        let shop = Self { database: TestDatabase::create().await, directory: tempfile::tempdir().unwrap() };
        std::fs::write(shop.directory.path().join("policy.toml"), POLICY).unwrap();
        let mut connection = shop.database.connect().await;
        sqlx::raw_sql(LEGACY).execute(&mut connection).await.unwrap();
        shop
    }

    async fn migrated() -> Self {
        let shop = Self::open().await;
        assert_eq!(ended(shop.start(&["migrate"])).0, 0);
        shop
    }

    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(pbac())
            .args(arguments)
            .arg("--json")
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.database.url_text())
            .env("PBAC_LOCK_TIMEOUT_MS", "500")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    async fn one<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut connection = self.database.connect().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// `action outcome` of every row of the audit log, whose chain is whole.
    async fn deeds(&self) -> Vec<String> {
        let mut connection = self.database.connect().await;
        let schema = Identifier::new("pbac").unwrap();
        assert_eq!(audit::verify(&mut connection, &schema, None).await.unwrap().fault, None);
        let rows = audit::list(&mut connection, &schema, None).await.unwrap();
        rows.iter().map(|row| format!("{} {}", row.action, row.outcome)).collect()
    }
}

/// Status, and the answer or the error.
fn ended(child: Child) -> (i32, Value) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap().recorded();
    let text = String::from_utf8([stderr, stdout].concat()).unwrap();
    let last = text.lines().last().unwrap_or_default();
    (status.code().unwrap(), serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[tokio::test]
async fn of_many_migrations_one_does_it_and_the_others_find_it_done() {
    let shop = Shop::open().await;
    let started: Vec<Child> = (0..PROCESSES).map(|_| shop.start(&["migrate", "--wait", "60"])).collect();
    let mut endings: Vec<String> = Vec::new();
    for (status, answer) in started.into_iter().map(ended) {
        assert_eq!(status, 0, "{answer}");
        endings.push(answer["ending"].as_str().unwrap().to_owned());
        // Who waited is told who has done it.
        let earlier = &answer["earlier"];
        let did_it = answer["ending"] == "migrated";
        assert!(did_it || earlier["ending"] == "succeeded", "{answer}");
    }
    endings.sort();
    assert_eq!(endings.iter().filter(|ending| *ending == "migrated").count(), 1, "{endings:?}");
    assert_eq!(endings.iter().filter(|ending| *ending == "unchanged").count(), PROCESSES - 1, "{endings:?}");
    assert_eq!(shop.one::<i64>("SELECT count(*) FROM pbac.pbac_migrations WHERE kind = 'policy'").await, 1);
    assert_eq!(shop.deeds().await, ["schema.audit_log succeeded", "migrate attempted", "migrate succeeded"]);
}

#[tokio::test]
async fn who_does_not_wait_does_it_finds_it_done_or_says_who_is_at_it() {
    let shop = Shop::open().await;
    let started: Vec<Child> = (0..PROCESSES).map(|_| shop.start(&["migrate", "--wait", "0"])).collect();
    let mut done = 0;
    for (status, answer) in started.into_iter().map(ended) {
        match status {
            0 => done += usize::from(answer["ending"] == "migrated"),
            5 => {
                let message = answer["message"].as_str().unwrap();
                assert!(message.contains("another pbac works on the schema `pbac`"), "{message}");
                assert!(message.contains("application `pbac`") || message.contains("just gone"), "{message}");
            }
            _ => panic!("{status}: {answer}"),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(shop.deeds().await.iter().filter(|deed| *deed == "migrate succeeded").count(), 1);
}

#[tokio::test]
async fn migrations_and_rollbacks_come_one_after_the_other() {
    let shop = Shop::open().await;
    let commands: [&[&str]; 2] = [&["migrate", "--wait", "60"], &["rollback", "--yes", "--wait", "60"]];
    let started: Vec<Child> = (0..PROCESSES).map(|number| shop.start(commands[number % 2])).collect();
    let (mut forward, mut back) = (0, 0);
    for (status, answer) in started.into_iter().map(ended) {
        assert_eq!(status, 0, "{answer}");
        forward += usize::from(answer["ending"] == "migrated");
        back += usize::from(answer["status"] == "rolled_back");
    }
    assert!(forward >= 1 && (forward == back || forward == back + 1), "{forward} forward, {back} back");
    let in_force: bool = shop.one("SELECT to_regclass('pbac.permissions') IS NOT NULL").await;
    assert_eq!(in_force, forward > back);
    let parked: i64 =
        shop.one("SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'pbac_parked_')").await;
    assert_eq!(usize::try_from(parked), Ok(back));
    // No two at once: between an attempt and its end stands nobody else's.
    let deeds = shop.deeds().await;
    assert_eq!(deeds.len(), 1 + 2 * (forward + back), "{deeds:?}");
    for pair in deeds[1..].chunks(2) {
        assert_eq!(pair[0].replace("attempted", "succeeded"), pair[1], "{deeds:?}");
    }
}

#[tokio::test]
async fn grants_during_migrations_are_kept_or_refused() {
    let shop = Shop::migrated().await;
    let changed = POLICY.replace("grants = [\"po.view\"]", "grants = [\"po.view\", \"po.approve\"]");
    std::fs::write(shop.directory.path().join("changed.toml"), changed).unwrap();
    let mut started = Vec::new();
    for number in 0..PROCESSES {
        let user = (2 * number + 1).to_string();
        let policy = if number % 2 == 0 { "changed.toml" } else { "policy.toml" };
        started.push((None, shop.start(&["migrate", "--wait", "60", "--policy", policy])));
        let grant = shop.start(&["grant", &user, "po.approve", "--by", "2", "--reason", "holiday"]);
        started.push((Some(user), grant));
    }
    for (user, child) in started {
        let (status, answer) = ended(child);
        let Some(user) = user else {
            assert_eq!(status, 0, "{answer}");
            continue;
        };
        let kept: bool = shop
            .one(&format!(
                "SELECT EXISTS (SELECT FROM pbac.user_custom_permissions WHERE user_id = '{user}')"
            ))
            .await;
        match status {
            0 => assert!(kept, "{answer}"),
            5 => assert!(!kept && answer["error"] == "busy", "{answer}"),
            _ => panic!("{status}: {answer}"),
        }
    }
    assert_eq!(ended(shop.start(&["migrate"])).0, 0);
    assert_eq!(ended(shop.start(&["validate"])).0, 0);
    shop.deeds().await;
}

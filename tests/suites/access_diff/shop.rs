//! A shop whose policy does not give exactly what its legacy rules gave.

use std::process::Command;

use pbac_tests::binary;
use pbac_tests::database::TestDatabase;
use pbac_tests::record::Recorded;
use serde_json::Value;
use sqlx::AssertSqlSafe;

pub const POLICY: &str = r#"
[policy]
name = "shop"
version = 1
[modules.shop.permissions]
"po.view" = ""
"po.approve" = ""
"stock.view" = ""
"stock.adjust" = ""
"report.view" = ""
[roles.BOSS]
grants = ["*"]
[roles.CLERK]
grants = ["po.view"]
aliases = ["Clerk"]
[roles.KEEPER]
grants = ["stock.*"]
[roles.TEMP]
grants = ["po.view"]
[source]
kind = "role-column"
table = "public.users"
user_id = "id"
role = "role"
active = "active"
[source.rename]
OLD_KEEPER = "KEEPER"
"#;

/// A clerk loses `stock.view`, a keeper gains `stock.adjust`, and an old keeper gains both of the stock.
pub const ENDPOINTS: &str = r#"
[legacy]
roles = ["BOSS", "CLERK", "Clerk", "KEEPER", "OLD_KEEPER", "TEMP"]
bypass = ["BOSS"]
[legacy.inherits]
Clerk = ["CLERK"]
[[endpoints]]
method = "GET"
path = "/orders"
roles = ["CLERK"]
permission = "po.view"
[[endpoints]]
method = "POST"
path = "/orders/{id}/approve"
roles = ["BOSS"]
permission = "po.approve"
[[endpoints]]
method = "GET"
path = "/stock"
roles = ["KEEPER", "CLERK"]
permission = "stock.view"
[[endpoints]]
method = "POST"
path = "/stock"
roles = ["BOSS"]
permission = "stock.adjust"
"#;

/// What makes the shop's policy acceptable.
pub const SIGNED_OFF: &str = r#"
[[signed_off]]
role = "KEEPER"
permission = "stock.adjust"
by = "Ada"
reason = "keepers count the stock from now on"
[[signed_off]]
user = "7"
permission = "stock.view"
by = "Ada"
reason = "was forgotten when the keepers were renamed"
"#;

/// User 6 is an inactive keeper.
const LEGACY: &str = "
    CREATE TABLE public.users (id integer PRIMARY KEY, role text NOT NULL, active boolean NOT NULL);
    INSERT INTO public.users VALUES (1, 'BOSS', true), (2, 'CLERK', true), (3, 'Clerk', true), (4, 'KEEPER', true),
        (5, 'KEEPER', true), (6, 'KEEPER', false), (7, 'OLD_KEEPER', true);
";

pub struct Shop {
    pub database: TestDatabase,
    pub directory: tempfile::TempDir,
}

impl Shop {
    pub async fn open() -> Self {
        let shop = Self { database: TestDatabase::create().await, directory: tempfile::tempdir().unwrap() };
        shop.sql(LEGACY).await;
        shop.write("policy.toml", POLICY);
        shop.write("endpoints.toml", ENDPOINTS);
        shop.write("pbac.toml", "endpoints = 'endpoints.toml'");
        shop
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Status, standard output and standard error.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(binary::pbac())
            .args(arguments)
            .env_clear()
            .current_dir(self.directory.path())
            .env("DATABASE_URL", self.database.url_text())
            .output()
            .unwrap()
            .recorded();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The JSON on standard output of a run that ends with `status`.
    pub fn json(&self, status: i32, arguments: &[&str]) -> Value {
        let (ended, output, errors) = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended, status, "{arguments:?}: {output}{errors}");
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}{errors}"))
    }

    pub async fn sql(&self, sql: &str) {
        let mut connection = self.database.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    pub async fn one<T>(&self, sql: &str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let mut connection = self.database.connect().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }
}

/// Every change as `direction labels permission users open signed_off by_override first`, in the order of the report.
pub fn changes(difference: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for group in difference["groups"].as_array().unwrap() {
        for direction in ["gained", "lost"] {
            for change in group[direction].as_array().unwrap() {
                let words = |value: &Value| {
                    let words = value.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
                    words.collect::<Vec<_>>().join(",")
                };
                let numbers = ["users", "open", "signed_off", "by_override"].map(|name| &change[name]);
                let [users, open, signed, by_override] = numbers;
                found.push(format!(
                    "{direction} {} {} {users} {open} {signed} {by_override} {}",
                    words(&group["labels"]),
                    change["permission"].as_str().unwrap(),
                    words(&change["first"])
                ));
            }
        }
    }
    found
}

//! Names that look like SQL are names: of roles, aliases, users, tables, columns, and the schema itself.

use std::collections::BTreeMap;

use pbac::migrate::apply::Ending;
use pbac::policy_file::{PolicyFile, Source};
use pbac::postgres::{Identifier, QualifiedName, policy_store};
use policy_core::{
    Conflict, Label, Pattern, Permission, PermissionName, Policy, PolicyParts, Role, RoleName,
};

use crate::world::World;

const HOSTILE: [&str; 10] = [
    "'; DROP TABLE victim; --",
    "\"; DROP TABLE victim; --",
    "$body$; DROP TABLE victim; --",
    "%s %I %L %1$s",
    "\\'; DROP TABLE victim; --",
    "Ünïcødé 名",
    "$1",
    "null",
    "{a,b}",
    "' OR '1'='1",
];

#[tokio::test]
async fn names_reach_the_database_as_data_only() {
    let world =
        World { schema: Identifier::new("p\"b'ac; DROP TABLE victim; --").unwrap(), ..World::empty().await };
    let table = QualifiedName::new(
        Identifier::new("s'\"; --").unwrap(),
        Identifier::new("u%I\"; DROP TABLE victim; --").unwrap(),
    );
    let (id, role) = ("i'd\"$1", "ro\\le; --");
    let quoted = |name: &str| Identifier::new(name).unwrap().quoted();
    let mut connection = world.database.connect().await;
    world.run("CREATE TABLE victim ()").await;
    world.run(&format!("CREATE SCHEMA {}", quoted("s'\"; --"))).await;
    world
        .run(&format!(
            "CREATE TABLE {} ({} text PRIMARY KEY, {} text NOT NULL)",
            table.quoted(),
            quoted(id),
            quoted(role)
        ))
        .await;
    let insert = format!("INSERT INTO {} VALUES ($1, $2)", table.quoted());
    for name in HOSTILE {
        sqlx::query(sqlx::AssertSqlSafe(insert.as_str()))
            .bind(name)
            .bind(name)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    sqlx::query(sqlx::AssertSqlSafe(insert.as_str()))
        .bind("old")
        .bind("'old\"$$")
        .execute(&mut connection)
        .await
        .unwrap();

    let column = |name: &str| Identifier::new(name).unwrap();
    let role_name = |name: &str| RoleName::parse(name).unwrap();
    let mut parts = PolicyParts::default();
    for (at, name) in HOSTILE.iter().enumerate() {
        let permission = format!("p{at}.view");
        parts.permissions.push(Permission {
            name: PermissionName::parse(&permission).unwrap(),
            module: Label::parse(name).unwrap(),
            description: (*name).to_owned(),
        });
        let grants = if at == 0 { vec!["*"] } else { vec![permission.as_str()] };
        parts.roles.push(Role {
            description: (*name).to_owned(),
            grants: grants.iter().map(|grant| Pattern::parse(grant).unwrap()).collect(),
            aliases: vec![role_name(&format!("alias {name}"))],
            ..Role::named(role_name(name))
        });
        parts.conflicts.push(Conflict {
            name: Label::parse(name).unwrap(),
            left: Pattern::parse("p1.view").unwrap(),
            right: Pattern::parse("p2.view").unwrap(),
            reason: (*name).to_owned(),
        });
    }
    let file = PolicyFile {
        name: HOSTILE[0].to_owned(),
        policy: Policy::new(parts).unwrap(),
        signed_off: Vec::new(),
        source: Some(Source {
            rename: BTreeMap::from([("'old\"$$".to_owned(), HOSTILE[1].to_owned())]),
            ..Source::role_column(table, column(id), column(role))
        }),
        text_hash: "00".repeat(32),
    };
    let migration = world.migrate(&file).await.unwrap();
    assert_eq!(migration.ending, Ending::Migrated);
    assert!(migration.checks.iter().all(|check| check.holds));
    assert_eq!(world.migrate(&file).await.unwrap().ending, Ending::Unchanged);

    let stored = policy_store::read(&mut connection, &world.schema).await.unwrap();
    assert_eq!(stored.policy_alone().unwrap(), file.policy);
    let ask = format!("SELECT role, pattern FROM {}.decide($1, $2)", world.schema.quoted());
    for (at, name) in HOSTILE.iter().enumerate() {
        let asked = sqlx::query_as(sqlx::AssertSqlSafe(ask.as_str())).bind(name).bind(format!("p{at}.view"));
        let (role, pattern): (String, String) = asked.fetch_one(&mut connection).await.unwrap();
        assert_eq!(
            (role.as_str(), pattern),
            (*name, if at == 0 { "*".to_owned() } else { format!("p{at}.view") })
        );
    }
    let asked = sqlx::query_as(sqlx::AssertSqlSafe(ask.as_str())).bind("old").bind("p1.view");
    let (role, _): (String, String) = asked.fetch_one(&mut connection).await.unwrap();
    assert_eq!(role, HOSTILE[1]);
    assert_eq!(world.one::<i64>("SELECT count(*) FROM pg_class WHERE relname = 'victim'").await, 1);
    let last = world.audit().await.pop().unwrap();
    assert_eq!((last.subject.as_str(), last.outcome.as_str()), (HOSTILE[0], "succeeded"));
}

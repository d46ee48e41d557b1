//! Databases of no framework.

use crate::world::{World, remarks, schemas};

/// What a shape is, the heads of its draft, and who has which role by it.
struct Shape {
    legacy: &'static str,
    preset: &'static str,
    source: &'static [&'static str],
    labels: &'static [(&'static str, &'static str)],
}

const SHAPES: [Shape; 9] = [
    Shape {
        legacy: "CREATE TYPE userrole AS ENUM ('BOSS', 'CLERK', 'NEVER_USED');
            CREATE TABLE users (id int PRIMARY KEY, role userrole NOT NULL, is_active boolean NOT NULL);
            INSERT INTO users VALUES (1, 'BOSS', true), (2, 'CLERK', true), (3, 'CLERK', false)",
        preset: "role-column",
        source: &["kind = \"role-column\"", "role = \"role\"", "active = \"is_active\"", "[roles.NEVER_USED]"],
        labels: &[("1", "BOSS"), ("2", "CLERK"), ("3", "CLERK")],
    },
    Shape {
        legacy: "CREATE TABLE accounts (id uuid PRIMARY KEY, role varchar(20), deleted_at timestamptz);
            INSERT INTO accounts VALUES ('00000000-0000-4000-8000-000000000001', 'admin', NULL),
                ('00000000-0000-4000-8000-000000000002', 'Admin', now()), ('00000000-0000-4000-8000-000000000003', 'admin', NULL)",
        preset: "role-column",
        source: &["inactive_if_set = \"deleted_at\"", "aliases = [\"Admin\"]", "# guessed: `Admin` is `admin` in another spelling"],
        labels: &[
            ("00000000-0000-4000-8000-000000000001", "admin"),
            ("00000000-0000-4000-8000-000000000002", "Admin"),
            ("00000000-0000-4000-8000-000000000003", "admin"),
        ],
    },
    Shape {
        legacy: "CREATE TABLE role_kinds (id int PRIMARY KEY, name text NOT NULL);
            CREATE TABLE users (id int PRIMARY KEY, role_id int REFERENCES role_kinds);
            INSERT INTO role_kinds VALUES (7, 'boss'), (8, 'clerk'), (9, 'guest');
            INSERT INTO users VALUES (1, 7), (2, 8)",
        preset: "role-column",
        source: &["kind = \"role-paths\"", "column = \"role_id\"", "to = \"name\"", "[roles.guest]"],
        labels: &[("1", "boss"), ("2", "clerk")],
    },
    Shape {
        legacy: "CREATE TABLE users (id int PRIMARY KEY, roles text[] NOT NULL);
            INSERT INTO users VALUES (1, '{boss,\"night clerk\"}'), (2, '{}'), (3, '{boss}')",
        preset: "role-column",
        source: &["form = \"array\"", "[roles.\"night clerk\"]"],
        labels: &[("1", "boss"), ("1", "night clerk"), ("3", "boss")],
    },
    Shape {
        legacy: "CREATE TABLE users (id int PRIMARY KEY, roles jsonb NOT NULL);
            INSERT INTO users VALUES (1, '[\"boss\", \"clerk\"]'), (2, '[]')",
        preset: "role-column",
        source: &["form = \"json\"", "[roles.clerk]"],
        labels: &[("1", "boss"), ("1", "clerk")],
    },
    Shape {
        legacy: "CREATE TABLE users (id int PRIMARY KEY, roles text NOT NULL);
            INSERT INTO users VALUES (1, 'boss, clerk,'), (2, 'clerk')",
        preset: "role-column",
        source: &["form = \"list\"", "separator = \",\"", "# guessed: the column is a list, since 1 values hold `,`"],
        labels: &[("1", "boss"), ("1", "clerk"), ("2", "clerk")],
    },
    Shape {
        legacy: "CREATE TABLE \"user\" (id uuid PRIMARY KEY, email text, is_active boolean NOT NULL, is_superuser boolean NOT NULL);
            INSERT INTO \"user\" VALUES ('00000000-0000-4000-8000-000000000001', 'a', true, true),
                ('00000000-0000-4000-8000-000000000002', 'b', true, false)",
        preset: "role-column",
        source: &["flag = \"is_superuser\"", "label = \"superuser\"", "grants = [\"*\"]"],
        labels: &[("00000000-0000-4000-8000-000000000001", "superuser")],
    },
    Shape {
        legacy: "CREATE TABLE users (id int PRIMARY KEY, active boolean NOT NULL);
            CREATE TABLE roles (id int PRIMARY KEY, name text NOT NULL, display_name text);
            CREATE TABLE user_roles (user_id int REFERENCES users, role_id int REFERENCES roles);
            INSERT INTO users VALUES (1, true), (2, true);
            INSERT INTO roles VALUES (1, 'boss', 'The Boss'), (2, 'clerk', NULL);
            INSERT INTO user_roles VALUES (1, 1), (1, 2), (2, 2)",
        preset: "join-tables",
        source: &["aliases = [\"The Boss\"]", "# guessed: `The Boss` is `boss` as people are shown it", "from = \"user_id\", to = \"role_id\""],
        labels: &[("1", "boss"), ("1", "clerk"), ("2", "clerk")],
    },
    Shape {
        legacy: "CREATE TABLE members (id int PRIMARY KEY);
            CREATE TABLE roles (id int PRIMARY KEY, name text NOT NULL);
            CREATE TABLE permissions (id int PRIMARY KEY, name text NOT NULL);
            CREATE TABLE member_roles (member_id int REFERENCES members, role_id int REFERENCES roles);
            CREATE TABLE role_permissions (role_id int REFERENCES roles, permission_id int REFERENCES permissions);
            CREATE TABLE member_permissions (member_id int REFERENCES members, permission_id int REFERENCES permissions);
            INSERT INTO members VALUES (1), (2);
            INSERT INTO roles VALUES (1, 'editor');
            INSERT INTO permissions VALUES (1, 'edit posts'), (2, 'posts.view');
            INSERT INTO member_roles VALUES (1, 1);
            INSERT INTO role_permissions VALUES (1, 1), (1, 2);
            INSERT INTO member_permissions VALUES (2, 1)",
        preset: "join-tables",
        source: &["\"edit posts\" = [\"posts.edit\"]", "grants = [\"posts.edit\", \"posts.view\"]", "[[source.permissions]]"],
        labels: &[("1", "editor")],
    },
];

#[tokio::test]
async fn the_plain_shapes_are_drafted_and_migrate() {
    for shape in &SHAPES {
        let world = World::with(shape.legacy).await;
        let (status, answer) = world.init(&[]);
        assert_eq!((status, answer["preset"].as_str()), (0, Some(shape.preset)), "{answer}");
        assert!(!remarks(&answer, "found").is_empty());
        let draft = world.file("policy.toml");
        for line in shape.source {
            assert!(draft.contains(line), "{line} in\n{draft}");
        }
        world.migrate(&[]).await;
        let labels = world.pairs("SELECT user_id, label FROM pbac.all_users() WHERE label IS NOT NULL").await;
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(user, label)| (user.as_str(), label.as_str())).collect();
        assert_eq!(labels, shape.labels, "{draft}");
    }
}

#[tokio::test]
async fn what_users_hold_themselves_becomes_overrides() {
    let Some(shape) = SHAPES.last() else { return };
    let world = World::with(shape.legacy).await;
    assert_eq!(world.init(&[]).0, 0);
    world.migrate(&[]).await;
    let expected = [("1", "posts.edit"), ("1", "posts.view"), ("2", "posts.edit")];
    assert_eq!(world.effective().await, expected.map(|(user, name)| (user.to_owned(), name.to_owned())));
}

/// The schemas of `tests/schemas` in which no foreign key says what refers to what.
#[tokio::test]
async fn keys_that_only_names_suggest_are_guesses() {
    let legacy = |name: &str| std::fs::read_to_string(schemas().join(name).join("legacy.sql")).unwrap();
    let world = World::with(&legacy("column-lookup")).await;
    let (status, answer) = world.init(&[]);
    assert_eq!(status, 0, "{answer}");
    let said = remarks(&answer, "guessed").join("\n");
    assert!(said.contains("public.users.role_id: it leads to `public.roles` by its name"), "{said}");
    world.migrate(&[]).await;
    let labels = world.pairs("SELECT right(user_id, 1), label FROM pbac.all_users()").await;
    let labels: Vec<(&str, &str)> =
        labels.iter().map(|(user, label)| (user.as_str(), label.as_str())).collect();
    assert_eq!(labels, [("1", "Manager"), ("2", "Purchasing Head"), ("3", "Purchasing Head")]);

    let world = World::with(&legacy("join-tables")).await;
    let (status, answer) = world.init(&[]);
    assert_eq!((status, answer["preset"].as_str()), (0, Some("join-tables")), "{answer}");
    let said = remarks(&answer, "guessed").join("\n");
    assert!(said.contains("user_id and role_id lead to app.users and app.roles by their names"), "{said}");
    let unsure = remarks(&answer, "unsure").join("\n");
    for table in ["app.role_parents", "app.user_permissions"] {
        assert!(unsure.contains(&format!("{table}: by its name it says who may do what")), "{unsure}");
    }
    world.migrate(&[]).await;
}

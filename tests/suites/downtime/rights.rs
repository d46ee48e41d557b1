//! With the rights that a careful administrator gives, and no more.

use pbac_tests::database::TestDatabase;
use pbac_tests::site::{CYCLE, Site};
use url::Url;

/// A user who may log in and read three columns of the legacy table, and whatever a test adds.
struct Least {
    _database: TestDatabase,
    root: Site,
    site: Site,
    user: String,
}

impl Least {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let name = database.name().as_str();
        let user = format!("{name}_least");
        let root = Site::new(database.url_text());
        root.fill(60).await;
        root.run(&format!(
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; \
             CREATE ROLE {user} LOGIN; GRANT CONNECT ON DATABASE {name} TO {user}; GRANT USAGE ON SCHEMA public TO {user}; \
             GRANT SELECT (id, role, is_active) ON public.users TO {user}"
        ))
        .await;
        let mut url = Url::parse(database.url_text()).unwrap();
        let pairs: Vec<(String, String)> =
            url.query_pairs().into_owned().filter(|(name, _)| name != "user").collect();
        url.query_pairs_mut().clear().extend_pairs(&pairs).append_pair("user", &user);
        let site = Site::new(url.as_str());
        Self { _database: database, root, site, user }
    }

    /// Definitions, owners and rights of everything that is not ours, and of the database.
    async fn others(&self) -> Vec<String> {
        self.root
            .texts(
                "SELECT concat_ws(' ', c.oid, c.relname, c.relowner, c.relacl, c.relhastriggers) FROM pg_class c \
                 WHERE c.relnamespace = 'public'::regnamespace \
                 UNION ALL SELECT concat_ws(' ', attrelid, attname, attacl) FROM pg_attribute WHERE attacl IS NOT NULL \
                     AND attrelid >= 16384 AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = attrelid \
                     AND c.relnamespace::regnamespace::text LIKE 'pbac%') \
                 UNION ALL SELECT concat_ws(' ', conname, conrelid, confrelid) FROM pg_constraint \
                     WHERE 'public.users'::regclass IN (conrelid, confrelid) \
                 UNION ALL SELECT concat_ws(' ', nspname, nspowner, nspacl) FROM pg_namespace WHERE nspname = 'public' \
                 UNION ALL SELECT datacl::text FROM pg_database WHERE datname = current_database() ORDER BY 1",
            )
            .await
    }

    /// Schemas of pbac's, with their comments.
    async fn schemas(&self) -> Vec<String> {
        self.root
            .texts(
                "SELECT nspname || coalesce(' ' || left(obj_description(oid, 'pg_namespace'), 1), '') \
                    FROM pg_namespace WHERE nspname LIKE 'pbac%' ORDER BY 1",
            )
            .await
    }

    async fn end(self) {
        let user = &self.user;
        self.root
            .run(&format!("REASSIGN OWNED BY {user} TO postgres; DROP OWNED BY {user}; DROP ROLE {user}"))
            .await;
    }
}

#[tokio::test]
async fn of_who_may_make_a_schema_and_read_three_columns() {
    let least = Least::new().await;
    let (site, user) = (&least.site, &least.user);
    let name = least._database.name().as_str();
    least.root.run(&format!("GRANT CREATE ON DATABASE {name} TO {user}")).await;
    let before = least.others().await;
    for arguments in CYCLE {
        site.pbac(arguments, 0);
        assert_eq!(least.others().await, before, "{arguments:?}");
    }
    site.pbac(&["grant", "20", "po.approve", "--by", "1"], 0);
    site.pbac(&["check", "20", "po.approve"], 0);
    site.pbac(&["revoke", "20", "po.approve", "--by", "1"], 0);
    // It really had no more than that.
    let more = "SELECT concat_ws(' ', has_table_privilege(r.oid, 'public.users', 'SELECT'), \
        has_column_privilege(r.oid, 'public.users', 'email', 'SELECT'), has_schema_privilege(r.oid, 'public', 'CREATE'), \
        has_database_privilege(r.oid, current_database(), 'TEMP'), r.rolsuper) FROM pg_roles r";
    assert_eq!(least.root.texts(&format!("{more} WHERE r.rolname = '{user}'")).await, ["f f f f f"]);
    least.end().await;
}

/// The administrator makes the schema, and the user can make none.
#[tokio::test]
async fn of_who_is_given_a_schema() {
    let least = Least::new().await;
    let (site, user) = (&least.site, &least.user);
    let printed = site.pbac(&["migrate"], 1);
    assert!(printed.contains("CREATE SCHEMA pbac AUTHORIZATION"), "{printed}");
    least.root.run(&format!("CREATE SCHEMA pbac AUTHORIZATION {user}")).await;
    let before = least.others().await;
    let printed = site.pbac(&["plan"], 0);
    assert!(
        printed.contains("note:") && printed.contains("CREATE SCHEMA \"pbac_parked\" AUTHORIZATION"),
        "{printed}"
    );
    site.pbac(CYCLE[0], 0);

    // There is nowhere to park, and the backup can still be tried out in the place of what it was made of.
    let rows = "SELECT count(*)::text FROM pbac.role_permissions";
    let stored = least.root.texts(rows).await;
    let printed = site.pbac(&["rollback", "--yes"], 6);
    assert!(printed.contains("may not create a schema") && printed.contains("--drop"), "{printed}");
    for arguments in &CYCLE[3..] {
        site.pbac(arguments, 0);
    }
    assert_eq!(least.root.texts(rows).await, stored);
    assert_eq!(least.schemas().await, ["pbac"]);

    // A schema to park in stays when it is empty again, and is used again.
    least
        .root
        .run(&format!("CREATE SCHEMA pbac_parked AUTHORIZATION {user}; CREATE TABLE pbac_parked.mine ()"))
        .await;
    let printed = site.pbac(&["rollback", "--yes"], 6);
    assert!(printed.contains("`pbac_parked` is not empty"), "{printed}");
    least.root.run("DROP TABLE pbac_parked.mine").await;
    let printed = site.pbac(&["plan"], 0);
    assert!(!printed.contains("AUTHORIZATION"), "{printed}");
    for _ in 0..2 {
        let report = site.json(&["rollback", "--yes"], 0);
        assert_eq!(report["parked_in"], "pbac_parked");
        assert_eq!(site.json(&["status"], 0)["parked"][0]["schema"], "pbac_parked");
        assert_eq!(least.schemas().await, ["pbac", "pbac_parked {"]);
        assert_eq!(site.json(&["restore"], 0)["verified"], true);
        assert_eq!(least.schemas().await, ["pbac", "pbac_parked"]);
        site.pbac(&["validate"], 0);
    }
    for arguments in &CYCLE[3..] {
        site.pbac(arguments, 0);
    }
    assert_eq!(least.schemas().await, ["pbac", "pbac_parked"]);
    assert_eq!(least.others().await, before);
    least.end().await;
}

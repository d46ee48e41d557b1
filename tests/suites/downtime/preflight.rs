//! What is said before anything is done, since afterwards it would be too late.

use pbac_tests::database::TestDatabase;

use pbac_tests::site::{CYCLE, Site};

#[tokio::test]
async fn a_database_whose_encoding_cannot_hold_every_name() {
    let database = TestDatabase::create().await;
    let root = Site::new(database.url_text());
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", database.name().as_str(), encoding.to_lowercase());
        root.run(&format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"))
            .await;
        let site = Site::new(&database.url_text().replace(database.name().as_str(), &name));
        site.fill(30).await;
        for arguments in [&["plan"][..], &["migrate"]] {
            let printed = site.pbac(arguments, 4);
            let words = format!("the database is encoded in {encoding}");
            assert!(printed.contains(&words) && printed.contains("ENCODING 'UTF8'"), "{printed}");
        }
        assert_eq!(
            site.texts("SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'pbac%'").await,
            [""; 0]
        );
        root.run(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}

#[tokio::test]
async fn a_schema_whose_name_leaves_no_room_for_a_date() {
    let database = TestDatabase::create().await;
    let site = Site::new(database.url_text());
    site.fill(30).await;
    let noted = |bytes: usize| {
        let printed = site.pbac(&["plan", "--schema", &"s".repeat(bytes)], 0);
        let words = format!("the name of the schema has {bytes} bytes, and only 40 leave room");
        printed.contains("note:") && printed.contains(&words) && printed.contains("--drop")
    };
    assert!(!noted(40));
    assert!(noted(41));
}

/// No foreign key keeps an override from outliving its user; validation names those that did.
#[tokio::test]
async fn overrides_of_users_who_are_gone() {
    let database = TestDatabase::create().await;
    let site = Site::new(database.url_text());
    site.fill(30).await;
    site.pbac(CYCLE[0], 0);
    let findings = |site: &Site| site.json(&["validate"], 0)["findings"].clone();
    site.pbac(&["grant", "29", "po.view", "--by", "1"], 0);
    assert_eq!(findings(&site), serde_json::json!([]));
    site.run("DELETE FROM public.cutting_orders; DELETE FROM public.users WHERE id = 29").await;
    site.pbac(&["grant", "nobody", "po.view", "--by", "1", "--deny"], 0);
    let found = findings(&site);
    assert_eq!(found[0]["code"], "stray_override");
    assert_eq!((&found[0]["count"], &found[0]["stops"]), (&2.into(), &false.into()));
    assert_eq!(found[0]["first"], serde_json::json!(["29", "nobody"]));
    let printed = site.pbac(&["validate"], 0);
    assert!(printed.contains("users with overrides are not in `public.users`"), "{printed}");
    // Nothing of ours was in the way of the deletion, and nothing of ours refers to the table.
    let referring = "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' \
        AND confrelid = 'public.users'::regclass AND conrelid::regclass::text LIKE 'pbac%'";
    assert_eq!(site.texts(referring).await, [""; 0]);
}

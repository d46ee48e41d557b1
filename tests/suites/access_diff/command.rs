//! What `pbac access-diff` shows: both directions, who, where and why.

use serde_json::{Value, json};

use crate::shop::{ENDPOINTS, POLICY, SIGNED_OFF, Shop, changes};

#[tokio::test]
async fn shows_both_directions_for_every_user() {
    let shop = Shop::open().await;
    let difference = shop.json(6, &["access-diff"]);
    assert_eq!(
        changes(&difference),
        [
            "lost CLERK stock.view 1 0 0 0 2",
            "lost Clerk stock.view 1 0 0 0 3",
            "gained KEEPER stock.adjust 2 2 0 0 4,5",
            "gained OLD_KEEPER stock.adjust 1 1 0 0 7",
            "gained OLD_KEEPER stock.view 1 1 0 0 7",
        ]
    );
    assert_eq!(
        difference["gained"],
        json!({"users": 3, "pairs": 4, "signed_off": 0, "by_override": 0, "open": 4})
    );
    assert_eq!(difference["lost"], json!({"users": 2, "pairs": 2, "by_override": 0}));
    for (name, value) in
        [("users", 7), ("active", 6), ("strangers", 0), ("permissions", 5), ("endpoints", 4), ("pairs", 35)]
    {
        assert_eq!(difference[name], json!(value), "{name}");
    }
    assert_eq!(difference["not_compared"], json!(["report.view"]));
    let gained = &difference["groups"][2]["gained"][0];
    assert_eq!(gained["endpoints"], json!(["POST /stock"]));
    assert_eq!(gained["decision"], "allow: role `KEEPER` holds `stock.*`");
    assert_eq!(gained["through"], json!(["KEEPER"]));
    assert_eq!(difference["groups"][0]["lost"][0]["decision"], "deny: nothing grants it");
    assert_eq!(shop.one::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname = 'pbac'").await, 0);
}

#[tokio::test]
async fn as_a_table_and_as_markdown() {
    let shop = Shop::open().await;
    let (status, text, _) = shop.run(&["access-diff"]);
    assert_eq!(status, 6);
    for line in [
        "Access difference: 7 users x 5 permissions at 4 endpoints, of `public.users` (6 active, 6 kinds of users)\n",
        "  gained: 4 pairs of user and permission, by 3 users: 0 signed off, 0 by an override, 4 open\n",
        "  lost:   2 pairs, by 2 users: 0 by an override\n",
        "  not compared: 1 permissions that no endpoint asks for: report.view\n",
        "gained  KEEPER      stock.adjust  2      open  allow: role `KEEPER` holds `stock.*`  POST /stock  4, 5\n",
        "\n[[signed_off]]\nrole = \"KEEPER\"\npermission = \"stock.adjust\"\nby = \"\"\nreason = \"\"\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let (status, text, _) = shop.run(&["access-diff", "--markdown"]);
    assert_eq!(status, 6);
    let (head, table) = text.split_once("\n\n| |").unwrap();
    assert!(head.starts_with("### Access difference of policy `shop`\n\n7 users × 5 permissions"), "{head}");
    assert!(
        table.contains(
            "| gained | `OLD_KEEPER` | `stock.view` | 1 | open | `` allow: role `KEEPER` holds `stock.*` `` | `GET /stock` | `7` |\n"
        ),
        "{table}"
    );
    assert!(table.contains("```toml\n[[signed_off]]\n"), "{table}");
}

#[tokio::test]
async fn drills_down_to_users_roles_and_permissions() {
    let shop = Shop::open().await;
    shop.sql("INSERT INTO public.users SELECT n, 'KEEPER', true FROM generate_series(100, 120) n").await;
    let of_keepers = |arguments: &[&str]| {
        let difference = shop.json(
            6,
            &[&["access-diff", "--role", "KEEPER", "--permission", "stock.adjust"], arguments].concat(),
        );
        let groups = difference["groups"].as_array().unwrap().clone();
        // The label and the one that is renamed to the role.
        assert_eq!(groups.len(), 2, "{groups:?}");
        assert_eq!(difference["gained"]["open"], 25, "the numbers stay those of all");
        assert_eq!(groups[0]["gained"][0]["users"], 23);
        groups[0]["gained"][0]["first"].as_array().unwrap().clone()
    };
    // The byte order of the ids.
    assert_eq!(of_keepers(&[]), ["100", "101", "102", "103", "104"]);
    assert_eq!(of_keepers(&["--users=2"]), ["100", "101"]);
    let everybody = of_keepers(&["--users"]);
    assert_eq!((everybody.len(), &everybody[22]), (23, &Value::from("5")));
    let (_, text, _) = shop.run(&["access-diff", "--users", "--role", "KEEPER"]);
    assert!(text.contains("gained `stock.adjust`, `KEEPER`:\n  100\n  101\n"), "{text}");

    for (arguments, says) in [
        (["--role", "KEPER"], "nothing knows the role `KEPER`"),
        (["--permission", "stock.ajust"], "nothing asks for the permission `stock.ajust`"),
    ] {
        let (status, _, errors) = shop.run(&[&["access-diff"], &arguments[..]].concat());
        assert_eq!(status, 2);
        assert!(errors.contains(says), "{errors}");
    }
}

#[tokio::test]
async fn overrides_count_while_they_last() {
    let shop = Shop::open().await;
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    assert_eq!(shop.run(&["migrate"]).0, 0);
    for arguments in [
        &["2", "po.approve", "--expires", "+1h"][..],
        &["3", "stock.*"],
        &["4", "stock.view", "--deny"],
        &["6", "po.*"],
        &["ghost", "po.view"],
    ] {
        let (status, _, errors) = shop.run(&[&["grant", "--by", "1"], arguments].concat());
        assert_eq!(status, 0, "{errors}");
    }
    shop.sql(
        "INSERT INTO pbac.user_custom_permissions VALUES ('5', 'po.*', 'allow', '2001-01-01Z', 'r', 'x')",
    )
    .await;
    let difference = shop.json(0, &["access-diff"]);
    assert_eq!(
        changes(&difference),
        [
            "gained CLERK po.approve 1 0 0 1 2",
            "lost CLERK stock.view 1 0 0 0 2",
            "gained Clerk stock.adjust 1 0 0 1 3",
            "gained KEEPER stock.adjust 2 0 2 0 4,5",
            "lost KEEPER stock.view 1 0 0 1 4",
            "gained OLD_KEEPER stock.adjust 1 0 1 0 7",
            "gained OLD_KEEPER stock.view 1 0 1 0 7",
            "gained  po.view 1 0 0 1 ghost",
        ]
    );
    assert_eq!((&difference["users"], &difference["strangers"]), (&json!(7), &json!(1)));
    assert_eq!(difference["groups"][4]["strangers"], true);
    let lost = &difference["groups"][2]["lost"][0];
    assert_eq!(lost["decision"], "deny: an override denies `stock.view`");
    // What somebody granted by name stops no migration, now or later.
    assert_eq!(shop.json(0, &["migrate"])["ending"], "unchanged");
}

#[tokio::test]
async fn two_endpoints_with_one_permission_can_differ_both_ways() {
    let shop = Shop::open().await;
    let more = "[[endpoints]]\nmethod = \"PUT\"\npath = \"/stock\"\nroles = [\"KEEPER\", \"CLERK\"]\npermission = \"stock.adjust\"\n";
    shop.write("endpoints.toml", &format!("{ENDPOINTS}{more}"));
    let difference = shop.json(6, &["access-diff", "--permission", "stock.adjust"]);
    assert_eq!(
        changes(&difference),
        [
            "lost CLERK stock.adjust 1 0 0 0 2",
            "lost Clerk stock.adjust 1 0 0 0 3",
            "gained KEEPER stock.adjust 2 2 0 0 4,5",
            "gained OLD_KEEPER stock.adjust 1 1 0 0 7",
        ]
    );
    // The clerks passed one of the two only.
    assert_eq!(difference["groups"][0]["lost"][0]["endpoints"], json!(["PUT /stock"]));
    assert_eq!(difference["groups"][2]["gained"][0]["endpoints"], json!(["POST /stock"]));
    assert_eq!(difference["groups"][3]["gained"][0]["endpoints"], json!(["POST /stock", "PUT /stock"]));
}

#[tokio::test]
async fn what_the_legacy_tables_should_not_hold() {
    let shop = Shop::open().await;
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    shop.sql("INSERT INTO public.users VALUES (8, 'GONE', true), (9, 'GONE', false)").await;
    // Neither the policy nor the legacy rules know the label: nobody gains or loses, and it is said.
    let difference = shop.json(4, &["access-diff"]);
    assert_eq!(difference["unknown_labels"], json!([{"label": "GONE", "users": 1}]));
    assert_eq!(difference["findings"][0]["code"], "unknown_label");
    // A label that the policy knows and the legacy rules do not passed nowhere: all that it holds is gained.
    shop.write("policy.toml", &format!("{POLICY}GONE = \"CLERK\"\n{SIGNED_OFF}"));
    let difference = shop.json(6, &["access-diff", "--role", "GONE"]);
    assert_eq!(changes(&difference), ["gained GONE po.view 1 1 0 0 8"]);

    shop.sql("ALTER TABLE public.users RENAME TO people").await;
    let (status, _, errors) = shop.run(&["access-diff"]);
    assert_eq!(status, 4);
    assert!(errors.contains("the table `public.users` is not there"), "{errors}");
    shop.write("pbac.toml", "");
    let (status, _, errors) = shop.run(&["access-diff"]);
    assert_eq!((status, errors.contains("no legacy endpoint rules are named")), (2, true), "{errors}");
    let (status, _, errors) =
        shop.run(&["access-diff", "--endpoints", "endpoints.toml", "--markdown", "--json"]);
    assert_eq!((status, errors.contains("two answers")), (2, true), "{errors}");
}

#[tokio::test]
async fn what_users_have_of_their_own_counts_before_it_is_stored() {
    let shop = Shop::open().await;
    shop.sql(
        "CREATE TABLE public.extra (user_id integer, permission text, granted boolean); \
         INSERT INTO public.extra VALUES (2, 'approve', true), (4, 'stock', false)",
    )
    .await;
    let way = |effect: &str, granted: bool| {
        format!(
            "[[source.permissions]]\neffect = \"{effect}\"\nvia = [{{ table = \"public.extra\", from = \"user_id\", \
             to = \"permission\", where = {{ granted = {granted} }} }}]\n"
        )
    };
    let names = "[source.permission_names]\napprove = [\"po.approve\"]\nstock = [\"stock.*\"]\n";
    let own = format!("{}{}{names}", way("allow", true), way("deny", false));
    shop.write("policy.toml", &format!("{POLICY}{own}{SIGNED_OFF}"));
    let before = shop.json(0, &["access-diff"]);
    // User 2 may approve by nobody's sign-off but the legacy tables'; user 4 is denied the stock that it saw.
    assert_eq!(before["gained"]["by_override"], 1);
    let lost = &before["lost"];
    assert_eq!(lost["by_override"], 1, "{lost}");
    assert_eq!(shop.json(0, &["migrate"])["imported"], 2);
    let after = shop.json(0, &["access-diff"]);
    for part in ["gained", "lost", "groups", "users", "kinds", "strangers"] {
        assert_eq!(before[part], after[part], "{part}");
    }
}

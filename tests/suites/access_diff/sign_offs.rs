//! Nobody gains anything by a migration that a person did not answer for by name.

use serde_json::{Value, json};

use crate::shop::{ENDPOINTS, POLICY, SIGNED_OFF, Shop};

#[tokio::test]
async fn a_gain_stops_the_migration_until_it_is_signed_off() {
    let shop = Shop::open().await;
    let (status, _, errors) = shop.run(&["migrate"]);
    assert_eq!(status, 6);
    for words in [
        "4 pairs of user and permission are allowed by the policy, were not by the legacy rules, and nobody answers for them",
        "(first: `KEEPER stock.adjust (2)`, `OLD_KEEPER stock.adjust (1)`, `OLD_KEEPER stock.view (1)`)",
        "[[signed_off]]\nrole = \"KEEPER\"\npermission = \"stock.adjust\"\nby = \"\"\nreason = \"\"\n[[signed_off]]\nrole = \"KEEPER\"\npermission = \"stock.view\"\n",
    ] {
        assert!(errors.contains(words), "{words:?} is not in\n{errors}");
    }
    assert_eq!(shop.one::<i64>("SELECT count(*) FROM pg_namespace WHERE nspname = 'pbac'").await, 0);
    assert_eq!(shop.run(&["migrate", "--dry-run"]).0, 6);
    let plan = shop.json(6, &["plan"]);
    assert_eq!(plan["preflight"]["difference"]["gained"]["open"], 4);

    // Half of it is not enough.
    let half = SIGNED_OFF.split("[[signed_off]]\nuser").next().unwrap();
    shop.write("policy.toml", &format!("{POLICY}{half}"));
    let (status, _, errors) = shop.run(&["migrate"]);
    assert_eq!(status, 6);
    assert!(errors.contains("(first: `OLD_KEEPER stock.view (1)`)"), "{errors}");

    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    let difference = shop.json(0, &["access-diff"]);
    assert_eq!(
        difference["gained"],
        json!({"users": 3, "pairs": 4, "signed_off": 4, "by_override": 0, "open": 0})
    );
    let signed = difference["signed_off"].as_array().unwrap();
    assert_eq!((&signed[0]["users"], &signed[1]["users"]), (&json!(3), &json!(1)));
    let migration = shop.json(0, &["migrate"]);
    assert_eq!(migration["ending"], "migrated");
    let notes: Vec<&Value> = migration["findings"].as_array().unwrap().iter().collect();
    assert!(notes.iter().any(|note| note["code"] == "access_gained" && note["count"] == 4), "{notes:?}");
    assert!(notes.iter().any(|note| note["code"] == "access_lost" && note["count"] == 2), "{notes:?}");

    // The audit log says who answered for what.
    let records = shop.json(0, &["audit", "list", "--last", "1"]);
    let access = &records["records"][0]["details"]["access"];
    assert_eq!(access["gained"]["signed_off"], 4);
    assert_eq!(
        (&access["signed_off"][0]["by"], &access["signed_off"][0]["role"]),
        (&json!("Ada"), &json!("KEEPER"))
    );

    // Taken back, it stops the next run, whatever is in force.
    shop.write("policy.toml", POLICY);
    assert_eq!(shop.run(&["migrate"]).0, 6);
}

#[tokio::test]
async fn a_lock_out_is_shown_and_does_not_stop() {
    let shop = Shop::open().await;
    let less = POLICY.replace("grants = [\"stock.*\"]", "grants = [\"stock.view\"]");
    let less = less.replace("OLD_KEEPER = \"KEEPER\"", "OLD_KEEPER = \"CLERK\"");
    let rules =
        ENDPOINTS.replace("Clerk = [\"CLERK\"]", "Clerk = [\"CLERK\"]\nOLD_KEEPER = [\"KEEPER\", \"CLERK\"]");
    shop.write("policy.toml", &less);
    shop.write("endpoints.toml", &rules);
    let difference = shop.json(0, &["access-diff"]);
    assert_eq!((&difference["gained"]["pairs"], &difference["lost"]["pairs"]), (&json!(0), &json!(3)));
    assert_eq!(shop.json(0, &["migrate"])["ending"], "migrated");
}

#[tokio::test]
async fn a_sign_off_is_for_whom_it_names_and_unused_ones_are_reported() {
    let shop = Shop::open().await;
    let other = "[[signed_off]]\nrole = \"CLERK\"\npermission = \"po.approve\"\nby = \"Ada\"\nreason = \"r\"\n\
        [[signed_off]]\nuser = \"99\"\npermission = \"stock.adjust\"\nby = \"Ada\"\nreason = \"r\"\n";
    shop.write("policy.toml", &format!("{POLICY}{other}"));
    assert_eq!(shop.json(6, &["access-diff"])["gained"]["open"], 4);
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}{other}"));
    let plan = shop.json(0, &["plan"]);
    let findings = plan["preflight"]["findings"].as_array().unwrap();
    let unused = findings.iter().find(|finding| finding["code"] == "unused_sign_off").unwrap();
    assert_eq!(
        (&unused["count"], &unused["first"]),
        (&json!(2), &json!(["CLERK po.approve", "99 stock.adjust"]))
    );
    let (_, text, _) = shop.run(&["access-diff"]);
    assert!(
        text.contains("nobody gains `po.approve` by role `CLERK`; the sign-off of `Ada` can go\n"),
        "{text}"
    );
}

#[tokio::test]
async fn a_role_that_nobody_has_is_only_noted() {
    let shop = Shop::open().await;
    // A temp may see orders by the policy and could not before; there is none.
    let gained = |plan: &Value| {
        let findings = plan["preflight"]["findings"].as_array().unwrap().clone();
        let vacant = |finding: &Value| finding["message"].as_str().unwrap().contains("no active user has");
        findings.into_iter().find(vacant)
    };
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    let finding = gained(&shop.json(0, &["plan"])).unwrap();
    assert_eq!((&finding["stops"], &finding["first"]), (&json!(false), &json!(["TEMP GET /orders"])));
    let temp = "[[signed_off]]\nrole = \"TEMP\"\npermission = \"po.view\"\nby = \"Ada\"\nreason = \"r\"\n";
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}{temp}"));
    let plan = shop.json(0, &["plan"]);
    assert_eq!(gained(&plan), None);
    let codes = plan["preflight"]["findings"].to_string();
    assert!(!codes.contains("unused_sign_off"), "{codes}");
    // An inactive temp changes nothing; an active one has to be answered for.
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    shop.sql("INSERT INTO public.users VALUES (20, 'TEMP', false)").await;
    assert!(gained(&shop.json(0, &["plan"])).is_some());
    shop.sql("UPDATE public.users SET active = true WHERE id = 20").await;
    assert_eq!(shop.run(&["migrate"]).0, 6);
}

#[tokio::test]
async fn without_legacy_rules_it_is_said_that_nobody_compared() {
    let shop = Shop::open().await;
    let noted = |findings: &Value| {
        let findings = findings.as_array().unwrap();
        findings.iter().find(|finding| finding["code"] == "no_rules").map(|finding| finding["stops"].clone())
    };
    assert_eq!(noted(&shop.json(6, &["plan"])["preflight"]["findings"]), None);
    shop.write("pbac.toml", "");
    let plan = shop.json(0, &["plan"]);
    assert_eq!(plan["preflight"]["difference"], Value::Null);
    assert_eq!(noted(&plan["preflight"]["findings"]), Some(json!(false)));
    let (status, text, errors) = shop.run(&["migrate"]);
    assert_eq!(status, 0, "{errors}");
    assert!(format!("{text}{errors}").contains("who gains access is not known"), "{text}{errors}");
}

#[tokio::test]
async fn without_users_to_look_at_every_role_counts() {
    let shop = Shop::open().await;
    let (without, _) = POLICY.split_once("[source]").unwrap();
    shop.write("policy.toml", without);
    let (status, _, errors) = shop.run(&["migrate"]);
    assert_eq!(status, 6);
    assert!(errors.contains("pairs of role and endpoint are allowed by the policy"), "{errors}");
    let all = [("KEEPER", "stock.adjust"), ("TEMP", "po.view")].map(|(role, permission)| {
        format!(
            "[[signed_off]]\nrole = \"{role}\"\npermission = \"{permission}\"\nby = \"Ada\"\nreason = \"r\"\n"
        )
    });
    shop.write("policy.toml", &format!("{without}{}", all.concat()));
    assert_eq!(shop.json(0, &["migrate"])["ending"], "migrated");
}

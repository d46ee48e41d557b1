//! What users have of their own in the legacy tables: what nobody would notice must not happen.

use super::shop::{POLICY, SIGNED_OFF, Shop};

const EXTRA: &str = "CREATE TABLE public.extra (user_id integer, permission text, granted boolean)";

/// The shop's policy with one way for `effect`, and `names` as the meanings.
fn policy(effects: &[&str], names: &str) -> String {
    let ways: String = effects
        .iter()
        .map(|effect| {
            format!(
                "[[source.permissions]]\neffect = \"{effect}\"\nvia = [{{ table = \"public.extra\", from = \"user_id\", \
                 to = \"permission\", where = {{ granted = {} }} }}]\n",
                *effect == "allow"
            )
        })
        .collect();
    format!("{POLICY}{ways}[source.permission_names]\n{names}{SIGNED_OFF}")
}

/// A line of the policy file says that a legacy permission means everything: nobody gave that to the user.
#[tokio::test]
async fn a_wildcard_made_of_a_legacy_permission_has_to_be_signed_off() {
    let shop = Shop::open().await;
    shop.sql(&format!("{EXTRA}; INSERT INTO public.extra VALUES (2, 'log in', true)")).await;
    let wide = policy(&["allow"], "\"log in\" = [\"po.*\"]\n");
    shop.write("policy.toml", &wide);
    let difference = shop.json(6, &["access-diff"]);
    assert_eq!((&difference["gained"]["open"], &difference["gained"]["by_override"]), (&1.into(), &0.into()));
    let (status, _, errors) = shop.run(&["migrate"]);
    assert_eq!(status, 6, "{errors}");
    assert!(errors.contains("[[signed_off]]\nuser = \"2\"\npermission = \"po.approve\""), "{errors}");

    let signed =
        "[[signed_off]]\nuser = \"2\"\npermission = \"po.approve\"\nby = \"Ada\"\nreason = \"meant\"\n";
    shop.write("policy.toml", &format!("{wide}{signed}"));
    assert_eq!(shop.json(0, &["migrate"])["imported"], 1);
}

/// Of two overrides that say the same, the later expiry counts (SPEC section 3): the legacy one never expires.
#[tokio::test]
async fn an_override_that_expires_does_not_hide_a_legacy_deny() {
    let shop = Shop::open().await;
    shop.sql(&format!(
        "{EXTRA}; INSERT INTO public.extra VALUES (4, 'stock.view', false), (2, 'po.approve', true)"
    ))
    .await;
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    shop.json(0, &["migrate"]);
    shop.sql(
        "INSERT INTO pbac.user_custom_permissions (user_id, pattern, effect, expires_at, reason, granted_by) VALUES \
         ('4', 'stock.view', 'deny', now() - interval '1 second', '', '1'), \
         ('2', 'po.approve', 'allow', now() + interval '1 hour', '', '1')",
    )
    .await;
    shop.write("policy.toml", &policy(&["allow", "deny"], ""));
    assert_eq!(shop.json(0, &["access-diff"])["gained"]["by_override"], 1);
    assert_eq!(shop.json(0, &["migrate"])["imported"], 2);
    let lasting = "SELECT count(*) FROM pbac.user_custom_permissions WHERE expires_at IS NULL AND granted_by = 'legacy'";
    assert_eq!(shop.one::<i64>(lasting).await, 2);
    assert!(!shop.one::<bool>("SELECT pbac.has_permission('4', 'stock.view')").await);
}

/// They are taken over once: a way that comes later would do nothing, and its denies would be lost.
#[tokio::test]
async fn ways_that_change_after_the_import_stop() {
    let shop = Shop::open().await;
    shop.sql(&format!("{EXTRA}; INSERT INTO public.extra VALUES (4, 'stock.view', false)")).await;
    shop.write("policy.toml", &policy(&["allow"], ""));
    shop.json(0, &["migrate"]);
    shop.write("policy.toml", &policy(&["allow", "deny"], ""));
    let (status, _, errors) = shop.run(&["migrate"]);
    assert_eq!(status, 4, "{errors}");
    assert!(
        errors
            .contains("`[[source.permissions]]` is not what the users' own permissions were taken over from"),
        "{errors}"
    );
    // Neither the same ways nor none are in the way.
    shop.write("policy.toml", &policy(&["allow"], "\"x\" = [\"po.view\"]\n"));
    shop.json(0, &["migrate"]);
    shop.write("policy.toml", &format!("{POLICY}{SIGNED_OFF}"));
    shop.json(0, &["migrate"]);
}

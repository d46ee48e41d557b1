//! Keys and routes that a source publishes: which are taken, what counts until there are some, and when they are over.
use crate::judge::judged_by;
use crate::setup::{
    END, NOW, Setup, bundle, published, published_settings, publisher, ring, token, without_settings,
};
use pbac_gateway::{Gateway, MAX_SETTINGS_BYTES, Published};
use policy_core::Timestamp;
use policy_core::keys::KeyId;
use policy_core::signed::{BundleSigner, attach};
use serde_json::{Value, json};

fn approve(gateway: &Gateway, kid: &str, now: Timestamp) -> String {
    let claims = json!({ "user_id": "7", "roles": ["Purchasing Head"], "exp": 9_000 });
    let bearer = format!("Bearer {}", token(kid, &claims));
    judged_by(gateway, now, &[(":method", "POST"), (":path", "/po/3/approve"), ("authorization", &bearer)])
}

fn health(gateway: &Gateway, now: Timestamp) -> String {
    judged_by(gateway, now, &[(":method", "GET"), (":path", "/health")])
}

const PASSES: &str = "7 may po.approve,po.view";

fn routes() -> Value {
    Setup::default().json()["route_table"].clone()
}

/// The ring of the tests, in which a key is revoked.
fn revoked(kid: &str) -> Value {
    let mut ring = ring();
    ring["keys"].as_array_mut().unwrap().retain(|key| key["kid"] != kid);
    ring["revoked"].as_array_mut().unwrap().push(json!({ "kid": kid, "at": 0 }));
    ring
}

#[test]
fn without_keys_or_routes_nothing_passes() {
    let mut gateway = without_settings().gateway().unwrap();
    assert_eq!(approve(&gateway, "k1", NOW), "503 no_settings");
    assert_eq!(health(&gateway, NOW), "503 no_settings", "nobody knows which routes are public");
    gateway.offer_settings(&published_settings(&json!({ "ring": ring() }), 1), None, NOW).unwrap();
    assert_eq!(approve(&gateway, "k1", NOW), "503 no_settings", "nobody knows the routes");
    let both = json!({ "route_table": routes(), "ring": ring() });
    gateway.offer_settings(&published_settings(&both, 2), None, NOW).unwrap();
    assert_eq!(approve(&gateway, "k1", NOW), PASSES);
}

#[test]
fn they_take_the_place_of_what_is_configured_until_they_are_over() {
    let mut setup = Setup::refreshed();
    setup.more["refresh"]["settings_path"] = "/v1/settings".into();
    let mut gateway = setup.gateway().unwrap();
    assert_eq!(approve(&gateway, "k1", NOW), PASSES);
    gateway.offer_settings(&published_settings(&json!({ "ring": revoked("k1") }), 1), None, NOW).unwrap();
    assert_eq!(approve(&gateway, "k1", NOW), "401 revoked_key");
    let moved =
        json!({ "routes": [{ "method": "POST", "path": "/po/{id}/approve", "permission": "po.view" }] });
    let settings = json!({ "ring": ring(), "route_table": moved });
    gateway.offer_settings(&published_settings(&settings, 2), None, NOW).unwrap();
    assert_eq!(approve(&gateway, "k1", NOW), PASSES);
    assert_eq!(
        health(&gateway, NOW),
        "401 no_token",
        "it is public no more, and a stranger is not told that"
    );
    // The bundle is over at the same time.
    let late = Timestamp::from_seconds(END);
    assert_eq!(approve(&gateway, "k1", late), "503 settings_expired");
    assert_eq!(health(&gateway, late), "503 settings_expired");
}

#[test]
fn those_before_stay_when_others_are_refused() {
    let mut gateway = without_settings().gateway().unwrap();
    let good = json!({ "route_table": routes(), "ring": ring() });
    gateway.offer_settings(&published_settings(&good, 5), None, NOW).unwrap();
    let other = json!({ "route_table": routes(), "ring": revoked("k1") });
    let text = other.to_string();
    let sign = |signer: &BundleSigner, end| {
        attach(&signer.sign_settings(text.as_bytes(), 6, Timestamp::from_seconds(end)), text.as_bytes())
    };
    let stranger = BundleSigner::new(KeyId::parse("publisher").unwrap(), &[8; 32]);
    let unknown = BundleSigner::new(KeyId::parse("stranger").unwrap(), &[8; 32]);
    let mut damaged = published_settings(&other, 6);
    *damaged.last_mut().unwrap() = b' ';
    let policy = bundle(&["po.view"]);
    let bundles_signature = publisher().sign(&policy, 6, Timestamp::from_seconds(END)).unwrap();
    let with = |settings: Value| published_settings(&settings, 6);
    for (file, reason) in [
        (published_settings(&other, 4), "older_sequence"),
        (published_settings(&other, 5), "reused_sequence"),
        (sign(&stranger, END), "bad_signature"),
        (sign(&unknown, END), "unknown_key"),
        (sign(&publisher(), 999), "expired"),
        (damaged, "other_content"),
        (text.clone().into_bytes(), "malformed_signature"),
        (published(&policy, 6), "malformed_signature"),
        (attach(&bundles_signature, text.as_bytes()), "malformed_signature"),
        (with(json!({ "ring": {} })), "bad_settings"),
        (with(json!({ "ring": ring(), "route_table": { "routes": [{}] } })), "bad_settings"),
        (with(json!({})), "bad_settings"),
        (with(json!({ "route_table": routes() })), "bad_settings"),
        (with(json!({ "ring": ring(), "bundle": "AAAA" })), "bad_settings"),
        (with(json!([])), "bad_settings"),
        (vec![b' '; MAX_SETTINGS_BYTES + 1], "over_limit"),
    ] {
        let error = gateway.offer_settings(&file, None, NOW).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(gateway.release(Published::Settings).unwrap().sequence, 5, "{reason}");
        assert_eq!(approve(&gateway, "k1", NOW), PASSES, "{reason}");
    }
    // And settings are no bundle.
    assert_eq!(
        gateway.offer(&published_settings(&good, 9), None, NOW).unwrap_err().reason(),
        "malformed_signature"
    );
    assert_eq!(gateway.release(Published::Bundle).unwrap().sequence, 5);
}

#[test]
fn what_is_configured_does_not_come_back_once_there_were_settings() {
    let mut setup = Setup::refreshed();
    setup.more["refresh"]["settings_path"] = "/v1/settings".into();
    let mut gateway = setup.gateway().unwrap();
    let file = published_settings(&json!({ "ring": revoked("k1") }), 1);
    gateway.offer_settings(&file, None, NOW).unwrap();
    let last = gateway.release(Published::Settings);
    let late = Timestamp::from_seconds(END);
    assert_eq!(approve(&gateway, "k1", late), "503 policy_expired");
    assert_eq!(gateway.ring(late).unwrap_err(), "settings_expired");
    assert_eq!(health(&gateway, late), "public", "its routes are those of the configuration");

    // Another configuration, or another thread, that finds them expired.
    let mut gateway = setup.gateway().unwrap();
    assert_eq!(gateway.offer_settings(&file, last, late).unwrap_err().reason(), "expired");
    assert_eq!(approve(&gateway, "k1", NOW), "503 no_settings");
    assert_eq!(health(&gateway, NOW), "503 no_settings", "they may have had routes");
}

#[test]
fn what_another_thread_accepted_counts_here() {
    let mut gateway = without_settings().gateway().unwrap();
    let mut other = without_settings().gateway().unwrap();
    let settings = json!({ "route_table": routes(), "ring": revoked("k1") });
    other.offer_settings(&published_settings(&settings, 9), None, NOW).unwrap();
    let last = other.release(Published::Settings);
    let older = published_settings(&json!({ "route_table": routes(), "ring": ring() }), 8);
    assert_eq!(gateway.offer_settings(&older, last, NOW).unwrap_err().reason(), "older_sequence");
    // Bundles and settings count each for themselves.
    gateway.offer(&published(&bundle(&["po.view", "po.approve"]), 6), None, NOW).unwrap();
}

#[test]
fn errors_do_not_quote_settings() {
    let settings = json!({ "route_table": routes(), "ring": ring() }).to_string();
    let secret = settings.split("\"k\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut gateway = without_settings().gateway().unwrap();
    for cut in 0..settings.len() {
        let (start, end) = settings.split_at(cut);
        for text in [start.to_owned(), format!("{start}\u{7f}{end}")] {
            let signature = publisher().sign_settings(text.as_bytes(), 1, Timestamp::from_seconds(END));
            if let Err(error) = gateway.offer_settings(&attach(&signature, text.as_bytes()), None, NOW) {
                let said = format!("{error} {error:?}");
                assert!(!said.contains(&secret) && !said.contains(&secret[..12]), "{cut}: {said}");
            }
        }
    }
}

//! Keys and routes that come from the source: a key that is revoked there stops passing at every thread, and what is no settings changes
//! nothing.

use crate::setup::*;
use pbac_tests::http::Client;
use serde_json::{Value, json};

const SEQUENCE: &str = "wasmcustom.pbac_settings_sequence";
const ACCEPTED: &str = "wasmcustom.pbac_settings_accepted";

/// A configuration without keys and routes, which the source has to have.
fn without_settings() -> String {
    let mut json: Value = serde_json::from_str(&configuration(None, json!({}))).expect("JSON");
    json["ring"] = Value::Null;
    json["route_table"] = Value::Null;
    json["refresh"]["settings_path"] = SETTINGS.into();
    json.to_string()
}

fn routes() -> Value {
    let json: Value = serde_json::from_str(&configuration(None, json!({}))).expect("JSON");
    json["route_table"].clone()
}

fn settings(kids: &[&str], revoked: &[&str]) -> Value {
    let mut ring = ring(kids);
    for kid in revoked {
        let at = (now() - 1) * 1_000_000;
        ring["revoked"].as_array_mut().expect("a list").push(json!({ "kid": kid, "at": at }));
    }
    json!({ "ring": ring, "route_table": routes() })
}

/// A configuration that has keys and routes of its own until the source has others.
fn with_old_settings() -> String {
    let mut json: Value = serde_json::from_str(&without_settings()).expect("JSON");
    json["ring"] = ring(&["k1", "k0"]);
    json["route_table"] = routes();
    json.to_string()
}

/// What becomes of a request with a token by this key, and why not.
fn asked(site: &Site, kid: &str) -> (u16, String) {
    let request = request("GET", "/api/po/3", &bearer(&token(kid, "8", &["CLERK"])));
    // Other clients may ask at the same time, so what the application saw says nothing.
    let answer = Client::connect(site.envoy.port).and_then(|mut client| client.ask(request.as_bytes()));
    let answer = answer.expect("an answer");
    let reason = if answer.status() == 503 { answer.json()["reason"].to_string() } else { String::new() };
    (answer.status(), reason)
}

#[test]
fn a_key_that_is_revoked_at_the_source_stops_passing_and_no_other_request_is_lost() {
    let Some(site) = Site::start(2, |source| {
        source.publish(published(&bundle(&["po.*"]), 1));
        without_settings()
    }) else {
        return;
    };
    assert_eq!(asked(&site, "k1"), (503, "\"no_settings\"".to_owned()), "no keys, no access");
    assert_eq!(site.ask("GET", "/public/a", "").0.status(), 503, "no routes, no access");

    site.source.publish_settings(published_settings(&settings(&["k1", "k0"], &[]), 1));
    // Envoy's main thread asks too.
    site.envoy.wait("every thread has settings", |envoy| (envoy.counter(ACCEPTED) >= 3).then_some(()));
    site.envoy.wait("every thread has a bundle", |envoy| {
        (envoy.counter("wasmcustom.pbac_bundle_accepted") >= 3).then_some(())
    });
    assert_eq!((asked(&site, "k1").0, asked(&site, "k0").0), (200, 200));

    let request = request("GET", "/api/po/3", &bearer(&token("k0", "8", &["CLERK"])));
    let answered = site.under_load(3, &request, || {
        site.source.publish_settings(published_settings(&settings(&["k2", "k0"], &["k1"]), 2));
        site.envoy
            .wait("every thread has the newer ones", |envoy| (envoy.counter(ACCEPTED) >= 6).then_some(()));
        // Each connection falls to a thread by chance.
        for _ in 0..20 {
            assert_eq!(asked(&site, "k1").0, 401, "a key that is revoked passes nowhere");
            assert_eq!(asked(&site, "k2").0, 200, "and the one that took its place does");
        }
    });
    assert_eq!(site.envoy.counter(SEQUENCE), 2);
    assert!(answered > 20, "there was load: {answered}");

    // A configuration that knows the old key does not bring it back.
    site.source.fail("503 Service Unavailable");
    assert!(site.envoy.reconfigure(&with_old_settings()));
    std::thread::sleep(std::time::Duration::from_millis(500));
    for _ in 0..20 {
        assert_eq!(asked(&site, "k1").0, 401);
    }
}

#[test]
fn what_is_no_settings_is_refused_while_those_before_serve() {
    let Some(site) = Site::start(1, |source| {
        source.publish(published(&bundle(&["po.*"]), 1));
        source.publish_settings(published_settings(&settings(&["k1", "k0"], &[]), 5));
        without_settings()
    }) else {
        return;
    };
    site.envoy.wait("the source's settings count", |_| (asked(&site, "k1").0 == 200).then_some(()));
    let unchanged = "wasmcustom.pbac_settings_unchanged";
    site.envoy
        .wait("the source says that nothing is new", |envoy| (envoy.counter(unchanged) > 0).then_some(()));
    let other = settings(&["k2"], &["k1"]);
    let mut damaged = published_settings(&other, 6);
    *damaged.last_mut().expect("bytes") = b' ';
    for (file, reason) in [
        (published_settings(&other, 4), "older_sequence"),
        (published_settings(&other, 5), "reused_sequence"),
        (signed_settings(&publisher(8), &other, 6, now() + 600), "bad_signature"),
        (signed_settings(&publisher(7), &other, 6, now() - 1), "expired"),
        (damaged, "other_content"),
        (published(&bundle(&["po.*"]), 6), "malformed_signature"),
        (other.to_string().into_bytes(), "malformed_signature"),
        (published_settings(&json!({ "ring": {} }), 6), "bad_settings"),
        (vec![b' '; 1_100_000], "over_limit"),
    ] {
        let name = format!("wasmcustom.pbac_settings_refused_{reason}");
        let before = site.envoy.counter(&name);
        site.source.publish_settings(file);
        site.envoy.wait(reason, |envoy| (envoy.counter(&name) > before + 1).then_some(()));
        assert_eq!(asked(&site, "k1").0, 200, "{reason}: those before serve");
        assert_eq!(site.envoy.counter(SEQUENCE), 5, "{reason}");
    }
    let (log, names) = (site.envoy.log(), site.envoy.counters().into_keys().collect::<String>());
    for key in settings(&["k2", "k1", "k0"], &[])["ring"]["keys"].as_array().expect("keys") {
        let Some(secret) = key["k"].as_str() else { continue };
        assert!(!log.contains(secret) && !names.contains(secret), "the log or a counter holds a secret");
    }

    // Routes change as well.
    let admin = json!({ "routes": [{ "method": "GET", "path": "/admin", "permission": "po.view" }] });
    let moved = json!({ "ring": ring(&["k1", "k0"]), "route_table": admin });
    assert_eq!(site.ask_as(&clerk(), "GET", "/admin").0.status(), 403);
    site.source.publish_settings(published_settings(&moved, 6));
    site.envoy.wait("another route table counts", |_| {
        (site.ask_as(&clerk(), "GET", "/admin").0.status() == 200).then_some(())
    });
    assert_eq!(site.ask_as(&clerk(), "GET", "/api/po/3").0.status(), 403);

    // Long enough for the filter to see them before they are over, on a machine that has much else to do.
    site.source.publish_settings(signed_settings(&publisher(7), &settings(&["k1"], &[]), 7, now() + 10));
    site.envoy.wait("shorter-lived ones count", |envoy| (envoy.counter(SEQUENCE) == 7).then_some(()));
    site.envoy.wait("they are over", |_| {
        (asked(&site, "k1") == (503, "\"settings_expired\"".to_owned())).then_some(())
    });
}

#[test]
fn an_envoy_that_is_started_again_comes_up_with_what_the_source_has() {
    let Some(mut site) = Site::start(1, |source| {
        source.publish(published(&bundle(&["po.*"]), 1));
        source.publish_settings(published_settings(&settings(&["k2", "k0"], &["k1"]), 2));
        with_old_settings()
    }) else {
        return;
    };
    for configuration in [with_old_settings(), without_settings()] {
        site.restart(&configuration);
        site.envoy.wait("the source's settings count", |_| (asked(&site, "k2").0 == 200).then_some(()));
        assert_eq!((asked(&site, "k1").0, asked(&site, "k0").0), (401, 200));
        assert_eq!(site.envoy.counter(SEQUENCE), 2);
    }
    // With a source out of reach, and no keys of its own, it lets nobody through.
    site.source.fail("503 Service Unavailable");
    site.restart(&without_settings());
    let failed = "wasmcustom.pbac_refresh_failed";
    site.envoy.wait("the source fails", |envoy| (envoy.counter(failed) > 1).then_some(()));
    for kid in ["k0", "k1", "k2"] {
        assert_eq!(asked(&site, kid), (503, "\"no_settings\"".to_owned()));
    }
}

#[test]
fn keys_of_the_configuration_do_not_come_back_when_those_of_the_source_are_over() {
    let Some(site) = Site::start(1, |source| {
        source.publish(published(&bundle(&["po.*"]), 1));
        with_old_settings()
    }) else {
        return;
    };
    site.envoy.wait("the configuration's keys count", |_| (asked(&site, "k1").0 == 200).then_some(()));
    let revoked = settings(&["k2", "k0"], &["k1"]);
    // Long enough for the filter to see them before they are over, on a machine that has much else to do.
    site.source.publish_settings(signed_settings(&publisher(7), &revoked, 1, now() + 10));
    site.envoy.wait("the key is revoked", |_| (asked(&site, "k1").0 == 401).then_some(()));
    site.source.fail("503 Service Unavailable");
    site.envoy.wait("they are over", |_| (asked(&site, "k0").0 == 503).then_some(()));
    let mut other: Value = serde_json::from_str(&with_old_settings()).expect("JSON");
    other["realm"] = "other".into();
    assert!(site.envoy.reconfigure(&other.to_string()));
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(3) {
        assert_eq!(asked(&site, "k1").0, 503, "its revocation holds on");
    }
}

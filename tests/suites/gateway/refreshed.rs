//! Policies and configurations that change while requests come, and those that must not be taken.

use crate::setup::*;
use pbac_tests::http::Client;
use serde_json::json;
use std::time::{Duration, Instant};

const SEQUENCE: &str = "wasmcustom.pbac_bundle_sequence";

impl Site {
    fn status(&self) -> u16 {
        self.ask_as(&head(), "POST", "/api/po/3/approve").0.status()
    }

    /// Waits until the thread that answers has a policy by which the head may approve, or may not.
    fn wait_until_allowed(&self, expected: bool) {
        let status = if expected { 200 } else { 403 };
        self.envoy.wait("another policy decides", |_| (self.status() == status).then_some(()));
    }
}

fn is_allowed(site: &Site) -> bool {
    let status = site.status();
    assert!(matches!(status, 200 | 403), "{status}; log:\n{}", site.envoy.log());
    status == 200
}

#[test]
fn a_bad_bundle_is_refused_while_the_one_before_serves() {
    let Some(site) = Site::start(1, |_| configuration(None, json!({}))) else { return };
    let (answer, seen) = site.ask_as(&head(), "POST", "/api/po/3/approve");
    assert!(seen.is_none(), "no policy, no access");
    assert_eq!((answer.status(), &answer.json()["reason"]), (503, &json!("no_policy")));
    assert_eq!(site.ask("GET", "/public/a", "").0.status(), 200);

    site.source.publish(published(&bundle(&["po.*"]), 5));
    site.wait_until_allowed(true);
    assert_eq!(site.envoy.counter(SEQUENCE), 5);
    let unchanged = "wasmcustom.pbac_bundle_unchanged";
    site.envoy
        .wait("the source says that nothing is new", |envoy| (envoy.counter(unchanged) > 0).then_some(()));

    let none = bundle(&[]);
    let mut damaged = published(&none, 6);
    *damaged.last_mut().expect("bytes") ^= 1;
    for (file, reason) in [
        (published(&none, 4), "older_sequence"),
        (published(&none, 5), "reused_sequence"),
        (signed(&publisher(8), &none, 6, now() + 600), "bad_signature"),
        (signed(&publisher(7), &none, 6, now() - 1), "expired"),
        (damaged, "bad_bundle"),
        (none.clone(), "malformed_signature"),
        (b"<html>".to_vec(), "malformed_signature"),
    ] {
        let name = format!("wasmcustom.pbac_bundle_refused_{reason}");
        let before = site.envoy.counter(&name);
        site.source.publish(file);
        // Envoy's main thread asks too.
        site.envoy.wait(reason, |envoy| (envoy.counter(&name) > before + 1).then_some(()));
        assert!(is_allowed(&site), "{reason}: the one before serves");
        assert_eq!(site.envoy.counter(SEQUENCE), 5, "{reason}");
    }
    site.source.fail("500 Internal Server Error");
    let failed = "wasmcustom.pbac_refresh_failed";
    let before = site.envoy.counter(failed);
    site.envoy.wait("the source fails", |envoy| (envoy.counter(failed) > before).then_some(()));
    assert!(is_allowed(&site));

    site.source.publish(published(&none, 6));
    site.wait_until_allowed(false);
}

#[test]
fn bundles_change_under_load_and_no_request_is_lost() {
    let Some(site) = Site::start(2, |source| {
        source.publish(published(&bundle(&["po.*"]), 1));
        configuration(None, json!({}))
    }) else {
        return;
    };
    // Envoy's main thread asks too.
    site.envoy.wait("every thread has a bundle", |envoy| {
        (envoy.counter("wasmcustom.pbac_bundle_accepted") >= 3).then_some(())
    });
    let request = request("GET", "/api/po/3", &bearer(&clerk()));
    let mut published_last = 1;
    let answered = site.under_load(4, &request, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(6) {
            published_last += 1;
            let head: &[&str] = if published_last % 2 == 0 { &["po.pay"] } else { &["po.*"] };
            site.source.publish(published(&bundle(head), published_last));
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    site.envoy
        .wait("the newest one decides", |envoy| (envoy.counter(SEQUENCE) == published_last).then_some(()));
    let accepted = site.envoy.counter("wasmcustom.pbac_bundle_accepted");
    assert!(accepted >= 8, "bundles did change: {accepted}");
    assert!(answered > 500, "there was load: {answered}");
    assert_eq!(site.envoy.counter("wasmcustom.pbac_allowed"), answered);
    println!("{answered} requests answered, {accepted} bundles taken by three threads");
}

#[test]
fn a_new_configuration_takes_over_and_a_broken_one_does_not() {
    let start = configuration(None, json!({}));
    let Some(site) = Site::start(1, |source| {
        source.publish(published(&bundle(&["po.*"]), 5));
        start.clone()
    }) else {
        return;
    };
    site.wait_until_allowed(true);
    for broken in [
        "",
        "{",
        "{}",
        &configuration(Some(b"no bundle"), json!({})),
        &configuration(None, json!({ "ring": {} })),
    ] {
        assert!(!site.envoy.reconfigure(broken), "Envoy took it: {broken}");
        assert!(is_allowed(&site), "the one before serves");
    }
    // A rotation: what the old key signed holds on, the new key's tokens hold from now on.
    assert_eq!(site.ask_as(&token("k2", "8", &["CLERK"]), "GET", "/api/po/3").0.status(), 401);
    site.source.fail("503 Service Unavailable");
    assert!(site.envoy.reconfigure(&configuration(None, json!({ "ring": ring(&["k2", "k1"]) }))));
    let new = token("k2", "8", &["CLERK"]);
    site.envoy.wait("the new key is known", |_| {
        let status = site.ask_as(&new, "GET", "/api/po/3").0.status();
        // With the source out of reach, what decided before decides on.
        assert!(matches!(status, 200 | 401), "{status}");
        (status == 200).then_some(())
    });
    assert!(is_allowed(&site), "the old key's tokens hold on");
    // An older bundle in a new configuration does not bring a superseded policy back.
    let older = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        published(&bundle(&["users.view"]), 3),
    );
    let revoking = json!({ "bundle": older, "ring": ring(&["k3", "k2"]) });
    assert!(site.envoy.reconfigure(&configuration(None, revoking)));
    site.envoy.wait("the old key is gone", |_| {
        let status = site.ask_as(&head(), "GET", "/api/po/3").0.status();
        (status == 401).then_some(())
    });
    let head = token("k2", "7", &["Purchasing Head"]);
    assert_eq!(site.ask_as(&head, "POST", "/api/po/3/approve").0.status(), 200, "sequence 5, not 3");
    assert_eq!(site.ask_as(&head, "GET", "/admin").0.status(), 403);
}

#[test]
fn a_broken_configuration_lets_nobody_through() {
    for broken in ["", "{}", &configuration(Some(b"no bundle"), json!({}))] {
        let Some(site) = Site::start(1, |_| broken.to_owned()) else { return };
        let answer = Client::connect(site.envoy.port)
            .and_then(|mut client| client.ask(request("GET", "/public/a", "").as_bytes()));
        assert!(answer.is_none_or(|answer| answer.status() >= 500), "{}", site.envoy.log());
        assert!(site.application.take_seen().is_empty());
        assert!(site.envoy.log().contains("the configuration is refused"), "{}", site.envoy.log());
    }
}

#[test]
fn an_expired_policy_lets_nobody_through() {
    let Some(site) = Site::start(1, |_| configuration(None, json!({}))) else { return };
    // Long enough for the filter to see it before, on a machine that has much else to do.
    site.source.publish(signed(&publisher(7), &bundle(&["po.*"]), 5, now() + 10));
    site.wait_until_allowed(true);
    let reason = site.envoy.wait("it expires", |_| {
        let (answer, _) = site.ask_as(&head(), "POST", "/api/po/3/approve");
        (answer.status() == 503).then(|| answer.json()["reason"].clone())
    });
    assert_eq!(reason, "policy_expired");
    site.source.publish(signed(&publisher(7), &bundle(&["po.*"]), 6, now() + 600));
    site.wait_until_allowed(true);
}

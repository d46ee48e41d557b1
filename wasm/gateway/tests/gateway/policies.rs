//! Which configurations and which bundles are taken, and that the policy before stays when one is not.
use crate::setup::{END, NOW, Setup, bundle, published};
use pbac_gateway::Published;
use policy_core::Timestamp;
use policy_core::keys::KeyId;
use policy_core::signed::{BundleSigner, attach};
use serde_json::json;

#[test]
fn a_newer_bundle_takes_the_place_and_a_bad_one_does_not() {
    let mut gateway = Setup::refreshed().gateway().unwrap();
    let sequence = |gateway: &pbac_gateway::Gateway| gateway.release(Published::Bundle).unwrap().sequence;
    assert_eq!(sequence(&gateway), 5);
    let newer = bundle(&["po.view", "po.approve", "po.pay"]);
    gateway.offer(&published(&newer, 6), None, NOW).unwrap();
    assert_eq!(sequence(&gateway), 6);
    let stranger = BundleSigner::new(KeyId::parse("publisher").unwrap(), &[8; 32]);
    let forged = stranger.sign(&newer, 7, Timestamp::from_seconds(END)).unwrap();
    let mut damaged = published(&newer, 7);
    *damaged.last_mut().unwrap() ^= 1;
    for (bytes, reason) in [
        (published(&newer, 5), "older_sequence"),
        (published(&bundle(&["po.view"]), 6), "reused_sequence"),
        (attach(&forged, &newer), "bad_signature"),
        (damaged, "bad_bundle"),
        (newer.clone(), "malformed_signature"),
        (Vec::new(), "malformed_signature"),
        (b"<html>".to_vec(), "malformed_signature"),
    ] {
        let error = gateway.offer(&bytes, None, NOW).unwrap_err();
        assert_eq!(error.reason(), reason);
        assert_eq!(sequence(&gateway), 6, "{reason}");
    }
    let late = Timestamp::from_seconds(END);
    assert_eq!(gateway.offer(&published(&newer, 7), None, late).unwrap_err().reason(), "expired");
}

#[test]
fn another_threads_newest_bundle_counts() {
    let mut gateway = Setup::refreshed().gateway().unwrap();
    let other = Setup { bundle: Some(published(&bundle(&["po.view"]), 9)), ..Setup::refreshed() };
    let last = other.gateway().unwrap().release(Published::Bundle);
    let newer = published(&bundle(&["po.view", "po.approve"]), 8);
    assert_eq!(gateway.offer(&newer, last, NOW).unwrap_err().reason(), "older_sequence");
}

#[test]
fn age_counts_from_the_last_confirmation() {
    let mut gateway = Setup::refreshed().gateway().unwrap();
    let age = |gateway: &pbac_gateway::Gateway, at| {
        gateway.freshness(Published::Bundle).unwrap().age_seconds(Timestamp::from_seconds(at))
    };
    assert_eq!(age(&gateway, 1_030), 30);
    gateway.confirm(Published::Bundle, Timestamp::from_seconds(1_020));
    assert_eq!(age(&gateway, 1_030), 10);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let message = |setup: Setup| setup.gateway().unwrap_err().to_string();
    let with = |more| Setup { more, ..Setup::default() };
    let refreshed_with = |refresh| {
        let mut setup = Setup::refreshed();
        setup.more["refresh"] = refresh;
        setup
    };
    for (setup, expected) in [
        (with(json!({ "ring": null })), "`ring` is missing"),
        (with(json!({ "route_table": null })), "`route_table` is missing"),
        (with(json!({ "ring": {} })), "`ring`: the key ring has no `keys`"),
        (
            with(
                json!({ "route_table": { "routes": [{ "method": "GET", "path": "x", "permission": "none" }] } }),
            ),
            "`route_table`: route 1 (`GET x`)",
        ),
        (with(json!({ "fail_open": true })), "line 1, column "),
        (with(json!({ "mode": "open" })), "line 1, column "),
        (with(json!({ "bundle": "?" })), "`bundle` is no base64"),
        (with(json!({ "bundle": "AAAA" })), "not a bundle: 3 bytes"),
        (with(json!({ "realm": "a\"b" })), "`realm` is not ASCII"),
        (with(json!({ "counters": "a.b" })), "`counters` is not a word"),
        (with(json!({ "trusted_keys": [{ "kid": "p", "x": "AQ" }] })), "`trusted_keys`, number 1: "),
        (Setup { bundle: None, ..Setup::default() }, "there is neither a `bundle` nor a `refresh`"),
        (with(json!({ "refresh": { "cluster": "b", "path": "/" } })), "`refresh` needs `trusted_keys`"),
        (refreshed_with(json!({ "cluster": "", "path": "/" })), "`refresh.cluster` is not the name"),
        (refreshed_with(json!({ "cluster": "b", "path": "x" })), "`refresh.path` is not a path"),
        (
            refreshed_with(json!({ "cluster": "b", "path": "/", "settings_path": "x" })),
            "`refresh.settings_path` is not a path",
        ),
        (
            refreshed_with(json!({ "cluster": "b", "path": "/", "settings_path": "/" })),
            "`refresh.settings_path` is that of the bundle",
        ),
        (
            refreshed_with(json!({ "cluster": "b", "path": "/", "interval_seconds": 0 })),
            "`refresh.interval_seconds`",
        ),
        (
            refreshed_with(json!({ "cluster": "b", "path": "/", "timeout_seconds": 301 })),
            "`refresh.timeout_seconds`",
        ),
        (Setup { bundle: Some(bundle(&["po.view"])), ..Setup::refreshed() }, "not a signature of the kind"),
    ] {
        let message = message(setup);
        assert!(message.starts_with(expected), "{message}");
    }
}

/// A configuration holds secrets, so what is said about one must not quote it.
#[test]
fn errors_do_not_quote_the_configuration() {
    let json = Setup::default().json().to_string();
    let secret = json.split("\"k\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for cut in 0..json.len() {
        let (start, end) = json.split_at(cut);
        for text in [start.to_owned(), format!("{start}\u{7f}{end}"), format!("{start}\"{end}")] {
            if let Err(error) = pbac_gateway::Config::from_json(text.as_bytes()) {
                let said = format!("{error} {error:?}");
                assert!(!said.contains(&secret) && !said.contains(&secret[..12]), "{cut}: {said}");
            }
        }
    }
}

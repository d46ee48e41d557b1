//! What becomes of requests: every reason, and what the application and the client are told.
use crate::setup::{NOW, Setup, headers, token};
use pbac_gateway::{Answer, Counter, Gateway, Kind, Verdict, spoofed};
use policy_core::Timestamp;
use policy_core::token::TokenBuffer;
use serde_json::{Value, json};

fn judged(setup: &Setup, request: &[(&str, &str)]) -> String {
    judged_by(&setup.gateway().unwrap(), NOW, request)
}

/// What became of it: the reason of a denial with its status, or what the application is told.
pub(crate) fn judged_by(gateway: &Gateway, now: Timestamp, request: &[(&str, &str)]) -> String {
    let headers = headers(request);
    match gateway.judge(&headers, now, &mut TokenBuffer::default()) {
        Verdict::Allow(identity) => {
            format!("{} may {}", identity.user_id, identity.permissions.as_deref().unwrap_or("much"))
        }
        Verdict::Public => "public".to_owned(),
        Verdict::Deny(denial) => format!("{} {}", denial.kind.status(), denial.reason),
    }
}

fn with_token(setup: &Setup, method: &str, path: &str, claims: Value) -> String {
    let bearer = format!("Bearer {}", token("k1", &claims));
    judged(setup, &[(":method", method), (":path", path), ("authorization", &bearer)])
}

fn claims(user: &str, roles: &[&str]) -> Value {
    json!({ "user_id": user, "roles": roles, "exp": 2_000 })
}

#[test]
fn the_policy_decides() {
    let setup = Setup::default();
    let ask = |method, path, claims| with_token(&setup, method, path, claims);
    let head = claims("7", &["Purchasing Head"]);
    assert_eq!(ask("POST", "/po/3/approve", head.clone()), "7 may po.approve,po.view");
    assert_eq!(ask("GET", "/po/3?x=1", claims("8", &["CLERK"])), "8 may po.view");
    assert_eq!(ask("POST", "/po/3/approve", claims("8", &["CLERK"])), "403 no_grant");
    assert_eq!(ask("POST", "/po/3/approve", claims("8", &[])), "403 no_grant");
    assert_eq!(ask("POST", "/po/3/approve", claims("8", &["Nobody"])), "403 no_grant");
    assert_eq!(ask("POST", "/po/3/approve", claims("9", &["Purchasing Head"])), "403 explicit_deny");
    assert_eq!(ask("GET", "/typo", head.clone()), "403 unknown_permission");
    assert_eq!(ask("GET", "/nowhere", head.clone()), "403 unknown_route");
    assert_eq!(ask("HEAD", "/po/3", head), "403 unknown_route");
    assert_eq!(ask("GET", "/po/3", claims(&"u".repeat(257), &["CLERK"])), "403 invalid_request");
    assert_eq!(
        ask("GET", "/po/3", json!({ "user_id": 7, "roles": ["CLERK"], "exp": 2_000 })),
        "7 may po.view"
    );
    assert_eq!(
        ask("GET", "/po/3", claims("a\r\nx-user-permissions: *", &["CLERK"])),
        "a%0D%0Ax-user-permissions:%20* may po.view"
    );
}

#[test]
fn roles_may_come_from_the_bundle() {
    let setup = Setup { more: json!({ "roles": "bundle" }), ..Setup::default() };
    assert_eq!(with_token(&setup, "GET", "/po/3", claims("7", &["Purchasing Head"])), "403 no_grant");
    assert_eq!(with_token(&setup, "GET", "/po/3", claims("stored", &[])), "stored may po.view");
}

#[test]
fn tokens_have_to_hold() {
    let setup = Setup::default();
    let ask =
        |bearer: &str| judged(&setup, &[(":method", "GET"), (":path", "/po/3"), ("authorization", bearer)]);
    let good = claims("8", &["CLERK"]);
    let signed = |kid: &str| format!("Bearer {}", token(kid, &good));
    assert_eq!(judged(&setup, &[(":method", "GET"), (":path", "/po/3")]), "401 no_token");
    assert_eq!(ask("Basic YTpi"), "401 no_token");
    assert_eq!(ask("Bearer "), "401 malformed_token");
    assert_eq!(ask("Bearer x.y.z"), "401 malformed_header");
    assert_eq!(ask(&signed("k0")), "8 may po.view", "a key of the history");
    assert_eq!(ask(&signed("gone")), "401 expired_key");
    assert_eq!(ask(&signed("stolen")), "401 revoked_key");
    assert_eq!(ask(&signed("other")), "401 unknown_key");
    assert_eq!(ask(&format!("{}x", signed("k1"))), "401 bad_signature");
    let expired = json!({ "user_id": "8", "roles": ["CLERK"], "exp": 999 });
    assert_eq!(with_token(&setup, "GET", "/po/3", expired), "401 expired");
    assert_eq!(with_token(&setup, "GET", "/po/3", json!({ "user_id": "8" })), "401 missing_expiry");
    assert_eq!(with_token(&setup, "GET", "/po/3", json!({ "exp": 2_000 })), "401 no_user_id");
    let one = signed("k1");
    let two = [(":method", "GET"), (":path", "/po/3"), ("authorization", &*one), ("authorization", &*one)];
    assert_eq!(judged(&setup, &two), "401 several_tokens");
}

#[test]
fn a_stranger_learns_nothing_of_the_routes() {
    let setup = Setup::default();
    for path in ["/po/3", "/nowhere", "/typo", "/po/3/"] {
        assert_eq!(judged(&setup, &[(":method", "GET"), (":path", path)]), "401 no_token", "{path}");
    }
    assert_eq!(judged(&setup, &[(":method", "GET"), (":path", "/health")]), "public");
    assert_eq!(judged(&setup, &[(":method", "POST"), (":path", "/health")]), "401 no_token");
}

#[test]
fn what_could_be_another_request_is_refused_to_whoever_asks() {
    let setup = Setup::default();
    let head = claims("7", &["Purchasing Head"]);
    for (path, reason) in [
        ("/health/../po/3", "path_dot_segment"),
        ("/health%2f..%2fpo", "path_encoded_delimiter"),
        ("//health", "path_empty_segment"),
        ("/health;x", "path_parameter"),
        ("/HEALTH", "path_other_case"),
    ] {
        assert_eq!(with_token(&setup, "GET", path, head.clone()), format!("400 {reason}"), "{path}");
    }
    let public = [(":method", "GET"), (":path", "/health"), ("x-http-method-override", "DELETE")];
    assert_eq!(judged(&setup, &public), "400 override_header");
    assert_eq!(
        judged(&setup, &[(":method", "GET"), (":path", "/health"), ("x_original_url", "/po")]),
        "400 override_header"
    );
    assert_eq!(judged(&setup, &[(":method", "GET")]), "400 malformed_request");
}

#[test]
fn without_a_policy_only_public_routes_pass() {
    let none = Setup { bundle: None, ..Setup::refreshed() };
    let head = claims("7", &["Purchasing Head"]);
    assert_eq!(with_token(&none, "GET", "/po/3", head.clone()), "503 no_policy");
    assert_eq!(judged(&none, &[(":method", "GET"), (":path", "/po/3")]), "503 no_policy");
    assert_eq!(judged(&none, &[(":method", "GET"), (":path", "/health")]), "public");
    let setup = Setup::refreshed();
    let gateway = setup.gateway().unwrap();
    let request = headers(&[(":method", "GET"), (":path", "/po/3")]);
    let at = |seconds| match gateway.judge(
        &request,
        Timestamp::from_seconds(seconds),
        &mut TokenBuffer::default(),
    ) {
        Verdict::Deny(denial) => denial.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(at(4_999), "no_token");
    assert_eq!(at(5_000), "policy_expired", "the signature says how long it may be used");
}

#[test]
fn a_long_list_of_permissions_is_left_out_whole() {
    let setup = Setup { more: json!({ "permissions_header_bytes": 9 }), ..Setup::default() };
    assert_eq!(with_token(&setup, "GET", "/po/3", claims("7", &["Purchasing Head"])), "7 may much");
    assert_eq!(with_token(&setup, "GET", "/po/3", claims("8", &["CLERK"])), "8 may po.view");
}

#[test]
fn the_client_is_told_what_it_can_do() {
    let setup = Setup { more: json!({ "realm": "erp" }), ..Setup::default() };
    let gateway = setup.gateway().unwrap();
    let answer = |request: &[(&str, &str)]| {
        let headers = headers(request);
        match gateway.judge(&headers, NOW, &mut TokenBuffer::default()) {
            Verdict::Deny(denial) => Answer::to(&denial, &gateway.config().realm),
            other => panic!("{other:?}"),
        }
    };
    let body = |answer: &Answer| serde_json::from_str::<Value>(&answer.body).unwrap();
    let no_token = answer(&[(":method", "GET"), (":path", "/po/3")]);
    assert_eq!(no_token.status, 401);
    assert_eq!(no_token.challenge.as_deref(), Some(r#"Bearer realm="erp""#));
    let bad = answer(&[(":method", "GET"), (":path", "/po/3"), ("authorization", "Bearer x.y.z")]);
    assert_eq!(
        bad.challenge.as_deref(),
        Some(r#"Bearer realm="erp", error="invalid_token", error_description="malformed_header""#)
    );
    assert_eq!(
        body(&bad),
        json!({ "type": "about:blank", "title": "Unauthorized", "status": 401,
                "detail": "the token is not accepted", "reason": "malformed_header" })
    );
    let bearer = format!("Bearer {}", token("k1", &claims("8", &["CLERK"])));
    let denied = answer(&[(":method", "POST"), (":path", "/po/3/approve"), ("authorization", &bearer)]);
    assert_eq!((denied.status, denied.challenge.as_deref()), (403, None));
    assert_eq!(
        body(&denied),
        json!({ "type": "about:blank", "title": "Forbidden", "status": 403, "permission": "po.approve",
                "detail": "the permission po.approve is needed", "reason": "no_grant" })
    );
    let unknown = answer(&[(":method", "GET"), (":path", "/nowhere"), ("authorization", &bearer)]);
    assert_eq!(body(&unknown).get("permission"), None);
}

#[test]
fn shadow_knows_what_it_would_have_done() {
    let setup = Setup { more: json!({ "mode": "shadow" }), ..Setup::default() };
    let gateway = setup.gateway().unwrap();
    let bearer = format!("Bearer {}", token("k1", &claims("8", &["CLERK"])));
    let headers = headers(&[
        (":method", "POST"),
        (":path", "/po/3/approve"),
        ("authorization", &bearer),
        ("x_user_id", "1"),
    ]);
    let verdict = gateway.judge(&headers, NOW, &mut TokenBuffer::default());
    let Verdict::Deny(denial) = &verdict else { panic!("{verdict:?}") };
    assert_eq!((denial.kind, denial.reason), (Kind::Forbidden, "no_grant"));
    let identity = denial.identity.as_ref().unwrap();
    assert_eq!((identity.user_id.as_str(), identity.permissions.as_deref()), ("8", Some("po.view")));
    assert_eq!(Counter::of(&verdict).name(), "denied_no_grant");
    assert_eq!(spoofed(&headers), ["x_user_id"]);
}

//! One request after the other, with a policy that does not change.

use crate::setup::*;
use serde_json::{Value, json};

/// What the application must have received of whom it serves.
fn assert_identity(seen: &pbac_tests::http::Message, user: &str, permissions: &str) {
    assert_eq!(seen.values("x-user-id"), [user], "{seen:?}");
    assert_eq!(seen.values("x-user-permissions"), [permissions], "{seen:?}");
    let others = seen.headers.iter().filter(|(name, _)| {
        let folded = name.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
        folded == "x-user-id" || folded == "x-user-permissions"
    });
    assert_eq!(others.count(), 2, "{seen:?}");
}

#[test]
fn requests_pass_and_fail() {
    let Some(site) = Site::start(1, |_| configuration(Some(&bundle(&["po.*"])), json!({}))) else { return };

    let (answer, seen) = site.ask_as(&head(), "POST", "/api/po/3/approve?notify=1");
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"hello"[..]));
    let seen = seen.expect("the application was asked");
    assert_eq!(seen.line, "POST /api/po/3/approve?notify=1 HTTP/1.1");
    assert_identity(&seen, "7", "po.approve,po.pay,po.view");
    let (answer, seen) = site.ask_as(&clerk(), "GET", "/api/po/3");
    assert_eq!(answer.status(), 200);
    assert_identity(&seen.expect("the application was asked"), "8", "po.view");

    let denied = |token: &str, method, target| {
        let (answer, seen) = site.ask_as(token, method, target);
        assert!(seen.is_none(), "the application must not hear of it: {seen:?}");
        assert_eq!(answer.values("content-type"), ["application/problem+json"]);
        (answer.status(), answer.json()["reason"].as_str().unwrap_or_default().to_owned(), answer)
    };
    let (status, reason, answer) = denied(&clerk(), "POST", "/api/po/3/approve");
    assert_eq!((status, reason.as_str()), (403, "no_grant"));
    assert_eq!(
        answer.json(),
        json!({ "type": "about:blank", "title": "Forbidden", "status": 403, "permission": "po.approve",
                "detail": "the permission po.approve is needed", "reason": "no_grant" })
    );
    let overridden = token("k1", "9", &["Purchasing Head"]);
    for (token, method, target, status, reason) in [
        (&overridden, "POST", "/api/po/3/approve", 403, "explicit_deny"),
        (&head(), "DELETE", "/api/po/3", 403, "unknown_route"),
        (&head(), "GET", "/nowhere", 403, "unknown_route"),
        (&head(), "GET", "/api/po/3/", 403, "unknown_route"),
        (&head(), "GET", "/Api/po/3", 400, "path_other_case"),
        (&clerk(), "GET", "/admin", 403, "no_grant"),
    ] {
        let (found, why, _) = denied(token, method, target);
        assert_eq!((found, why.as_str()), (status, reason), "{method} {target}");
    }

    let (answer, seen) = site.ask("GET", "/public/a", "");
    assert_eq!(answer.status(), 200, "a public route asks for no token");
    assert!(seen.expect("the application was asked").values("x-user-id").is_empty());

    let counters = site.envoy.counters();
    let counter = |name: &str| counters.get(&format!("wasmcustom.pbac_{name}")).copied();
    assert_eq!(counter("allowed"), Some(2));
    assert_eq!(counter("public"), Some(1));
    assert_eq!(counter("denied_no_grant"), Some(2));
    assert_eq!(counter("denied_unknown_route"), Some(3));
    assert_eq!(counter("bundle_sequence"), Some(0), "it is not signed");
    assert!(counter("bundle_hash").is_some_and(|hash| hash > 0));
    assert!(counter("bundle_age_seconds").is_some());
}

#[test]
fn tokens_are_verified() {
    let Some(site) = Site::start(1, |_| configuration(Some(&bundle(&["po.*"])), json!({ "realm": "erp" })))
    else {
        return;
    };
    let passes = |token: &str| {
        let (answer, seen) = site.ask_as(token, "GET", "/api/po/3");
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_identity(&seen.expect("the application was asked"), "8", "po.view");
    };
    passes(&clerk());
    for kid in ["k0", "eddsa", "es256"] {
        passes(&token(kid, "8", &["CLERK"]));
    }
    let challenge = |headers: &str| {
        let (answer, seen) = site.ask("GET", "/api/po/3", headers);
        assert!(seen.is_none(), "the application must not hear of it: {seen:?}");
        assert_eq!(answer.status(), 401, "{answer:?}");
        answer.values("www-authenticate").join("|")
    };
    assert_eq!(challenge(""), r#"Bearer realm="erp""#);
    assert_eq!(challenge("authorization: Basic YTpi\r\n"), r#"Bearer realm="erp""#);
    let invalid =
        |reason: &str| format!(r#"Bearer realm="erp", error="invalid_token", error_description="{reason}""#);
    let expired = json!({ "user_id": "8", "roles": ["CLERK"], "iat": now() - 600, "exp": now() - 1 });
    let good = clerk();
    let (signed, signature) = good.rsplit_once('.').expect("a token");
    let changed = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    // What an attacker writes who hopes that the algorithm is taken from the token.
    let none = format!("eyJhbGciOiJub25lIn0.{}.", signed.split_once('.').expect("two parts").1);
    for (token, reason) in [
        (token_of("k1", &expired), "expired"),
        (token("over", "8", &["CLERK"]), "expired_key"),
        (token("stolen", "8", &["CLERK"]), "revoked_key"),
        (token("stranger", "8", &["CLERK"]), "unknown_key"),
        (changed, "bad_signature"),
        (none, "algorithm_mismatch"),
        ("a.b".to_owned(), "malformed_token"),
        ("x".repeat(16_385), "too_long"),
    ] {
        assert_eq!(challenge(&bearer(&token)), invalid(reason));
    }
    assert_eq!(challenge(&(bearer(&good) + &bearer(&good))), invalid("several_tokens"));
    let log = site.envoy.log();
    assert!(!log.contains(signature) && !log.contains(signed), "no token is logged");
}

/// What Envoy passes on to the filter, the filter refuses; what Envoy refuses itself does not reach it. Neither reaches the
/// application.
#[test]
fn path_tricks_reach_nobody() {
    let Some(site) = Site::start(1, |_| configuration(Some(&bundle(&["po.*"])), json!({}))) else { return };
    for (target, reason) in [
        ("//admin", "path_empty_segment"),
        ("/public//admin", "path_empty_segment"),
        ("/public/../admin", "path_dot_segment"),
        ("/public/..", "path_dot_segment"),
        ("/public/./a", "path_dot_segment"),
        ("/public/%2e%2e/admin", "path_dot_segment"),
        ("/public/.%2E/admin", "path_dot_segment"),
        ("/public/%252e%252e/admin", "path_encoded_delimiter"),
        ("/public/..%2fadmin", "path_encoded_delimiter"),
        ("/public/..%5Cadmin", "path_encoded_delimiter"),
        ("/public/..;/admin", "path_parameter"),
        ("/public/a;b=c", "path_parameter"),
        (r"/public\..\admin", "path_backslash"),
        ("/public/%61", "path_encoded_unreserved"),
        ("/public/%c0%ae%c0%ae/admin", "path_not_utf8"),
        ("/public/a%00", "path_control_character"),
        ("/public/a%0d%0ax-user-id:1", "path_control_character"),
        ("/public/%zz", "path_invalid_encoding"),
        ("/public/a%", "path_invalid_encoding"),
        ("/public/<a>", "path_invalid_character"),
        ("/ADMIN", "path_other_case"),
        ("/PUBLIC/a", "path_other_case"),
    ] {
        for headers in [String::new(), bearer(&head())] {
            let (answer, seen) = site.ask("GET", target, &headers);
            assert!(seen.is_none(), "{target}: {seen:?}");
            assert_eq!(answer.status(), 400, "{target}: {answer:?}");
            assert_eq!(answer.json()["reason"], reason, "{target}");
        }
    }
    for target in ["/admin", "/api/po/3/", "/public", "/public/", "/public/a/"] {
        let (answer, seen) = site.ask("GET", target, "");
        assert!(seen.is_none(), "{target}: {seen:?}");
        assert_eq!(answer.status(), 401, "{target}");
    }
    // Envoy answers these itself; all that counts is that nobody is asked.
    for target in ["/public/a#/../admin", "/public/\u{e4}", "*", "/public/a\tb", "/public/a\0b"] {
        let (answer, seen) = site.ask("GET", target, "");
        assert!(seen.is_none(), "{target}: {seen:?}");
        assert!((400..500).contains(&answer.status()), "{target}: {answer:?}");
    }
    // A whole URL is taken apart by Envoy before the filter sees it, and so by the application.
    let (answer, seen) = site.ask("GET", "http://erp/public/../admin", "");
    assert!(seen.is_none(), "{seen:?}");
    assert_eq!(answer.json()["reason"], "path_dot_segment");
    for name in ["X-HTTP-Method-Override", "x_http_method", "X-Original-URL", "X-Rewrite-Url"] {
        let (answer, seen) = site.ask("GET", "/public/a", &format!("{name}: /admin\r\n"));
        assert!(seen.is_none(), "{name}: {seen:?}");
        assert_eq!((answer.status(), &answer.json()["reason"]), (400, &json!("override_header")), "{name}");
    }
    let (answer, seen) = site.ask("HEAD", "/admin", &(bearer(&head()) + "connection: close\r\n"));
    assert!(seen.is_none() && answer.status() == 403, "{answer:?}");
}

#[test]
fn identity_comes_from_the_gateway_alone() {
    let Some(site) = Site::start(1, |_| configuration(Some(&bundle(&["po.*"])), json!({}))) else { return };
    let spoofs = "x-user-id: 1\r\nX-User-ID: 2\r\nX-USER-PERMISSIONS: *\r\nx_user_id: 3\r\nX_User_Permissions: *\r\n\
        x-user_id: 4\r\nx.user.id: 5\r\nx-user-permissions: users.view\r\nx-user-agent: kept\r\nx-user-ids: kept\r\n";
    let (answer, seen) = site.ask("GET", "/api/po/3", &(bearer(&clerk()) + spoofs));
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seen = seen.expect("the application was asked");
    assert_identity(&seen, "8", "po.view");
    assert_eq!((seen.values("x-user-agent"), seen.values("x-user-ids")), (vec!["kept"], vec!["kept"]));
    let (answer, seen) = site.ask("GET", "/public/a", spoofs);
    assert_eq!(answer.status(), 200);
    let seen = seen.expect("the application was asked");
    for name in
        ["x-user-id", "x_user_id", "x-user_id", "x.user.id", "x-user-permissions", "x_user_permissions"]
    {
        assert!(seen.values(name).is_empty(), "{name}: {seen:?}");
    }
    // In trailers, which some servers take for headers.
    let chunked = "transfer-encoding: chunked\r\ntrailer: x-user-id\r\n\r\n1\r\na\r\n0\r\nx-user-id: 1\r\nx_user_permissions: *\r\nx-kept: 1\r\n";
    let (answer, seen) = site.ask("POST", "/api/po/3/approve", &(bearer(&head()) + chunked));
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seen = seen.expect("the application was asked");
    assert_identity(&seen, "7", "po.approve,po.pay,po.view");
    assert_eq!((seen.body.as_slice(), seen.values("x-kept")), (&b"a"[..], vec!["1"]), "trailers do arrive");
    // An id that would end its header.
    let hostile = token("k1", "8\r\nx-user-id: 1", &["CLERK"]);
    let (answer, seen) = site.ask_as(&hostile, "GET", "/api/po/3");
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_identity(&seen.expect("the application was asked"), "8%0D%0Ax-user-id:%201", "po.view");
    // Bytes that are no text must not stop the filter.
    let bytes =
        [request("GET", "/public/a", "").trim_end().as_bytes(), b"\r\nx-user-id: \xff\xfe\r\n\r\n"].concat();
    let (answer, seen) = site.send(&bytes);
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert!(seen.expect("the application was asked").values("x-user-id").is_empty());
    assert_eq!(site.ask_as(&clerk(), "GET", "/api/po/3").0.status(), 200, "the filter is well");
}

#[test]
fn shadow_lets_pass_what_it_would_deny() {
    let shadow = json!({ "mode": "shadow" });
    let Some(site) = Site::start(1, |_| configuration(Some(&bundle(&["po.*"])), shadow)) else { return };
    let (answer, seen) = site.ask_as(&clerk(), "POST", "/api/po/3/approve");
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_identity(&seen.expect("the application was asked"), "8", "po.view");
    let secret = "/nowhere?access_token=do-not-log-this";
    let (answer, seen) = site.ask("GET", secret, "x-user-id: 1\r\nx_user_permissions: *\r\n");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seen = seen.expect("the application was asked");
    assert!(seen.values("x-user-id").is_empty() && seen.values("x_user_permissions").is_empty(), "{seen:?}");
    assert_eq!(site.envoy.counter("wasmcustom.pbac_denied_no_grant"), 1);
    assert_eq!(site.envoy.counter("wasmcustom.pbac_denied_no_token"), 1);
    let log = site.envoy.log();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line.get(line.find("{\"method\"")?..)?).ok())
        .collect();
    let expected = json!({ "shadow": "deny", "reason": "no_grant", "status": 403, "user": "8", "method": "POST",
        "route": "/api/po/{id}/approve", "permission": "po.approve" });
    assert!(lines.contains(&expected), "{log}");
    assert!(!log.contains("do-not-log-this"), "paths are not logged");
}

//! Checks that several endpoints share: each gets its own permission, and whoever is left keeps the check.

use super::*;

const HEADER: &str = "from fastapi import APIRouter, Depends, FastAPI\nfrom shop.security import require_permission, require_roles\n";

fn convert_main(body: &str, rules: &[&str]) -> (Conversion, String) {
    let text = format!("{HEADER}app = FastAPI()\n{body}\n");
    let (conversion, files) = converted(&[("main.py", &text)], &rules_of(rules));
    let main = files.into_iter().find(|(name, _)| name == "main.py").map(|(_, text)| text);
    (conversion, main.unwrap_or(text))
}

#[test]
fn a_router_s_check_goes_where_all_get_their_own() {
    let body = "r = APIRouter(prefix=\"/r\", dependencies=[Depends(require_roles(\"HEAD\"))])\n\
        @r.get(\"/a\")\ndef a(): ...\n@r.get(\"/b\", dependencies=[Depends(APIRouter)])\ndef b(): ...\napp.include_router(r)";
    let (conversion, main) = convert_main(body, &["GET /r/a HEAD x.a", "GET /r/b HEAD x.b"]);
    assert_eq!(states(&conversion), [State::Roles, State::Roles]);
    assert!(main.contains("r = APIRouter(prefix=\"/r\")\n"), "{main}");
    assert!(main.contains("@r.get(\"/a\", dependencies=[Depends(require_permission(\"x.a\"))])"), "{main}");
    assert!(
        main.contains("dependencies=[Depends(require_permission(\"x.b\")), Depends(APIRouter)]"),
        "{main}"
    );
    assert!(!main.contains("require_roles"), "the import goes too: {main}");

    let (_, main) = convert_main(body, &["GET /r/a HEAD x.same", "GET /r/b HEAD x.same"]);
    assert!(main.contains("dependencies=[Depends(require_permission(\"x.same\"))])\n@r"), "{main}");
    assert!(main.contains("@r.get(\"/a\")"), "one permission stays on the router: {main}");
}

#[test]
fn a_router_s_check_stays_where_somebody_relies_on_it() {
    for (other, why) in [
        ("@r.get(\"/b\")\ndef b(): ...", "an endpoint without a rule"),
        ("@r.websocket(\"/b\")\ndef b(): ...", "a web socket"),
        ("@r.get(PATH)\ndef b(): ...", "an endpoint that could not be read"),
        ("@r.get(\"/b\")\ndef b(u=Depends(require_roles(\"CLERK\"))): ...", "one whose checks do not nest"),
    ] {
        let body = format!(
            "r = APIRouter(dependencies=[Depends(require_roles(\"HEAD\"))])\n@r.get(\"/a\")\ndef a(): ...\n{other}\napp.include_router(r)"
        );
        let (conversion, main) = convert_main(&body, &["GET /a HEAD x.a"]);
        assert!(conversion.files.is_empty(), "{why}: {main}");
        let by_hand = conversion
            .findings
            .iter()
            .any(|one| one.stops && one.message.contains("GET /a is to be changed by hand"));
        assert!(by_hand, "{why}: {:?}", conversion.findings);
    }
}

#[test]
fn a_named_check_is_changed_in_place_only_where_nobody_else_uses_it() {
    let named = "head = require_roles(\"HEAD\")\n@app.get(\"/a\")\ndef a(u=Depends(head)): ...";
    let (_, main) = convert_main(named, &["GET /a HEAD x.a"]);
    assert!(main.contains("head = require_permission(\"x.a\")"), "{main}");

    for more in ["other = head", "@app.websocket(\"/ws\")\ndef ws(u=Depends(head)): ...", "print(head)"] {
        let (_, main) = convert_main(&format!("{named}\n{more}"), &["GET /a HEAD x.a"]);
        assert!(main.contains("head = require_roles(\"HEAD\")"), "{more}: {main}");
        assert!(main.contains("def a(u=Depends(require_permission(\"x.a\")))"), "{more}: {main}");
    }
}

#[test]
fn one_function_of_two_permissions_is_left_to_a_person() {
    let body = "@app.get(\"/a\")\n@app.post(\"/a\")\ndef a(u=Depends(require_roles(\"HEAD\"))): ...\n\
        @app.get(\"/b\")\ndef b(u=Depends(require_roles(\"HEAD\"))): ...";
    let (conversion, main) =
        convert_main(body, &["GET /a HEAD x.view", "POST /a HEAD x.edit", "GET /b HEAD x.b"]);
    let by_hand = conversion.findings.iter().filter(|one| one.message.contains("to be changed by hand"));
    assert_eq!(by_hand.count(), 2);
    assert!(main.contains("def a(u=Depends(require_roles(\"HEAD\")))"), "{main}");
    assert!(main.contains("def b(u=Depends(require_permission(\"x.b\")))"), "the rest goes on: {main}");
}

#[test]
fn what_differs_is_not_converted() {
    let body = "@app.get(\"/a\")\ndef a(u=Depends(require_roles(\"CLERK\"))): ...\n\
        @app.get(\"/b\")\ndef b(): ...\n@app.get(\"/c\")\ndef c(u=Depends(require_permission(\"x.other\"))): ...\n\
        @app.get(\"/d\")\ndef d(u=Depends(require_permission(\"x.d\"))): ...\n\
        @app.get(\"/e\")\ndef e(u=Depends(require_roles(\"HEAD\")), v=Depends(require_permission(\"x.e\"))): ...";
    let rules = [
        "GET /a HEAD x.a",
        "GET /b HEAD x.b",
        "GET /c HEAD x.c",
        "GET /d HEAD x.d",
        "GET /e HEAD x.e",
        "GET /f HEAD x.f",
    ];
    let (conversion, _) = convert_main(body, &rules);
    use State::{Converted, Differs, Missing};
    assert_eq!(states(&conversion), [Differs, Differs, Differs, Converted, Differs, Missing]);
    let found: Vec<_> = conversion.rows.iter().filter_map(|row| row.found.as_deref()).collect();
    assert_eq!(
        found,
        [
            "roles CLERK",
            "no check that could be found",
            "permission x.other",
            "permission x.e and roles HEAD"
        ]
    );
    assert!(conversion.files.is_empty());
}

#[test]
fn a_file_with_wrong_syntax_is_left_alone() {
    let good = format!(
        "{HEADER}app = FastAPI()\n@app.get(\"/a\")\ndef a(u=Depends(require_roles(\"HEAD\"))): ...\n"
    );
    let bad =
        format!("{HEADER}app = FastAPI()\n@app.get(\"/b\")\ndef b(u=Depends(require_roles(\"HEAD\")): ...\n");
    let rules = rules_of(&["GET /a HEAD x.a", "GET /b HEAD x.b"]);
    let (conversion, files) = converted(&[("good.py", &good), ("bad.py", &bad)], &rules);
    assert_eq!(states(&conversion), [State::Roles, State::Missing]);
    let changed: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(changed, ["good.py"]);
}

#[test]
fn names_that_others_import_from_a_file_stay_there() {
    let deps = "from shop.security import require_roles\n";
    let main = "from fastapi import Depends, FastAPI\nfrom shop.deps import require_roles\napp = FastAPI()\n\
        @app.get(\"/a\")\ndef a(u=Depends(require_roles(\"HEAD\"))): ...\n";
    let (_, files) = converted(&[("deps.py", deps), ("main.py", main)], &rules_of(&["GET /a HEAD x.a"]));
    let [(name, text)] = &files[..] else { panic!("{files:?}") };
    assert_eq!(name, "main.py");
    assert!(text.contains("from shop.security import require_permission\n"), "{text}");
    assert!(!text.contains("require_roles"), "{text}");
}

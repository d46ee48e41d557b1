//! Endpoint rules drafted from an application, and the application converted: nothing is guessed, and nobody's check is
//! lost on the way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pbac::endpoints::draft::{openapi, python};
use pbac::endpoints::source::{Application, Asks, Checkers, Conversion, State, convert};
use pbac::endpoints::{self, Endpoints};
use pbac::python::Project;
use pbac_tests::binary;
use pbac_tests::record::Recorded;
use serde_json::json;

#[path = "drafts/reading.rs"]
mod reading;
#[path = "drafts/sharing.rs"]
mod sharing;

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/erp").join(file)
}

fn rules() -> Endpoints {
    endpoints::load(&example("endpoints.toml")).unwrap()
}

fn set(roles: &[String]) -> BTreeSet<&str> {
    roles.iter().map(String::as_str).collect()
}

/// The checks that every small application of these tests imports.
const SECURITY: &str = "from enum import Enum\n\n\nclass Role(str, Enum):\n    HEAD = \"Head of all\"\n    CLERK = \"Clerk\"\n\n\n\
    def require_roles(*roles): ...\n\n\ndef require_permission(permission): ...\n";

/// A project in a directory `shop` of its own.
fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("shop");
    std::fs::create_dir(&root).unwrap();
    for (name, text) in [("security.py", SECURITY)].iter().chain(files) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    (directory, root)
}

fn read(files: &[(&str, &str)]) -> Application {
    let (_directory, root) = project(files);
    Application::read(&Project::read(&root).unwrap(), &Checkers::default())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn pbac(arguments: &[&str], directory: &Path) -> (i32, String, String) {
    let mut command = Command::new(binary::pbac());
    for name in ["DATABASE_URL", "PBAC_DATABASE_URL", "PBAC_CONFIG", "PBAC_ENDPOINTS", "PBAC_POLICY"] {
        command.env_remove(name);
    }
    let output = command.args(arguments).current_dir(directory).output().unwrap().recorded();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_example_asks_for_exactly_the_roles_of_its_rules() {
    let application = Application::read(&Project::read(&example("app")).unwrap(), &Checkers::default());
    assert!(!application.stops(), "{:?}", application.findings);
    let rules = rules();
    assert_eq!(application.roles, rules.roles);
    let checked: Vec<_> = application.routes.iter().filter(|route| !route.checks.is_empty()).collect();
    assert_eq!((checked.len(), application.routes.len()), (104, 105));
    for rule in &rules.endpoints {
        let mut found = checked.iter().filter(|route| route.method == rule.method && route.path == rule.path);
        let route = found.next().unwrap_or_else(|| panic!("no {} {}", rule.method, rule.path));
        assert_eq!(set(&route.roles().unwrap().unwrap()), set(&rule.roles), "{} {}", rule.method, rule.path);
        assert!(found.next().is_none());
    }
}

#[test]
fn a_draft_of_the_example_means_what_its_rules_mean() {
    let mut draft = python(
        &example("app"),
        &Checkers::default(),
        Some("BYPASS_ROLES"),
        Some("app.core.security.ROLE_INHERITS"),
    )
    .unwrap();
    let text = draft.text("the example");
    let (drafted, rules) = (endpoints::parse(&text, "draft").unwrap(), rules());
    assert_eq!((&drafted.roles, &drafted.bypass), (&rules.roles, &rules.bypass));
    assert_eq!(drafted.inherits, rules.inherits);
    assert_eq!(drafted.endpoints.len(), 104);
    for rule in &rules.endpoints {
        let same = |one: &&endpoints::Endpoint| one.method == rule.method && one.path == rule.path;
        let found = drafted.endpoints.iter().find(same).unwrap();
        for role in &rules.roles {
            assert_eq!(drafted.legacy_allows(role, found), rules.legacy_allows(role, rule));
        }
        // Endpoints that share a proposed permission ask for the same roles.
        for other in drafted.endpoints.iter().filter(|other| other.permission == found.permission) {
            assert_eq!(set(&other.roles), set(&found.roles), "{}", found.permission);
        }
    }
    assert!(text.contains("GET /health"), "what has no check is named");
    let without = python(&example("app"), &Checkers::default(), None, None).unwrap().text("the example");
    assert!(without.contains("# Not known: roles that pass every check") && !without.contains("\nbypass"));
    endpoints::parse(&without, "draft").unwrap();
}

#[test]
fn the_example_is_converted_once_and_then_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    copy(&example("app"), &directory.path().join("app"));
    let rules_file = example("endpoints.toml");
    let arguments = ["endpoints", "--endpoints", rules_file.to_str().unwrap(), "--source", "app", "--json"];
    let texts = || Project::read(&directory.path().join("app")).unwrap().texts();
    let before = texts();
    let (status, output, errors) = pbac(&arguments, directory.path());
    assert_eq!((status, errors.as_str()), (0, ""));
    let proposed: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&proposed["states"], &proposed["written"]), (&json!({"roles": 104}), &json!(false)));
    assert_eq!(texts(), before, "nothing is written unless that is asked for");

    // The diff that is shown is the change that is made.
    let patched = tempfile::tempdir().unwrap();
    copy(&example("app"), &patched.path().join("app"));
    std::fs::write(patched.path().join("change.diff"), proposed["diff"].as_str().unwrap()).unwrap();
    let git =
        Command::new("git").args(["apply", "change.diff"]).current_dir(patched.path()).output().unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));

    let write = [&arguments[..], &["--write"]].concat();
    let (status, output, _) = pbac(&write, directory.path());
    let written: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &written["written"], &written["diff"]), (0, &json!(true), &proposed["diff"]));
    let after = texts();
    assert_ne!(after, before);
    for (path, text) in &after {
        let below = path.strip_prefix(directory.path()).unwrap();
        assert_eq!(std::fs::read_to_string(patched.path().join(below)).unwrap(), *text, "{}", path.display());
    }

    let (status, output, _) = pbac(&write, directory.path());
    let again: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &again["states"]), (0, &json!({"converted": 104})));
    assert_eq!((&again["diff"], &again["files"], &again["written"]), (&json!(""), &json!([]), &json!(false)));
    assert_eq!(texts(), after);

    let application =
        Application::read(&Project::read(&directory.path().join("app")).unwrap(), &Checkers::default());
    assert!(!application.stops(), "{:?}", application.findings);
    for rule in rules().endpoints {
        let same =
            |route: &&pbac::endpoints::source::Route| route.method == rule.method && route.path == rule.path;
        let route = application.routes.iter().find(same).unwrap();
        let asks: Vec<&Asks> = route.checks.iter().map(|check| &check.asks).collect();
        assert_eq!(asks, [&Asks::Permission(rule.permission.to_string())], "{} {}", rule.method, rule.path);
    }
}

#[test]
fn a_draft_is_written_whole_and_never_over_a_file() {
    let (directory, root) = project(&[(
        "main.py",
        "from fastapi import Depends, FastAPI\nfrom shop.security import require_roles\napp = FastAPI()\n\
         @app.get(\"/a\")\ndef a(user=Depends(require_roles(\"CLERK\"))): ...\n\
         @app.get(\"/b\")\ndef b(user=Depends(require_roles(*unknown()))): ...\n",
    )]);
    let (status, output, _) =
        pbac(&["init", "--python", "shop", "--out", "draft.toml", "--json"], directory.path());
    let answer: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &answer["endpoints"]), (8, &json!(1)), "{output}");
    assert!(root.join("main.py").exists());
    let path = directory.path().join("draft.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("permission = \"a.view\" # proposed"), "{text}");
    assert!(text.contains("#   shop/main.py:6: "), "{text}");
    endpoints::load(&path).unwrap();
    let (status, _, errors) = pbac(&["init", "--python", "shop", "--out", "draft.toml"], directory.path());
    assert_eq!(status, 6);
    assert!(errors.contains("is there already"), "{errors}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn an_openapi_document_is_read_as_far_as_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("openapi.json");
    let document = json!({
        "openapi": "3.1.0",
        "servers": [{"url": "https://erp.example.com/api/"}],
        "security": [{"oauth": ["BASIC"]}],
        "paths": {
            "/a": {
                "get": {"x-roles": ["A", "B"]},
                "post": {"x-required-roles": "A"},
                "put": {"security": [{"oauth": ["A"]}, {"oauth": ["C"], "key": []}]},
                "patch": {"security": []},
                "delete": {"security": [{"oauth": ["A", "B"]}]},
                "head": {},
            },
            "/b": {"get": {"x-roles": 5}, "post": {"security": [{"oauth": ["A"]}, {}]}, "parameters": []},
        },
    });
    std::fs::write(&path, document.to_string()).unwrap();
    let mut draft = openapi(&path).unwrap();
    let found: Vec<_> = draft
        .endpoints
        .iter()
        .map(|one| (one.method.as_str(), one.path.as_str(), one.roles.join(" ")))
        .collect();
    assert_eq!(
        found,
        [
            ("GET", "/api/a", "A B".to_owned()),
            ("HEAD", "/api/a", "BASIC".to_owned()),
            ("POST", "/api/a", "A".to_owned()),
            ("PUT", "/api/a", "A C".to_owned()),
        ]
    );
    assert_eq!(draft.open, ["PATCH /api/a"]);
    let stops: Vec<_> = draft.findings.iter().filter(|one| one.stops).map(|one| one.place.clone()).collect();
    assert_eq!(stops, ["DELETE /api/a", "GET /api/b", "POST /api/b"]);
    let parsed = endpoints::parse(&draft.text("openapi.json"), "draft").unwrap();
    assert_eq!((parsed.endpoints.len(), parsed.roles.join(" ")), (4, "A B BASIC C".to_owned()));
}

fn converted(files: &[(&str, &str)], rules: &str) -> (Conversion, Vec<(String, String)>) {
    let (_directory, root) = project(files);
    let project = Project::read(&root).unwrap();
    let rules = endpoints::parse(rules, "rules").unwrap_or_else(|error| panic!("{error}"));
    let conversion =
        convert(&root, &project, &Checkers::default(), &rules).unwrap_or_else(|error| panic!("{error}"));
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let files = conversion.files.iter().map(|(path, _, new)| (name(path), new.clone())).collect();
    (conversion, files)
}

/// Rules from `METHOD path role permission`.
fn rules_of(lines: &[&str]) -> String {
    let mut text = "[legacy]\nroles = [\"HEAD\", \"CLERK\"]\n".to_owned();
    for line in lines {
        let [method, path, role, permission] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        text.push_str(&format!(
            "[[endpoints]]\nmethod = \"{method}\"\npath = \"{path}\"\nroles = [\"{role}\"]\npermission = \"{permission}\"\n"
        ));
    }
    text
}

fn states(conversion: &Conversion) -> Vec<State> {
    conversion.rows.iter().map(|row| row.state).collect()
}

//! Every way of writing a check and a path, and what is reported where a way is not understood.

use super::*;

const HEADER: &str = "from typing import Annotated\nimport fastapi\nfrom fastapi import APIRouter, Depends, FastAPI, Security\n\
    from shop import security\nfrom shop.security import Role, require_roles\n";

fn main_of(body: &str) -> String {
    format!("{HEADER}{body}")
}

/// `METHOD path role,role` of each endpoint.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let application = read(files);
    assert!(!application.stops(), "{:?}", application.findings);
    application
        .routes
        .iter()
        .map(|route| {
            let roles = route.roles().unwrap().map_or_else(|| "-".to_owned(), |roles| roles.join(","));
            format!("{} {} {roles}", route.method, route.path)
        })
        .collect()
}

#[test]
fn a_check_is_found_however_it_is_written() {
    for way in [
        "@app.get(\"/x\", dependencies=[Depends(require_roles(\"HEAD\", \"CLERK\"))])\ndef x(): ...",
        "@app.get(path=\"/x\")\nasync def x(u=Depends(require_roles(Role.HEAD, Role.CLERK))): ...",
        "@app.get(\"/x\")\ndef x(*, u: str = Depends(dependency=require_roles(\"Head of all\", Role.CLERK))): ...",
        "@app.get(\"/x\")\ndef x(u: Annotated[str, Depends(require_roles([\"HEAD\", 'CLERK']))]): ...",
        "@app.get(\"/x\")\ndef x(u: str = Security(require_roles(Role.HEAD.value, Role.CLERK.name))): ...",
        "@app.get(\"/x\")\ndef x(u=fastapi.Depends(security.require_roles(*Role))): ...",
        "@app.get(\"/x\")\ndef x(u=Depends(require_roles(roles=(Role.HEAD, Role.CLERK)))): ...",
        "ALL = frozenset({Role.HEAD}) | {Role.CLERK}\n@app.get(\"/x\")\ndef x(u=Depends(require_roles(*ALL))): ...",
        "A = [Role.HEAD]\nB = A + [\"CLERK\"]\n@app.get(\"/x\")\ndef x(u=Depends(require_roles(*B))): ...",
        "A = [\"HEAD\"]\n@app.get(\"/x\")\ndef x(u=Depends(require_roles([*A, \"CLERK\"]))): ...",
        "class Groups:\n    ALL = [Role.HEAD, Role.CLERK]\n@app.get(\"/x\")\ndef x(u=Depends(require_roles(*Groups.ALL))): ...",
        "both = require_roles(\"HEAD\", \"CLERK\")\n@app.get(\"/x\")\ndef x(u=Depends(both)): ...",
        "both = Depends(require_roles(\"HEAD\", \"CLERK\"))\n@app.get(\"/x\", dependencies=[both])\ndef x(): ...",
        "Both = Annotated[str, Depends(require_roles(\"HEAD\", \"CLERK\"))]\n@app.get(\"/x\")\ndef x(u: Both): ...",
        "def both(u=Depends(require_roles(\"HEAD\", \"CLERK\"))): ...\n@app.get(\"/x\")\ndef x(u=Depends(both)): ...",
        "LIST = [Depends(require_roles(\"HEAD\", \"CLERK\"))]\n@app.get(\"/x\", dependencies=LIST)\ndef x(): ...",
        "@app.api_route(\"/x\", methods=[\"GET\"])\ndef x(u=Depends(require_roles(\"HEAD\", \"CLERK\"))): ...",
        "def x(u=Depends(require_roles(\"HEAD\", \"CLERK\"))): ...\napp.add_api_route(\"/x\", x)",
        "r = APIRouter(dependencies=[Depends(require_roles(\"HEAD\", \"CLERK\"))])\n@r.get(\"/x\")\ndef x(): ...\napp.include_router(r)",
        "r = APIRouter()\n@r.get(\"/x\")\ndef x(): ...\napp.include_router(r, dependencies=[Depends(require_roles(\"HEAD\", \"CLERK\"))])",
        "if True:\n    @app.get(\"/x\")\n    def x(u=Depends(require_roles(\"HEAD\", \"CLERK\"))): ...",
        // The narrower of two checks that nest decides, and one that is there twice is one.
        "r = APIRouter(dependencies=[Depends(require_roles(\"HEAD\", \"CLERK\"))])\n@r.get(\"/x\")\ndef x(u=Depends(require_roles(\"HEAD\", \"CLERK\"))): ...\napp.include_router(r)",
    ] {
        let text = main_of(&format!("app = FastAPI()\n{way}\n"));
        let found = found(&[("main.py", &text)]);
        assert_eq!(found, ["GET /x HEAD,CLERK"], "{way}");
    }
}

#[test]
fn prefixes_add_up_across_files_and_ways_of_importing() {
    let orders = main_of(
        "router = APIRouter(prefix=\"/orders\")\n@router.post(\"/{id}\")\ndef x(u=Depends(require_roles(\"HEAD\"))): ...\n",
    );
    for (name, main) in [
        ("api/__init__.py", "from shop.api.orders import router\napp.include_router(router, prefix=\"/v1\")"),
        ("api/__init__.py", "from .api import orders\napp.include_router(orders.router, prefix=\"/v1\")"),
        (
            "api/__init__.py",
            "import shop.api.orders\napp.include_router(shop.api.orders.router, prefix=\"/v1\")",
        ),
        (
            "api/__init__.py",
            "from shop.api import orders as o\nV = \"v1\"\napp.include_router(o.router, prefix=f\"/{V}\")",
        ),
        (
            "api/__init__.py",
            "from api.orders import *\napp.include_router(router=router, prefix=\"/\" + \"v1\")",
        ),
        (
            "other.py",
            "from shop.api import orders\nfor m in (orders,):\n    app.include_router(m.router, prefix=\"/v1\")",
        ),
        (
            "other.py",
            "from shop.api import orders\nmiddle = APIRouter(prefix=\"/v1\")\nmiddle.include_router(orders.router)\napp.include_router(middle)",
        ),
    ] {
        let text = main_of(&format!("app = FastAPI()\n{main}\n"));
        let found = found(&[("main.py", &text), (name, ""), ("api/orders.py", &orders)]);
        assert_eq!(found, ["POST /v1/orders/{id} HEAD"], "{main}");
    }
    let factory = main_of(
        "from shop.api import orders\ndef create_app():\n    app = FastAPI()\n    app.include_router(orders.router)\n    return app\n",
    );
    assert_eq!(found(&[("main.py", &factory), ("api/orders.py", &orders)]), ["POST /orders/{id} HEAD"]);
    let twice = main_of(
        "from shop.api import orders\napp = FastAPI()\napp.include_router(orders.router)\napp.include_router(orders.router, prefix=\"/old\")\n",
    );
    assert_eq!(
        found(&[("main.py", &twice), ("api/orders.py", &orders)]),
        ["POST /orders/{id} HEAD", "POST /old/orders/{id} HEAD"]
    );
}

#[test]
fn what_cannot_be_told_is_named_with_its_line_and_not_guessed() {
    for (body, line, message) in [
        ("@app.get(\"/x\")\ndef x(u=Depends(require_roles(*roles()))): ...", 7, "these roles cannot be told"),
        ("@app.get(\"/x\")\ndef x(u=Depends(require_roles())): ...", 7, "no role is listed"),
        ("@app.get(\"/x\")\ndef x(u=Depends(lambda: 1)): ...", 7, "what this dependency is cannot be told"),
        ("@app.get(\"/x\", dependencies=make())\ndef x(): ...", 7, "these dependencies cannot be told"),
        ("@app.get(PATH)\ndef x(u=Depends(require_roles(\"HEAD\"))): ...", 7, "this path cannot be told"),
        (
            "A = [\"HEAD\"]\nA = [\"CLERK\"]\n@app.get(\"/x\")\ndef x(u=Depends(require_roles(*A))): ...",
            9,
            "these roles cannot be told",
        ),
        (
            "def check(u):\n    return require_roles(\"HEAD\")(u)\n@app.get(\"/x\")\ndef x(u=Depends(check)): ...",
            9,
            "uses `require_roles` in its body",
        ),
        (
            "def head():\n    return require_roles(\"HEAD\")\n@app.get(\"/x\")\ndef x(u=Depends(head())): ...",
            9,
            "uses `require_roles` in its body",
        ),
        ("@thing().get(\"/x\")\ndef x(): ...", 7, "what router this endpoint is on cannot be told"),
        ("app.include_router(make_router())", 7, "which router includes which cannot be told"),
        ("app.mount(\"/static\", other)", 7, "`mount` is not followed"),
        (
            "r = APIRouter()\n@r.get(\"/x\")\ndef x(u=Depends(require_roles(\"HEAD\"))): ...",
            8,
            "is in no application",
        ),
        (
            "r = APIRouter(prefix=P)\napp.include_router(r)\n@r.get(\"/x\")\ndef x(): ...",
            7,
            "this prefix cannot be told",
        ),
        ("@app.api_route(\"/x\", methods=M)\ndef x(): ...", 7, "the methods of this endpoint cannot be told"),
        ("def x(:", 7, "the syntax is wrong here"),
    ] {
        let text = main_of(&format!("app = FastAPI()\n{body}\n"));
        let application = read(&[("main.py", &text)]);
        let place = format!("/shop/main.py:{line}");
        let named = application
            .findings
            .iter()
            .any(|one| one.stops && one.place.ends_with(&place) && one.message.contains(message));
        assert!(named, "{body}\n{:#?}", application.findings);
        let sure = application.routes.iter().filter(|route| matches!(route.roles(), Ok(Some(_))));
        assert_eq!(sure.count(), 0, "{body}");
    }
}

#[test]
fn two_checks_that_do_not_nest_are_no_list() {
    let text = main_of(
        "app = FastAPI(dependencies=[Depends(require_roles(\"CLERK\"))])\n@app.get(\"/x\")\ndef x(u=Depends(require_roles(\"HEAD\"))): ...\n",
    );
    let application = read(&[("main.py", &text)]);
    let why = application.routes[0].roles().unwrap_err();
    assert!(why.starts_with("two checks must both pass, of CLERK and of HEAD"), "{why}");
}

#[test]
fn a_use_of_the_check_that_no_endpoint_leads_to_is_named() {
    let text = main_of("app = FastAPI()\nhead = require_roles(\"HEAD\")\n@app.get(\"/x\")\ndef x(): ...\n");
    let application = read(&[("main.py", &text)]);
    let notes: Vec<&str> = application.findings.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(notes, ["no endpoint leads to this use of `require_roles`"]);
}

#[test]
fn hostile_source_ends_with_a_finding_and_not_with_the_stack() {
    let deep = format!("app = FastAPI()\nX = {}1{}\n", "(".repeat(50_000), ")".repeat(50_000));
    let circle = "from shop.b import x\n";
    let back = "from shop.a import x\n";
    let own = "x = y\ny = x\n@x.get(\"/x\")\ndef f(): ...\n";
    let application =
        read(&[("deep.py", &main_of(&deep)), ("a.py", circle), ("b.py", back), ("own.py", own)]);
    assert!(application.routes.is_empty());
}

"""The dependency of FastAPI, and the example: purchasing of the ERP, role by role, against its legacy rules."""

import asyncio
import importlib.util
import os
import re
import tempfile
import time
import tomllib
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from support import MODULE, PACKAGE, POLICY, REPOSITORY, bundle, in_seconds, ring_document, token
from test_policy import loaded

from pbac_wasm import Policy
from pbac_wasm.fastapi import Guard, Identity

# What `pbac bundle build --policy examples/erp/policy.toml` writes.
ERP_BUNDLE = Path(os.environ.get("PBAC_ERP_BUNDLE", REPOSITORY / "target/wasm/erp.pbac"))


def bearer(user: Any = 9, roles: list[str] | None = None, **more: Any) -> dict[str, str]:
    claims = {"user_id": user, "roles": roles or [], "exp": in_seconds(60), "iat": in_seconds(0)} | more
    return {"Authorization": f"Bearer {token(claims)}"}


class Dependency(unittest.TestCase):
    def application(self, *permissions: str, policy: Policy | None = None, install: bool = True, **options: Any) -> TestClient:
        pbac, own = loaded()
        self.policy = policy or own
        guard = Guard(self.policy, pbac.key_ring(ring_document()), **options)
        application = FastAPI()
        if install:
            guard.install(application)
        required = [guard.require_permission(permission) for permission in permissions]

        @application.get("/", dependencies=[Depends(check) for check in required[1:]])
        def show(identity: Identity = Depends(required[0])) -> dict[str, Any]:
            return {"user": identity.user, "permissions": identity.session.permissions()}

        return TestClient(application)

    def test_who_holds_the_permission_passes_and_the_handler_knows_who_it_is(self) -> None:
        client = self.application("po.view", "po.create", "po.approve")
        with mock.patch.object(self.policy, "session", wraps=self.policy.session) as session:
            answer = client.get("/", headers=bearer(9, ["Purchasing Head"]))
            self.assertEqual(answer.json(), {"user": "9", "permissions": ["po.approve", "po.create", "po.view"]})
            self.assertEqual(session.call_count, 1, "once a request")

    def test_who_does_not_hold_it_is_told_which_one_is_needed_and_no_more(self) -> None:
        answer = self.application("po.view", "po.approve").get("/", headers=bearer(9, ["BUYER"]))
        self.assertEqual(answer.status_code, 403)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        problem = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "the permission po.approve is needed"}
        self.assertEqual(answer.json(), problem | {"permission": "po.approve", "reason": "no_grant"})
        self.assertEqual(self.application("po.aprove").get("/", headers=bearer(9, ["HEAD"])).json()["reason"], "unknown_permission")
        self.assertEqual(self.application("po.approve", install=False).get("/", headers=bearer()).status_code, 403)

    def test_without_a_token_that_holds_it_is_401_with_the_reason_in_the_challenge(self) -> None:
        client = self.application("po.view", realm="the ERP")
        good = bearer(9, ["HEAD"])["Authorization"]
        cases: list[tuple[str, list[str]]] = [
            ("no_token", []),
            ("no_token", ["Basic YTpi"]),
            ("no_token", ["Bearer"]),
            ("no_token", [good.replace("Bearer", "Token")]),
            ("malformed_header", [good.replace(" ", "  ")]),
            ("bad_signature", [good[:-4] + "AAAA"]),
            ("expired", [bearer(9, ["HEAD"], exp=in_seconds(-1))["Authorization"]]),
            ("no_user_id", [bearer(None, ["HEAD"])["Authorization"]]),
            ("several_tokens", [good, good]),
            ("several_tokens", [f"{good}, {good}"]),
        ]
        for reason, values in cases:
            with self.subTest(reason):
                answer = client.get("/", headers=[("Authorization", value) for value in values])
                self.assertEqual((answer.status_code, answer.json()["reason"]), (401, reason))
                error = "" if reason == "no_token" else f', error="invalid_token", error_description="{reason}"'
                self.assertEqual(answer.headers["www-authenticate"], f'Bearer realm="the ERP"{error}')
                self.assertNotIn("permission", answer.json())

    def test_roles_come_from_where_the_guard_says(self) -> None:
        stored = self.application("po.create", roles="stored")
        self.assertEqual(stored.get("/", headers=bearer(42)).status_code, 200)
        self.assertEqual(stored.get("/", headers=bearer(9, ["HEAD"])).status_code, 403)
        self.assertEqual(self.application("po.create").get("/", headers=bearer(42)).status_code, 403)
        for wrong in ({"roles": "both"}, {"realm": 'a"b'}, {"realm": "a\n"}):
            with self.assertRaises(ValueError):
                self.application("po.create", **wrong)

    def test_a_session_that_ends_during_a_request_is_resolved_again(self) -> None:
        soon = time.time_ns() // 1000 + 60_000_000
        pbac, policy = loaded(POLICY | {"overrides": [{"user": "42", "effect": "allow", "pattern": "po.view", "expires_at": soon}]})
        ring = pbac.key_ring(ring_document())
        claims = ring.verify(bearer(42)["Authorization"].split()[1])
        check = Guard(policy, ring, roles="stored").require_permission("po.create")
        with mock.patch("time.time_ns", return_value=soon * 1000 - 1):
            identity = Identity("42", claims, policy.session("42"))
            self.assertIs(asyncio.run(check(identity)), identity)
        with mock.patch("time.time_ns", return_value=soon * 1000):
            self.assertFalse(identity.session.allows("po.create"))
            self.assertTrue(asyncio.run(check(identity)).session.allows("po.create"))

    def test_nobody_passes_when_there_is_nothing_to_decide_by(self) -> None:
        client = self.application("po.view")
        self.policy.close()
        answer = client.get("/", headers=bearer(9, ["HEAD"]))
        self.assertEqual((answer.status_code, answer.json()["reason"]), (503, "unavailable"))


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not ERP_BUNDLE.exists():
            raise FileNotFoundError(
                f"no bundle at {ERP_BUNDLE}: write it with `pbac bundle build --policy examples/erp/policy.toml --output target/wasm/erp.pbac`, or name another one in PBAC_ERP_BUNDLE"
            )
        cls.module = example(ERP_BUNDLE.read_bytes())
        cls.client = TestClient(cls.module.app)

    def test_every_role_may_what_the_legacy_rules_let_it(self) -> None:
        legacy = tomllib.loads((REPOSITORY / "examples/erp/endpoints.toml").read_text())
        rules, inherits = legacy["legacy"], legacy["legacy"]["inherits"]
        documented = self.client.get("/openapi.json").json()["paths"]
        asked = 0
        for endpoint in legacy["endpoints"]:
            if endpoint["method"].lower() not in documented.get(endpoint["path"], {}):
                continue
            path = re.sub(r"\{\w+\}", "1", endpoint["path"])
            for role in rules["roles"]:
                expected = role in rules["bypass"] or bool({role, *inherits.get(role, [])} & set(endpoint["roles"]))
                answer = self.client.request(endpoint["method"], path, headers=bearer("u", [role]))
                self.assertEqual(answer.status_code, 200 if expected else 403, (endpoint, role, answer.text))
                asked += 1
        self.assertEqual(asked, 9 * 22)

    def test_handlers_ask_for_more_by_bits(self) -> None:
        answer = self.client.get("/api/v1/purchasing/orders", headers=bearer(7, ["Purchasing Head"]))
        self.assertEqual(answer.json(), {"what": "orders", "may": ["po.create", "po.approve"]})
        answer = self.client.post("/api/v1/purchasing/orders/2/approve", headers=bearer(7, ["PURCHASING"]))
        self.assertEqual((answer.status_code, answer.json()["permission"]), (403, "po.approve"))
        self.assertEqual(self.client.get("/api/v1/purchasing/orders").status_code, 401)

    def test_a_new_policy_is_taken_over_while_it_serves(self) -> None:
        module = example(ERP_BUNDLE.read_bytes())
        client, headers = TestClient(module.app), bearer(7, ["HEAD"])
        self.assertEqual(client.post("/api/v1/purchasing/orders/2/approve", headers=headers).status_code, 403)
        module.policy.replace(bundle(POLICY))
        self.assertEqual(client.post("/api/v1/purchasing/orders/2/approve", headers=headers).json()["by"], "7")


def example(policy: bytes) -> Any:
    """The example as a module of its own, with this policy."""
    with tempfile.TemporaryDirectory() as directory:
        files = {"POLICY_BUNDLE": Path(directory, "policy.pbac"), "KEY_RING": Path(directory, "ring.json"), "PBAC_WASM": MODULE}
        files["POLICY_BUNDLE"].write_bytes(policy)
        files["KEY_RING"].write_text(ring_document())
        spec = importlib.util.spec_from_file_location("example_app", PACKAGE / "example/app.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with mock.patch.dict(os.environ, {name: str(path) for name, path in files.items()}):
            spec.loader.exec_module(module)
        return module


if __name__ == "__main__":
    unittest.main()

"""The loader, on policies small enough to be looked through: `python -m unittest discover wasm/python/tests`, after `scripts/wasm`."""

import threading
import time
import unittest
from typing import Any
from unittest import mock

import wasmtime
from support import MODULE, OTHER, POLICY, bundle

from pbac_wasm import Pbac, PbacError, Policy


def loaded(policy: dict[str, Any] = POLICY, **options: Any) -> tuple[Pbac, Policy]:
    pbac = Pbac.load(MODULE, engine=ENGINE, **options)
    return pbac, pbac.policy(bundle(policy))


# Compiled code is kept between the tests.
CONFIG = wasmtime.Config()
CONFIG.cache = True
ENGINE = wasmtime.Engine(CONFIG)


class Questions(unittest.TestCase):
    def setUp(self) -> None:
        self.pbac, self.policy = loaded()

    def test_a_check_says_yes_or_no_and_a_decision_why(self) -> None:
        policy = self.policy
        self.assertIs(policy.check("42", "po.view"), True)
        self.assertIs(policy.check("42", "po.approve", now_us=999), False)
        self.assertIs(policy.check("42", "po.approve", now_us=1000), True)
        self.assertIs(policy.check("9", "po.approve", roles=["Purchasing Head", "no such"]), True)
        self.assertIs(policy.check("42", "po.view", roles=[]), False, "no role at all")
        self.assertEqual(policy.decide("42", "po.view", now_us=0), {"decision": "allow", "reason": "role", "role": "BUYER", "pattern": "po.view"})
        self.assertEqual(policy.decide("42", "po.approve", now_us=0), {"decision": "deny", "reason": "explicit_deny", "pattern": "po.approve"})
        allowed = policy.decide("7", "warehouse.stock.adjust", now_us=0)
        self.assertEqual(allowed, {"decision": "allow", "reason": "override", "pattern": "warehouse.*"})
        for permission, reason in [("warehouse.stock.adjust", "no_grant"), ("po.aprove", "unknown_permission"), ("po.*", "invalid_request")]:
            self.assertEqual(policy.decide("42", permission), {"decision": "deny", "reason": reason})

    def test_what_is_no_text_is_an_invalid_request_and_never_another_name(self) -> None:
        policy, invalid = self.policy, {"decision": "deny", "reason": "invalid_request"}
        self.assertTrue(policy.check("\ufffd", "po.view"), "this user there is")
        self.assertTrue(policy.check("é", "po.view"))
        users: list[Any] = ["\ud800", "a\udc00", "", "x\0", "u" * 257, "é" * 129, "u" * 5000, 42, None, b"42"]
        for user in users:
            with self.subTest(user=user):
                self.assertEqual(policy.decide(user, "po.view", roles=["HEAD"]), invalid)
                self.assertIs(policy.check(user, "po.view", roles=["HEAD"]), False)
                self.assertEqual(policy.session(user, roles=["HEAD"]).permissions(), [])
        permissions: list[Any] = ["po.view\ud800", "po.view\0", "po.view ", "po." + "v" * 98, "po.view" * 1000, None, 7, ["po.view"]]
        for permission in permissions:
            with self.subTest(permission=permission):
                self.assertEqual(policy.decide("42", permission), invalid)
                self.assertIs(policy.check("42", permission), False)
        # A role that is none grants nothing, and takes nothing from the others.
        odd: list[Any] = ["\ud800", 7, "HEAD\0", "HEAD,BUYER", "r" * 10_000]
        self.assertFalse(policy.check("9", "po.view", roles=odd))
        self.assertTrue(policy.check("9", "po.view", roles=[*odd, "HEAD"]))
        self.assertTrue(policy.check("9", "po.view", roles=["no"] * 5000 + ["HEAD"]))

    def test_an_error_denies_a_check_and_is_raised_by_everything_else(self) -> None:
        policy = self.policy
        wrong: list[dict[str, Any]] = [{"roles": "HEAD"}, {"roles": 7}, {"now_us": time.time()}, {"now_us": 1 << 63}, {"now_us": True}]
        for arguments in wrong:
            with self.subTest(arguments):
                self.assertIs(policy.check("42", "po.view", **arguments), False)
                self.assertEqual(policy.check_all("42", ["po.view"], **arguments), [False])
                calls = [lambda: policy.decide("42", "po.view", **arguments), lambda: policy.explain("42", "po.view", **arguments)]
                calls += [lambda: policy.permissions_of("42", **arguments), lambda: policy.session("42", **arguments)]
                for call in calls:
                    self.fails("BAD_ARGUMENT", call)
        self.fails("BAD_ARGUMENT", lambda: policy.check_all("42", "po.view"))
        with mock.patch.object(policy._core, "write", side_effect=MemoryError):
            self.assertIs(policy.check("42", "po.view"), False)
            self.assertEqual(policy.check_all("42", ["po.view"]), [False])
        policy.close()
        self.assertIs(policy.check("42", "po.view"), False)
        self.fails("BAD_HANDLE", lambda: policy.decide("42", "po.view"))
        self.fails("BAD_HANDLE", policy.close)

    def fails(self, code: str, call: Any) -> None:
        with self.assertRaises(PbacError) as caught:
            call()
        self.assertEqual(caught.exception.code, code)
        self.assertGreater(len(str(caught.exception)), 10)

    def test_after_a_trap_nothing_is_asked_of_the_module_again(self) -> None:
        with mock.patch.object(self.policy._core.exports, "pbac_decide", side_effect=wasmtime.Trap("unreachable")):
            with self.assertRaises(wasmtime.Trap):
                self.policy.decide("42", "po.view")
        self.assertIs(self.policy.check("42", "po.view"), False)
        self.fails("DROPPED", lambda: self.pbac.policy(bundle(POLICY)))

    def test_a_batch_says_the_same_as_single_checks(self) -> None:
        permissions: list[Any] = ["po.view", "po.approve", "po.zap", "po.*", "\ud800", None, "", "warehouse.stock.adjust", "po.create"]
        subjects: list[tuple[str, dict[str, Any]]] = [("42", {"now_us": 0}), ("42", {}), ("7", {"roles": ("BUYER",)}), ("\ud800", {"roles": ["HEAD"]})]
        for user, subject in subjects:
            single = [self.policy.check(user, permission, **subject) for permission in permissions]
            self.assertEqual(self.policy.check_all(user, permissions, **subject), single)
        many = ["po.view", "warehouse.stock.adjust"] * 10_000
        self.assertEqual(self.policy.check_all("42", many), [True, False] * 10_000)
        self.assertEqual(self.policy.check_all("42", []), [])

    def test_a_session_says_the_same_as_checks_while_it_holds(self) -> None:
        for user, now in [("42", 0), ("42", 999), ("42", 1000), ("7", 1999), ("7", 2000), ("nobody", 0)]:
            session = self.policy.session(user, now_us=now)
            odd: list[Any] = ["po.zap", "po.*", "\ud800", None, ["po.view"]]
            for permission in [*POLICY["permissions"], *odd]:
                self.assertEqual(session.allows(permission), self.policy.check(user, permission, now_us=now), (user, permission, now))
            self.assertEqual(session.permissions(), self.policy.permissions_of(user, now_us=now))
            self.assertEqual(session.resolved_at, now)
        session = self.policy.session("42", now_us=0)
        self.assertEqual(session.valid_until, 1000)
        self.assertEqual([session.allows("po.view", now) for now in (-1, 0, 999, 1000)], [False, True, True, False])
        self.assertIsNone(self.policy.session("42", now_us=1000).valid_until)

    def test_a_session_by_the_clock_ends_when_an_override_does(self) -> None:
        soon = (int(time.time()) + 60) * 1_000_000
        _, policy = loaded(POLICY | {"overrides": [{"user": "7", "effect": "allow", "pattern": "po.view", "expires_at": soon}]})
        session = policy.session("7")
        self.assertEqual(session.valid_until, soon)
        for then, allowed in [(soon - 1, True), (soon, False)]:
            with mock.patch("time.time_ns", return_value=then * 1000):
                self.assertIs(session.allows("po.view"), allowed)
                self.assertIs(policy.check("7", "po.view"), allowed)

    def test_a_policy_is_replaced_whole_or_not_at_all(self) -> None:
        before = self.policy.content_hash
        self.assertEqual(before, bundle(POLICY)[6:38].hex())
        session = self.policy.session("42")
        other = bundle(OTHER)
        for bad in [other[:50] + bytes([other[50] ^ 1]) + other[51:], b"", b"PBAC", other[:-1]]:
            self.fails("BAD_BUNDLE", lambda bad=bad: self.policy.replace(bad))
            self.fails("BAD_BUNDLE", lambda bad=bad: self.pbac.policy(bad))
        self.fails("BAD_ARGUMENT", lambda: self.policy.replace("PBAC"))  # type: ignore[arg-type]
        self.assertEqual(self.policy.content_hash, before)
        self.assertTrue(self.policy.check("42", "po.create"))
        self.policy.replace(other)
        self.assertEqual(self.policy.content_hash, other[6:38].hex())
        self.assertEqual(self.policy.permissions, ["po.view"])
        self.assertFalse(self.policy.check("42", "po.create"))
        self.assertEqual(self.policy.session("42").permissions(), ["po.view"])
        self.assertTrue(session.allows("po.create"), "a request ends as it began")
        self.assertEqual(self.pbac.policy(bundle(POLICY)).permissions, POLICY["permissions"], "several at once")

    def test_explanations_and_who_can(self) -> None:
        explanation = self.policy.explain("42", "po.approve", roles=["HEAD", 'o"dd: 12'], now_us=2000)
        self.assertEqual(explanation["winner"], {"kind": "role", "role": "HEAD", "pattern": "po.approve", "through": "HEAD"})
        expired = {"kind": "override", "effect": "deny", "pattern": "po.approve", "expires_at": 1000, "note": "holiday"}
        self.assertEqual(explanation["expired"], [expired])
        self.assertEqual(explanation["unknown_roles"], ['o"dd: 12'])
        self.assertEqual(self.policy.who_can("po.approve", now_us=2000), {"roles": ["HEAD"], "users": ["42", "\ufffd"]})
        self.fails("UNKNOWN_PERMISSION", lambda: self.policy.who_can("po.zap"))
        self.fails("INVALID_REQUEST", lambda: self.policy.who_can("*"))


class Modules(unittest.TestCase):
    fails = Questions.fails

    def test_memory_stays_within_the_limit_and_a_load_that_would_pass_it_changes_nothing(self) -> None:
        pbac, policy = loaded(max_bytes=256 * 1024)
        names = sorted(f"large.p{at}" for at in range(20_000))
        large = bundle(POLICY | {"permissions": names, "overrides": []})
        self.fails("OUT_OF_MEMORY", lambda: policy.replace(large))
        self.fails("OUT_OF_MEMORY", lambda: pbac.policy(large))
        self.assertTrue(policy.check("42", "po.view"))
        self.assertFalse(policy.check("42", "po.view", roles=["r" * 1_000_000]))
        self.assertTrue(policy.check("42", "po.view"))
        self.assertLessEqual(pbac.memory_used, 256 * 1024)
        for wrong in (0, -1, 1.5, 1 << 32, True, "64"):
            self.fails("BAD_ARGUMENT", lambda wrong=wrong: Pbac.load(MODULE, max_bytes=wrong, engine=ENGINE))
        self.fails("OUT_OF_MEMORY", lambda: Pbac.load(MODULE, max_bytes=100, engine=ENGINE))

    def test_memory_that_is_freed_is_used_again(self) -> None:
        pbac, policy = loaded()
        before = pbac.memory_used
        names = sorted([*POLICY["permissions"], *(f"large.p{at}" for at in range(3000))])
        for _ in range(3):
            with pbac.policy(bundle(POLICY | {"permissions": names})) as second:
                self.assertTrue(policy.check("42", "po.view"))
                self.assertTrue(second.session("42").allows("po.view"))
        self.assertLessEqual(pbac.memory_used, before + 1024)

    def test_both_ways_to_call_say_the_same(self) -> None:
        _, fast = loaded(fast_calls=True)
        _, slow = loaded(fast_calls=False)
        for user in ("42", "7", "\ud800"):
            for now in (-(1 << 63), 0, 999, 1000, (1 << 63) - 1):
                for permission in POLICY["permissions"]:
                    self.assertEqual(fast.explain(user, permission, now_us=now), slow.explain(user, permission, now_us=now))

    def test_a_trap_of_the_module_is_raised_by_both_ways_to_call(self) -> None:
        from pbac_wasm._calls import function

        store = wasmtime.Store(ENGINE)
        module = wasmtime.Module(ENGINE, '(module (func (export "f") (param i32 i64) (result i32) local.get 0 i32.eqz if unreachable end local.get 0))')
        func = wasmtime.Instance(store, module, []).exports(store)["f"]
        assert isinstance(func, wasmtime.Func)
        for fast in (True, False):
            call = function(store, func, fast=fast)
            self.assertEqual(call(-5, 1 << 40), -5)
            with self.assertRaises(wasmtime.Trap):
                call(0, 0)
            self.assertEqual(call(7, -1), 7)

    def test_threads_take_turns(self) -> None:
        pbac, policy = loaded()
        wrong: list[object] = []

        def ask(user: str, permission: str, allowed: bool) -> None:
            for _ in range(2000):
                if policy.check(user, permission, now_us=0) is not allowed:
                    wrong.append((user, permission))

        questions = [("42", "po.view", True), ("42", "po.approve", False), ("7", "warehouse.stock.adjust", True), ("é", "po.approve", False)]
        threads = [threading.Thread(target=ask, args=question) for question in questions]
        for thread in threads:
            thread.start()
        for _ in range(50):
            policy.replace(bundle(POLICY))
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_what_is_no_module_of_this_abi_is_refused(self) -> None:
        self.fails("BAD_MODULE", lambda: Pbac.load(b"\0asm\1\0\0\0"))
        other = wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "pbac_abi_version") (result i32) i32.const 2))')
        self.fails("BAD_MODULE", lambda: Pbac.load(bytes(other)))
        with self.assertRaises(wasmtime.WasmtimeError):
            Pbac.load(b"no module")


if __name__ == "__main__":
    unittest.main()

"""The loader as a program: `python runner.py MODULE`, then lines of the protocol (wasm/js/test/protocol.mjs) on standard input.

`--slow-calls` takes wasmtime's own way to call.
"""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pbac_wasm import KeyRing, Pbac, PbacError, Policy, TokenError  # noqa: E402


class Runner:
    """Answers lines; keeps the policy and the key ring that were loaded last."""

    def __init__(self, pbac: Pbac) -> None:
        self.pbac = pbac
        self.held: dict[str, Any] = {}

    def answer(self, line: str) -> str:
        [(name, argument)] = json.loads(line).items()
        ask = getattr(self, f"do_{name}")
        # A question alone is answered alone, a list of them by `answers`.
        alone = name in ("session", "explain", "permissions_of", "unknown_roles", "who_can")
        answer = {"answers": [ask(each) for each in argument]} if alone and isinstance(argument, list) else ask(argument)
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))

    @property
    def policy(self) -> Policy:
        return self.held["policy"]

    @property
    def ring(self) -> KeyRing:
        return self.held["ring"]

    def load(self, kind: str, make: Callable[[Any], Any], document: Any) -> dict[str, Any]:
        try:
            if kind in self.held:
                self.held[kind].replace(document)
            else:
                self.held[kind] = make(document)
        except PbacError as error:
            return {"error": error.code, "message": str(error)}
        return {"ok": True}

    def do_load(self, argument: dict[str, str]) -> dict[str, Any]:
        return self.load("policy", self.pbac.policy, base64.b64decode(argument["bundle"]))

    def do_decide(self, questions: list[dict[str, Any]]) -> dict[str, Any]:
        return {"answers": [self.policy.decide(question["user"], question["permission"], **subject(question)) for question in questions]}

    def do_check(self, questions: list[dict[str, Any]]) -> dict[str, Any]:
        return {"allowed": list(self.batches(questions))}

    def batches(self, questions: list[dict[str, Any]]) -> Iterator[bool]:
        """Neighbours of one user, roles and time as one batch."""
        for (user, _, _), group in groupby(questions, lambda question: (question["user"], question.get("roles"), question["now"])):
            batch = list(group)
            yield from self.policy.check_all(user, [question["permission"] for question in batch], **subject(batch[0]))

    def do_check_one(self, questions: list[dict[str, Any]]) -> dict[str, Any]:
        return {"allowed": [self.policy.check(question["user"], question["permission"], **subject(question)) for question in questions]}

    def do_session(self, question: dict[str, Any]) -> dict[str, Any]:
        session = self.policy.session(question["user"], **subject(question))
        until = session.valid_until
        permissions = [permission for permission in self.policy.permissions if session.allows(permission)]
        return {"permissions": permissions, "valid_until": None if until is None else str(until)}

    def do_explain(self, question: dict[str, Any]) -> Any:
        return self.policy.explain(question["user"], question["permission"], **subject(question))

    def do_permissions_of(self, question: dict[str, Any]) -> dict[str, Any]:
        return {"permissions": self.policy.permissions_of(question["user"], **subject(question))}

    def do_unknown_roles(self, question: dict[str, Any]) -> dict[str, Any]:
        permission = next(iter(self.policy.permissions), "")
        return {"unknown_roles": self.policy.explain(question["user"], permission, **subject(question))["unknown_roles"]}

    def do_who_can(self, question: dict[str, Any]) -> Any:
        try:
            return self.policy.who_can(question["permission"], now_us=int(question["now"]))
        except PbacError as error:
            return {"error": error.code.lower()}

    def do_content_hash(self, _: Any) -> dict[str, Any]:
        return {"content_hash": self.policy.content_hash}

    def do_ring(self, document: str) -> dict[str, Any]:
        return self.load("ring", self.pbac.key_ring, document)

    def do_verify(self, tokens: list[dict[str, Any]]) -> dict[str, Any]:
        return {"answers": [self.verified(item["token"], int(item["now"])) for item in tokens]}

    def verified(self, token: str, now_us: int) -> dict[str, Any]:
        try:
            return {"claims": self.ring.verify(token, now_us=now_us)}
        except TokenError as error:
            return {"error": error.reason} | ({"claim": error.claim} if error.claim is not None else {})


def subject(question: dict[str, Any]) -> dict[str, Any]:
    return {"roles": question.get("roles"), "now_us": int(question["now"])}


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--slow-calls"]
    if len(arguments) != 1:
        sys.exit("usage: python runner.py [--slow-calls] MODULE   (target/wasm/pbac.wasm, which `scripts/wasm` builds)")
    fast = {"fast_calls": False} if "--slow-calls" in sys.argv else {}
    runner = Runner(Pbac.load(arguments[0], **fast))
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    for line in sys.stdin:
        print(runner.answer(line), flush=True)


if __name__ == "__main__":
    main()

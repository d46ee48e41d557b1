"""What the tests share: bundles, a key ring and tokens."""

import base64
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jwt

PACKAGE = Path(__file__).resolve().parents[1]
REPOSITORY = PACKAGE.parents[1]
sys.path.insert(0, str(PACKAGE))

MODULE = Path(os.environ.get("PBAC_WASM", REPOSITORY / "target/wasm/pbac.wasm"))
if not MODULE.exists():
    raise FileNotFoundError(f"no module at {MODULE}: build it with `scripts/wasm`, or name another one in PBAC_WASM")

HOUR = 3_600_000_000
SECRET = "Zq8vN1xT0mRk5LwYc3HdUe7PfJ2sBgAo9iVtQnXK"

POLICY: dict[str, Any] = {
    "permissions": ["po.approve", "po.create", "po.view", "warehouse.stock.adjust"],
    "roles": [
        {"name": "BUYER", "grants": ["po.create", "po.view"]},
        {"name": "HEAD", "grants": ["po.approve"], "aliases": ["Purchasing Head"], "inherits": ["BUYER"]},
    ],
    "users": [{"user": "42", "roles": ["HEAD"]}, {"user": "é", "roles": ["BUYER"]}, {"user": "\ufffd", "roles": ["HEAD"]}],
    "overrides": [
        {"user": "42", "effect": "deny", "pattern": "po.approve", "expires_at": 1000, "reason": "holiday"},
        {"user": "7", "effect": "allow", "pattern": "warehouse.*", "expires_at": 2000},
    ],
}
OTHER: dict[str, Any] = {
    "permissions": ["po.view"],
    "roles": [{"name": "HEAD", "grants": ["*"]}],
    "users": [{"user": "42", "roles": ["HEAD"]}],
}


def ring_document(**rules: Any) -> str:
    """A ring document with one active key and these rules."""
    secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    key = {"kty": "oct", "kid": "k1", "alg": "HS256", "k": secret, "state": "active", "since": None}
    return json.dumps({"keys": [key], "revoked": [], "rules": rules})


def token(claims: dict[str, Any], kid: str = "k1", secret: str = SECRET) -> str:
    """A token as applications sign it."""
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})


def in_seconds(seconds: int) -> int:
    """That many seconds from now, as tokens say times."""
    return int(time.time()) + seconds


def bundle(policy: dict[str, Any]) -> bytes:
    """The bundle of a policy in the form of tests/cases (policy-core/src/bundle.rs). Lists are in byte order already, but for spellings."""
    roles = [role["name"] for role in policy.get("roles", [])]
    users = policy.get("users", [])
    spellings = sorted({role for user in users for role in user["roles"]}, key=str.encode)
    payload = b"".join(
        [
            _list(["m"], _text),
            _list(policy["permissions"], lambda name: _text(name) + _number(0) + _text("")),
            _list(policy.get("roles", []), lambda role: _role(role, roles)),
            _number(0),
            _list(sorted(policy.get("overrides", []), key=_order), _override),
            _list(spellings, _text),
            _list(users, lambda user: _text(user["user"]) + _list([spellings.index(role) for role in user["roles"]], _number)),
        ]
    )
    head = b"PBAC\x01\x00"
    return head + hashlib.sha256(head + payload).digest() + payload


def _role(role: dict[str, Any], names: list[str]) -> bytes:
    inherits = [names.index(name) for name in role.get("inherits", [])]
    return b"".join(
        [_text(role["name"]), _text(""), _list(role["grants"], _text), _list(inherits, _number), _list(role.get("aliases", []), _text)]
    )


def _order(override: dict[str, Any]) -> tuple[bytes, bool, bytes]:
    return override["user"].encode(), override["effect"] == "allow", override["pattern"].encode()


def _override(override: dict[str, Any]) -> bytes:
    expires = override.get("expires_at")
    end = b"\0" if expires is None else b"\1" + _number(2 * expires)
    allow = bytes([override["effect"] == "allow"])
    return _text(override["user"]) + allow + _text(override["pattern"]) + end + _text(override.get("reason", ""))


def _list(items: list[Any], each: Any) -> bytes:
    return _number(len(items)) + b"".join(map(each, items))


def _text(text: str) -> bytes:
    data = text.encode()
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])

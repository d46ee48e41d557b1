"""Tokens that PyJWT signs, verified by the module."""

import unittest
from typing import Any

import jwt
from support import HOUR, SECRET, in_seconds, ring_document, token
from test_policy import loaded

from pbac_wasm import PbacError, TokenError


class Tokens(unittest.TestCase):
    def setUp(self) -> None:
        self.pbac, _ = loaded()
        self.ring = self.pbac.key_ring(ring_document())

    def refused(self, reason: str, value: Any, claim: str | None = None, **arguments: Any) -> None:
        with self.assertRaises(TokenError) as caught:
            self.ring.verify(value, **arguments)
        self.assertEqual((caught.exception.reason, caught.exception.claim), (reason, claim))

    def test_a_token_that_holds_says_its_claims(self) -> None:
        exp = in_seconds(60)
        claims = self.ring.verify(token({"user_id": 42, "username": "alice", "roles": ["HEAD", "\U0001f600"], "exp": exp, "iat": exp - 100}))
        expected = {"key": "k1", "named_key": True, "user_id": 42, "username": "alice", "email": None, "roles": ["HEAD", "\U0001f600"]}
        self.assertEqual(claims, expected | {"exp": exp * 1_000_000, "iat": (exp - 100) * 1_000_000})
        for user in (9007199254740993, -(1 << 63), "9007199254740993"):
            self.assertEqual(self.ring.verify(token({"user_id": user, "exp": exp}))["user_id"], user)

    def test_a_token_that_does_not_hold_is_refused_by_name(self) -> None:
        exp = in_seconds(60)
        good = token({"exp": exp})
        self.refused("expired", good, now_us=exp * 1_000_000 + HOUR)
        self.refused("bad_signature", token({"exp": exp}, secret=SECRET[::-1]))
        self.refused("unknown_key", token({"exp": exp}, kid="k2"))
        self.refused("algorithm_mismatch", jwt.encode({"exp": exp}, None, algorithm="none"))
        self.refused("invalid_claim", token({"exp": exp, "user_id": True}), "user_id")
        for none in ("", "\ud800", "a.b", None, 7, good.encode()):
            self.refused("malformed_token", none)
        self.refused("too_long", "x" * (16 * 1024 + 1))
        self.assertEqual(self.ring.candidates(None, "HS256"), ["k1"])
        self.assertEqual(self.ring.candidates("k2", "HS256"), [])

    def test_a_ring_is_replaced_whole_or_not_at_all(self) -> None:
        good = token({"user_id": "u", "exp": in_seconds(60)})
        for bad in ('{"keys":[]}', "\ud800", b"\xff", ring_document().replace("HS256", "RS256")):
            for load in (self.ring.replace, self.pbac.key_ring):
                with self.assertRaises(PbacError) as caught:
                    load(bad)
                self.assertEqual(caught.exception.code, "BAD_TEXT" if bad == b"\xff" else "BAD_RING")
                self.assertNotIn(SECRET[:8], str(caught.exception))
        self.assertEqual(self.ring.verify(good)["user_id"], "u", "the old ring stays")
        self.ring.replace(ring_document(issuers=["https://here"]).encode())
        self.refused("wrong_issuer", good)
        self.ring.close()
        with self.assertRaises(PbacError) as caught:
            self.ring.verify(good)
        self.assertEqual(caught.exception.code, "BAD_HANDLE")


if __name__ == "__main__":
    unittest.main()

"""Keys that verify tokens."""

import json
from typing import cast

from pbac_wasm._core import MAX_TEXT, Core
from pbac_wasm.answers import Claims
from pbac_wasm.errors import PbacError, TokenError

_FIRST_OF_TOKENS = -64
_MAX_TOKEN_BYTES = 16 * 1024


class KeyRing:
    """A key ring that is loaded. Its keys stay in the module's memory and cannot be read back."""

    def __init__(self, core: Core, document: str | bytes) -> None:
        self._core = core
        with core.turn() as exports:
            self._handle = core.load(exports.pbac_ring_load, _document(document))

    def replace(self, document: str | bytes) -> None:
        """Replaces it at once. Raises `PbacError` when the document is refused, and then the old ring stays."""
        core = self._core
        with core.turn() as exports:
            core.load(lambda length: exports.pbac_ring_replace(self._handle, length), _document(document))

    def verify(self, token: str, *, now_us: int | None = None) -> Claims:
        """The claims of the token. Raises `TokenError` when it does not hold."""
        if not isinstance(token, str):
            raise TokenError("malformed_token")
        if len(token) > _MAX_TOKEN_BYTES:
            raise TokenError("too_long")
        core = self._core
        with core.turn() as exports:
            asked = core.write("", None, token, now_us, _MAX_TOKEN_BYTES)
            result = exports.pbac_token_verify(self._handle, asked.permission, asked.now)
            if result <= _FIRST_OF_TOKENS:
                refused = json.loads(core.output())
                raise TokenError(refused["reason"], refused.get("claim"))
            core.succeed(result)
            return cast(Claims, json.loads(core.output()))

    def candidates(self, kid: str | None, algorithm: str, *, now_us: int | None = None) -> list[str]:
        """The keys that may verify a token with this `kid` (`None`: it names none) and `alg`, in the order in which they are tried."""
        core = self._core
        with core.turn() as exports:
            asked = core.write(kid, None, algorithm, now_us, MAX_TEXT)
            kid_length = -1 if kid is None else asked.user
            core.succeed(exports.pbac_ring_candidates(self._handle, kid_length, asked.permission, asked.now))
            return core.lines()

    def close(self) -> None:
        """Gives its memory back; also at the end of `with`."""
        with self._core.turn():
            self._core.free(self._handle)
            self._handle = 0

    def __enter__(self) -> "KeyRing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _document(document: object) -> bytes:
    if isinstance(document, str):
        try:
            return document.encode()
        except UnicodeEncodeError:
            raise PbacError("BAD_RING", "the key ring is not UTF-8: it holds a lone surrogate") from None
    if isinstance(document, (bytes, bytearray, memoryview)):
        return bytes(document)
    raise PbacError("BAD_ARGUMENT", "the key ring has to be a str or bytes")

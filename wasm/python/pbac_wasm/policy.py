"""A policy, and what is asked of it."""

import json
from collections.abc import Collection
from typing import cast

from pbac_wasm._core import Core
from pbac_wasm.answers import Decision, Explanation, Holders
from pbac_wasm.errors import PbacError
from pbac_wasm.session import Catalog, Session


class Policy:
    """A policy that is loaded.

    In every question `roles` are the names or aliases of the user's roles, as a token carries them, unknown ones granting nothing; `None`
    means the roles that the policy itself stores for the user, and `[]` no role at all. `now_us` is the time in microseconds since 1970; the
    clock's without it.

    An error denies: `check` and `check_all` answer False whatever goes wrong. All else raises a `PbacError` where it cannot be carried out. A user id or
    permission that UTF-8 cannot hold (a lone surrogate), or that is too long or no `str`, is an `invalid_request`; such a role is none.
    """

    def __init__(self, core: Core, bundle: bytes) -> None:
        self._core = core
        self._hash: str | None = None
        self._catalog: Catalog | None = None
        with core.turn() as exports:
            self._handle = core.load(exports.pbac_policy_load, _bundle(bundle))

    def replace(self, bundle: bytes) -> None:
        """Replaces it at once; sessions go on with the old one. Raises `PbacError` when the bundle is refused, and then the old policy stays."""
        core = self._core
        with core.turn() as exports:
            # Forgotten whatever comes of it: the places of one catalog must never meet the bits of another.
            self._hash = self._catalog = None
            core.load(lambda length: exports.pbac_policy_replace(self._handle, length), _bundle(bundle))

    @property
    def content_hash(self) -> str:
        """SHA-256 of what the policy says, 64 hexadecimal digits."""
        core = self._core
        with core.turn() as exports:
            if self._hash is None:
                core.succeed(exports.pbac_policy_hash(self._handle))
                self._hash = core.output().hex()
            return self._hash

    @property
    def permissions(self) -> list[str]:
        """The catalog, in byte order."""
        return list(self._names().names)

    def check(self, user: str, permission: str, *, roles: Collection[str] | None = None, now_us: int | None = None) -> bool:
        """Whether the user may. Never raises."""
        core = self._core
        try:
            with core.turn() as exports:
                asked = core.write(user, roles, _one(permission), now_us)
                return bool(exports.pbac_check(self._handle, *asked) > 0)
        except Exception:
            return False

    def check_all(
        self, user: str, permissions: Collection[str], *, roles: Collection[str] | None = None, now_us: int | None = None
    ) -> list[bool]:
        """One user, many permissions, one call: an answer for each. Raises only where `permissions` is no list of texts."""
        if isinstance(permissions, (str, bytes)) or not isinstance(permissions, Collection):
            raise PbacError("BAD_ARGUMENT", "permissions has to be a list of texts")
        core, wanted = self._core, list(permissions)
        try:
            with core.turn() as exports:
                core.succeed(exports.pbac_check_batch(self._handle, *core.write(user, roles, wanted, now_us)))
                # Signed bytes, greater than 0 where it is allowed.
                answers = [0 < answer < 128 for answer in core.output()]
        except Exception:
            answers = []
        return answers if len(answers) == len(wanted) else [False] * len(wanted)

    def decide(self, user: str, permission: str, *, roles: Collection[str] | None = None, now_us: int | None = None) -> Decision:
        """The decision with its reason."""
        core = self._core
        with core.turn() as exports:
            core.answer(exports.pbac_decide(self._handle, *core.write(user, roles, _one(permission), now_us)))
            return cast(Decision, json.loads(core.output()))

    def explain(self, user: str, permission: str, *, roles: Collection[str] | None = None, now_us: int | None = None) -> Explanation:
        """The decision with every rule that had a say in it."""
        core = self._core
        with core.turn() as exports:
            core.answer(exports.pbac_explain(self._handle, *core.write(user, roles, _one(permission), now_us)))
            return cast(Explanation, json.loads(core.output()))

    def permissions_of(self, user: str, *, roles: Collection[str] | None = None, now_us: int | None = None) -> list[str]:
        """Every permission of the user, in byte order."""
        core = self._core
        with core.turn() as exports:
            user_length, roles_length, _, now = core.write(user, roles, "", now_us)
            core.succeed(exports.pbac_permissions(self._handle, user_length, roles_length, now))
            return core.lines()

    def who_can(self, permission: str, *, now_us: int | None = None) -> Holders:
        """Every role and user that holds the permission. Raises `PbacError` `UNKNOWN_PERMISSION` or `INVALID_REQUEST` where it is none."""
        core = self._core
        with core.turn() as exports:
            asked = core.write("", None, _one(permission), now_us)
            result = exports.pbac_who_can(self._handle, asked.permission, asked.now)
            if result == -2:
                raise PbacError("UNKNOWN_PERMISSION", f"`{permission}` is not in the catalog")
            if result == -3:
                raise PbacError("INVALID_REQUEST", f"`{permission}` is no permission")
            core.succeed(result)
            return cast(Holders, json.loads(core.output()))

    def session(self, user: str, *, roles: Collection[str] | None = None, now_us: int | None = None) -> Session:
        """What the user may, resolved once: each check of it is a bit test in Python."""
        core = self._core
        with core.turn() as exports:
            catalog = self._names()
            user_length, roles_length, _, now = core.write(user, roles, "", now_us)
            core.succeed(exports.pbac_session_set(self._handle, user_length, roles_length, now))
            return Session(catalog, core.output(), has_own_time=now_us is not None)

    def close(self) -> None:
        """Gives its memory back; also at the end of `with`."""
        with self._core.turn():
            self._core.free(self._handle)
            self._handle = 0

    def __enter__(self) -> "Policy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _names(self) -> Catalog:
        core = self._core
        with core.turn() as exports:
            if self._catalog is None:
                core.succeed(exports.pbac_catalog(self._handle))
                self._catalog = Catalog.of(core.lines())
            return self._catalog


def _bundle(bundle: object) -> bytes:
    if not isinstance(bundle, (bytes, bytearray, memoryview)):
        raise PbacError("BAD_ARGUMENT", "the bundle has to be bytes")
    return bytes(bundle)


def _one(permission: object) -> object:
    """A list is many permissions to the call below, and none to these."""
    return permission if isinstance(permission, str) else ""

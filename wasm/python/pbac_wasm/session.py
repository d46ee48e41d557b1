"""What one user may, resolved once."""

import struct
import time
from typing import NamedTuple

from pbac_wasm.errors import PbacError

_HEADER = struct.Struct("<qqII")
_FOR_EVER = (1 << 63) - 1


class Catalog(NamedTuple):
    """Which permission stands at which bit."""

    names: list[str]
    places: dict[str, int]

    @classmethod
    def of(cls, names: list[str]) -> "Catalog":
        """That of these names."""
        return cls(names, {name: place for place, name in enumerate(names)})


class Session:
    """What one user may, by the policy as it was when the session was resolved. Needs no call of the module, nor its lock.

    `resolved_at` and `valid_until` are microseconds since 1970: the time it was resolved at, and the first moment at which it holds no more, since an
    override of the user ends; `None` where none does.
    """

    __slots__ = ("_bits", "_catalog", "_ends_ns", "_places", "resolved_at", "valid_until")

    def __init__(self, catalog: Catalog, session: bytes, *, has_own_time: bool) -> None:
        self.resolved_at, until, _, count = _HEADER.unpack_from(session)
        if count != len(catalog.names):
            raise PbacError("BAD_MODULE", "the session is of another catalog")
        self.valid_until: int | None = None if until == _FOR_EVER else until
        self._catalog = catalog
        self._places = catalog.places
        self._bits = session[_HEADER.size :]
        # By the clock. A session that was given a time is looked at at that time.
        self._ends_ns = None if has_own_time or self.valid_until is None else self.valid_until * 1000

    def allows(self, permission: str, now_us: int | None = None) -> bool:
        """Whether the user may: at the time of the session where it was given one, else now by the clock. A time given here is held to the whole span.
        False once `valid_until` has come."""
        # What is no text may not be hashable either.
        place = self._places.get(permission) if isinstance(permission, str) else None
        if place is None or not self._bits[place >> 3] >> (place & 7) & 1:
            return False
        if now_us is None:
            return self._ends_ns is None or time.time_ns() < self._ends_ns
        return self.is_valid_at(now_us)

    def is_valid_at(self, now_us: int) -> bool:
        """Whether it says what the policy says at that time."""
        return self.resolved_at <= now_us and (self.valid_until is None or now_us < self.valid_until)

    def permissions(self) -> list[str]:
        """Every permission in it, in byte order."""
        bits = self._bits
        return [name for place, name in enumerate(self._catalog.names) if bits[place >> 3] >> (place & 7) & 1]

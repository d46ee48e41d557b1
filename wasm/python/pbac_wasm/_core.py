"""One instance of the module: arguments into its input buffer, answers out of its output buffer (wasm/ABI.md)."""

import ctypes
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import RLock
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

import wasmtime

from pbac_wasm import _calls
from pbac_wasm.errors import CODES, PbacError

# No user id, permission or `kid` is nearly so long, so a longer one is refused without being copied.
MAX_TEXT = 4096
_INPUT_BYTES = 16 * 1024
_FIRST_OF_ERRORS = -16


class Asked(NamedTuple):
    """The lengths of what stands in the input buffer, as the calls take them, and the time."""

    user: int
    roles: int
    permission: int
    now: int


class Core:
    """The functions of the module, as `exports`, for use within `turn`."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module, version: int, max_bytes: int, *, fast: bool) -> None:
        # An instance is for one thread at a time, and a call of C lets other threads run.
        self._lock = RLock()
        self._store = wasmtime.Store(engine)
        items = dict(wasmtime.Instance(self._store, module, []).exports(self._store).items())
        memory = items.get("memory")
        if not isinstance(memory, wasmtime.Memory) or "pbac_abi_version" not in items:
            raise PbacError("BAD_MODULE", "this is no pbac module: take the pbac.wasm and the loader from one release")
        self._memory = memory
        functions = {name: item for name, item in items.items() if isinstance(item, wasmtime.Func)}
        self.exports: Any = SimpleNamespace(
            **{name: _calls.function(self._store, item, fast=fast) for name, item in functions.items()}
        )
        found = self.exports.pbac_abi_version()
        if found != version:
            raise PbacError("BAD_MODULE", f"the module has ABI version {found}, not {version}: take the pbac.wasm and the loader from one release")
        self._input = self._capacity = 0
        with self.turn():
            self.succeed(self.exports.pbac_init(_signed(max_bytes)))
            self._room(_INPUT_BYTES)

    @contextmanager
    def turn(self) -> Iterator[Any]:
        """The exports, for as long as no other thread may use them. After a trap memory may be anything: nothing is asked again."""
        with self._lock:
            try:
                yield self.exports
            except (wasmtime.WasmtimeError, wasmtime.Trap):
                self.exports = _Dropped()
                raise

    def write(
        self,
        user: object,
        roles: object,
        permission: "object | list[object]",
        now: object,
        longest: int = MAX_TEXT,
    ) -> Asked:
        """Writes a question: who asks and, behind it, the permission or a list of them."""
        named = _bytes(user, MAX_TEXT)
        listed = b"" if roles is None else _list(roles, None, "roles")
        asked = _list(permission, longest, "permissions") if isinstance(permission, list) else _bytes(permission, longest)
        self.put(named + listed + asked)
        return Asked(len(named), -1 if roles is None else len(listed), len(asked), micros(now))

    def put(self, data: bytes) -> int:
        """Writes to the beginning of the input buffer, and answers how much."""
        length = len(data)
        self._room(length)
        # Looked up each time, since memory that grows may move.
        ctypes.memmove(ctypes.addressof(self._memory.data_ptr(self._store).contents) + self._input, data, length)
        return length

    def load(self, call: Callable[[int], int], data: bytes) -> int:
        """Hands a whole file over and calls `call` with its length."""
        try:
            return self.succeed(call(self.put(data)))
        finally:
            if self._capacity > 4 * _INPUT_BYTES:
                self.trim()

    def free(self, handle: int) -> None:
        """Frees what the handle stands for."""
        self.succeed(self.exports.pbac_free(handle))
        self.trim()

    def trim(self) -> None:
        """Gives up what large files and answers made of the buffers."""
        self.exports.pbac_trim()
        self._capacity = 0
        self._room(_INPUT_BYTES)

    def answer(self, result: int) -> None:
        """An answer is no error; what is below is."""
        if result <= _FIRST_OF_ERRORS:
            self.succeed(result)

    def succeed(self, result: int) -> int:
        """The result, where it is no error."""
        if result >= 0:
            return result
        code = CODES.get(result, "BAD_MODULE")
        said = self.text() if code in ("BAD_BUNDLE", "BAD_RING") else ""
        if not said:
            self.exports.pbac_describe(result)
            said = self.text() or f"the module answered {result}"
        raise PbacError(code, said)

    def output(self) -> bytes:
        """A copy of what the last call wrote."""
        at, length = self.exports.pbac_output() & 0xFFFFFFFF, self.exports.pbac_output_length()
        return ctypes.string_at(ctypes.addressof(self._memory.data_ptr(self._store).contents) + at, length)

    def text(self) -> str:
        """The same as text."""
        return self.output().decode()

    def lines(self) -> list[str]:
        """The same as lines."""
        text = self.text()
        return text.split("\n") if text else []

    def _room(self, length: int) -> None:
        if length <= self._capacity:
            return
        at = self.exports.pbac_input(_signed(length)) & 0xFFFFFFFF if length < 1 << 32 else 0
        if at == 0:
            raise PbacError("OUT_OF_MEMORY", f"{length} bytes of input are more than there is memory for: raise max_bytes")
        self._input, self._capacity = at, length


class _Dropped:
    def __getattr__(self, name: str) -> NoReturn:
        raise PbacError("DROPPED", "the module has trapped, which is a bug in it: load it again, and report this")


def micros(now: object) -> int:
    """The time that was given, or that of the clock, in microseconds."""
    if now is None:
        return time.time_ns() // 1000
    if type(now) is not int or not -(1 << 63) <= now < 1 << 63:
        raise PbacError("BAD_ARGUMENT", "now_us has to be an int of 64 bits, in microseconds since 1970: time.time_ns() // 1000")
    return now


def _bytes(text: object, longest: int | None) -> bytes:
    """A text as UTF-8. What is none that UTF-8 can hold becomes the empty text, which is no name of anything."""
    if not isinstance(text, str) or (longest is not None and len(text) > longest):
        return b""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b""


def _list(items: object, longest: int | None, what: str) -> bytes:
    if isinstance(items, (str, bytes)) or not isinstance(items, Collection):
        raise PbacError("BAD_ARGUMENT", f"{what} has to be a list of texts")
    texts = [_bytes(item, longest) for item in items]
    return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))


def _signed(number: int) -> int:
    """An unsigned number as calls take it."""
    return number - (1 << 32) if number >= 1 << 31 else number

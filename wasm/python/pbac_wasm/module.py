"""The module: where policies and key rings live."""

from os import PathLike
from pathlib import Path

import wasmtime

from pbac_wasm import _calls
from pbac_wasm._core import Core
from pbac_wasm.errors import PbacError
from pbac_wasm.policy import Policy
from pbac_wasm.ring import KeyRing

_ABI_VERSION = 1


class Pbac:
    """One instance of the module, with its own memory. Threads may share it and what is made from it: they take turns."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @classmethod
    def load(
        cls,
        source: bytes | str | PathLike[str] | None = None,
        *,
        max_bytes: int = 64 * 1024 * 1024,
        engine: wasmtime.Engine | None = None,
        fast_calls: bool = _calls.FAST,
    ) -> "Pbac":
        """Loads the module: its bytes, a path, or without either the `pbac.wasm` of this package.

        `max_bytes` bounds what policies, key rings and calls may take together. With an `engine` of your own you choose how it is compiled
        and whether that is cached. `fast_calls=False` keeps to what wasmtime promises not to change.

        Raises `PbacError` when it is no module of this ABI version or `max_bytes` makes no sense, `wasmtime.WasmtimeError` when it is
        no module at all.
        """
        if type(max_bytes) is not int or not 0 < max_bytes < 1 << 32:
            raise PbacError("BAD_ARGUMENT", f"max_bytes is {max_bytes!r}: name a whole number of bytes from 1 to {(1 << 32) - 1}")
        if not isinstance(source, bytes):
            source = Path(source if source is not None else Path(__file__).with_name("pbac.wasm")).read_bytes()
        engine = engine or wasmtime.Engine()
        core = Core(engine, wasmtime.Module(engine, source), _ABI_VERSION, max_bytes, fast=fast_calls)
        return cls(core)

    def policy(self, bundle: bytes) -> Policy:
        """Loads a policy. Raises `PbacError`: `BAD_BUNDLE` with the reason, `OUT_OF_MEMORY`."""
        return Policy(self._core, bundle)

    def key_ring(self, document: str | bytes) -> KeyRing:
        """Loads a key ring, as ABI.md describes it. Raises `PbacError`: `BAD_RING` with the reason, which holds nothing of a key but its name."""
        return KeyRing(self._core, document)

    @property
    def memory_used(self) -> int:
        """How many bytes of `max_bytes` are in use."""
        with self._core.turn() as exports:
            return int(exports.pbac_memory_used()) & 0xFFFFFFFF

"""Functions of a module as functions of Python.

wasmtime's own way to call asks for the function's type, and converts each number by it, at every call: 25 to 150 µs. The same call
without that is 5 µs. It is no part of what wasmtime promises to keep, so where it is not as it was, the slow way is taken.
"""

import struct
from collections.abc import Callable
from ctypes import POINTER, byref, sizeof

import wasmtime

try:
    from wasmtime import _bindings as raw

    FAST = sizeof(raw.wasmtime_val_raw_t) == 16 and callable(raw._wasmtime_func_call_unchecked)
except (ImportError, AttributeError):
    FAST = False

Call = Callable[..., int]

# A number among the arguments is the first bytes of 16, little-endian on every machine.
_SLOTS = {"i32": "i12x", "i64": "q8x"}


def function(store: wasmtime.Store, func: wasmtime.Func, *, fast: bool = FAST) -> Call:
    """The function, for one thread at a time and as long as the store lives. It raises `wasmtime.Trap`."""
    if not fast:
        return lambda *numbers: func(store, *numbers)
    kinds = [str(kind) for kind in func.type(store).params]
    # The first slot takes the result.
    values = (raw.wasmtime_val_raw_t * max(1, len(kinds)))()
    slots = struct.Struct("<" + "".join(_SLOTS[kind] for kind in kinds))
    result = struct.Struct("<i")
    unchecked, context, callee = raw._wasmtime_func_call_unchecked, store._context(), byref(func._func)
    put, take, count, trap_pointer = slots.pack_into, result.unpack_from, len(values), POINTER(raw.wasm_trap_t)

    def call(*numbers: int) -> int:
        put(values, 0, *numbers)
        trap = trap_pointer()
        error = unchecked(context, callee, values, count, byref(trap))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        if trap:
            raise wasmtime.Trap._from_ptr(trap)
        return int(take(values)[0])

    return call

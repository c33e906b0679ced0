"""The only place that asks Numba and LLVM to compile: leaf kernels with an address, their helpers, and launchers.

A kernel takes integers (addresses, sizes) and returns nothing, so no array type, layout or stride ever makes a new
compilation. It is compiled when its address is first asked for, or loaded from the cache on disk.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable

from llvmlite import ir
from numba import cfunc, config, njit, types
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from fastconv.codegen import cache
from fastconv.codegen.emit import emit
from fastconv.codegen.lock import setup

# Division by zero and shifts follow the machine; no fast-math flag, so NaN, Inf and rounding stay as IEEE says.
OPTIONS = {"error_model": "numpy", "boundscheck": False}

if config.DISABLE_JIT:
    raise RuntimeError("NUMBA_DISABLE_JIT is set, but fastconv's kernels cannot run as Python: unset it")

# Without what calls them from Python or C: nest takes 4.2 s to compile, not 5.5.
helper = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)
_compiled = 0
_symbols = itertools.count()


def compilations() -> int:
    """How many kernels this process has compiled rather than loaded."""
    return _compiled


class _Disk(NullCache):
    """Numba's cache interface over one file per kernel."""

    def __init__(self, name: str):
        self._name, self.hit = name, False

    def load_overload(self, sig, target_context):
        payload = cache.load(self._name)
        if payload is None:
            return None
        # Numba would refresh its whole context: 0.2 s, where loading needs the symbols of its runtime only.
        rtsys.initialize(target_context)
        try:
            result = CompileResult._rebuild(target_context, *payload)
        except Exception:  # unreadable code: compile it anew and overwrite
            return None
        self.hit = True
        return result

    def save_overload(self, sig, data):
        cache.store(self._name, dumps(data._reduce()))


def _report(name: str, seconds: float) -> None:
    global _compiled
    _compiled += 1
    if os.environ.get("FASTCONV_VERBOSE", "0") not in ("", "0"):
        print(f"fastconv: compiled {name} in {seconds:.2f} s", file=sys.stderr)


class Kernel:
    """A leaf kernel: machine code, made or loaded when its address is first asked for."""

    def __init__(self, name: str, operands: int):
        self.name, self.operands = name, operands
        self._address = 0
        self._code = None

    @property
    def address(self) -> int:
        """Where its C function starts."""
        if not self._address:
            with setup:
                if not self._address:
                    start = time.perf_counter()
                    self._code, self._address, hit = self._made()
                    if not hit:
                        _report(self.name, time.perf_counter() - start)
        return self._address

    def _made(self) -> tuple[object, int, bool]:
        """What keeps the code alive, its address, and whether it came from the cache."""
        raise NotImplementedError

    def inspect_llvm(self) -> str:
        """The kernel's LLVM IR."""
        return self._fresh().get_llvm_str()

    def inspect_asm(self) -> str:
        """The kernel's assembly."""
        return self._fresh().get_asm_str()

    def _fresh(self):
        """The library of the kernel compiled once more, outside the cache, which keeps neither IR nor assembly."""
        raise NotImplementedError


class Native(Kernel):
    """A kernel from a Python function of `operands` integers."""

    def __init__(self, name: str, operands: int, function: Callable[..., None]):
        super().__init__(name, operands)
        function.__name__ = function.__qualname__ = name  # also the symbol and the cache file
        self._function = function
        self._signature = types.void(*[types.intp] * operands)

    def _made(self):
        from numba.core.ccallback import CFunc

        disk = _Disk(self.name)
        code = CFunc(self._function, (self._signature.args, types.void), locals={}, options=dict(OPTIONS))
        code._cache = disk
        code.compile()
        return code, code.address, disk.hit

    def _fresh(self):
        return cfunc(self._signature, **OPTIONS)(self._function)._library


class Emitted(Kernel):
    """A kernel of `operands` integers whose LLVM code an emitter writes.

    There is no Python function that Numba would have to analyse, type and wrap: half the time of a compilation. Nor
    does a wrapper read operands off the stack several at a time, which waits until all stores before it are done.
    """

    def _made(self):
        with global_compiler_lock:
            library = self._loaded()
            hit = library is not None
            if not hit:
                library = self._library(self.name)
                cache.store(self.name, dumps(library.serialize_using_object_code()))
            return library, library.get_pointer_to_function(self.name), hit

    def _loaded(self):
        state = cache.load(self.name)
        if state is None:
            return None
        try:
            return cpu_target.target_context.codegen().unserialize_library(state)
        except Exception:  # unreadable code: compile it anew and overwrite
            return None

    def _library(self, symbol: str):
        """The code, optimized and in memory, under a symbol that no other has."""
        library = cpu_target.target_context.codegen().create_library(symbol)
        library.enable_object_caching()
        module = library.create_ir_module(symbol)
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * self.operands)
        function = ir.Function(module, kind, symbol)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        emit(builder, self.name, list(function.args))
        builder.ret_void()
        library.add_ir_module(module)
        library.finalize()
        return library

    def _fresh(self):
        with global_compiler_lock:
            return self._library(f"{self.name}.{next(_symbols)}")


def native(name: str, operands: int) -> Callable[[Callable[..., None]], Native]:
    """Make a function of `operands` integers a leaf kernel."""
    return lambda function: Native(name, operands, function)


class Launcher:
    """A compiled function called from Python with integers; compiled or loaded at its first call."""

    def __init__(self, name: str, operands: int, function: Callable[..., None]):
        function.__name__ = function.__qualname__ = name
        self.name, self._function, self._operands = name, function, operands
        self._dispatcher = None
        self._entry: Callable[..., None] | None = None

    @property
    def entry(self) -> Callable[..., None]:
        """The bare compiled function."""
        if self._entry is None:
            with setup:
                if self._entry is None:
                    self._compile()
        return self._entry

    def _compile(self) -> None:
        start, disk = time.perf_counter(), _Disk(self.name)
        dispatcher = njit(nogil=True, **OPTIONS)(self._function)
        dispatcher._cache = disk
        dispatcher.compile((types.int64,) * self._operands)
        dispatcher.disable_compile()
        if not disk.hit:
            _report(self.name, time.perf_counter() - start)
        # Without the dispatcher, which would look at the arguments' types first: 0.1 us.
        (compiled,) = dispatcher.overloads.values()
        self._dispatcher, self._entry = dispatcher, compiled.entry_point


def launcher(name: str, operands: int) -> Callable[[Callable[..., None]], Launcher]:
    """Make a function of `operands` integers callable from Python without the interpreter lock."""
    return lambda function: Launcher(name, operands, function)

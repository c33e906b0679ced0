"""Who emits which microkernel, and what compiled Python may say beyond Python: touch memory, call a kernel by address.

The latter are module-level intrinsics, so Numba's cache can name them; everything that varies is a run-time integer.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastconv.codegen.vector import I64, integer
from fastconv.job import SMALL_SCRATCH

COUNTER, FRAME_WORDS = 16, 32  # words of a counter, on two cache lines of its own; room for one
Emitter = Callable[[ir.IRBuilder, str, list[ir.Value]], None]
_emitters: dict[str, Emitter] = {}


def emitter(op: str) -> Callable[[Emitter], Emitter]:
    """Register the function that emits every microkernel whose name starts with `op`."""

    def register(function: Emitter) -> Emitter:
        _emitters[op] = function
        return function

    return register


def emit(builder: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Write the code of the microkernel of this name."""
    _emitters[name.partition("_")[0]](builder, name, operands)


@intrinsic
def invoke(typingctx, address, args):
    """Call the kernel at a run-time address with integer arguments."""

    def generate(context, builder, signature, values):
        operands = [builder.extract_value(values[1], i) for i in range(len(args))]
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(operands))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), operands)
        return context.get_dummy_value()

    return types.void(address, types.UniTuple(types.intp, len(args))), generate


@intrinsic
def peek(typingctx, address, index):
    """The 64-bit integer number `index` of the array at `address`."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], I64.as_pointer())
        return builder.load(builder.gep(base, [values[1]]), align=8)

    return types.intp(types.intp, types.intp), generate


@intrinsic
def poke(typingctx, address, index, value):
    """Write the 64-bit integer number `index` of the array at `address`."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], I64.as_pointer())
        builder.store(values[2], builder.gep(base, [values[1]]), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


@intrinsic
def take_ticket(typingctx, address):
    """Atomically add one to the integer at `address`; its value before."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], I64.as_pointer())
        return builder.atomic_rmw("add", base, integer(1), "monotonic")

    return types.intp(types.intp), generate


@intrinsic
def counters(typingctx, count):
    """The address of `count` counters on the stack of the calling function, which is to ask once."""

    def generate(context, builder, signature, values):
        memory = builder.alloca(I64, builder.mul(values[0], integer(COUNTER)))
        memory.align = 8 * COUNTER
        return builder.ptrtoint(memory, I64)

    return types.intp(types.intp), generate


@intrinsic
def frame(typingctx, x, w, bias, residual, y):
    """The address of FRAME_WORDS integers on the stack of the calling function, of which these are the first.

    An array would not do: Numba frees it after its last use by name, while its address is still in use.
    """

    def generate(context, builder, signature, values):
        memory = cgutils.alloca_once(builder, ir.ArrayType(I64, FRAME_WORDS))
        memory.align = 128
        words = builder.bitcast(memory, I64.as_pointer())
        for i, value in enumerate(values):
            builder.store(value, builder.gep(words, [integer(i)]))
        return builder.ptrtoint(memory, I64)

    return types.intp(*[types.intp] * 5), generate


@intrinsic
def scratchpad(typingctx):
    """The address of SMALL_SCRATCH bytes on the stack of the calling function."""

    def generate(context, builder, signature, values):
        # `cgutils.alloca_once` would store a zero into each byte, which takes LLVM half a minute to compile.
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(ir.IntType(8), SMALL_SCRATCH))
        memory.align = 128
        return builder.ptrtoint(memory, I64)

    return types.intp(), generate

"""What compiled Python may say beyond Python: emit a microkernel by name, touch memory, call a kernel by address.

All are module-level intrinsics, so Numba's cache can name them; everything that varies is either a literal
(the microkernel's name) or a run-time integer (an address).
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastconv.codegen.vector import I64, integer
from fastconv.job import SMALL_SCRATCH

COUNTER, MOST_SHARES = 16, 64  # a counter has two cache lines of its own; of workers beyond these, several share
FRAME_WORDS = COUNTER * (2 + MOST_SHARES)
Emitter = Callable[[ir.IRBuilder, str, list[ir.Value]], None]
_emitters: dict[str, Emitter] = {}


def emitter(op: str) -> Callable[[Emitter], Emitter]:
    """Register the function that emits every microkernel whose name starts with `op`."""

    def register(function: Emitter) -> Emitter:
        _emitters[op] = function
        return function

    return register


@intrinsic(prefer_literal=True)
def emit(typingctx, name, args):
    """emit("gemm_f32_8x48_avx512_px", (a, b, ...)): the microkernel's code, inlined here."""
    if not isinstance(name, types.StringLiteral):
        return None
    kernel = name.literal_value

    def generate(context, builder, signature, values):
        operands = [builder.extract_value(values[1], i) for i in range(len(args))]
        _emitters[kernel.partition("_")[0]](builder, kernel, operands)
        return context.get_dummy_value()

    return types.void(name, types.UniTuple(types.intp, len(args))), generate


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
def frame(typingctx, x, w, bias, residual, y):
    """The address of FRAME_WORDS integers on the stack of the calling function, of which these are the first.

    An array would not do: Numba frees it after its last use by name, while its address is still in use.
    """

    def generate(context, builder, signature, values):
        memory = _on_stack(builder, ir.ArrayType(I64, FRAME_WORDS))
        words = builder.bitcast(memory, I64.as_pointer())
        for i, value in enumerate(values):
            builder.store(value, builder.gep(words, [integer(i)]))
        return builder.ptrtoint(memory, I64)

    return types.intp(*[types.intp] * 5), generate


@intrinsic
def scratchpad(typingctx):
    """The address of SMALL_SCRATCH bytes on the stack of the calling function."""

    def generate(context, builder, signature, values):
        return builder.ptrtoint(_on_stack(builder, ir.ArrayType(ir.IntType(8), SMALL_SCRATCH)), I64)

    return types.intp(), generate


def _on_stack(builder: ir.IRBuilder, kind: ir.Type) -> ir.Value:
    """Memory of the calling function, which begins on two cache lines.

    `cgutils.alloca_once` would store a zero into each byte, which takes LLVM half a minute to compile.
    """
    with builder.goto_entry_block():
        memory = builder.alloca(kind)
    memory.align = 128
    return memory

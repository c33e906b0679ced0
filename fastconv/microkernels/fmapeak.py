"""The fastest a core can multiply and add: independent chains in registers, nothing from memory."""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.names import parse

CHAINS = 12  # enough to hide a latency of four at two a cycle, few enough for sixteen registers
TIMES = 4  # each in one step, so that the loop's branch does not count: it takes 5 % of 12 on Zen 3


@emitter("fmapeak")
def fmapeak(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """As a task of a launch: `plan` is the number of steps, and the sum goes to y[8 * task]."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    steps, call, _, task = operands
    half = v.constant(0.5)
    # From 1 a chain would stay there: LLVM sees that, and computes one chain less.
    with v.loop(steps, *(v.constant(i + 2.0) for i in range(CHAINS))) as (_, sums, following):
        for _ in range(TIMES):
            sums = [v.fma(t, half, half) for t in sums]
        following += sums
    total = following[0]
    for other in following[1:]:
        total = b.fadd(total, other)
    y = v.load_integer(v.offset(v.pointer(call), 32))
    to = v.pointer(b.add(y, b.mul(task, integer(64))))
    v.b.store(b.extract_element(total, ir.Constant(ir.IntType(32), 0)), b.bitcast(to, v.scalar.as_pointer()))

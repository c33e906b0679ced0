"""finish: dst[i] = round(activation(src[i] + residual[i])), for sums that a tile could not finish itself."""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import SIZE, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each, narrow

ACTIVATIONS = {
    "none": lambda v, t, slope: t,
    "relu": lambda v, t, slope: v.where_less(t, v.zero(), v.zero(), t),
    "leaky": lambda v, t, slope: v.where_less(t, v.zero(), v.b.fmul(t, slope), t),
    "relu6": lambda v, t, slope: v.where_less(
        v.constant(6.0), t, v.constant(6.0), v.where_less(t, v.zero(), v.zero(), t)
    ),
}


@emitter("finish")
def finish(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Operands: src (computing type), dst (stored type), residual (stored type, or 0), n, address of the slope."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    stored = Source(v, spec.source)
    src, dst, residual, n, slope = operands
    activation = ACTIVATIONS[spec.variants[-1]]
    slope = v.broadcast(v.load_scalar(v.pointer(slope))) if spec.variants[-1] == "leaky" else None
    src, dst, beside = v.pointer(src), v.pointer(dst), v.pointer(residual)
    there = b.icmp_signed("!=", residual, integer(0))
    nothing = ir.Constant(v.mask_type, [0] * v.lanes)
    with each(v, integer(0), n, v.lanes) as i:
        mask = v.first_lanes(b.sub(n, i))
        wide, short = b.mul(i, integer(v.size)), b.mul(i, integer(SIZE[spec.source]))
        total = v.load_masked(v.offset(src, wide), mask)
        added = stored.vector(v.offset(beside, short), b.select(there, mask, nothing))
        total = b.select(there, b.fadd(total, added), total)
        result = narrow(v, activation(v, total, slope), spec.source)
        stored.store(result, v.offset(dst, short), mask)

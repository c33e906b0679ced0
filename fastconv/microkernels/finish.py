"""finish: dst[i] = round(activation(src[i] + residual[i])), for sums that a tile could not finish itself.

past: dst is written past the caches. An ordinary store first reads its line; one that is written whole costs memory one
transfer instead of two. That helps where as much is read as written; what only writes loses half, for few such stores
are under way at a time (3 to 64 channels, 3x3 on 572x572). They are of whole aligned vectors, and rows of y start
anywhere, so tiles cannot make them.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen import vmath
from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import SIZE, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each, get, narrow, one_after_another, put


def relu(v, t):
    """max(t, 0)."""
    return v.where_less(t, v.zero(), v.zero(), t)


def relu6(v, t):
    """min(max(t, 0), 6)."""
    six = v.constant(6.0)
    return v.where_less(six, t, six, relu(v, t))


def leaky(v, t, slope):
    """t, or slope * t below zero."""
    return v.where_less(t, v.zero(), v.b.fmul(t, slope), t)


def hardswish(v, t):
    """t * relu6(t + 3) / 6."""
    b = v.b
    return b.fdiv(b.fmul(t, relu6(v, b.fadd(t, v.constant(3.0)))), v.constant(6.0))


def gelu(v, t):
    """t times the normal distribution function of t."""
    return v.b.fmul(t, vmath.normal_cdf(v, t))


ACTIVATIONS = {
    "none": lambda v, t: t,
    "relu": relu,
    "relu6": relu6,
    "sigmoid": vmath.sigmoid,
    "tanh": vmath.tanh,
    "silu": vmath.silu,
    "hardswish": hardswish,
    "gelu": gelu,
}


@emitter("finish")
def finish(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Operands: src (computing type), dst (stored type), residual (stored type, or 0), n, address of the slope."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    stored = Source(v, spec.source)
    src, dst, residual, n, slope = operands
    chosen, past = spec.variants[0], "past" in spec.variants
    if chosen == "leaky":
        slope = v.broadcast(v.load_scalar(v.pointer(slope)))

        def activation(v, t):
            return leaky(v, t, slope)

    else:
        activation = ACTIVATIONS[chosen]
    src, dst, beside = v.pointer(src), v.pointer(dst), v.pointer(residual)
    there = b.icmp_signed("!=", residual, integer(0))
    nothing, all_lanes = (ir.Constant(v.mask_type, [bit] * v.lanes) for bit in (0, 1))
    size = SIZE[spec.source]

    def part(i, mask):
        wide, short = b.mul(i, integer(v.size)), b.mul(i, integer(size))
        total = get(v, v.offset(src, wide), mask)
        added = stored.vector(v.offset(beside, short), b.select(there, all_lanes if mask is None else mask, nothing))
        total = b.select(there, b.fadd(total, added), total)
        return narrow(v, activation(v, total), spec.source), v.offset(dst, short)

    def some(start, stop):
        # None twice: dst may be src.
        one_after_another(v, start, stop, lambda i, mask: put(stored.narrow, *part(i, mask), mask))

    if not past:
        some(integer(0), n)
        return
    whole = integer(v.lanes * size)
    before = b.udiv(b.and_(b.neg(operands[1]), b.sub(whole, integer(1))), integer(size))
    before = b.select(b.icmp_signed("<", before, n), before, n)
    after = b.add(before, b.and_(b.sub(n, before), integer(-v.lanes)))
    some(integer(0), before)
    with each(v, before, after, v.lanes) as i:
        stored.narrow.store_past(*part(i, None))
    some(after, n)
    v.fence()

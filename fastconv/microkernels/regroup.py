"""Moves and sums of elements that change no value's type: what gradients need to take arrays apart and together.

pick        dst[i, t] = src[i, table[t]]                       rows of a few elements, in another order
flip        dst[i, t] = src[i, taps - 1 - t]                   in the reverse order
comb        dst[i * step] = src[i * src_step], or 0            elements become every step-th, or one becomes many
weave       dst[2 i] = a[i], dst[2 i + 1] = b[i]               two rows become one, a null row counts as zeros
accumulate  dst[i] += src[i]

Those that only move take any type of the right size; narrow ones are all called bf16, which is held as an integer.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each

MOVED = {"f32": "f32", "f64": "f64", "f16": "bf16", "bf16": "bf16"}  # the name under which a stored type is moved


def _start(b: ir.IRBuilder, name: str) -> Vectors:
    spec = parse(name)
    return Vectors(b, spec.dtype, spec.lanes)


def _somewhere(v: Vectors, src: ir.Value, dst: ir.Value) -> ir.Value:
    """src, or where there is none dst: a masked load from a page that is not there takes hundreds of cycles."""
    return v.pointer(v.b.select(v.b.icmp_signed("!=", src, integer(0)), src, dst))


ROWS = 8  # that `pick` moves at once: a loop's own steps took longer than the moves


@emitter("pick")
def pick(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, table (byte offsets), taps, dst, dst_pitch, count."""
    v = _start(b, name)
    src, src_pitch, table, taps, dst, dst_pitch, count = args

    def rows(start, stop, together):
        """Move the rows in [start, stop), some of them together."""
        with each(v, start, stop, together) as i, each(v, integer(0), taps, 1) as t:
            at = v.offset(v.pointer(src), b.add(b.mul(i, src_pitch), v.load_integer(v.offset(v.pointer(table),
                          b.mul(t, integer(8))))))  # fmt: skip
            to = v.offset(v.pointer(dst), b.add(b.mul(i, dst_pitch), b.mul(t, integer(v.size))))
            for _ in range(together):
                b.store(v.load_scalar(at), b.bitcast(to, v.scalar.as_pointer()), align=v.size)
                at, to = v.opaque(v.offset(at, src_pitch)), v.opaque(v.offset(to, dst_pitch))

    whole = b.sub(count, b.srem(count, integer(ROWS)))
    rows(integer(0), whole, ROWS)
    rows(whole, count, 1)


@emitter("flip")
def flip(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, taps, dst, dst_pitch, count."""
    v = _start(b, name)
    src, src_pitch, taps, dst, dst_pitch, count = args
    backwards = list(range(v.lanes))[::-1]
    with each(v, integer(0), taps, v.lanes) as t:
        # Reversed, the first lanes of a vector are its last ones.
        left = b.sub(taps, t)
        mask = v.first_lanes(left)
        at = v.offset(v.pointer(src), b.mul(t, integer(v.size)))
        to = v.offset(v.pointer(dst), b.mul(b.sub(left, integer(v.lanes)), integer(v.size)))
        with v.loop_or_none(count, at, to) as (_, (at, to), following):
            v.store_masked(v.shuffle(v.load_masked(at, mask), None, backwards), to, v.shuffle(mask, None, backwards))
            following += [v.offset(at, src_pitch), v.offset(to, dst_pitch)]


@emitter("comb")
def comb(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src (0: zeros), src_step, dst, step (bytes), count."""
    v = _start(b, name)
    src, src_step, dst, step, count = args
    exists = b.icmp_signed("!=", src, integer(0))
    at, to = _somewhere(v, src, dst), v.pointer(dst)
    nothing = ir.Constant(v.mask_type, [0] * v.lanes)

    def vectors():
        with each(v, integer(0), count, v.lanes) as i:
            mask, where = v.first_lanes(b.sub(count, i)), b.mul(i, integer(v.size))
            v.store_masked(
                v.load_masked(v.offset(at, where), b.select(exists, mask, nothing)), v.offset(to, where), mask
            )

    def scalars():
        zero = ir.Constant(v.scalar, 0 if v.dtype == "bf16" else 0.0)
        with b.if_else(exists) as (moves, clears):
            for branch, value in ((moves, lambda i: v.load_scalar(v.offset(at, b.mul(i, src_step)))),
                                  (clears, lambda i: zero)):  # fmt: skip
                with branch, each(v, integer(0), count, 1) as i:
                    place = v.offset(to, b.mul(i, step))
                    b.store(value(i), b.bitcast(place, v.scalar.as_pointer()), align=v.size)

    dense = b.and_(*(b.icmp_signed("==", some, integer(v.size)) for some in (src_step, step)))
    with b.if_else(dense) as (side_by_side, apart):
        with side_by_side:
            vectors()
        with apart:
            scalars()


@emitter("weave")
def weave(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: a, b (0: zeros), dst, count of dst."""
    v = _start(b, name)
    *sources, dst, count = args
    nothing = ir.Constant(v.mask_type, [0] * v.lanes)
    one = integer(1)
    counts = [b.ashr(b.add(count, one), one), b.ashr(count, one)]
    exist = [b.icmp_signed("!=", source, integer(0)) for source in sources]
    with each(v, integer(0), counts[0], v.lanes) as i:
        loaded = []
        for source, some, there in zip(sources, counts, exist, strict=True):
            mask = b.select(there, v.first_lanes(b.sub(some, i)), nothing)
            loaded.append(v.load_masked(v.offset(_somewhere(v, source, dst), b.mul(i, integer(v.size))), mask))
        for half in range(2):
            lanes = range(half * v.lanes, (half + 1) * v.lanes)
            woven = v.shuffle(*loaded, [lane // 2 + lane % 2 * v.lanes for lane in lanes])
            first = b.add(b.mul(i, integer(2)), integer(half * v.lanes))
            left = b.sub(count, first)
            left = b.select(b.icmp_signed(">", left, integer(0)), left, integer(0))
            v.store_masked(woven, v.offset(v.pointer(dst), b.mul(first, integer(v.size))), v.first_lanes(left))


@emitter("accumulate")
def accumulate(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_step, dst, dst_step (bytes), count."""
    v = _start(b, name)
    src, src_step, dst, dst_step, count = args
    at, to, size = v.pointer(src), v.pointer(dst), integer(v.size)
    with b.if_else(b.and_(b.icmp_signed("==", src_step, size), b.icmp_signed("==", dst_step, size))) as (dense, apart):
        with dense, each(v, integer(0), count, v.lanes) as i:
            mask, where = v.first_lanes(b.sub(count, i)), b.mul(i, size)
            place = v.offset(to, where)
            v.store_masked(b.fadd(v.load_masked(place, mask), v.load_masked(v.offset(at, where), mask)), place, mask)
        with apart, each(v, integer(0), count, 1) as i:
            place = v.offset(to, b.mul(i, dst_step))
            summed = b.fadd(v.load_scalar(place), v.load_scalar(v.offset(at, b.mul(i, src_step))))
            b.store(summed, b.bitcast(place, v.scalar.as_pointer()), align=v.size)

"""Gradients of pools whose windows do not overlap: every element of dx gets what one output has, or nothing.

poolapart   dst[i * step + fixed[f] + j * t + s] = finish( src[i, j] )    for every row f and s < t, 0 in `rest` columns
poolchoose, poolselect   dst[index[i, j]] = src[i, j], 0 in the other elements of its window of 2x2

Words of poolapart's name besides those of `pool`: t2.. so many times.
"""

from __future__ import annotations

import functools

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, greatest, integer, least
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each, narrow, widen, woven_of
from fastconv.microkernels.pool import TAP
from fastconv.microkernels.poolparts import store_first
from fastconv.microkernels.reducer import Reducer

TIMES = (2, 3, 4)


@emitter("poolapart")
def poolapart(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, lines, n, fixed (table), fixed count, dst, step (bytes from a line to the next), rest,
    factors (one pair)."""
    r = Reducer(b, name)
    v, stored = r.v, Vectors(b, r.stored, r.v.lanes)
    src, src_pitch, lines, n, fixed, rows, dst, step, rest, factors = args
    times, zero = next(t for t in TIMES if f"t{t}" in r.words), integer(0)

    def pair():
        at = v.pointer(factors)
        return v.broadcast(v.load_scalar(at)), v.broadcast(v.load_scalar(v.offset(at, v.size)))

    def line(i, last, some):
        """A line of outputs."""
        start, to = v.offset(v.pointer(src), b.mul(i, src_pitch)), v.offset(v.pointer(dst), b.mul(i, step))
        mask = None if some is None else v.first_lanes(some)
        with each(v, zero, n, v.lanes) as j:
            j = least(b, j, last)
            x = r.load(v.offset(start, b.mul(j, integer(stored.size))), mask)
            x = narrow(v, r.finished(x, pair, None, None), r.stored)
            parts = [stored.shuffle(x, None, [(k * v.lanes + lane) // times for lane in range(v.lanes)])
                     for k in range(times)]  # fmt: skip
            with each(v, zero, rows, 1) as f:
                offset = v.load_integer(v.offset(v.pointer(fixed), b.mul(f, integer(TAP))))
                _stored_some(stored, parts, v.offset(to, b.add(offset, b.mul(j, integer(times * stored.size)))),
                             None if some is None else b.mul(some, integer(times)))  # fmt: skip
        with each(v, zero, rest, v.lanes) as k, each(v, zero, rows, 1) as f:
            offset = v.load_integer(v.offset(v.pointer(fixed), b.mul(f, integer(TAP))))
            end = b.add(b.mul(n, integer(times)), k)
            end = v.offset(to, b.add(offset, b.mul(end, integer(stored.size))))
            stored.store_masked(stored.zero(), end, v.first_lanes(b.sub(rest, k)))

    follow = b.icmp_signed(">=", src_pitch, b.mul(n, integer(stored.size)))
    _in_lines(v, lines, n, line, follow)


def _in_lines(v: Vectors, lines, n, line, follow=None, more=None) -> None:
    """line(i, last, some) for all lines of n outputs, the last vector of which begins at `last`.

    Lines of few outputs are read and written with what belongs to the next (if they `follow` each other), which comes
    after them: a masked store of AVX2 takes 14 cycles. Only in the last ones, if there are no `more`, there are `some`.
    """
    b, zero, lanes = v.b, integer(0), integer(v.lanes)
    many, last = b.icmp_signed(">=", n, lanes), greatest(b, b.sub(n, lanes), zero)
    short = b.sdiv(b.add(lanes, n), n)
    short = short if follow is None else b.select(follow, short, lines)
    short = b.select(many if more is None else b.or_(many, more), zero, short)
    quick = greatest(b, b.sub(lines, short), zero)
    with each(v, zero, quick, 1) as i:
        line(i, last, None)
    with each(v, quick, lines, 1) as i:
        line(i, last, v.opaque(n))


@emitter("poolchoose")
def poolchoose(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, index, planes, lines, n, dst, plane (elements of it), width (elements of a row of dst), elsewhere
    (a flag).

    If an index lies outside its window, the flag is set and dst is worth nothing. Where rows have an odd element at
    their end, it becomes 0."""
    spec = parse(name)
    v = Vectors(b, spec.source, spec.lanes)
    src, index, planes, lines, n, dst, plane, width, elsewhere = args
    zero, size = integer(0), integer(v.size)
    number, small = Vectors(b, "i64", v.lanes), Vectors(b, "i32", v.lanes)
    odd = b.icmp_signed(">", width, b.mul(n, integer(2)))
    reach = number.broadcast(b.add(width, integer(1)))
    low = b.trunc(width, small.scalar)
    below = [small.broadcast(low), small.broadcast(b.add(low, ir.Constant(small.scalar, 1)))]
    steps = ir.Constant(number.type, [2 * lane for lane in range(v.lanes)])
    strayed = b.alloca(number.mask_type)
    b.store(ir.Constant(number.mask_type, [0] * v.lanes), strayed)

    def line(p, i, last, some):
        """All windows of a line of a plane."""
        first = b.mul(i, b.mul(width, integer(2)))
        start = b.mul(b.add(b.mul(p, lines), i), n)
        top = v.offset(v.pointer(dst), b.mul(b.add(b.mul(p, plane), first), size))
        bottom = v.offset(top, b.mul(width, size))
        mask = None if some is None else v.first_lanes(some)
        with each(v, zero, n, v.lanes) as j:
            j = least(b, j, last)
            at = b.add(start, j)
            x_at = v.offset(v.pointer(src), b.mul(at, size))
            index_at = v.offset(v.pointer(index), b.mul(at, integer(8)))
            x = plus_zero(v, v.load(x_at) if mask is None else v.load_masked(x_at, mask))
            position = number.load(index_at) if mask is None else number.load_masked(index_at, mask)
            corner = b.add(number.broadcast(b.add(first, b.mul(j, integer(2)))), steps)
            inside = b.sub(position, corner)
            far = b.icmp_unsigned(">", inside, reach)
            inside = b.trunc(inside, small.type)
            here = [b.icmp_signed("==", inside, place) for place in (small.zero(), small.constant(1), *below)]
            any_of = b.or_(b.or_(here[0], here[1]), b.or_(here[2], here[3]))
            wrong = b.and_(b.or_(far, b.not_(any_of)), there)
            b.store(b.or_(b.load(strayed), wrong), strayed)
            for to, (even, uneven) in ((top, here[:2]), (bottom, here[2:])):
                pair = [b.select(chosen, x, v.zero()) for chosen in (even, uneven)]
                _stored_some(v, woven_of(v, pair), v.offset(to, b.mul(j, integer(2 * v.size))),
                             None if some is None else b.mul(some, integer(2)))  # fmt: skip
        with b.if_then(odd):
            for row in (top, bottom):
                store_first(b, v.zero(), v.offset(row, b.mul(n, integer(2 * v.size))))

    there = v.first_lanes(n)
    with each(v, zero, planes, 1) as p:
        behind = b.mul(b.sub(b.sub(planes, p), integer(1)), b.mul(lines, n))  # outputs
        more = b.icmp_signed(">=", behind, integer(v.lanes))
        _in_lines(v, lines, n, functools.partial(line, p), more=more)
    with b.if_then(v.some(b.load(strayed)), likely=False):
        b.store(integer(1), b.bitcast(v.pointer(elsewhere), I64.as_pointer()), align=8)


@emitter("poolselect")
def poolselect(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, index, rows, columns, n (channels), corner (the first window's position), dst (where it lies),
    width (pixels of a row of dst), elsewhere (a flag).

    As `poolchoose`, with the channels in the lanes."""
    spec = parse(name)
    v = Vectors(b, spec.source, spec.lanes)
    src, index, rows, columns, n, origin, dst, width, elsewhere = args
    zero, one, two = integer(0), integer(1), integer(2)
    number = Vectors(b, "i64", v.lanes)
    pixel = b.mul(n, integer(v.size))
    places = [zero, one, width, b.add(width, one)]
    strayed = b.alloca(number.mask_type)
    b.store(ir.Constant(number.mask_type, [0] * v.lanes), strayed)
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))
    with each(v, zero, rows, 1) as i:
        first = b.mul(i, b.mul(width, two))
        with each(v, zero, columns, 1) as j:
            corner = b.add(first, b.mul(j, two))
            cell = b.mul(b.add(b.mul(i, columns), j), n)
            wanted = [number.broadcast(b.add(b.add(origin, corner), place)) for place in places]
            to = [v.offset(v.pointer(dst), b.mul(b.add(corner, place), pixel)) for place in places]

            def block(c, mask, cell=cell, wanted=wanted, to=to):
                """A vector of channels."""
                at = b.add(cell, c)
                x_at = v.offset(v.pointer(src), b.mul(at, integer(v.size)))
                index_at = v.offset(v.pointer(index), b.mul(at, integer(8)))
                x = v.load(x_at) if mask is None else v.load_masked(x_at, mask)
                # Zero is added as where planes are cleared and added to, so that zeros have the same sign.
                x = plus_zero(v, x)
                position = number.load(index_at) if mask is None else number.load_masked(index_at, mask)
                here = [b.icmp_signed("==", position, place) for place in wanted]
                wrong = b.not_(b.or_(b.or_(here[0], here[1]), b.or_(here[2], here[3])))
                b.store(b.or_(b.load(strayed), wrong if mask is None else b.and_(wrong, mask)), strayed)
                for chosen, pointer in zip(here, to, strict=True):
                    value, place = b.select(chosen, x, v.zero()), v.offset(pointer, b.mul(c, integer(v.size)))
                    v.store(value, place) if mask is None else v.store_masked(value, place, mask)

            with each(v, zero, whole, v.lanes) as c:
                block(c, None)
            with b.if_then(b.icmp_signed(">", left, zero)):
                block(whole, v.first_lanes(left))
    with b.if_then(v.some(b.load(strayed)), likely=False):
        b.store(integer(1), b.bitcast(v.pointer(elsewhere), I64.as_pointer()), align=8)


def plus_zero(v: Vectors, x):
    """x, with minus zero as zero; x may be of a type that is computed with in another."""
    wide = v if v.dtype in ("f32", "f64") else Vectors(v.b, "f32", v.lanes)
    return narrow(wide, v.b.fadd(widen(wide, x, v.dtype), wide.zero()), v.dtype)


def _stored_some(v: Vectors, parts: list, pointer, count):
    """Vectors one after another, all of them or `count` elements; nothing is asked of memory beyond."""
    b = v.b
    for k, part in enumerate(parts):
        to = v.offset(pointer, k * v.bytes)
        if count is None:
            v.store(part, to)
        elif k == 0:
            v.store_masked(part, to, v.first_lanes(count))
        else:
            more = b.sub(count, integer(k * v.lanes))
            with b.if_then(b.icmp_signed(">", more, integer(0))):
                v.store_masked(part, to, v.first_lanes(more))

"""Gradients of pools whose windows do not overlap: every element of dx gets what one output has, or nothing.

poolapart   dst[i * step + fixed[f] + j * t + s] = finish( src[i, j] )    for every row f and s < t, 0 in `rest` columns
poolchoose, poolselect   dst[index[i, j]] = src[i, j], 0 in the other elements of its window of 2x2

Words of poolapart's name besides those of `pool`: t2.. so many times.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each, narrow, widen
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
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))

    def pair():
        at = v.pointer(factors)
        return v.broadcast(v.load_scalar(at)), v.broadcast(v.load_scalar(v.offset(at, v.size)))

    with each(v, zero, lines, 1) as i:
        line, to = v.offset(v.pointer(src), b.mul(i, src_pitch)), v.offset(v.pointer(dst), b.mul(i, step))

        def block(j, some, line=line, to=to):
            """A vector of outputs from j on, or some of them."""
            mask = None if some is None else v.first_lanes(some)
            x = r.load(v.offset(line, b.mul(j, integer(stored.size))), mask)
            x = narrow(v, r.finished(x, pair, None, None), r.stored)
            parts = [stored.shuffle(x, None, [(k * v.lanes + lane) // times for lane in range(v.lanes)])
                     for k in range(times)]  # fmt: skip
            with each(v, zero, rows, 1) as f:
                offset = v.load_integer(v.offset(v.pointer(fixed), b.mul(f, integer(TAP))))
                _stored_some(stored, parts, v.offset(to, b.add(offset, b.mul(j, integer(times * stored.size)))),
                             None if some is None else b.mul(some, integer(times)))  # fmt: skip

        with each(v, zero, whole, v.lanes) as j:
            block(j, None)
        with b.if_then(b.icmp_signed(">", left, zero)):
            block(whole, left)
        with each(v, zero, rest, v.lanes) as k, each(v, zero, rows, 1) as f:
            offset = v.load_integer(v.offset(v.pointer(fixed), b.mul(f, integer(TAP))))
            end = b.add(b.mul(n, integer(times)), k)
            end = v.offset(to, b.add(offset, b.mul(end, integer(stored.size))))
            stored.store_masked(stored.zero(), end, v.first_lanes(b.sub(rest, k)))


@emitter("poolchoose")
def poolchoose(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, index, lines, n, dst, width (elements of a row of dst), elsewhere (a flag).

    If an index lies outside its window, the flag is set and dst is worth nothing. Where rows have an odd element at
    their end, it becomes 0."""
    spec = parse(name)
    v = Vectors(b, spec.source, spec.lanes)
    src, index, lines, n, dst, width, elsewhere = args
    zero, size = integer(0), integer(v.size)
    number, small = Vectors(b, "i64", v.lanes), Vectors(b, "i32", v.lanes)
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))
    odd = b.icmp_signed(">", width, b.mul(n, integer(2)))
    reach = number.broadcast(b.add(width, integer(1)))
    low = b.trunc(width, small.scalar)
    below = [small.broadcast(low), small.broadcast(b.add(low, ir.Constant(small.scalar, 1)))]
    steps = ir.Constant(number.type, [2 * lane for lane in range(v.lanes)])
    strayed = b.alloca(number.mask_type)
    b.store(ir.Constant(number.mask_type, [0] * v.lanes), strayed)
    with each(v, zero, lines, 1) as i:
        first = b.mul(i, b.mul(width, integer(2)))
        start = b.mul(i, n)
        top = v.offset(v.pointer(dst), b.mul(first, size))
        bottom = v.offset(top, b.mul(width, size))

        def block(j, some, first=first, start=start, top=top, bottom=bottom):
            """A vector of outputs from j on, or some of them."""
            mask = None if some is None else v.first_lanes(some)
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
            wrong = b.or_(far, b.not_(any_of))
            if mask is not None:
                wrong = b.and_(wrong, mask)
            b.store(b.or_(b.load(strayed), wrong), strayed)
            for to, (even, uneven) in ((top, here[:2]), (bottom, here[2:])):
                pair = [b.select(chosen, x, v.zero()) for chosen in (even, uneven)]
                woven = [
                    v.shuffle(*pair, [(k * v.lanes + lane) // 2 + lane % 2 * v.lanes for lane in range(v.lanes)])
                    for k in range(2)
                ]
                _stored_some(v, woven, v.offset(to, b.mul(j, integer(2 * v.size))),
                             None if some is None else b.mul(some, integer(2)))  # fmt: skip

        with each(v, zero, whole, v.lanes) as j:
            block(j, None)
        with b.if_then(b.icmp_signed(">", left, zero)):
            block(whole, left)
        with b.if_then(odd):
            for row in (top, bottom):
                store_first(b, v.zero(), v.offset(row, b.mul(n, integer(2 * v.size))))
    bits = b.bitcast(b.load(strayed), ir.IntType(v.lanes))
    with b.if_then(b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), likely=False):
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
    bits = b.bitcast(b.load(strayed), ir.IntType(v.lanes))
    with b.if_then(b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), likely=False):
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

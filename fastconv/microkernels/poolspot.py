"""The gradient of a max pool with windows of 3x3, channels in the lanes, where vectors can't be scattered: a vector of
indices is compared with all places of its window.

poolspot    dst[p, :] += src[j, :] where index[j, :] is p       for the nine places p of window j
"""

from __future__ import annotations

import itertools

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, greatest, integer, least
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each
from fastconv.microkernels.pool import splat

SIDE = 3
NOWHERE = -(2**31)  # what the lower half of no index is that counts


@emitter("poolspot")
def poolspot(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, index, columns, n (channels), dst (where row `top` of the plane lies), width (pixels of a row of
    it), height, top, end (rows that are added to, some of the windows'), row (the windows' first), column (the first
    window's first), step (from one to the next), elsewhere (a flag for indices that are in no window; -1 had no
    element)."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    src, index, columns, n, dst, width, height, top, end, row, column, step, elsewhere = args
    zero, one = integer(0), integer(1)
    long, number = Vectors(b, "i64", v.lanes), Vectors(b, "i32", v.lanes)
    pixel = b.mul(n, integer(v.size))
    rows = [b.add(row, integer(f)) for f in range(SIDE)]
    first, last = greatest(b, row, zero), least(b, b.add(row, integer(SIDE)), height)
    low, high = (splat(number, b.mul(r, width), False) for r in (first, last))
    first, last = greatest(b, first, top), least(b, last, end)
    begin, stop = (splat(number, b.mul(r, width), False) for r in (first, last))
    all_rows = b.icmp_signed("==", b.sub(last, first), integer(SIDE))
    strayed = b.alloca(number.type)  # all bits or none: lanes of one bit would be packed for every vector
    b.store(number.zero(), strayed)
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))

    def window(j, places, all_there):
        """All channels of an output; places are where they lie in dst, and in the plane."""
        wanted = [splat(number, place, False) for _, place in places]

        def block(c, mask):
            """A vector of channels."""
            at = b.add(b.mul(j, n), c)
            x_at = v.offset(v.pointer(src), b.mul(at, integer(v.size)))
            index_at = v.offset(v.pointer(index), b.mul(at, integer(8)))
            x = v.load(x_at) if mask is None else v.load_masked(x_at, mask)
            position = long.load(index_at) if mask is None else long.load_masked(index_at, mask)
            small = b.trunc(position, number.type)
            known = b.sext(b.icmp_signed("==", small, number.constant(-1)), number.type)
            spots = [v.offset(to, b.mul(c, integer(v.size))) for to, _ in places]
            for to, place in zip(spots, wanted, strict=True):
                here = b.icmp_signed("==", small, place)
                known = b.or_(known, b.sext(here, number.type))
                more = b.select(here, x, v.zero())
                if mask is None:
                    v.store(b.fadd(v.load(to), more), to)
                else:
                    v.store_masked(b.fadd(v.load_masked(to, mask), more), to, mask)
            if not all_there:
                # In rows of the window that are not added to they are somebody else's to look at.
                others = b.or_(b.icmp_signed("<", small, begin), b.icmp_signed(">=", small, stop))
                inside = b.and_(b.icmp_signed(">=", small, low), b.icmp_signed("<", small, high))
                known = b.or_(known, b.sext(b.and_(others, inside), number.type))
                known = b.and_(known, b.sext(b.icmp_signed("!=", small, number.constant(NOWHERE)), number.type))
            upper = b.trunc(b.lshr(position, long.constant(32)), number.type)
            wrong = b.or_(b.not_(known), b.xor(upper, b.ashr(small, number.constant(31))))
            wrong = wrong if mask is None else b.and_(wrong, b.sext(mask, number.type))
            b.store(b.or_(b.load(strayed), wrong), strayed)

        with each(v, zero, whole, v.lanes) as c:
            block(c, None)
        with b.if_then(b.icmp_signed(">", left, zero)):
            block(whole, v.first_lanes(left))

    with each(v, zero, columns, 1) as j:
        corner = b.add(column, b.mul(j, step))
        taps = [b.add(corner, integer(t)) for t in range(SIDE)]
        inside = b.and_(b.icmp_signed(">=", corner, zero), b.icmp_signed("<", taps[-1], width))

        def at(r, w):
            """Where a pixel lies."""
            return v.offset(v.pointer(dst), b.mul(b.add(b.mul(b.sub(r, top), width), w), pixel))

        with b.if_else(b.and_(all_rows, inside), likely=True) as (middle, border):
            with middle:
                lines = [at(r, corner) for r in rows]
                window(j, [(v.offset(lines[f], b.mul(integer(t), pixel)), b.add(b.mul(rows[f], width), taps[t]))
                           for f, t in itertools.product(range(SIDE), range(SIDE))], True)  # fmt: skip
            with border:
                # Nothing is added to a place beside what there is, wherever that is said to be.
                places = []
                for r, w in itertools.product(rows, taps):
                    there = b.and_(b.icmp_signed(">=", r, first), b.icmp_signed("<", r, last))
                    there = b.and_(there, b.and_(b.icmp_signed(">=", w, zero), b.icmp_signed("<", w, width)))
                    near = (greatest(b, least(b, r, b.sub(last, one)), first),
                            greatest(b, least(b, w, b.sub(width, one)), zero))  # fmt: skip
                    place = b.select(there, b.add(b.mul(r, width), w), integer(NOWHERE))
                    places.append((at(*near), place))
                window(j, places, False)
    with b.if_then(v.some(b.icmp_signed("!=", b.load(strayed), number.zero())), likely=False):
        b.store(integer(1), b.bitcast(v.pointer(elsewhere), I64.as_pointer()), align=8)

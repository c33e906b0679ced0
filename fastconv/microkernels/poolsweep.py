"""Small windows that move on by one both ways, pixels in the lanes: every row is reduced along itself once, and used by
all windows that it belongs to.

poolsweep   dst[i, j] = finish( over f < rows, t < taps of load(src[first + i + f, j + t - before]) ), where they are

Words of the name besides those of `pool`: r1.. so many rows, t1.. so many taps along each.

Vectors go down a plane, what the rows above gave in registers. The last of a row begins as many outputs before its end
as there are lanes; rows of fewer outputs are written with what belongs to the next line, which comes after them.
"""

from __future__ import annotations

import functools
from itertools import pairwise

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I1, SIZE, greatest, integer, least
from fastconv.microkernels.pack import each
from fastconv.microkernels.pool import States
from fastconv.microkernels.reducer import Reducer

SIDES = (1, 2, 3, 5)  # rows or taps of a window


@emitter("poolsweep")
def poolsweep(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, line_step (bytes), first (the first window's first row), size (rows), lines, dst, dst_pitch, n,
    columns (elements of a row of src), before, factors (the address of a line's divisors, for each line), reciprocals
    (how many bytes after them)."""
    r = Reducer(b, name)
    v = r.v
    src, line_step, first, size, lines, dst, dst_pitch, n, columns, before, factors, reciprocals = args
    rows, taps = (next(side for side in SIDES if f"{kind}{side}" in r.words) for kind in "rt")
    zero, lanes, width = integer(0), integer(v.lanes), SIZE[r.source.source]
    last = greatest(b, b.sub(n, lanes), zero)  # where the last vector of a row begins
    # The last lines have no later ones of this call behind them, as many outputs as a vector has beyond theirs.
    close = b.or_(b.icmp_signed("==", dst_pitch, b.mul(n, integer(r.width))), b.icmp_signed(">=", n, lanes))
    quick = b.select(close, b.sub(lines, b.sdiv(integer(v.lanes - 1), n)), zero)
    whole = [States(r, 1) for _ in range(rows)]

    def down(j, odd, masked: bool):
        """The outputs j.. of every line; `odd`: for every other vector of a line."""
        column = b.sub(j, before)
        start, line = v.pointer(src), v.offset(v.pointer(dst), b.mul(j, integer(r.width)))
        # No processor foresees this walk. Of the next as many lines every other vector asks for those of x, the others
        # for those of dst: 5x5 on 500x500 takes a third of the time.
        ahead_step = b.select(odd, dst_pitch, line_step)
        x = v.offset(start, b.add(b.mul(b.add(first, lines), line_step), b.mul(column, integer(width))))
        ahead = b.select(odd, v.offset(line, b.mul(lines, dst_pitch)), x)
        masks = [_between(v, column, t, columns) if masked else None for t in range(taps)]

        def take(state, row):
            """Reduce a row along itself; nothing, if there is none."""
            state.clear()
            with b.if_then(b.icmp_unsigned("<", row, size), likely=True):
                at = v.offset(start, b.add(b.mul(row, line_step), b.mul(column, integer(width))))
                found = None
                for t, mask in enumerate(masks):
                    place = v.offset(at, t * width)
                    x = r.transformed(r.load(place, mask), place, mask, None, None)
                    x = b.select(mask, x, r.identity()[0]) if masked and r.maximum else x
                    found = r.absorb(found, x) if found else [x]
                state.put(0, found)

        for f in range(rows - 1):
            take(whole[f], b.add(first, integer(f)))
        with each(v, zero, lines, 1) as i:
            take(whole[-1], b.add(b.add(first, i), integer(rows - 1)))

            def divisors():
                at = v.offset(v.pointer(v.load_integer(v.offset(v.pointer(factors), b.mul(i, integer(8))))),
                              b.mul(j, integer(v.size)))  # fmt: skip
                return v.load(at), v.load(v.offset(at, reciprocals))

            state = functools.reduce(lambda state, other: r.absorb(state, other.get(0)[0]), whole[1:], whole[0].get(0))
            v.prefetch(v.offset(ahead, b.mul(i, ahead_step)), locality=2)
            some = b.select(b.icmp_signed("<", i, quick), lanes, n) if masked else lanes
            r.store(r.finished(state[0], divisors, None, None), v.offset(line, b.mul(i, dst_pitch)),
                    v.first_lanes(v.opaque(some) if masked else some))  # fmt: skip
            for above, below in pairwise(whole):
                above.put(0, below.get(0))

    with each(v, zero, n, v.lanes) as start:
        j, odd = least(b, start, last), b.trunc(b.sdiv(start, lanes), I1)
        inside = b.icmp_signed(">=", j, before)
        end = b.add(b.sub(j, before), integer(v.lanes + taps - 1))
        inside = b.and_(inside, b.icmp_signed("<=", end, columns))
        with b.if_else(inside) as (middle, edge):
            with middle:
                down(j, odd, False)
            with edge:
                down(j, odd, True)


def _between(v, column, tap: int, columns):
    """The lanes whose elements, counted from `column` + tap, are in a row of so many."""
    b = v.b
    before = b.not_(v.first_lanes(v.opaque(b.sub(integer(-tap), column))))
    return b.and_(before, v.first_lanes(v.opaque(b.sub(b.sub(columns, column), integer(tap)))))

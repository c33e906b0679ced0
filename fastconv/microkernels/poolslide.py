"""Windows of three pixels, channels in the lanes: every column of a row of them is reduced once, and used three times.

poolslide   dst[i, :] = finish( over f < rows, 0 <= q < 3, 0 <= p = first + i + q < size of load(src[fixed[f] + p, :]) )

Words of the name besides those of `pool`: r1..r3 so many rows.
"""

from __future__ import annotations

from itertools import pairwise

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import SIZE, integer
from fastconv.microkernels.pack import each
from fastconv.microkernels.pool import TAP, TOGETHER, States, in_blocks
from fastconv.microkernels.reducer import Reducer

TAPS, ROWS = 3, (1, 2, 3)


@emitter("poolslide")
def poolslide(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, fixed (table), step (bytes from a pixel to the next), size, first, cells, dst, dst_pitch, n,
    factors (a pair a cell)."""
    r = Reducer(b, name)
    v = r.v
    src, fixed, step, size, first, cells, dst, dst_pitch, n, factors = args
    rows = next(count for count in ROWS if f"r{count}" in r.words)
    zero, width = integer(0), SIZE[r.source.source]
    offsets = [v.load_integer(v.offset(v.pointer(fixed), TAP * f)) for f in range(rows)]

    def block(j, masks):
        """Vectors of channels from j on, all along the row."""
        columns = [States(r, len(masks)) for _ in range(TAPS)]
        start = v.offset(v.pointer(src), b.mul(j, integer(width)))
        to = v.offset(v.pointer(dst), b.mul(j, integer(r.width)))

        def take(states, q):
            """Reduce the column of a pixel."""
            states.clear()
            with b.if_then(b.icmp_unsigned("<", q, size), likely=True):
                pixel = v.offset(start, b.mul(q, step))
                for k, mask in enumerate(masks):
                    state = None
                    for offset in offsets:
                        place = v.offset(pixel, b.add(offset, integer(k * v.lanes * width)))
                        x = r.transformed(r.load(place, mask), place, mask, None, None)
                        state = r.absorb(state, x) if state else [x]
                    states.put(k, state)

        for t in range(TAPS - 1):
            take(columns[t], b.add(first, integer(t)))
        with each(v, zero, cells, 1) as i:
            take(columns[-1], b.add(b.add(first, i), integer(TAPS - 1)))

            def pair(i=i):
                at = v.offset(v.pointer(factors), b.mul(i, integer(2 * v.size)))
                return v.broadcast(v.load_scalar(at)), v.broadcast(v.load_scalar(v.offset(at, v.size)))

            line = v.offset(to, b.mul(i, dst_pitch))
            for k, mask in enumerate(masks):
                state = columns[0].get(k)
                for column in columns[1:]:
                    state = r.absorb(state, column.get(k)[0])
                whole = v.first_lanes(integer(v.lanes)) if mask is None else mask
                r.store(r.finished(state[0], pair, None, None), v.offset(line, k * v.lanes * r.width), whole)
            for before, behind in pairwise(columns):
                for k in range(len(masks)):
                    before.put(k, behind.get(k))

    in_blocks(v, n, TOGETHER, block)

"""Windows of many rows at the cost of three: each block of them shares its sums from both sides.

poolglide   dst[i, :] = the reduction over first + i <= row < first + i + kernel, 0 <= row < size, of load(src[row, :])

The rows of a block of `kernel` windows are those before its end, reduced towards the front and kept, and those behind
it, reduced as the windows move on; a window is one of each. Nothing is ever taken away from a sum.

M. van Herk, "A fast algorithm for local minimum and maximum filters on rectangular and octagonal kernels", 1992;
J. Gil, M. Werman, "Computing 2-D min, median, and max filters", 1993.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import SIZE, integer
from fastconv.microkernels.pack import each
from fastconv.microkernels.pool import States
from fastconv.microkernels.reducer import Reducer

TOGETHER = 4  # vectors of a row that go down together
SPACE = TOGETHER * 64  # bytes of scratch for each row of a window


@emitter("poolglide")
def poolglide(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src (row 0), step (bytes from a row to the next), size, first, kernel, cells, dst, dst_pitch, n,
    space (SPACE bytes a row of the window)."""
    r = Reducer(b, name)
    v = r.v
    src, step, size, first, kernel, cells, dst, dst_pitch, n, space = args
    zero, one, width = integer(0), integer(1), SIZE[r.source.source]
    room = TOGETHER * v.bytes

    def down(j, masks):
        """Vectors from element j on, as many as there are masks."""
        states = States(r, len(masks))
        column = v.offset(v.pointer(src), b.mul(j, integer(width)))
        to = v.offset(v.pointer(dst), b.mul(j, integer(v.size)))

        def take(row):
            with b.if_then(b.icmp_unsigned("<", row, size)):
                at = v.offset(column, b.mul(row, step))
                for k, mask in enumerate(masks):
                    place = v.offset(at, k * v.lanes * width)
                    x = r.transformed(r.load(place, mask), place, mask, None, None)
                    states.put(k, r.absorb(states.get(k), x))

        with each(v, zero, b.sdiv(b.add(cells, b.sub(kernel, one)), kernel), 1) as block:
            begin = b.mul(block, kernel)
            front = b.add(first, begin)
            states.clear()
            with each(v, zero, kernel, 1) as u:
                q = b.sub(b.sub(kernel, one), u)
                take(b.add(front, q))
                kept = v.offset(v.pointer(space), b.mul(q, integer(room)))
                for k in range(len(masks)):
                    v.store(states.get(k)[0], v.offset(kept, k * v.bytes), v.bytes)
            states.clear()
            left = b.sub(cells, begin)
            with each(v, zero, b.select(b.icmp_signed("<", left, kernel), left, kernel), 1) as q:
                kept = v.offset(v.pointer(space), b.mul(q, integer(room)))
                line = v.offset(to, b.mul(b.add(begin, q), dst_pitch))
                for k, mask in enumerate(masks):
                    before = v.load(v.offset(kept, k * v.bytes), v.bytes)
                    value = r.absorb([before], states.get(k)[0])[0]
                    whole = v.first_lanes(integer(v.lanes)) if mask is None else mask
                    r.store(value, v.offset(line, k * v.bytes), whole)
                take(b.add(b.add(front, kernel), q))

    most = integer(TOGETHER * v.lanes)
    blocks = b.sub(n, b.srem(n, most))
    with each(v, zero, blocks, TOGETHER * v.lanes) as j:
        down(j, [None] * TOGETHER)
    left = b.sub(n, blocks)
    for count in range(1, TOGETHER + 1):
        rest = b.sub(left, integer((count - 1) * v.lanes))
        here = b.and_(b.icmp_signed(">", rest, zero), b.icmp_signed("<=", rest, integer(v.lanes)))
        with b.if_then(here):
            down(blocks, [None] * (count - 1) + [v.first_lanes(rest)])

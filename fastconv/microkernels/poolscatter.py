"""The gradient of a max pool: elements are added to where indices say, in planes that were cleared.

poolscatter dst[index[i]] += src[i]
poolzero    dst[i, :] = 0

apart   no two elements of a cell are added to one place, so that whole vectors are
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each, widen

TOGETHER = 4  # planes whose elements take turns, as an element often waits for the last one of its plane
AT_ONCE = 8  # elements that are scattered after one look at all their positions: five instructions each, not twelve


@emitter("poolscatter")
def poolscatter(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, index, cells, n, channels (elements from a cell to the next), first, count, dst, pitch (bytes
    from a position to the next), step (bytes from an element's dst to the next one's), hop (bytes from a cell's to the
    next one's), low, span (of the positions that there may be), wrong (a flag for others; -1 is a window that had no
    element).

    Positions in [first, first + count) are added to; dst is where the first of them lies."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    if "apart" in spec.variants:
        _scatter_apart(b, v, spec.source, *args)
        return
    _scatter_singly(b, v, spec.source, *args)


def _scatter_singly(
    b, v, source, src, index, cells, n, channels, first, count, dst, pitch, step, hop, low, span, wrong
):
    """One element after another; those of good positions side by side several without a question between them."""
    zero, number = integer(0), Vectors(b, "i64", AT_ONCE)
    start, end, narrow = number.broadcast(first), number.broadcast(count), Vectors(b, source, 1)
    close = b.and_(b.icmp_signed("==", pitch, integer(v.size)), b.icmp_signed("==", step, zero))
    some = b.select(close, b.sub(n, b.srem(n, integer(AT_ONCE))), zero)

    def add(element, place):
        """Add an element to a place."""
        x = widen(v, narrow.load_scalar(v.offset(v.pointer(src), b.mul(element, integer(narrow.size)))), source)
        typed = b.bitcast(place, v.scalar.as_pointer())
        b.store(b.fadd(b.load(typed, align=v.size), x), typed, align=v.size)

    def scatter(cell, together):
        """The elements of some cells, one of each in turn."""
        numbers = [b.add(cell, integer(k)) for k in range(together)]
        begins = [b.mul(number, channels) for number in numbers]
        tos = [v.offset(v.pointer(dst), b.mul(number, hop)) for number in numbers]

        def place_of(begin, i):
            return v.offset(v.pointer(index), b.mul(b.add(begin, i), integer(8)))

        def asking(begin, to, i):
            """An element whose position may be any."""
            here = v.load_integer(place_of(begin, i))
            inside = b.sub(here, first)
            with b.if_else(b.icmp_unsigned("<", inside, count), likely=True) as (adds, other):
                with adds:
                    add(b.add(begin, i), v.offset(to, b.add(b.mul(inside, pitch), b.mul(i, step))))
                with other:
                    outside = b.icmp_unsigned(">=", b.sub(here, low), span)
                    outside = b.and_(outside, b.icmp_signed("!=", here, integer(-1)))
                    with b.if_then(outside, likely=False):
                        b.store(integer(1), b.bitcast(v.pointer(wrong), I64.as_pointer()), align=8)

        with each(v, zero, some, AT_ONCE) as i:
            good = None
            for begin in begins:
                near = b.icmp_unsigned("<", b.sub(number.load(place_of(begin, i)), start), end)
                good = near if good is None else b.and_(good, near)
            good = b.bitcast(good, ir.IntType(AT_ONCE))
            with b.if_else(b.icmp_unsigned("==", good, good.type(-1)), likely=True) as (all_good, otherwise):
                with all_good:
                    for k in range(AT_ONCE):
                        j = b.add(i, integer(k))
                        for begin, to in zip(begins, tos, strict=True):
                            inside = b.sub(v.load_integer(place_of(begin, j)), first)
                            add(b.add(begin, j), v.offset(to, b.mul(inside, integer(v.size))))
                with otherwise, each(v, i, b.add(i, integer(AT_ONCE)), 1) as j:
                    for begin, to in zip(begins, tos, strict=True):
                        asking(begin, to, j)
        with each(v, some, n, 1) as i:
            for begin, to in zip(begins, tos, strict=True):
                asking(begin, to, i)

    # Cells that are planes; neighbouring elements of pixels do not wait for one another.
    in_turn = b.select(b.icmp_signed("==", step, zero), b.sub(cells, b.srem(cells, integer(TOGETHER))), zero)
    with each(v, zero, in_turn, TOGETHER) as cell:
        scatter(cell, TOGETHER)
    with each(v, in_turn, cells, 1) as cell:
        scatter(cell, 1)


def _scatter_apart(b, v, source, src, index, cells, n, channels, first, count, dst, pitch, step, hop, low, span, wrong):
    """Whole vectors of a cell at once."""
    stored, number, zero = Vectors(b, source, v.lanes), Vectors(b, "i64", v.lanes), integer(0)
    start, end, lowest, reach = map(number.broadcast, (first, count, low, span))
    pitches, lanes = number.broadcast(pitch), ir.Constant(number.type, list(range(v.lanes)))
    steps = b.mul(number.broadcast(step), lanes)
    nowhere, lanes_type = number.constant(-1), ir.IntType(v.lanes)
    astray = b.alloca(number.mask_type)
    b.store(ir.Constant(number.mask_type, [0] * v.lanes), astray)
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))
    with each(v, zero, cells, 1) as cell:
        to = b.add(dst, b.mul(cell, hop))

        def block(i, mask, cell=cell, to=to):
            """A vector of elements."""
            element = b.add(b.mul(cell, channels), i)
            index_at = v.offset(v.pointer(index), b.mul(element, integer(8)))
            at = v.offset(v.pointer(src), b.mul(element, integer(stored.size)))
            position = number.load(index_at) if mask is None else number.load_masked(index_at, mask)
            x = widen(v, stored.load(at) if mask is None else stored.load_masked(at, mask), source)
            inside = b.sub(position, start)
            adds = b.icmp_unsigned("<", inside, end)
            outside = b.icmp_unsigned(">=", b.sub(position, lowest), reach)
            outside = b.and_(outside, b.icmp_signed("!=", position, nowhere))
            if mask is not None:
                adds, outside = b.and_(adds, mask), b.and_(outside, mask)
            b.store(b.or_(b.load(astray), outside), astray)
            places = b.add(number.broadcast(b.add(to, b.mul(i, step))), steps)
            places = b.add(places, b.mul(inside, pitches))
            # Near a band's ends there are rows of which none are meant.
            with b.if_then(b.icmp_unsigned("!=", b.bitcast(adds, lanes_type), lanes_type(0)), likely=True):
                v.scatter(b.fadd(v.gather(places, adds), x), places, adds)

        with each(v, zero, whole, v.lanes) as i:
            block(i, None)
        with b.if_then(b.icmp_signed(">", left, zero)):
            block(whole, v.first_lanes(left))
    with b.if_then(v.some(b.load(astray)), likely=False):
        b.store(integer(1), b.bitcast(v.pointer(wrong), I64.as_pointer()), align=8)


@emitter("poolzero")
def poolzero(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: dst, cells, pitch (bytes from a cell to the next), n."""
    spec = parse(name)
    v = Vectors(b, spec.source, spec.lanes)
    dst, cells, pitch, n = args
    zero = integer(0)
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))
    mask, some = v.first_lanes(left), b.icmp_signed(">", left, zero)
    with each(v, zero, cells, 1) as i:
        line = v.offset(v.pointer(dst), b.mul(i, pitch))
        with each(v, zero, whole, v.lanes) as j:
            v.store(v.zero(), v.offset(line, b.mul(j, integer(v.size))))
        with b.if_then(some):
            v.store_masked(v.zero(), v.offset(line, b.mul(whole, integer(v.size))), mask)

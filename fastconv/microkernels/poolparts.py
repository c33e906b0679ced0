"""Pools whose windows are whole planes, or the unlike parts into which an adaptive pool divides an axis.

poolspans   dst[i, j] = finish( over q < count[j] of load(src[varying[i] + first[j] + q]) )   lanes along a window
poolpicks   dst[i, j] = finish( over t < taps of src[varying[i] + table[t][j]] )              lanes are windows
poolplanes  dst[i] = finish( over q < n of load(src[i, q]) )                                  lanes along a plane
poolpixels  dst[c] = finish( over p < pixels of load(src[p, c]) )                             lanes are channels
poolfill    dst[i, :] = finish(src[i])
poolrepeat  dst[p, c] = finish(src[c]), or with indices src[c] if index[c] is first + p, else 0

Words of their names are those of `pool`. Sums are formed a part at a time, so that each is of a few hundred terms.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, I64, SIZE, Vectors, integer, least
from fastconv.microkernels.pack import Source, each, narrow, widen
from fastconv.microkernels.pool import TOGETHER, Reducer, States, in_blocks, splat, stored_beside

CHAINS = 4  # of sums along a window, so that an addition's latency does not count
FILLED = 8  # vectors of a pixel that are repeated at once: lines side by side go to memory faster
TURNS = 128  # of a chain that are summed at once
PIXELS = 512  # that are
PIXEL_CHAINS = 2  # of sums down pixels, whatever the channels: their sums must not depend on where threads cut them


def _add_up(r: Reducer, states: States, parts: States, first: int = 0, ordered: bool = False) -> None:
    """Add the sums of a part, from its `first` on, to those before, and start the next."""
    for k in range(len(states.places)):
        places = parts.places[first + k]
        value, *index = parts.get(first + k)
        states.put(k, r.absorb(states.get(k), value, *index, ordered=ordered))
        for place, start in zip(places, r.identity(), strict=True):
            r.b.store(start, place)


@emitter("poolspans")
def poolspans(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: those of `poolrow`, but `step` is a table of a window's first element and its number of elements."""
    r = Reducer(b, name)
    v = r.v
    (src, begins, varying, lines, dst, dst_pitch, n, _, table, _, factors, reciprocals, _, exponents, _,
     index_src, index_dst, index_pitch) = args  # fmt: skip
    zero, width, most = integer(0), integer(SIZE[r.source.source]), CHAINS * v.lanes
    with each(v, zero, lines, 1) as i:
        there = _line_offset(v, begins, varying, i)
        line = v.offset(v.pointer(dst), b.mul(i, dst_pitch))
        with each(v, zero, n, 1) as j:
            words = v.offset(v.pointer(table), b.mul(j, integer(16)))
            first, count = v.load_integer(words), v.load_integer(v.offset(words, 8))
            start = b.add(there, b.mul(first, width))
            states, parts = States(r, CHAINS), States(r, CHAINS)
            with each(v, zero, count, TURNS * most) as part:
                stop = least(b, count, b.add(part, integer(TURNS * most)))
                with each(v, part, stop, most) as q:
                    for k in range(CHAINS):
                        at = b.add(q, integer(k * v.lanes))
                        mask = v.first_lanes(b.sub(stop, at))
                        offset = b.add(start, b.mul(at, width))
                        pointer = v.offset(v.pointer(src), offset)
                        x = r.transformed(r.load(pointer, mask), pointer, mask, exponents, zero)
                        x, index = b.select(mask, x, r.identity()[0]), None
                        if r.indexed and "held" in r.words:
                            size = integer(r.number.size)
                            index = r.number.load_masked(
                                v.offset(v.pointer(index_src), b.mul(b.sdiv(offset, width), size)), mask
                            )
                        elif r.indexed:
                            index = splat(r.number, b.add(first, at), True)
                        if r.indexed:
                            index = b.select(mask, index, r.identity()[1])
                        parts.put(k, r.absorb(parts.get(k), x, index))
                _add_up(r, states, parts)
            state = _joined(r, [states.get(k) for k in range(CHAINS)])
            rows = _factors_of(v, factors, reciprocals, i, j)
            result = r.finished(state[0], rows, exponents, None)
            store_first(b, narrow(v, result, r.stored), v.offset(line, b.mul(j, integer(r.width))))
            if r.indexed:
                to = b.add(b.mul(i, index_pitch), b.mul(j, integer(8)))
                store_first(b, _wide(r, state[1]), v.offset(v.pointer(index_dst), to))


def store_first(b, values, pointer) -> None:
    """Lane 0 to memory. Not by a mask: LLVM 22 makes of one constant lane of 16 bits a store of 32."""
    first = b.extract_element(values, ir.Constant(I32, 0))
    b.store(first, b.bitcast(pointer, first.type.as_pointer()), align=1)


def _wide(r: Reducer, index):
    """Indices with 64 bits."""
    return index if r.number.size == 8 else r.b.sext(index, ir.VectorType(integer(0).type, r.v.lanes))


def _line_offset(v: Vectors, begins, varying, i):
    """Where line i lies, in bytes from src: what its one tap says."""
    first = v.load_integer(v.offset(v.pointer(begins), v.b.mul(i, integer(8))))
    return v.load_integer(v.offset(v.pointer(varying), v.b.mul(first, integer(16))))


def _factors_of(v: Vectors, factors, reciprocals, i, j):
    """What gives the divisors of line i from element j on, and their reciprocals."""

    def rows():
        row = v.load_integer(v.offset(v.pointer(factors), v.b.mul(i, integer(8))))
        at = v.offset(v.pointer(row), v.b.mul(j, integer(v.size)))
        return v.load(at), v.load(v.offset(at, reciprocals))

    return rows


def _joined(r: Reducer, states: list) -> list:
    """One state of all lanes of all states, in lane 0; joined in pairs."""
    while len(states) > 1:
        states = [r.absorb(one, *other) for one, other in zip(states[::2], states[1::2], strict=True)]
    (state,), half = states, r.v.lanes // 2
    while half:
        picks = [(lane + half) % r.v.lanes for lane in range(r.v.lanes)]
        state = r.absorb(state, *(r.v.shuffle(part, None, picks) for part in state))
        half //= 2
    return state


@emitter("poolplanes")
def poolplanes(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pitch (bytes from a plane to the next), planes, n, dst, factors (a divisor and its reciprocal),
    exponents.

    As many planes as there are lanes are reduced to a vector each, and these to one: to join the lanes of every plane
    by itself took longer than to read 49 elements."""
    r = Reducer(b, name)
    v = r.v
    src, pitch, planes, n, dst, factors, exponents = args
    zero, width, most = integer(0), SIZE[r.source.source], CHAINS * v.lanes
    with b.goto_entry_block():
        room = b.bitcast(b.alloca(ir.ArrayType(v.type, v.lanes)), ir.IntType(8).as_pointer())
    blocks = b.sub(n, b.srem(n, integer(most)))
    left = v.opaque(b.sub(n, blocks))
    # What is left is not gone through in a loop: planes of 7x7 have nothing else.
    masks = [v.first_lanes(b.sub(left, integer(k * v.lanes))) for k in range(CHAINS)]

    def take(states, k, pointer, mask=None):
        x = r.transformed(r.load(pointer, mask), pointer, mask, exponents, zero)
        states.put(k, r.absorb(states.get(k), x if mask is None else b.select(mask, x, r.identity()[0])))

    with each(v, zero, planes, v.lanes) as i:
        some = least(b, b.sub(planes, i), integer(v.lanes))
        with each(v, zero, some, 1) as j:
            plane = v.offset(v.pointer(src), b.mul(b.add(i, j), pitch))
            states, parts = States(r, CHAINS), States(r, CHAINS)
            with each(v, zero, blocks, TURNS * most) as part:
                with each(v, part, least(b, blocks, b.add(part, integer(TURNS * most))), most) as q:
                    for k in range(CHAINS):
                        take(parts, k, v.offset(plane, b.mul(b.add(q, integer(k * v.lanes)), integer(width))))
                _add_up(r, states, parts)
            with b.if_then(b.icmp_signed(">", left, zero)):
                rest = v.offset(plane, b.mul(blocks, integer(width)))
                for k, mask in enumerate(masks):
                    take(states, k, v.offset(rest, k * v.lanes * width), mask)
            value = _together(r, [states.get(k)[0] for k in range(CHAINS)])
            v.store(value, v.offset(room, b.mul(j, integer(v.bytes))))
        held = [v.load(v.offset(room, k * v.bytes)) for k in range(v.lanes)]
        result = r.finished(_each_joined(r, held), lambda: _pair_of(v, factors), exponents, None)
        r.store(result, v.offset(v.pointer(dst), b.mul(i, integer(r.width))), v.first_lanes(some))


def _together(r: Reducer, values: list):
    """One vector of all, lane by lane; in pairs."""
    while len(values) > 1:
        values = [r.absorb([one], other)[0] for one, other in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _each_joined(r: Reducer, rows: list):
    """One vector of all lanes of each of as many vectors as there are lanes: a transpose that joins as it goes."""
    lanes, step = range(r.v.lanes), 1
    while len(rows) > 1:
        low = [j if not j & step else r.v.lanes + j - step for j in lanes]
        high = [j + step if not j & step else r.v.lanes + j for j in lanes]
        rows = [
            r.absorb([r.v.shuffle(one, other, low)], r.v.shuffle(one, other, high))[0]
            for one, other in zip(rows[::2], rows[1::2], strict=True)
        ]
        step *= 2
    return rows[0]


@emitter("poolpicks")
def poolpicks(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: those of `poolrow`, but `step` is a table of `taps` rows of 32-bit places in a line, one an output, of
    `stride` bytes; the places of taps that a window lacks hold the reduction's identity."""
    r = Reducer(b, name)
    v = r.v
    (src, begins, varying, lines, dst, dst_pitch, n, taps, table, table_pitch, factors, reciprocals, _, exponents, more,
     index_src, index_dst, index_pitch) = args  # fmt: skip
    zero = integer(0)
    with each(v, zero, lines, 1) as i:
        there = _line_offset(v, begins, varying, i)
        line, beside = v.offset(v.pointer(dst), b.mul(i, dst_pitch)), v.offset(v.pointer(more), b.mul(i, dst_pitch))
        row = v.offset(v.pointer(src), there)
        index_row = v.offset(v.pointer(index_src), _index_offset(r, there)) if r.indexed else None
        with each(v, zero, n, v.lanes) as j:
            states = States(r, 1)
            with each(v, zero, taps, 1) as t:
                places = v.offset(v.pointer(table), b.add(b.mul(t, table_pitch), b.mul(j, integer(4))))
                states.put(0, r.absorb(states.get(0), *_picked(r, row, index_row, places)))
            mask = v.first_lanes(b.sub(n, j))
            value, *index = states.get(0)
            ahead = b.mul(j, integer(r.width))
            pointer = v.offset(beside, ahead)
            result = r.finished(value, _factors_of(v, factors, reciprocals, i, j), exponents,
                                lambda pointer=pointer, mask=mask: stored_beside(r, pointer, mask))  # fmt: skip
            r.store(result, v.offset(line, ahead), mask)
            if r.indexed:
                to = v.offset(v.pointer(index_dst), b.add(b.mul(i, index_pitch), b.mul(j, integer(8))))
                r.store_index(index[0], to, mask)


def _index_offset(r: Reducer, offset):
    """The offset of indices beside elements that lie at one."""
    return r.b.mul(r.b.sdiv(offset, integer(r.v.size)), integer(r.number.size))


def _picked(r: Reducer, row, index_row, places) -> list:
    """A vector of elements from the places that a table names, and one of their indices."""
    b, v = r.b, r.v
    vectors = [(v, row)] + ([(r.number, index_row)] if r.indexed else [])
    found = [ir.Constant(vector.type, ir.Undefined) for vector, _ in vectors]
    for lane in range(v.lanes):
        place = b.sext(b.load(b.bitcast(v.offset(places, 4 * lane), I32.as_pointer()), align=4), integer(0).type)
        for which, (vector, start) in enumerate(vectors):
            element = vector.load_scalar(vector.offset(start, b.mul(place, integer(vector.size))))
            found[which] = b.insert_element(found[which], element, ir.Constant(I32, lane))
    return found


def _pair_of(v: Vectors, factors):
    """The one divisor and its reciprocal, in all lanes."""
    at = v.pointer(factors)
    return v.broadcast(v.load_scalar(at)), v.broadcast(v.load_scalar(v.offset(at, v.size)))


@emitter("poolpixels")
def poolpixels(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pixels, pitch (bytes), n, dst, factors (a divisor and its reciprocal), exponents, index_dst."""
    r = Reducer(b, name)
    v = r.v
    src, pixels, pitch, n, dst, factors, exponents, index_dst = args
    zero, width = integer(0), SIZE[r.source.source]

    def pair():
        return _pair_of(v, factors)

    def block(j, masks):
        """Vectors of channels from j on."""
        count, chains = len(masks), 1 if r.indexed else PIXEL_CHAINS
        states, parts = States(r, count), States(r, chains * count)
        if r.indexed:
            for k in range(count):
                states.first_is(k, r.number.constant(0))
        start = v.offset(v.pointer(src), b.mul(j, integer(width)))

        def take(p, chain):
            at = v.offset(start, b.mul(p, pitch))
            for k, mask in enumerate(masks):
                place, to = v.offset(at, k * v.lanes * width), chain * count + k
                x = r.transformed(r.load(place, mask), place, mask, exponents, zero)
                index = splat(r.number, p, False) if r.indexed else None
                parts.put(to, r.absorb(parts.get(to), x, index, ordered=True))

        with each(v, zero, pixels, PIXELS) as part:
            stop = least(b, pixels, b.add(part, integer(PIXELS)))
            whole = b.sub(stop, b.srem(b.sub(stop, part), integer(chains)))
            with each(v, part, whole, chains) as p:
                for chain in range(chains):
                    take(b.add(p, integer(chain)), chain)
            with each(v, whole, stop, 1) as p:
                take(p, 0)
            for chain in range(chains):
                _add_up(r, states, parts, chain * count, ordered=True)
        for k, mask in enumerate(masks):
            whole = v.first_lanes(integer(v.lanes)) if mask is None else mask
            ahead = b.add(j, integer(k * v.lanes))
            value, *index = states.get(k)
            result = r.finished(value, pair, exponents, None)
            r.store(result, v.offset(v.pointer(dst), b.mul(ahead, integer(r.width))), whole)
            if r.indexed:
                r.store_index(index[0], v.offset(v.pointer(index_dst), b.mul(ahead, integer(8))), whole)

    in_blocks(v, n, TOGETHER, block)


@emitter("poolfill")
def poolfill(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, lines, n, dst, factors (a divisor and its reciprocal); all side by side."""
    r = Reducer(b, name)
    v = r.v
    src, lines, n, dst, factors = args
    zero, pair = integer(0), _pair_of(v, factors)
    source, out = Source(Vectors(b, v.dtype, 1), r.stored), Vectors(b, r.stored, v.lanes)
    whole = b.sub(n, b.srem(n, integer(v.lanes)))
    left = v.opaque(b.sub(n, whole))
    mask, some = v.first_lanes(left), b.icmp_signed(">", left, zero)
    with each(v, zero, lines, 1) as i:
        x = source.narrow.load_scalar(v.offset(v.pointer(src), b.mul(i, integer(SIZE[r.stored]))))
        value = v.broadcast(widen(v, x, r.stored))
        stored = narrow(v, r.finished(value, lambda: pair, None, None), r.stored)
        line = v.offset(v.pointer(dst), b.mul(b.mul(i, n), integer(r.width)))
        # A mask only where there must be one: masked stores that cross a cache line take twice as long as others.
        with each(v, zero, whole, v.lanes) as j:
            out.store(stored, v.offset(line, b.mul(j, integer(r.width))))
        with b.if_then(some):
            out.store_masked(stored, v.offset(line, b.mul(whole, integer(r.width))), mask)


@emitter("poolrepeat")
def poolrepeat(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, dst, pitch (bytes), n, first, pixels, factors (a divisor and its reciprocal), index, positions
    (that there are), wrong (a flag for indices outside; -1 is a plane that had no maximum)."""
    r = Reducer(b, name)
    v = r.v
    src, dst, pitch, n, first, pixels, factors, index, positions, wrong = args
    out, wide = Vectors(b, r.stored, v.lanes), Vectors(b, "i64", v.lanes)

    def indices(j, mask):
        """Those of a vector, as `r.number` has them; any outside are told of."""
        found = wide.load_masked(v.offset(v.pointer(index), b.mul(j, integer(8))), mask)
        least = b.add(found, wide.constant(1))
        bad = b.icmp_unsigned(">", least, wide.broadcast(positions))
        with b.if_then(b.icmp_unsigned("!=", b.bitcast(bad, ir.IntType(v.lanes)), ir.IntType(v.lanes)(0)), False):
            b.store(integer(1), v.pointer(wrong, I64), align=8)
        return b.trunc(found, r.number.type) if r.number.size < 8 else found

    def block(j, masks):
        """Vectors of channels from j on."""
        held = []
        for k, mask in enumerate(masks):
            mask = v.first_lanes(integer(v.lanes)) if mask is None else mask
            at = b.add(j, integer(k * v.lanes))
            x = r.load(v.offset(v.pointer(src), b.mul(at, integer(r.width))), mask)
            # Zero is added as where planes are cleared and added to, so that zeros have the same sign.
            value = b.fadd(x, v.zero()) if r.indexed else r.finished(x, lambda: _pair_of(v, factors), None, None)
            held.append((narrow(v, value, r.stored), indices(at, mask) if r.indexed else None))
        start = v.offset(v.pointer(dst), b.mul(j, integer(r.width)))
        with each(v, integer(0), pixels, 1) as p:
            to = v.offset(start, b.mul(p, pitch))
            number = splat(r.number, b.add(first, p), False) if r.indexed else None
            for k, (mask, (value, places)) in enumerate(zip(masks, held, strict=True)):
                if r.indexed:
                    value = b.select(b.icmp_signed("==", places, number), value, out.zero())
                place = v.offset(to, k * v.lanes * r.width)
                if mask is None:
                    out.store(value, place)
                else:
                    out.store_masked(value, place, mask)

    in_blocks(v, n, TOGETHER if r.indexed else FILLED, block)

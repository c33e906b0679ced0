"""Pools: sums and maxima of windows, over whole vectors of pixels or of channels.

pooltaps    dst[i, :] = finish( over f < fixed, v in begins[i]..begins[i+1] of load(src[fixed[f] + varying[v] + :]) )
poolrow     dst[i, j] = finish( over v in begins[i]..begins[i+1], s < taps of src[varying[v] + j * stride + s * step] )
poolspread  dst[i, j * step] = src[i, j]
poolscatter dst[index[i]] += src[i]
poolzero    dst[i, :] = 0

A name's variants say what becomes of an element, of two, and of the result: pooltaps_f32_avx512_square_sum_keep.

load    plain, abs, square, power, abspower: x, |x|, x * x, x ** p, |x| ** p
        ratio, powerratio: x / z or x * z ** (1 - p), 0 where z is, with z another array of the source's shape
op      sum, max: a NaN makes the maximum NaN
        weights, rowweights: the sum of x times a tap's weight, which is one number, or one for each lane
finish  keep: to scratch, in the computing type       round: to the stored type
        divide, scale: by the cell's factors          root, powerroot: scaled, its square root, its 1/p-th power
        timesx, timespower: times x, or times x ** (p - 1), of an array of the result's shape
held    src is scratch, in the computing type
indices, far   positions beside the maxima, the first of equals; 32 bits in scratch, or 64
across  lanes are positions side by side
apart   no two elements of a cell are added to one place, so that whole vectors are
s1..s4, any    the stride of a row     t1..t3  so many taps along it, unrolled

Tables hold pairs of 64-bit integers for each tap: its byte offset, and its index: a position in the plane, or the
number of its weight. Positions beside maxima ascend from tap to tap. Without a tap a window is 0, or the least number
with index -1.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import ELEMENT, I32, I64, SIZE, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each, widen
from fastconv.microkernels.reducer import Reducer

STRIDES = ("s1", "s2", "s3", "s4", "any")
TAP = 16  # bytes of a tap in a table
UNROLLED = 3  # taps along a row, at most
TOGETHER = 4  # vectors of a cell that go over its taps at once
AT_ONCE = 8  # elements that are scattered after one look at all their positions: 1.1 cycles each, where one took 2.1


def _taps(v: Vectors, table, first, last):
    """A loop over the taps [first, last) of a table, as a context manager giving (byte offset, index)."""
    return _Taps(v, table, first, last)


class _Taps:
    def __init__(self, v, table, first, last):
        self.v, self.table = v, v.pointer(table)
        self.loop = each(v, first, last, 1)

    def __enter__(self):
        v = self.v
        at = v.offset(self.table, v.b.mul(self.loop.__enter__(), integer(TAP)))
        return v.load_integer(at), v.load_integer(v.offset(at, 8))

    def __exit__(self, *error):
        self.loop.__exit__(*error)


class States:
    """States of several vectors that loops carry along, in memory that LLVM turns into registers."""

    def __init__(self, reducer: Reducer, count: int):
        b, self.reducer = reducer.b, reducer
        self.places = []
        with b.goto_entry_block():
            for _ in range(count):
                self.places.append([b.alloca(part.type) for part in reducer.identity()])
        self.clear()

    def clear(self):
        """Nothing has been taken in."""
        for i in range(len(self.places)):
            self.put(i, self.reducer.identity())

    def first_is(self, i, index):
        """The index of what an ordered reduction takes in first, which stays if nothing is above the least number."""
        self.reducer.b.store(index, self.places[i][1])

    def get(self, i):
        return [self.reducer.b.load(place) for place in self.places[i]]

    def put(self, i, state):
        for place, value in zip(self.places[i], state, strict=True):
            self.reducer.b.store(value, place)


def splat(number: Vectors, value, iota: bool):
    """A run-time integer in all lanes, or counted up from lane to lane."""
    b = number.b
    value = b.trunc(value, number.scalar) if number.size < 8 else value
    spread = number.broadcast(value)
    return b.add(spread, ir.Constant(number.type, list(range(number.lanes)))) if iota else spread


def in_blocks(v: Vectors, n, together: int, block) -> None:
    """block(j, masks) for all n elements, up to `together` vectors from j on at a time; only a last one has a mask."""
    b, zero = v.b, integer(0)
    blocks = b.sub(n, b.srem(n, integer(together * v.lanes)))
    with each(v, zero, blocks, together * v.lanes) as j:
        block(j, [None] * together)
    # What is left goes at once too: a loop over taps for each vector of it took as long as all the others.
    left = b.sub(n, blocks)
    for count in range(1, together + 1):
        rest = b.sub(left, integer((count - 1) * v.lanes))
        here = b.and_(b.icmp_signed(">", rest, zero), b.icmp_signed("<=", rest, integer(v.lanes)))
        with b.if_then(here):
            block(blocks, [None] * (count - 1) + [v.first_lanes(rest)])


@emitter("pooltaps")
def pooltaps(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, fixed (table), fixed count, begins, varying (table), cells, dst, dst_pitch, n, factors (a pair a
    cell), weights, exponents, beyond (from src to the second array), more (the array beside dst), index_dst,
    index_pitch, column (across: added to all indices)."""
    r = Reducer(b, name)
    v = r.v
    (src, fixed, fixed_count, begins, varying, cells, dst, dst_pitch, n, factors, weights, exponents, beyond, more,
     index_dst, index_pitch, column) = args  # fmt: skip
    zero, width = integer(0), SIZE[r.source.source]
    iota = "across" in r.words
    with each(v, zero, cells, 1) as i:
        begin = v.offset(v.pointer(begins), b.mul(i, integer(8)))
        first, last = v.load_integer(begin), v.load_integer(v.offset(begin, 8))
        line, beside = v.offset(v.pointer(dst), b.mul(i, dst_pitch)), v.offset(v.pointer(more), b.mul(i, dst_pitch))
        index_line = v.offset(v.pointer(index_dst), b.mul(i, index_pitch))

        def pair(i=i):
            at = v.offset(v.pointer(factors), b.mul(i, integer(2 * v.size)))
            return v.broadcast(v.load_scalar(at)), v.broadcast(v.load_scalar(v.offset(at, v.size)))

        def block(j, masks, first=first, last=last, line=line, beside=beside, index_line=index_line, pair=pair):
            """Vectors of the cell from element j on."""
            states = States(r, len(masks))
            start = v.offset(v.pointer(src), b.mul(j, integer(width)))
            if r.indexed:
                some = b.and_(b.icmp_signed("<", zero, fixed_count), b.icmp_signed("<", first, last))
                with b.if_then(some):
                    tap = v.offset(v.pointer(varying), b.mul(first, integer(TAP)))
                    number = b.add(v.load_integer(v.offset(v.pointer(fixed), 8)), v.load_integer(v.offset(tap, 8)))
                    for k in range(len(masks)):
                        ahead = b.add(column, b.add(j, integer(k * v.lanes))) if iota else zero
                        states.first_is(k, splat(r.number, b.add(number, ahead), iota))
            with _taps(v, fixed, zero, fixed_count) as (there, number), _taps(v, varying, first, last) as (off, more_):
                index = b.add(number, more_)
                at = v.offset(start, b.add(there, off))
                weight = None
                if "weights" in r.words:
                    weight = v.broadcast(v.load_scalar(v.offset(v.pointer(weights), b.mul(index, integer(v.size)))))
                for k, mask in enumerate(masks):
                    place = v.offset(at, k * v.lanes * width)
                    x = r.load(place, mask)
                    if "rowweights" in r.words:
                        where = b.mul(b.add(b.add(index, column), b.add(j, integer(k * v.lanes))), integer(v.size))
                        row = v.offset(v.pointer(weights), where)
                        weight = v.load(row) if mask is None else v.load_masked(row, mask)
                    x = r.transformed(x, place, mask, exponents, beyond)
                    position = None
                    if r.indexed:
                        ahead = b.add(column, b.add(j, integer(k * v.lanes))) if iota else zero
                        position = splat(r.number, b.add(index, ahead), iota)
                    states.put(k, r.absorb(states.get(k), x, position, weight, ordered=True))
            for k, mask in enumerate(masks):
                whole = v.first_lanes(integer(v.lanes)) if mask is None else mask
                ahead = b.add(j, integer(k * v.lanes))
                value, *index = states.get(k)
                to = v.offset(line, b.mul(ahead, integer(r.width)))
                there = v.offset(beside, b.mul(ahead, integer(r.width)))
                result = r.finished(value, pair, exponents,
                                    lambda there=there, mask=mask: stored_beside(r, there, mask))  # fmt: skip
                r.store(result, to, whole)
                if r.indexed:
                    r.store_index(index[0], v.offset(index_line, b.mul(ahead, integer(r.index_width))), whole)

        in_blocks(v, n, TOGETHER, block)


def stored_beside(r: Reducer, pointer, mask):
    """Elements of an array like the result's."""
    return Source(r.v, r.stored).vector(pointer, mask)


@emitter("poolrow")
def poolrow(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, begins, varying (table), lines, dst, dst_pitch, n, taps, step (bytes), stride (bytes), factors
    (the address of a line's divisors, for each line), reciprocals (how many bytes after them), weights, exponents, more
    (the array beside dst), index_src, index_dst, index_pitch.

    src is scratch: whole vectors of it may be read. Its indices lie beside it as its values do."""
    r = Reducer(b, name)
    v = r.v
    (src, begins, varying, lines, dst, dst_pitch, n, taps, step, stride, factors, reciprocals, weights, exponents, more,
     index_src, index_dst, index_pitch) = args  # fmt: skip
    zero, size = integer(0), integer(v.size)
    word = next(word for word in STRIDES if word in r.words)
    few = next((count for count in range(1, UNROLLED + 1) if f"t{count}" in r.words), 0)
    with each(v, zero, lines, 1) as i:
        begin = v.offset(v.pointer(begins), b.mul(i, integer(8)))
        first, last = v.load_integer(begin), v.load_integer(v.offset(begin, 8))
        line, beside = v.offset(v.pointer(dst), b.mul(i, dst_pitch)), v.offset(v.pointer(more), b.mul(i, dst_pitch))
        with each(v, zero, n, v.lanes) as j:
            states = States(r, 1)
            left = b.sub(n, j)

            def tap(there, number, s, j=j, left=left, states=states):
                at = b.add(b.add(b.mul(j, stride), there), b.mul(s, step))
                x = _strided(v, v.offset(v.pointer(src), at), word, stride, left)
                position = weight = None
                if r.indexed:
                    where = v.offset(v.pointer(index_src), _scaled(b, at, v.size, r.number.size))
                    position = _strided(r.number, where, word, _scaled(b, stride, v.size, r.number.size), left)
                if "weights" in r.words:
                    where = b.mul(b.add(number, s), size)
                    weight = v.broadcast(v.load_scalar(v.offset(v.pointer(weights), where)))
                states.put(0, r.absorb(states.get(0), x, position, weight))

            with _taps(v, varying, first, last) as (there, number):
                if few:
                    for s in range(few):
                        tap(there, number, integer(s))
                else:
                    with each(v, zero, taps, 1) as s:
                        tap(there, number, s)
            mask = v.first_lanes(left)
            value, *index = states.get(0)

            def rows(i=i, j=j):
                row = v.load_integer(v.offset(v.pointer(factors), b.mul(i, integer(8))))
                at = v.offset(v.pointer(row), b.mul(j, size))
                return v.load(at), v.load(v.offset(at, reciprocals))

            ahead = b.mul(j, integer(r.width))
            there = v.offset(beside, ahead)
            result = r.finished(value, rows, exponents, lambda there=there, mask=mask: stored_beside(r, there, mask))
            r.store(result, v.offset(line, ahead), mask)
            if r.indexed:
                to = v.offset(v.pointer(index_dst), b.add(b.mul(i, index_pitch), b.mul(j, integer(8))))
                r.store_index(index[0], to, mask)


def _scaled(b, offset, size: int, other: int):
    """A byte offset among elements of one size, among those of another."""
    return b.mul(offset, integer(other // size)) if other >= size else b.sdiv(offset, integer(size // other))


def _strided(v: Vectors, pointer, word: str, stride, left):
    """Every stride-th element from a pointer on, of which `left` exist; beyond them anything."""
    b = v.b
    if word == "any":
        result = ir.Constant(v.type, ir.Undefined)
        for lane in range(v.lanes):
            result = b.insert_element(result, v.load_scalar(pointer), ir.Constant(I32, lane))
            more = b.icmp_signed("<", integer(lane + 1), left)
            pointer = v.offset(pointer, b.select(more, stride, integer(0)))
        return result
    stride = int(word[1:])
    loads = [v.load(v.offset(pointer, part * v.bytes)) for part in range(stride)]
    result = loads[0]
    for part, loaded in enumerate(loads):
        lanes = [stride * lane - part * v.lanes for lane in range(v.lanes)]
        if part:
            picks = [v.lanes + lane if 0 <= lane < v.lanes else kept for kept, lane in enumerate(lanes)]
            result = v.shuffle(result, loaded, picks)
        elif stride > 1:
            result = v.shuffle(loaded, None, [lane if lane < v.lanes else 0 for lane in lanes])
    return result


@emitter("poolspread")
def poolspread(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, lines, n, dst, dst_pitch, step (bytes)."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    src, src_pitch, lines, n, dst, dst_pitch, step = args
    zero = integer(0)
    with each(v, zero, lines, 1) as i:
        at, to = v.offset(v.pointer(src), b.mul(i, src_pitch)), v.offset(v.pointer(dst), b.mul(i, dst_pitch))
        with each(v, zero, n, 1) as j:
            place = b.bitcast(v.offset(to, b.mul(j, step)), v.scalar.as_pointer())
            b.store(v.load_scalar(v.offset(at, b.mul(j, integer(v.size)))), place, align=v.size)


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


def _scatter_singly(b, v, source, src, index, cells, n, channels, first, count, dst, pitch, step, hop, low, span, wrong):
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

    with each(v, zero, cells, 1) as cell:
        begin, to = b.mul(cell, channels), v.offset(v.pointer(dst), b.mul(cell, hop))

        def position(i, begin=begin):
            return v.load_integer(v.offset(v.pointer(index), b.mul(b.add(begin, i), integer(8))))

        def asking(i, begin=begin, to=to, position=position):
            """An element whose position may be any."""
            here = position(i)
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
            places = number.load(v.offset(v.pointer(index), b.mul(b.add(begin, i), integer(8))))
            good = b.bitcast(b.icmp_unsigned("<", b.sub(places, start), end), ir.IntType(AT_ONCE))
            with b.if_else(b.icmp_unsigned("==", good, good.type(-1)), likely=True) as (all_good, otherwise):
                with all_good:
                    for k in range(AT_ONCE):
                        j = b.add(i, integer(k))
                        add(b.add(begin, j), v.offset(to, b.mul(b.sub(position(j), first), integer(v.size))))
                with otherwise, each(v, i, b.add(i, integer(AT_ONCE)), 1) as j:
                    asking(j)
        with each(v, some, n, 1) as i:
            asking(i)


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
    bits = b.bitcast(b.load(astray), ir.IntType(v.lanes))
    with b.if_then(b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), likely=False):
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

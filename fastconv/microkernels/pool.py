"""Pools: sums and maxima of windows, over whole vectors of pixels or of channels.

pooltaps    dst[i, :] = finish( over f < fixed, v in begins[i]..begins[i+1] of load(src[fixed[f] + varying[v] + :]) )
poolrow     dst[i, j] = finish( over v in begins[i]..begins[i+1], s < taps of src[varying[v] + j * stride + s * step] )
poolspread  dst[i, j * step] = src[i, j], what lies between being zero

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
s1..s4, any    the stride of a row, or that of the places to which it is spread      t1..t3  so many taps, unrolled

Tables hold pairs of 64-bit integers for each tap: its byte offset, and its index: a position in the plane, or the
number of its weight. Positions beside maxima ascend from tap to tap. Without a tap a window is 0, or the least number
with index -1.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, SIZE, Vectors, greatest, integer, least
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each
from fastconv.microkernels.reducer import Reducer

STRIDES = ("s1", "s2", "s3", "s4", "any")
TAP = 16  # bytes of a tap in a table
UNROLLED = 3  # taps along a row, at most
TOGETHER = 4  # vectors of a cell that go over its taps at once


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

    src is scratch: whole vectors of it may be read. Its indices lie beside it as its values do. The last vector of a
    line begins as many outputs before its end as there are lanes; lines of fewer are written with what belongs to the
    next, which comes after them, but for the last ones: a masked store of AVX2 takes 14 cycles."""
    r = Reducer(b, name)
    v = r.v
    (src, begins, varying, lines, dst, dst_pitch, n, taps, step, stride, factors, reciprocals, weights, exponents, more,
     index_src, index_dst, index_pitch) = args  # fmt: skip
    zero, size = integer(0), integer(v.size)
    word = next(word for word in STRIDES if word in r.words)
    few = next((count for count in range(1, UNROLLED + 1) if f"t{count}" in r.words), 0)
    many, close = b.icmp_signed(">=", n, integer(v.lanes)), b.icmp_signed("==", dst_pitch, b.mul(n, integer(r.width)))
    if r.indexed:
        close = b.and_(close, b.icmp_signed("==", index_pitch, b.mul(n, integer(8))))
    last_vector = greatest(b, b.sub(n, integer(v.lanes)), zero)
    short = b.sdiv(integer(v.lanes - 1), greatest(b, n, integer(1)))
    quick = b.select(many, lines, b.select(close, b.sub(lines, short), zero))
    with each(v, zero, lines, 1) as i:
        begin = v.offset(v.pointer(begins), b.mul(i, integer(8)))
        first, last = v.load_integer(begin), v.load_integer(v.offset(begin, 8))
        line, beside = v.offset(v.pointer(dst), b.mul(i, dst_pitch)), v.offset(v.pointer(more), b.mul(i, dst_pitch))
        with each(v, zero, n, v.lanes) as j:
            states = States(r, 1)
            j = least(b, j, last_vector)
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
            to, index_to = v.offset(line, ahead), v.offset(v.pointer(index_dst), b.mul(i, index_pitch))
            index_to = v.offset(index_to, b.mul(j, integer(8)))
            # Whole vectors without a mask: masked stores that cross a cache line take twice as long as others.
            whole = v.first_lanes(integer(v.lanes))
            with b.if_else(b.icmp_signed("<", i, quick), likely=True) as branches:
                for branch, lanes in zip(branches, (whole, mask), strict=True):
                    with branch:
                        r.store(result, to, lanes)
                        if r.indexed:
                            r.store_index(index[0], index_to, lanes)


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
    zero, stride = integer(0), next((int(word[1:]) for word in spec.variants if word != "any"), 0)
    with each(v, zero, lines, 1) as i:
        at, to = v.offset(v.pointer(src), b.mul(i, src_pitch)), v.offset(v.pointer(dst), b.mul(i, dst_pitch))
        whole = zero
        if stride:
            # Whole vectors, but for the last element, after which there may be no room.
            whole = b.sub(n, b.add(b.srem(b.sub(n, integer(1)), integer(v.lanes)), integer(1)))
            with each(v, zero, whole, v.lanes) as j:
                x, places = v.load(v.offset(at, b.mul(j, integer(v.size)))), range(stride * v.lanes)
                for k in range(stride):
                    picks = [place // stride if place % stride == 0 else v.lanes for place in places[k * v.lanes :]]
                    part = v.shuffle(x, v.zero(), picks[: v.lanes])
                    v.store(part, v.offset(to, b.add(b.mul(j, step), integer(k * v.bytes))))
        with each(v, whole, n, 1) as j:
            place = b.bitcast(v.offset(to, b.mul(j, step)), v.scalar.as_pointer())
            b.store(v.load_scalar(v.offset(at, b.mul(j, integer(v.size)))), place, align=v.size)

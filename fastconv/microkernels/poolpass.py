"""Pools of few taps, with nothing in scratch: one pass from x to y.

poolpass   dst[i, j] = finish( over f < rows, t < taps of load(src[i * line_step + fixed[f] + j * stride + t]) )
poolpair   the same for two images, each of which has half of a vector

Whole vectors of the rows are reduced first, then the taps of every window are picked out of what is left. Words of the
name besides those of `pool`: r1..r9 so many rows, t2.. so many taps of each, s1.. the stride along it; p1, p2:
the first window begins so many elements before src; behind: the last ones may end behind the row.

Masks take long (a masked store of AVX2 14 cycles), so rows end without: the last vector of outputs begins as many
before the end as there are lanes. Rows of fewer outputs are written with what belongs to the next line, which comes
after them; only the last lines of a call have masks.
"""

from __future__ import annotations

import functools
import itertools

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, SIZE, Vectors, greatest, integer, least
from fastconv.microkernels.pack import each, narrow
from fastconv.microkernels.pool import TAP
from fastconv.microkernels.reducer import Reducer

ROWS = (1, 2, 3, 4, 5, 8, 9)
ALONG = ((1, 1), *itertools.product((2, 3, 4, 5), (2, 3, 4)), (5, 5))  # (taps, stride)
PAIRED = ((2, 2), (3, 2))  # those that two images take together
BORDER_ROWS = (1, 2, 3, 4, 5)  # of windows that begin before src, or end behind it
BEFORE = (1, 2)  # so many elements


@emitter("poolpass")
def poolpass(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, fixed (table), lines, line_step (bytes), dst, dst_pitch, n, factors (one pair), index_dst,
    index_pitch, index (of the first line's first element), index_step (from a line to the next), columns (elements of a
    row, from src on)."""
    r = Reducer(b, name)
    v = r.v
    (src, fixed, lines, line_step, dst, dst_pitch, n, factors, index_dst, index_pitch, index, index_step,
     columns) = args  # fmt: skip
    rows, taps, stride = _numbers(r)
    zero, lanes, width = integer(0), integer(v.lanes), SIZE[r.source.source]
    before, behind = next((count for count in BEFORE if f"p{count}" in r.words), 0), "behind" in r.words
    offsets, numbers = _table(v, fixed, rows)
    covered = (v.lanes - 1) * stride + taps  # by a vector of windows
    most = -(-covered // v.lanes)
    last = greatest(b, b.sub(n, lanes), zero)  # where the last vector of a row begins

    def line(i, masked: bool):
        """A line of outputs."""
        first = v.offset(v.pointer(src), b.sub(b.mul(i, line_step), integer(before * width)))
        to, index_to = (v.offset(v.pointer(to), b.mul(i, step)) for to, step in
                        ((dst, dst_pitch), (index_dst, index_pitch)))  # fmt: skip
        begin = b.sub(b.add(index, b.mul(i, index_step)), integer(before))
        with each(v, zero, n, v.lanes) as j:
            j = j if masked else least(b, j, last)
            left = b.sub(b.add(columns, integer(before)), b.mul(j, integer(stride)))  # elements from here on
            missing = b.select(b.icmp_signed("==", j, zero), integer(before), zero)
            inside = b.not_(v.first_lanes(missing)) if before else None

            def vector(f, k):
                """Vector number k of row f."""
                mask = v.first_lanes(v.opaque(b.sub(left, integer(k * v.lanes)))) if masked else None
                place = b.add(b.add(offsets[f], b.mul(j, integer(stride * width))), integer(k * v.lanes * width))
                return _vector(r, v.offset(first, place), covered - k * v.lanes, mask, None if k else inside)

            def border(k, x):
                """Vector number k of all rows, as nothing behind them."""
                if not behind:
                    return x
                return b.select(v.first_lanes(b.sub(left, integer(k * v.lanes))), x, r.identity()[0])

            def position(f, t):
                place = b.add(b.add(begin, numbers[f]), b.add(b.mul(j, integer(stride)), integer(t)))
                found = _counted(r.number, place, stride)
                if t >= before:
                    return found
                # What lies before a row counts as its first element: no other stays if all there are is the least.
                more = b.select(b.icmp_signed("==", j, zero), integer(before - t), zero)
                more = b.trunc(more, r.number.scalar) if r.number.size < 8 else more
                return b.add(found, b.insert_element(r.number.zero(), more, ir.Constant(I32, 0)))

            loaded = [[vector(f, k) for k in range(most)] for f in range(rows)]
            state = _reduced(r, loaded, taps, lambda row, t: _picked(v, row, stride, t), position, border)
            mask = v.first_lanes(v.opaque(b.sub(n, j)) if masked else lanes)
            result = r.finished(state[0], lambda: _factors(v, factors), None, None)
            r.store(result, v.offset(to, b.mul(j, integer(r.width))), mask)
            if r.indexed:
                r.store_index(state[1], v.offset(index_to, b.mul(j, integer(8))), mask)

    # What lies behind a row or a line may be read and written if it belongs to a later line of this call.
    read = b.sub(b.add(b.mul(last, integer(stride)), integer(covered - before)), columns)
    beyond = [(b.mul(read, integer(width)), line_step), (b.mul(b.sub(lanes, n), integer(r.width)), dst_pitch)]
    close = b.icmp_signed("==", dst_pitch, b.mul(n, integer(r.width)))
    if r.indexed:
        close = b.and_(close, b.icmp_signed("==", index_pitch, b.mul(n, integer(8))))
    some = zero
    for reach, step in beyond:
        steps = b.sdiv(b.add(reach, b.sub(step, integer(1))), greatest(b, step, integer(1)))
        steps = b.select(b.icmp_signed(">", step, zero), steps, lines)
        some = greatest(b, some, b.select(b.icmp_signed(">", reach, zero), steps, zero))
    some = b.select(b.or_(close, b.icmp_signed(">=", n, lanes)), some, lines)
    quick = greatest(b, b.sub(lines, some), zero)
    with each(v, zero, quick, 1) as i:
        line(i, False)
    with each(v, quick, lines, 1) as i:
        line(i, True)


@emitter("poolpair")
def poolpair(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: those of `poolpass`, then how many bytes the second image lies behind the first: apart, dst_apart,
    index_apart. Rows of both have n windows, half a vector at most, whose elements fill no more than one."""
    r = Reducer(b, name)
    v = r.v
    (src, fixed, lines, line_step, dst, dst_pitch, n, factors, index_dst, index_pitch, index, index_step, _, apart,
     dst_apart, index_apart) = args  # fmt: skip
    rows, taps, stride = _numbers(r)
    half = v.lanes // 2
    offsets, numbers = _table(v, fixed, rows)
    seen = b.add(b.mul(b.sub(n, integer(1)), integer(stride)), integer(taps))
    out, number = Vectors(b, r.stored, half), Vectors(b, "i64", half)
    mask, halves = out.first_lanes(v.opaque(n)), (list(range(half)), list(range(half, v.lanes)))
    # Lanes without a window take any element.
    picks = [[side * v.lanes + min(lane * stride + t, v.lanes - 1) for side in (0, 1) for lane in range(half)]
             for t in range(taps)]  # fmt: skip

    def woven(pair, t):
        """Tap t of every window of both."""
        return v.shuffle(*pair, picks[t])

    with each(v, integer(0), lines, 1) as i:
        first, begin = v.offset(v.pointer(src), b.mul(i, line_step)), b.add(index, b.mul(i, index_step))
        loaded = []
        for f in range(rows):
            at = v.offset(first, offsets[f])
            loaded.append([_vector(r, place, v.lanes, v.first_lanes(seen)) for place in (at, v.offset(at, apart))])

        def position(f, t, begin=begin):
            return _counted(r.number, b.add(b.add(begin, numbers[f]), integer(t)), stride, half)

        state = _reduced(r, loaded, taps, woven, position)
        result = narrow(v, r.finished(state[0], lambda: _factors(v, factors), None, None), r.stored)
        line, index_line = (b.add(to, b.mul(i, step)) for to, step in ((dst, dst_pitch), (index_dst, index_pitch)))
        for lanes, image in zip(halves, (integer(0), integer(1)), strict=True):
            to = v.pointer(b.add(line, b.mul(image, dst_apart)))
            out.store_masked(v.shuffle(result, None, lanes), to, mask)
            if r.indexed:
                found = v.shuffle(state[1], None, lanes)
                found = b.sext(found, number.type) if r.number.size < 8 else found
                number.store_masked(found, v.pointer(b.add(index_line, b.mul(image, index_apart))), mask)


def _reduced(r: Reducer, loaded: list, taps: int, picked, position, border=lambda _, x: x) -> list:
    """The state of every window, of rows of vectors: tap t in row f is picked(row, t), at position(f, t)."""
    if r.indexed:
        loaded = [[border(k, x) for k, x in enumerate(row)] for row in loaded]
        elements = [(picked(row, t), position(f, t)) for f, row in enumerate(loaded) for t in range(taps)]
        return functools.reduce(lambda state, found: r.absorb(state, *found, ordered=True), elements[1:], elements[0])
    columns = [border(k, functools.reduce(lambda state, x: r.absorb(state, x), column, [first])[0])
               for k, (first, *column) in enumerate(zip(*loaded, strict=True))]  # fmt: skip
    first, *others = (picked(columns, t) for t in range(taps))
    return functools.reduce(lambda state, x: r.absorb(state, x), others, [first])


def _numbers(r: Reducer) -> list[int]:
    """The rows, taps and stride in a name."""
    return [
        next(int(word[1:]) for word in r.spec.variants if word[0] == kind and word[1:].isdecimal()) for kind in "rts"
    ]


def _table(v: Vectors, fixed, rows: int):
    """The byte offset and the index of each row."""
    table = v.pointer(fixed)
    return ([v.load_integer(v.offset(table, TAP * f + at)) for f in range(rows)] for at in (0, 8))


def _factors(v: Vectors, factors):
    """The divisor and its reciprocal."""
    at = v.pointer(factors)
    return v.broadcast(v.load_scalar(at)), v.broadcast(v.load_scalar(v.offset(at, v.size)))


def _vector(r: Reducer, pointer, here: int, mask=None, inside=None):
    """A vector of a row, of which so many elements are wanted, and those of the mask, if there is one, exist.

    `inside` is nothing, or the mask of the elements that do not lie before the row; others are a reduction's start."""
    v = r.v
    if here == 1 and mask is None:
        # Not by a mask: LLVM 22 makes of one constant lane of 16 bits an access of 32.
        x = r.b.insert_element(v.zero(), r.source.scalar(pointer), ir.Constant(I32, 0))
        return r.transformed(x, pointer, None, None, None)
    if here < v.lanes and mask is None:
        mask = v.first_lanes(integer(here))
    if inside is not None:
        mask = inside if mask is None else r.b.and_(mask, inside)
    x = r.transformed(r.load(pointer, mask), pointer, mask, None, None)
    return r.b.select(inside, x, r.identity()[0]) if inside is not None and r.maximum else x


def _picked(v: Vectors, vectors: list, stride: int, tap: int):
    """Element number lane * stride + tap of the vectors, for every lane."""
    wanted, result = [lane * stride + tap for lane in range(v.lanes)], None
    for k, vector in enumerate(vectors):
        here = [at - k * v.lanes for at in wanted]
        if not any(0 <= at < v.lanes for at in here):
            continue
        if result is None:
            result = v.shuffle(vector, None, [at if 0 <= at < v.lanes else 0 for at in here])
        else:
            picks = [v.lanes + at if 0 <= at < v.lanes else lane for lane, at in enumerate(here)]
            result = v.shuffle(result, vector, picks)
    return result


def _counted(number: Vectors, first, stride: int, each_has: int | None = None):
    """Integers from `first` on, `stride` apart; anew after every so many lanes."""
    b, each_has = number.b, each_has or number.lanes
    first = b.trunc(first, number.scalar) if number.size < 8 else first
    steps = ir.Constant(number.type, [lane % each_has * stride for lane in range(number.lanes)])
    return b.add(number.broadcast(first), steps)

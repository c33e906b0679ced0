"""Moves and sums of elements that change no value's type: what gradients need to take arrays apart and together.

pick        dst[i, t] = src[i, table[t]]                       rows of a few elements, in another order
flip        dst[i, t] = src[i, taps - 1 - t]                   in the reverse order
slab        dst[i, t] = src[i, t]                              as they are
comb        dst[i * step] = src[i * src_step], or 0            elements become every step-th, or one becomes many
weave       dst[j, 2 i] = a[j, i], dst[j, 2 i + 1] = b[j, i]   two rows become one, null ones count as zeros; so
            do three or four in weavethree, weavefour
fetch       asks for rows of src, which will be read
accumulate  dst[i] += src[i]

Those that only move take any type of the right size; narrow ones are all called bf16, which is held as an integer.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import LINE, Vectors, greatest, integer, least
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each, get, one_after_another, overlapping, put, woven_of

MOVED = {"f32": "f32", "f64": "f64", "f16": "bf16", "bf16": "bf16"}  # the name under which a stored type is moved


def _start(b: ir.IRBuilder, name: str) -> Vectors:
    spec = parse(name)
    return Vectors(b, spec.dtype, spec.lanes)


def _somewhere(v: Vectors, src: ir.Value, dst: ir.Value) -> ir.Value:
    """src, or where there is none dst: a masked load from a page that is not there takes hundreds of cycles."""
    return v.pointer(v.b.select(v.b.icmp_signed("!=", src, integer(0)), src, dst))


WOVEN = 4096  # elements of a plane that `weave` is given at a time: they stay in L1 until its last vectors
COMBED = 4  # elements apart that `comb` moves at once
WEAVES = {2: "weave", 3: "weavethree", 4: "weavefour"}  # how many rows become one
ROWS = 8  # that `pick` moves at once: a loop's own steps took longer than the moves


@emitter("pick")
def pick(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, table (byte offsets), taps, dst, dst_pitch, count."""
    v = _start(b, name)
    src, src_pitch, table, taps, dst, dst_pitch, count = args

    def rows(start, stop, together):
        """Move the rows in [start, stop), some of them together."""
        with each(v, start, stop, together) as i, each(v, integer(0), taps, 1) as t:
            at = v.offset(v.pointer(src), b.add(b.mul(i, src_pitch), v.load_integer(v.offset(v.pointer(table),
                          b.mul(t, integer(8))))))  # fmt: skip
            to = v.offset(v.pointer(dst), b.add(b.mul(i, dst_pitch), b.mul(t, integer(v.size))))
            for _ in range(together):
                b.store(v.load_scalar(at), b.bitcast(to, v.scalar.as_pointer()), align=v.size)
                at, to = v.opaque(v.offset(at, src_pitch)), v.opaque(v.offset(to, dst_pitch))

    whole = b.sub(count, b.srem(count, integer(ROWS)))
    rows(integer(0), whole, ROWS)
    rows(whole, count, 1)


@emitter("flip")
def flip(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, taps, dst, dst_pitch, count."""
    v = _start(b, name)
    src, src_pitch, taps, dst, dst_pitch, count = args
    backwards = list(range(v.lanes))[::-1]
    with each(v, integer(0), taps, v.lanes) as t:
        # Reversed, the first lanes of a vector are its last ones.
        left = b.sub(taps, t)
        mask = v.first_lanes(left)
        at = v.offset(v.pointer(src), b.mul(t, integer(v.size)))
        to = v.offset(v.pointer(dst), b.mul(b.sub(left, integer(v.lanes)), integer(v.size)))
        with v.loop_or_none(count, at, to) as (_, (at, to), following):
            v.store_masked(v.shuffle(v.load_masked(at, mask), None, backwards), to, v.shuffle(mask, None, backwards))
            following += [v.offset(at, src_pitch), v.offset(to, dst_pitch)]


@emitter("slab")
def slab(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, dst, dst_pitch, count of a row, rows."""
    v = _start(b, name)
    src, src_pitch, dst, dst_pitch, count, rows = args
    # Rows of less than a vector that follow one another are written with what belongs to the next, which comes after.
    short = b.icmp_signed("<=", count, integer(v.lanes))
    short = b.and_(short, b.icmp_signed("==", dst_pitch, b.mul(count, integer(v.size))))
    quick = b.sub(rows, b.sdiv(integer(v.lanes - 1), greatest(b, count, integer(1))))
    quick = b.select(b.and_(short, b.icmp_signed(">", quick, integer(0))), quick, integer(0))
    with each(v, integer(0), count, v.lanes) as i:
        mask, where = v.first_lanes(b.sub(count, i)), b.mul(i, integer(v.size))
        places = v.offset(v.pointer(src), where), v.offset(v.pointer(dst), where)
        for some, store in ((quick, lambda x, to, _: v.store(x, to)), (b.sub(rows, quick), v.store_masked)):
            with v.loop_or_none(some, *places) as (_, (at, to), following):
                store(v.load_masked(at, mask), to, mask)
                following += [v.offset(at, src_pitch), v.offset(to, dst_pitch)]
            places = following


@emitter("comb")
def comb(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src (0: zeros), src_step, dst, step (bytes), count."""
    v = _start(b, name)
    src, src_step, dst, step, count = args
    to, size = v.pointer(dst), integer(v.size)
    zero = ir.Constant(v.scalar, 0 if v.dtype == "bf16" else 0.0)

    def there(start, i):
        return v.offset(start, b.mul(i, size))

    def scalars(load, step):
        """One by one, some of them without a branch."""
        whole = b.sub(count, b.srem(count, integer(COMBED)))
        places = integer(0), dst
        for steps, together in ((b.sdiv(count, integer(COMBED)), COMBED), (b.sub(count, whole), 1)):
            with v.loop_or_none(steps, *places) as (_, (at, place), following):
                for _ in range(together):
                    b.store(load(at), b.bitcast(v.pointer(place), v.scalar.as_pointer()), align=v.size)
                    at, place = b.add(at, src_step), b.add(place, step)
                following += [at, place]
            places = following

    dense = b.and_(*(b.icmp_signed("==", some, size) for some in (src_step, step)))
    at = v.pointer(src)
    with b.if_else(b.icmp_signed("!=", src, integer(0)), likely=True) as (moves, clears):
        with moves, b.if_else(dense) as (side_by_side, apart):
            with side_by_side:
                overlapping(
                    v, integer(0), count, lambda i, mask: put(v, get(v, there(at, i), mask), there(to, i), mask)
                )
            with apart:
                scalars(lambda where: v.load_scalar(v.offset(at, where)), step)
        with clears, b.if_else(b.icmp_signed("==", step, size)) as (side_by_side, apart):
            with side_by_side:
                overlapping(v, integer(0), count, lambda i, mask: put(v, v.zero(), there(to, i), mask))
            with apart:
                scalars(lambda where: zero, step)


def weave(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: a, a_pitch, b, b_pitch, ... (0: zeros), dst, dst_pitch, count of a row of dst, rows.

    A vector of all rows goes before the next. The last one begins as many columns before the row's end as it has, and
    a few more, for columns come in their order: those left go one by one. Masked stores of AVX2 take 14 cycles.
    """
    v = _start(b, name)
    *sources, dst, dst_pitch, count, rows = args
    sources, pitches = sources[::2], sources[1::2]
    strands, zero = len(sources), integer(0)
    exist = [b.icmp_signed("!=", source, zero) for source in sources]
    starts = [_somewhere(v, source, dst) for source in sources]
    turn, each_turn = integer(strands * v.lanes), integer(strands)
    last = b.sub(count, turn)
    last = b.sdiv(b.sub(last, b.srem(last, each_turn)), each_turn)

    def rows_from(i, move):
        """move(addresses of sources, of dst) for every row, from column i * strands on."""
        places = [v.offset(start, b.mul(i, integer(v.size))) for start in starts]
        to = v.offset(v.pointer(dst), b.mul(i, integer(strands * v.size)))
        with v.loop(rows, *places, to) as (_, (*places, to), following):
            move(places, to)
            following += [v.offset(place, pitch) for place, pitch in zip(places, pitches, strict=True)]
            following.append(v.offset(to, dst_pitch))

    def whole(places, to):
        loaded = [b.select(there, v.load(at), v.zero()) for there, at in zip(exist, places, strict=True)]
        # dst is often beyond the caches, and stores wait for one line after the other: those beside come next.
        for line in range(0, strands * v.bytes, LINE):
            v.prefetch(v.offset(to, strands * v.bytes + line), write=True)
        for part, woven in enumerate(woven_of(v, loaded)):
            v.store(woven, v.offset(to, part * v.bytes))

    def short(places, to):
        nothing = ir.Constant(v.mask_type, [0] * v.lanes)
        loaded = []
        for strand, (there, at) in enumerate(zip(exist, places, strict=True)):
            length = b.sdiv(b.add(count, integer(strands - 1 - strand)), each_turn)
            loaded.append(v.load_masked(at, b.select(there, v.first_lanes(length), nothing)))
        for part, woven in enumerate(woven_of(v, loaded)):
            left = b.sub(count, integer(part * v.lanes))
            with b.if_then(b.icmp_signed(">", left, zero)):
                at = v.offset(to, part * v.bytes)
                with b.if_else(b.icmp_signed(">=", left, integer(v.lanes))) as (all_, some):
                    with all_:
                        v.store(woven, at)
                    with some:
                        v.store_masked(woven, at, v.first_lanes(left))

    with b.if_else(b.icmp_signed(">=", count, turn)) as (long, few):
        with long:
            done = b.add(last, integer(v.lanes))
            with each(v, zero, done, v.lanes) as i:
                rows_from(least(b, i, last), whole)
            for strand in range(strands - 1):
                column = b.add(b.mul(done, each_turn), integer(strand))

                def one(places, to, strand=strand):
                    element = v.load_scalar(places[strand])
                    element = b.select(exist[strand], element, ir.Constant(v.scalar, 0 if v.dtype == "bf16" else 0.0))
                    b.store(element, b.bitcast(v.offset(to, strand * v.size), v.scalar.as_pointer()), align=v.size)

                with b.if_then(b.icmp_signed("<", column, count)):
                    rows_from(done, one)
        with few, b.if_then(b.icmp_signed(">", count, zero)):
            rows_from(zero, short)


for _op in WEAVES.values():
    emitter(_op)(weave)


@emitter("fetch")
def fetch(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, count of a row, rows."""
    v = _start(b, name)
    src, src_pitch, count, rows = args
    with each(v, integer(0), rows, 1) as row, each(v, integer(0), count, LINE // v.size) as i:
        v.prefetch(v.offset(v.pointer(src), b.add(b.mul(row, src_pitch), b.mul(i, integer(v.size)))))


@emitter("accumulate")
def accumulate(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_step, dst, dst_step (bytes), count."""
    v = _start(b, name)
    src, src_step, dst, dst_step, count = args
    at, to, size = v.pointer(src), v.pointer(dst), integer(v.size)

    def vector(i, mask):
        where = b.mul(i, size)
        place = v.offset(to, where)
        put(v, b.fadd(get(v, place, mask), get(v, v.offset(at, where), mask)), place, mask)

    with b.if_else(b.and_(b.icmp_signed("==", src_step, size), b.icmp_signed("==", dst_step, size))) as (dense, apart):
        with dense:
            one_after_another(v, integer(0), count, vector)
        with apart, each(v, integer(0), count, 1) as i:
            place = v.offset(to, b.mul(i, dst_step))
            summed = b.fadd(v.load_scalar(place), v.load_scalar(v.offset(at, b.mul(i, src_step))))
            b.store(summed, b.bitcast(place, v.scalar.as_pointer()), align=v.size)

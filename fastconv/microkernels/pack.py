"""Moves of elements: rows with a border, and transposes; both widen float16 and bfloat16 to float32.

row        dst[0:left] = 0, dst[left + i] = src[i * step], dst[left + n : left + n + right] = 0
transpose  dst[j, i] = src[i, j]
spread     dst[i, 0:valid] = src[i, 0:valid], zeros in the other lanes
panel      dst[i, 0:valid] = src[table[i] + 0:valid], zeros up to whole vectors
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import ELEMENT, I16, I32, I64, SIZE, Vectors, integer
from fastconv.microkernels.names import parse


def widen(v: Vectors, values: ir.Value, source: str) -> ir.Value:
    """Narrow numbers (a vector or one element of `source`) as `v`'s element type, exactly."""
    b = v.b
    if source == v.dtype:
        return values
    if source in ("i8", "u8"):
        kind = v.type if isinstance(values.type, ir.VectorType) else v.scalar
        return b.sext(values, kind) if source == "i8" else b.zext(values, kind)
    wide = ELEMENT["f32"]
    whole = I32
    if isinstance(values.type, ir.VectorType):
        wide = ir.VectorType(wide, values.type.count)
        whole = ir.VectorType(I32, values.type.count)
    if source == "f16":
        return b.fpext(values, wide)
    sixteen = ir.Constant(whole, 16 if whole is I32 else [16] * whole.count)
    return b.bitcast(b.shl(b.zext(values, whole), sixteen), wide)


def narrow(v: Vectors, values: ir.Value, target: str) -> ir.Value:
    """float32 values rounded once, to nearest even, as `target`; NaN stays NaN. Integers lose their high bits."""
    b = v.b
    if target == v.dtype:
        return values
    count = values.type.count if isinstance(values.type, ir.VectorType) else 0
    shape = (lambda t: ir.VectorType(t, count)) if count else (lambda t: t)
    if target in ("i8", "u8"):
        return b.trunc(values, shape(ELEMENT[target]))
    if target == "f16":
        return b.fptrunc(values, shape(ELEMENT["f16"]))

    def constant(number):
        return ir.Constant(shape(I32), [number] * count if count else number)

    bits = b.bitcast(values, shape(I32))
    even = b.and_(b.lshr(bits, constant(16)), constant(1))
    rounded = b.lshr(b.add(bits, b.add(even, constant(0x7FFF))), constant(16))
    quiet = b.or_(b.lshr(bits, constant(16)), constant(0x40))
    return b.trunc(b.select(b.fcmp_unordered("uno", values, values), quiet, rounded), shape(I16))


class Source:
    """Loads of `source` elements as `v` vectors."""

    def __init__(self, v: Vectors, source: str):
        self.v, self.source = v, source
        self.narrow = Vectors(v.b, source, v.lanes)

    def scalar(self, pointer):
        return widen(self.v, self.narrow.load_scalar(pointer), self.source)

    def vector(self, pointer, mask=None):
        loaded = self.narrow.load(pointer) if mask is None else self.narrow.load_masked(pointer, mask)
        return widen(self.v, loaded, self.source)

    def store(self, values, pointer, mask):
        """Store values of the narrow type itself."""
        self.narrow.store_masked(values, pointer, mask)


class each:
    """A loop over range(start, stop, stride) that may be empty, as a context manager giving the index."""

    def __init__(self, v, start, stop, stride):
        self.v, self.start, self.stop, self.stride = v, start, stop, stride

    def __enter__(self):
        b = self.v.b
        before = b.block
        self.head, body, self.after = (b.append_basic_block(n) for n in ("head", "body", "after"))
        b.branch(self.head)
        b.position_at_end(self.head)
        self.index = b.phi(I64)
        self.index.add_incoming(self.start, before)
        b.cbranch(b.icmp_signed("<", self.index, self.stop), body, self.after)
        b.position_at_end(body)
        return self.index

    def __exit__(self, *error):
        b = self.v.b
        self.index.add_incoming(b.add(self.index, integer(self.stride)), b.block)
        b.branch(self.head)
        b.position_at_end(self.after)


def get(v: Vectors, pointer, mask):
    """Load a vector, or some lanes of it."""
    return v.load(pointer) if mask is None else v.load_masked(pointer, mask)


def put(v: Vectors, values, pointer, mask) -> None:
    """Store a vector, or some lanes of it."""
    v.store(values, pointer) if mask is None else v.store_masked(values, pointer, mask)


def overlapping(v: Vectors, start, stop, move) -> None:
    """move(i, mask) for the vectors of start..stop without a mask (None): the last one begins as many elements before
    the end as it has lanes. Only fewer elements than that have one. Masked stores of AVX2 take 14 cycles."""
    b = v.b
    last = b.sub(stop, integer(v.lanes))
    with each(v, start, last, v.lanes) as i:
        move(i, None)
    with b.if_else(b.icmp_signed(">=", last, start), likely=True) as (many, few):
        with many:
            move(last, None)
        with few, b.if_then(b.icmp_signed("<", start, stop)):
            move(start, v.first_lanes(b.sub(stop, start)))


def one_after_another(v: Vectors, start, stop, move) -> None:
    """move(i, mask) for the vectors of start..stop; only the last one has a mask, if it is not whole."""
    b = v.b
    whole = b.add(start, b.and_(b.sub(stop, start), integer(-v.lanes)))
    with each(v, start, whole, v.lanes) as i:
        move(i, None)
    with b.if_then(b.icmp_signed("<", whole, stop)):
        move(whole, v.first_lanes(b.sub(stop, whole)))


def fill_zero(v: Vectors, dst, start, stop) -> None:
    """dst[start:stop] = 0."""
    overlapping(v, start, stop, lambda i, mask: put(v, v.zero(), v.offset(dst, v.b.mul(i, integer(v.size))), mask))


@emitter("row")
def row(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, step (bytes between elements), dst, left, n, right."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source = Source(v, spec.source)
    src, step, dst, left, n, right = args
    src, dst = v.pointer(src), v.pointer(dst)
    zero, size = integer(0), integer(v.size)
    end = b.add(left, n)
    fill_zero(v, dst, zero, left)
    body = v.offset(dst, b.mul(left, size))
    width = SIZE[spec.source]

    def move(i, mask):
        loaded, to = source.vector(v.offset(src, b.mul(i, integer(width))), mask), v.offset(body, b.mul(i, size))
        put(v, loaded, to, mask)

    with b.if_else(b.icmp_signed("==", step, integer(width))) as (then, otherwise):
        with then:
            overlapping(v, zero, n, move)
        with otherwise, each(v, zero, n, 1) as i:
            loaded = source.scalar(v.offset(src, b.mul(i, step)))
            b.store(loaded, b.bitcast(v.offset(body, b.mul(i, size)), v.scalar.as_pointer()))
    fill_zero(v, dst, end, b.add(end, right))


MOST_VECTORS = 8  # of a panel's rows


def transposed(v: Vectors, rows: list[ir.Value]) -> list[ir.Value]:
    """A square block of vectors transposed in registers, by log2(lanes) rounds of pairwise interleaving."""
    n, step = v.lanes, 1
    while step < n:
        swapped = list(rows)
        for i in range(n):
            if i & step:
                continue
            low = [j if not j & step else n + j - step for j in range(n)]
            high = [j + step if not j & step else n + j for j in range(n)]
            swapped[i] = v.shuffle(rows[i], rows[i + step], low)
            swapped[i + step] = v.shuffle(rows[i], rows[i + step], high)
        rows, step = swapped, 2 * step
    return rows


def woven_of(v: Vectors, strands: list[ir.Value]) -> list[ir.Value]:
    """As many vectors, which have an element of each in turn."""
    if len(strands) == 4:
        halves = [woven_of(v, strands[side::2]) for side in range(2)]
        return [part for pair in zip(*halves, strict=True) for part in woven_of(v, list(pair))]
    many, found = len(strands), []
    for part in range(many):
        places = range(part * v.lanes, (part + 1) * v.lanes)
        picks = [place // many + place % many % 2 * v.lanes for place in places]
        woven = v.shuffle(strands[0], strands[1], picks)
        if many == 3:
            picks = [v.lanes + place // 3 if place % 3 == 2 else lane for lane, place in enumerate(places)]
            woven = v.shuffle(woven, strands[2], picks)
        found.append(woven)
    return found


@emitter("transpose")
def transpose(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, dst, dst_pitch, rows, columns; pitches in bytes, elements side by side in a row.

    Variant `rows` reads a band of source rows to its end before the next (for many columns far from memory), and where
    dst_pitch is whole vectors it fills the last one with zeros; variant `columns` writes a band of destination rows to
    its end.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    rows, columns = args[4:]
    zero, lanes = integer(0), integer(v.lanes)

    def squares(move):
        """`move` every square: a vector's rows by a vector's columns, or what is left of them."""
        if "rows" in spec.variants:
            with each(v, zero, rows, v.lanes) as i, each(v, zero, columns, v.lanes) as j:
                move(i, j)
        else:
            with each(v, zero, columns, v.lanes) as j, each(v, zero, rows, v.lanes) as i:
                move(i, j)

    def before(at, extent):
        """The last square of a row or column of squares overlaps the one before: masks take longer than that."""
        last = b.sub(extent, lanes)
        return b.select(b.icmp_signed("<", at, last), at, last)

    def whole(i, j):
        _square(v, spec.source, args, before(i, rows), before(j, columns), True, True)

    high, wide = (b.icmp_signed(">=", extent, lanes) for extent in (rows, columns))
    with b.if_else(high) as (then, otherwise):
        with then, b.if_else(wide) as (both, one):
            with both:
                squares(whole)
            with one:
                squares(lambda i, j: _square(v, spec.source, args, before(i, rows), j, True, False))
        with otherwise:
            squares(lambda i, j: _square(v, spec.source, args, i, j, False, False))
    if "rows" in spec.variants:
        dst, dst_pitch = args[2:4]
        beyond = b.srem(b.neg(rows), lanes)  # 0 or less
        beyond = b.select(b.icmp_signed("<", beyond, zero), b.add(beyond, lanes), zero)
        whole_vectors = b.icmp_signed("==", b.urem(dst_pitch, integer(v.bytes)), zero)
        mask = v.first_lanes(beyond)
        with b.if_then(b.and_(whole_vectors, b.icmp_signed(">", beyond, zero))), each(v, zero, columns, 1) as j:
            to = v.offset(v.pointer(dst), b.add(b.mul(j, dst_pitch), b.mul(rows, integer(v.size))))
            v.store_masked(v.zero(), to, mask)


def _square(v: Vectors, stored: str, args, i, j, high: bool, wide: bool):
    """Transpose the block at row i, column j; `high`, `wide`: it has all its rows, its columns, else masks end it."""
    b, source = v.b, Source(v, stored)
    src, src_pitch, dst, dst_pitch, rows, columns = args
    height, across = b.sub(rows, i), b.sub(columns, j)
    at = v.offset(v.pointer(src), b.add(b.mul(i, src_pitch), b.mul(j, integer(SIZE[stored]))))
    to = v.offset(v.pointer(dst), b.add(b.mul(j, dst_pitch), b.mul(i, integer(v.size))))
    inside, beside = v.first_lanes(across), v.first_lanes(height)
    # Rows past the end load nothing: their mask is empty. Their address is the last row's all the same, because a
    # masked access to a page that is not there takes hundreds of cycles.
    nothing = ir.Constant(v.mask_type, [0] * v.lanes)
    block = []
    for r in range(v.lanes):
        there = b.icmp_signed("<", integer(r), height)
        step = src_pitch if high else b.select(there, src_pitch, integer(0))
        at = v.opaque(v.offset(at, step)) if r else at
        mask = inside if high else b.select(there, inside, nothing)
        block.append(source.vector(at, None if high and wide else mask))
    done = b.append_basic_block("done")
    for c, column in enumerate(transposed(v, block)):
        there = b.icmp_signed("<", integer(c), across)
        if high and not wide:
            # Columns are few and rows whole: branches take less than masks.
            exists = b.append_basic_block(f"column{c}")
            b.cbranch(there, exists, done)
            b.position_at_end(exists)
        step = dst_pitch if high else b.select(there, dst_pitch, integer(0))
        to = v.opaque(v.offset(to, step)) if c else to
        if high:
            v.store(column, to)
        else:
            v.store_masked(column, to, b.select(there, beside, nothing))
    b.branch(done)
    b.position_at_end(done)


@emitter("spread")
def spread(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, dst, dst_pitch, count, valid: vectors of `valid` elements, zeros beyond."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source = Source(v, spec.source)
    src, src_pitch, dst, dst_pitch, count, valid = args
    mask = v.first_lanes(valid)
    with v.loop_or_none(count, v.pointer(src), v.pointer(dst)) as (_, (at, to), following):
        v.store(source.vector(at, mask), to, align=v.bytes)
        following += [v.offset(at, src_pitch), v.offset(to, dst_pitch)]


@emitter("panel")
def panel(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, table (byte offsets from src), count, dst, vectors, valid."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    src, table, count, dst, vectors, valid = args
    src, table, dst = v.pointer(src), v.pointer(table), v.pointer(dst)
    done = b.append_basic_block("packed")
    for wide in range(1, MOST_VECTORS + 1):
        here, following = (b.append_basic_block(f"{word}{wide}") for word in ("vectors", "not"))
        b.cbranch(b.icmp_signed("==", vectors, integer(wide)), here, following)
        b.position_at_end(here)
        mask = v.first_lanes(b.sub(valid, integer((wide - 1) * v.lanes)))
        with v.loop(count, table, dst) as (_, (at, to), moved):
            line = v.offset(src, v.load_integer(at))
            for j in range(wide):
                from_ = v.offset(line, j * v.bytes)
                loaded = v.load_masked(from_, mask) if j == wide - 1 else v.load(from_)
                v.store(loaded, v.offset(to, j * v.bytes), align=v.bytes)
            moved += [v.offset(at, 8), v.offset(to, wide * v.bytes)]
        b.branch(done)
        b.position_at_end(following)
    b.branch(done)
    b.position_at_end(done)

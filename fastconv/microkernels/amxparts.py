"""What matrix tiles multiply: panels of bfloat16 parts, cut out of lanes and rows of float32 numbers.

A panel holds for each step of 32 products its parts, and of each part the tiles:

rows    [step][part][tile][16 rows][16 pairs of products][2]    the left operand
lanes   [step][part][tile][16 pairs of products][16 lanes][2]   the right one

A pair is products j and j + 16 of a step: two vectors become one of pairs by a shift and a mask.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.tiles import ROW_BYTES, ROWS, TILE_BYTES
from fastconv.codegen.vector import I32, I64, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each, transposed

# The products of parts, by their number: (left, right), such that few tiles are loaded twice.
PRODUCTS = {
    1: ((0, 0),),
    4: ((1, 1), (1, 0), (0, 0), (0, 1)),
    6: ((0, 2), (0, 0), (0, 1), (1, 1), (1, 0), (2, 0)),
}
PARTS = {products: 1 + max(left for left, _ in pairs) for products, pairs in PRODUCTS.items()}
STEP = 32  # products of a step
BLOCK = 2 * ROWS  # rows or lanes of a panel
PART_BYTES = 2 * TILE_BYTES  # of one step; half of it is not used where a block is one tile wide or high
MOST_VECTORS = 8  # that are packed at a time
PAIRS_AHEAD = 2  # so many pairs of products before they are cut, their lines are fetched
BYTES_AHEAD = 512  # so far before it is cut, a row's line is fetched
MOST_LINE = 1536  # products of a row that is brought together before it is cut


def products_of(variants: tuple[str, ...]) -> int:
    """The number of products that a name asks for: x6."""
    return next(int(word[1:]) for word in variants if word[0] == "x")


class Parts:
    """Cuts float32 vectors into bfloat16 parts; `computed` ones are no signalling NaN."""

    def __init__(self, v: Vectors, parts: int, computed: bool = False):
        self.v, self.parts, self.computed = v, parts, computed
        self.bits = ir.VectorType(I32, v.lanes)
        self.high = ir.Constant(self.bits, [0xFFFF0000] * v.lanes)

    def cut(self, *values: ir.Value):
        """For each part in turn, its bits in the upper halves of `values`, the lower ones anything."""
        b, values = self.v.b, list(values)
        if self.parts > 2 and not self.computed:
            # Adding zero makes a signalling NaN quiet: without its low bits it would be an infinity.
            values = [b.fadd(value, self.v.zero()) for value in values]
        for part in range(self.parts):
            bits = [b.bitcast(value, self.bits) for value in values]
            yield bits
            if part < self.parts - 1:
                kept = [b.bitcast(b.and_(word, self.high), self.v.type) for word in bits]
                values = [b.fsub(value, high) for value, high in zip(values, kept, strict=True)]

    def store_pairs(self, first: ir.Value, second: ir.Value, pointer: ir.Value) -> None:
        """The parts of pairs of (first, second), from the panel's line `pointer` on."""
        for part, bits in enumerate(self.cut(first, second)):
            self.v.store(self.paired(*bits), self.v.offset(pointer, part * PART_BYTES), align=self.v.bytes)

    @staticmethod
    def halves(v: Vectors, both: ir.Value) -> list[ir.Value]:
        """The parts of a pair of products, as float32."""
        b, kind = v.b, ir.VectorType(I32, v.lanes)
        bits = b.bitcast(both, kind)
        low = b.shl(bits, ir.Constant(kind, [16] * v.lanes))
        high = b.and_(bits, ir.Constant(kind, [0xFFFF0000] * v.lanes))
        return [b.bitcast(word, v.type) for word in (low, high)]

    def paired(self, first: ir.Value, second: ir.Value) -> ir.Value:
        """Lanes of (first, second)."""
        b = self.v.b
        low = b.lshr(first, ir.Constant(self.bits, [16] * self.v.lanes))
        return b.bitcast(b.or_(low, b.and_(second, self.high)), self.v.type)


@emitter("amxlanes")
def lanes(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, table (byte offsets from src), count, dst, vectors, valid, panel (bytes from one to the next)."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    parts = Parts(v, PARTS[products_of(spec.variants)])
    src, table, count, dst, vectors, valid, panel = args
    src, table, dst = v.pointer(src), v.pointer(table), v.pointer(dst)
    start = b.and_(b.lshr(count, integer(1)), integer(-STEP // 2))  # of the last step's pairs, if it is not whole
    rest, half = b.and_(count, integer(STEP - 1)), integer(STEP // 2)
    more = b.icmp_signed(">", rest, half)
    both_end = b.add(start, b.select(more, b.sub(rest, half), integer(0)))
    one_end = b.add(start, b.select(more, half, rest))
    end = b.and_(b.add(one_end, integer(STEP // 2 - 1)), integer(-STEP // 2))
    done = b.append_basic_block("packed")

    def emit_for(wide):
        """The code for so many vectors of lanes."""
        mask = v.first_lanes(b.sub(valid, integer((wide - 1) * v.lanes)))

        def loaded(at, j):
            at = v.offset(at, j * v.bytes)
            return v.load_masked(at, mask) if j == wide - 1 else v.load(at)

        def write(pair, make):
            step = b.mul(b.lshr(pair, integer(4)), integer(parts.parts * PART_BYTES))
            step = b.add(step, b.mul(b.and_(pair, integer(STEP // 2 - 1)), integer(ROW_BYTES)))
            for j in range(wide):
                at = b.add(step, b.mul(panel, integer(j // 2))) if j > 1 else step
                to = v.offset(dst, b.add(at, integer(j % 2 * TILE_BYTES)))
                for part, word in enumerate(make(j)):
                    v.store(word, v.offset(to, part * PART_BYTES), align=v.bytes)

        def both(first, second):
            return lambda j: (
                parts.paired(*bits)
                for bits in parts.cut(loaded(first, j), v.zero() if second is None else loaded(second, j))
            )

        def products(pair):
            """Where a pair's products lie."""
            at = v.offset(table, b.mul(b.add(pair, b.and_(pair, integer(-STEP // 2))), integer(8)))
            return [v.offset(src, v.load_integer(v.offset(at, i * 4 * STEP))) for i in range(2)]

        last = b.sub(both_end, integer(1))
        with each(v, integer(0), both_end, 1) as pair:
            soon = b.add(pair, integer(PAIRS_AHEAD))
            for line in products(b.select(b.icmp_signed("<", soon, last), soon, last)):
                for j in range(wide):
                    v.prefetch(v.offset(line, j * v.bytes))
            write(pair, both(*products(pair)))
        with each(v, both_end, one_end, 1) as pair:
            at = v.offset(table, b.mul(b.add(pair, start), integer(8)))
            write(pair, both(v.offset(src, v.load_integer(at)), None))
        with each(v, one_end, end, 1) as pair:
            write(pair, lambda j: [v.zero()] * parts.parts)

    for wide in range(1, MOST_VECTORS + 1):
        here, following = (b.append_basic_block(f"{word}{wide}") for word in ("vectors", "not"))
        b.cbranch(b.icmp_signed("==", vectors, integer(wide)), here, following)
        b.position_at_end(here)
        emit_for(wide)
        b.branch(done)
        b.position_at_end(following)
    b.branch(done)
    b.position_at_end(done)


def _places(v: Vectors, table: ir.Value, final: ir.Value, length: ir.Value):
    """A function for rows of pieces: where the vector of products from p on lies, (offset, mask), and the rest of it in
    the piece that follows; first, whether it is whole. `final` is the number of the last piece."""
    b, lanes = v.b, integer(v.lanes)

    def place(p):
        piece = b.sdiv(p, length)
        piece = b.select(b.icmp_signed("<", piece, final), piece, final)
        at = b.sub(p, b.mul(piece, length))
        held, more = b.sub(length, at), b.icmp_signed("<", piece, final)
        offset = v.load_integer(v.offset(table, b.mul(piece, integer(8))))
        beyond = v.load_integer(v.offset(table, b.mul(b.add(piece, b.zext(more, I64)), integer(8))))
        there = b.icmp_signed(">", held, integer(0))
        offset = b.add(offset, b.mul(b.select(there, at, integer(0)), integer(v.size)))
        beyond = b.sub(beyond, b.mul(held, integer(v.size)))
        here = v.first_lanes(held)
        rest = v.first_lanes(b.select(more, b.add(held, length), held))
        whole = b.icmp_signed(">=", held, lanes)
        beyond = b.select(b.or_(whole, b.not_(more)), offset, beyond)
        return whole, (offset, here), (beyond, b.and_(rest, b.not_(here)))

    return place


def _in_pieces(v: Vectors, at: ir.Value, first, second, there: ir.Value | None) -> ir.Value:
    """A vector of which parts may lie in two pieces; zero if there is no such row."""
    b, loaded = v.b, []
    for offset, mask in (first, second):
        if there is not None:
            mask = b.select(there, mask, ir.Constant(v.mask_type, [0] * v.lanes))
        loaded.append(v.load_masked(v.offset(at, offset), mask))
    return b.select(second[1], loaded[1], loaded[0])


@emitter("amxrows")
def rows(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pitch, table (byte offsets of pieces), pieces, length (products of a piece), dst, row, rows.

    Rows of src, `pitch` bytes apart, become those from number `row` on of the panel. A step of all rows comes before
    the next: each row's own steps lie 6 KiB apart, which L1 does not hold. Rows of pieces shorter than a vector are put
    together first, one by one.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    parts = Parts(v, PARTS[products_of(spec.variants)])
    src, pitch, table, pieces, length, dst, row, count = args
    src, table, dst = v.pointer(src), v.pointer(table), v.pointer(dst)
    with b.goto_entry_block():
        line, start = b.alloca(ir.ArrayType(v.type, MOST_LINE // v.lanes + 1)), b.alloca(I64)
    line.align = v.bytes
    line, start = (v.pointer(b.ptrtoint(p, row.type)) for p in (line, start))
    b.store(integer(0), v._at(start, I64))
    depth, lanes = b.mul(pieces, length), integer(v.lanes)
    short = b.and_(b.icmp_signed(">", pieces, integer(1)), b.icmp_signed("<", length, lanes))
    groups, height = b.select(short, count, integer(1)), b.select(short, integer(1), count)
    table_here, length_here = b.select(short, start, table), b.select(short, depth, length)
    final = b.select(short, integer(0), b.sub(pieces, integer(1)))
    steps = b.sdiv(b.add(depth, integer(STEP - 1)), integer(STEP))

    place = _places(v, table_here, final, length_here)

    with v.loop_or_none(groups, src, v.offset(dst, b.mul(row, integer(ROW_BYTES)))) as (_, (from_, to), moved):
        with b.if_then(short), v.loop(pieces, table, line) as (_, (at, write), on):
            loaded = v.load_masked(v.offset(from_, v.load_integer(at)), v.first_lanes(length))
            v.store(loaded, write)
            on += [v.offset(at, 8), v.offset(write, b.mul(length, integer(v.size)))]
        read = b.select(short, line, from_)
        with v.loop(steps, to) as (step, (panel,), following):
            p = b.mul(step, integer(STEP))
            places = [place(b.add(p, integer(i * v.lanes))) for i in range(2)]

            def cut(load, places=places, panel=panel, read=read):
                """This step of every row."""
                with v.loop_or_none(height, read, panel) as (_, (at, write), on):
                    for part, bits in enumerate(parts.cut(*(load(at, *found) for found in places))):
                        v.store(parts.paired(*bits), v.offset(write, part * PART_BYTES), align=v.bytes)
                    on += [v.offset(at, pitch), v.offset(write, ROW_BYTES)]

            def plain(at, _, first, second):
                v.prefetch(v.offset(at, b.add(first[0], integer(BYTES_AHEAD))))
                return v.load(v.offset(at, first[0]))

            def pieced(at, _, first, second):
                return _in_pieces(v, at, first, second, None)

            with b.if_else(b.and_(places[0][0], places[1][0])) as (then, otherwise):
                with then:
                    cut(plain)
                with otherwise:
                    cut(pieced)
            following += [v.offset(panel, parts.parts * PART_BYTES)]
        moved += [v.offset(from_, pitch), v.offset(to, ROW_BYTES)]


@emitter("amxcolumns")
def columns(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pitch, table, pieces, length, dst, rows.

    As `amxrows`, but rows of src become lanes. Pieces have a vector or more, or there is one.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    parts = Parts(v, PARTS[products_of(spec.variants)])
    src, pitch, table, pieces, length, dst, count = args
    src, table, dst = v.pointer(src), v.pointer(table), v.pointer(dst)
    steps = b.sdiv(b.add(b.mul(pieces, length), integer(STEP - 1)), integer(STEP))
    tiles = b.sdiv(b.add(count, integer(v.lanes - 1)), integer(v.lanes))
    place = _places(v, table, b.sub(pieces, integer(1)), length)
    with v.loop_or_none(tiles, src, dst, count) as (_, (from_, to, held), moved):
        high = b.icmp_signed(">=", held, integer(v.lanes))
        with v.loop(steps, to) as (step, (panel,), following):
            p = b.mul(step, integer(STEP))
            places = [place(b.add(p, integer(i * v.lanes))) for i in range(2)]

            def cut(load, whole, places=places, panel=panel, from_=from_, held=held):
                """This step of all rows."""
                at, rows = from_, []
                for r in range(v.lanes):
                    there = b.icmp_signed("<", integer(r), held)
                    if r:
                        at = v.opaque(v.offset(at, pitch if whole else b.select(there, pitch, integer(0))))
                    rows.append([load(at, there, *found) for found in places])
                turned = (transposed(v, list(block)) for block in zip(*rows, strict=True))
                for pair, both in enumerate(zip(*turned, strict=True)):
                    for part, bits in enumerate(parts.cut(*both)):
                        here = v.offset(panel, part * PART_BYTES + pair * ROW_BYTES)
                        v.store(parts.paired(*bits), here, align=v.bytes)

            def plain(at, there, _, first, second):
                v.prefetch(v.offset(at, b.add(first[0], integer(BYTES_AHEAD))))
                return v.load(v.offset(at, first[0]))

            def pieced(at, there, _, first, second):
                return _in_pieces(v, at, first, second, there)

            with b.if_else(b.and_(high, b.and_(places[0][0], places[1][0]))) as (then, otherwise):
                with then:
                    cut(plain, True)
                with otherwise:
                    cut(pieced, False)
            following += [v.offset(panel, parts.parts * PART_BYTES)]
        rest = b.sub(held, integer(v.lanes))
        moved += [v.offset(from_, b.mul(pitch, integer(v.lanes))), v.offset(to, TILE_BYTES), rest]


@emitter("amxturned")
def turned(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pitch, count, dst, rows.

    Lanes, side by side in each of `count` products that are `pitch` bytes apart, become rows of a panel: up to two
    tiles. Squares of 16 by 16 are transposed in registers, before they are cut.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    parts = Parts(v, PARTS[products_of(spec.variants)])
    src, pitch, count, dst, rows = args
    tiles = b.sdiv(b.add(rows, integer(v.lanes - 1)), integer(v.lanes))
    steps = b.sdiv(b.add(count, integer(STEP - 1)), integer(STEP))
    with v.loop_or_none(steps, v.pointer(src), v.pointer(dst), count) as (_, (line, panel, left), following):

        def cut(from_, to, mask, whole, left=left):
            """This step of 16 rows."""
            at, halves = from_, ([], [])
            for p in range(STEP):
                there = b.icmp_signed("<", integer(p), left)
                if p:
                    at = v.opaque(v.offset(at, pitch if whole else b.select(there, pitch, integer(0))))
                some = mask if whole else b.select(there, mask, ir.Constant(v.mask_type, [0] * v.lanes))
                if whole:
                    v.prefetch(v.offset(at, b.mul(pitch, integer(STEP))))
                halves[p // v.lanes].append(v.load_masked(at, some))
            for row, both in enumerate(zip(*(transposed(v, half) for half in halves), strict=True)):
                for part, bits in enumerate(parts.cut(*both)):
                    v.store(parts.paired(*bits), v.offset(to, part * PART_BYTES + row * ROW_BYTES), align=v.bytes)

        with v.loop_or_none(tiles, line, panel, rows) as (_, (from_, to, high), on):
            mask = v.first_lanes(high)
            with b.if_else(b.icmp_signed(">=", left, integer(STEP))) as (then, otherwise):
                with then:
                    cut(from_, to, mask, True)
                with otherwise:
                    cut(from_, to, mask, False)
            on += [v.offset(from_, v.bytes), v.offset(to, TILE_BYTES), b.sub(high, integer(v.lanes))]
        beyond = v.offset(line, b.mul(pitch, integer(STEP)))
        following += [beyond, v.offset(panel, parts.parts * PART_BYTES), b.sub(left, integer(STEP))]

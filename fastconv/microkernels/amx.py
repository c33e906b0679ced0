"""Matrix products on Intel's tiles: float32 as sums of bfloat16 parts, exact ones, whose products are added in float32.

A float32 number has 24 significant bits; cut off after eight, it is the sum of three bfloat16 numbers. Of the nine
products of their parts the three smallest are below 2^-24 of the whole and left out: six remain, 2.7 times as fast as
float32 multiply-adds where the tiles do 16 times as many. bfloat16 needs one product, float16 (two exact parts) four.
See G. Henry, P. T. P. Tang, A. Heinecke, "Leveraging the
bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", ARITH 2019, arXiv:1904.06376.

A panel holds for each step of 32 products its parts, and of each part the tiles:

rows    [step][part][tile][16 rows][32 products]               the left operand
lanes   [step][part][tile][16 pairs of products][16 lanes][2]   the right one
"""

from __future__ import annotations

import functools

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.tiles import ROW_BYTES, ROWS, TILE_BYTES, Tiles
from fastconv.codegen.vector import I16, I32, Vectors, integer
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each

# The products of parts, by their number: (left, right), such that few tiles are loaded twice.
PRODUCTS = {
    1: ((0, 0),),
    4: ((1, 1), (1, 0), (0, 0), (0, 1)),
    6: ((0, 2), (0, 0), (0, 1), (1, 1), (1, 0), (2, 0)),
}
PARTS = {products: 1 + max(left for left, _ in pairs) for products, pairs in PRODUCTS.items()}
STEP = 32  # products of a step
PART_BYTES = 2 * TILE_BYTES  # of one step; half of it is not used where a block is one tile wide or high
MOST_VECTORS = 8  # that are packed at a time
MOST_LINE = 1536  # products of a row that is brought together before it is cut
ARGUMENTS = ("depth", "x", "w", "y", "y_pitch", "first", "bias", "residual", "residual_pitch", "activation", "rows",
             "last", "next_x", "next_w")  # fmt: skip
LEFT, RIGHT = 4, 6  # tile registers; the first four are sums


def products_of(variants: tuple[str, ...]) -> int:
    """The number of products that a name asks for: x6."""
    return next(int(word[1:]) for word in variants if word[0] == "x")


@emitter("amxstate")
def state(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Argument: 1 to take the tile registers, 0 to give them back."""
    spec = parse(name)
    tiles = Tiles(Vectors(b, spec.dtype, spec.lanes))
    with b.if_else(b.icmp_signed("!=", args[0], integer(0))) as (then, otherwise):
        with then:
            tiles.configure()
        with otherwise:
            tiles.release()


@emitter("amx")
def product(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit one block of tiles; see ARGUMENTS for the operands."""
    spec = parse(name)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    pixels, pairs = "px" in spec.variants, PRODUCTS[products_of(spec.variants)]
    parts = PARTS[len(pairs)]
    v = Vectors(b, spec.dtype, spec.lanes)
    tiles, high, wide = Tiles(v), spec.rows // ROWS, spec.columns // spec.lanes
    x, w, next_x, next_w = (v.pointer(args[word]) for word in ("x", "w", "next_x", "next_w"))
    left, right, next_left, next_right = (w, x, next_w, next_x) if pixels else (x, w, next_x, next_w)
    # Stores would wait for one line after the other.
    with each(v, integer(0), args["rows"], 1) as row:
        at = v.offset(v.pointer(args["y"]), b.mul(row, args["y_pitch"]))
        for j in range(wide):
            v.prefetch(v.offset(at, j * v.bytes), write=True)
    for tile in range(high * wide):
        tiles.zero(tile)
    steps = b.sdiv(b.add(args["depth"], integer(STEP - 1)), integer(STEP))
    lines = [
        (side, part * PART_BYTES + line)
        for part in range(parts)
        for side, count in enumerate((high, wide))
        for line in range(0, count * TILE_BYTES, ROW_BYTES)
    ]
    panels = left, right
    with v.loop(steps, left, right) as (step, (left, right), following):
        # Loads do not pass the stores of a block's sums: they are at their start again, and find what they need in L1.
        # 2, 6 and 18 steps a block: 1.19, 1.19 and 1.06 times as fast.
        last = b.icmp_signed("==", step, b.sub(steps, integer(1)))
        beyond = [v.offset(panel, parts * PART_BYTES) for panel in (left, right)]
        soon = [b.select(last, after, at) for at, after in zip(beyond, (next_left, next_right), strict=True)]
        held = [None, None]
        for n, pair in enumerate(pairs):
            for side, (panel, register, count) in enumerate(((left, LEFT, high), (right, RIGHT, wide))):
                if held[side] != pair[side]:
                    held[side] = pair[side]
                    for tile in range(count):
                        tiles.load(register + tile, v.offset(panel, pair[side] * PART_BYTES + tile * TILE_BYTES))
            for i in range(high):
                for j in range(wide):
                    tiles.multiply(i * wide + j, LEFT + i, RIGHT + j)
            for side, line in lines[n * len(lines) // len(pairs) : (n + 1) * len(lines) // len(pairs)]:
                v.prefetch(v.offset(soon[side], line))
        following += beyond
    with b.goto_entry_block():
        sums = b.alloca(ir.ArrayType(ir.IntType(8), high * wide * TILE_BYTES))
    sums.align = 64
    sums = v.pointer(b.ptrtoint(sums, operands[0].type))
    for i in range(high):
        for j in range(wide):
            tiles.store(i * wide + j, v.offset(sums, (i * ROWS * wide + j) * ROW_BYTES), wide * ROW_BYTES)
    _as_ieee_says(v, parts, wide, args, panels, steps, sums)
    _finish(v, wide, pixels, args, sums)


def _groups(b: ir.IRBuilder, rows: ir.Value) -> tuple[tuple[int, ir.Value], ...]:
    """(rows, how many times): four at a time, then one."""
    return (4, b.sdiv(rows, integer(4))), (1, b.srem(rows, integer(4)))


def _finish(v: Vectors, wide: int, pixels: bool, args: dict[str, ir.Value], sums: ir.Value) -> None:
    """Bring the rows that the block has from memory to y, some at a time."""
    b = v.b
    mask = v.first_lanes(args["last"])
    y, bias, residual = args["y"], args["bias"], args["residual"]
    for rows, count in _groups(b, args["rows"]):
        with v.loop_or_none(count, sums, y, bias, residual) as (_, (sums, y, bias, residual), following):
            some = [v.load(v.offset(sums, i * v.bytes), align=v.bytes) for i in range(rows * wide)]
            here = {**args, "y": y, "bias": bias, "residual": residual}
            finish_tile(v, rows, wide, pixels, mask, here, some)

            def forward(address, step, there=None):
                moved = b.add(address, step)
                if there is None:
                    return moved
                return b.select(b.icmp_signed("!=", there, integer(0)), moved, address)

            following += [v.offset(sums, rows * wide * v.bytes), forward(y, b.mul(args["y_pitch"], integer(rows)))]
            following += [forward(bias, integer(rows * v.size), bias) if pixels else bias]
            following += [forward(residual, b.mul(args["residual_pitch"], integer(rows)), residual)]
        sums, y, bias, residual = following


def _as_ieee_says(v: Vectors, parts: int, wide: int, args, panels, steps: ir.Value, sums: ir.Value) -> None:
    """Sums that are not finite, formed anew by plain multiply-adds unless an operand of theirs is NaN.

    An infinity has no further parts: its products with those of another number, which may be zero, make a NaN of it.
    """
    b, at = v.b, sums
    odd = [v.zero()] * (4 * wide)  # what is not finite, times zero: apart, as they would wait for one another
    for rows, count in _groups(b, args["rows"]):
        with v.loop_or_none(count, at, *odd) as (_, (at, *odd), following):
            for j in range(rows * wide):
                odd[j] = v.fma(v.zero(), v.load(v.offset(at, j * v.bytes), align=v.bytes), odd[j])
            following += [v.offset(at, rows * wide * v.bytes), *odd]
        at, *odd = following
    odd = v.some(b.fcmp_unordered("uno", functools.reduce(b.fadd, odd), v.zero()))
    with b.if_then(odd, likely=False):
        _plain(v, parts, wide, args, panels, steps, sums)


def _nan(v: Vectors, panel: ir.Value, steps: ir.Value, parts: int, lines: range) -> ir.Value:
    """Where NaN are in some lines of each step of a panel: lanes of the mask."""
    b, none = v.b, ir.Constant(v.mask_type, [0] * v.lanes)
    with v.loop(steps, panel, none) as (_, (at, found), following):
        for line in lines:
            for half in Parts.halves(v, v.load(v.offset(at, line), align=v.bytes)):
                found = b.or_(found, b.fcmp_unordered("uno", half, half))
        following += [v.offset(at, parts * PART_BYTES), found]
    return following[1]


def _plain(v: Vectors, parts: int, wide: int, args, panels, steps: ir.Value, sums: ir.Value) -> None:
    """Those sums that are not finite by multiply-adds of numbers put together from their parts."""
    b = v.b
    left, right = panels

    def infinite(vector):
        return b.fcmp_unordered("uno", b.fmul(vector, v.zero()), v.zero())

    def whole(load):
        """The two numbers of a pair."""
        first, *rest = (Parts.halves(v, load(part)) for part in range(parts))
        found = first
        for halves in rest:
            found = [b.fadd(a, c) for a, c in zip(found, halves, strict=True)]
        return [b.select(infinite(a), a, c) for a, c in zip(first, found, strict=True)]

    lanes = [
        _nan(v, v.offset(right, j * TILE_BYTES), steps, parts, range(0, TILE_BYTES, ROW_BYTES)) for j in range(wide)
    ]
    with each(v, integer(0), args["rows"], 1) as i:
        row = v.offset(left, b.add(b.mul(b.lshr(i, integer(4)), integer(TILE_BYTES)),
                                   b.mul(b.and_(i, integer(ROWS - 1)), integer(ROW_BYTES))))  # fmt: skip
        places = [
            v.offset(sums, b.mul(b.add(b.mul(i, integer(wide)), integer(j)), integer(v.bytes))) for j in range(wide)
        ]
        before = [v.load(at, align=v.bytes) for at in places]
        wanted = [b.and_(infinite(total), b.not_(nan)) for total, nan in zip(before, lanes, strict=True)]
        with b.if_then(v.some(functools.reduce(b.or_, wanted))):
            sound = b.not_(v.some(_nan(v, row, steps, parts, range(1))))
            for j in range(wide):
                with b.if_then(b.and_(sound, v.some(wanted[j]))):
                    tile = v.offset(right, j * TILE_BYTES)
                    with v.loop(b.mul(steps, integer(ROWS)), v.zero()) as (pair, (total,), following):
                        step = b.mul(b.lshr(pair, integer(4)), integer(parts * PART_BYTES))
                        r = b.and_(pair, integer(ROWS - 1))
                        here = v.offset(row, b.add(step, b.mul(r, integer(v.size))))
                        there = v.offset(tile, b.add(step, b.mul(r, integer(ROW_BYTES))))
                        scalars = whole(lambda p, here=here: v.broadcast(v.load_scalar(v.offset(here, p * PART_BYTES))))
                        vectors = whole(lambda p, there=there: v.load(v.offset(there, p * PART_BYTES), align=v.bytes))
                        for scalar, vector in zip(scalars, vectors, strict=True):
                            total = v.fma(scalar, vector, total)
                        following += [total]
                    v.store(b.select(wanted[j], following[0], before[j]), places[j], align=v.bytes)


class Parts:
    """Cuts float32 vectors into bfloat16 parts."""

    def __init__(self, v: Vectors, parts: int):
        self.v, self.parts = v, parts
        self.bits = ir.VectorType(I32, v.lanes)
        self.high = ir.Constant(self.bits, [0xFFFF0000] * v.lanes)

    def cut(self, *values: ir.Value):
        """For each part in turn, its bits in the upper halves of `values`, the lower ones anything."""
        b, values = self.v.b, list(values)
        if self.parts > 2:  # adding zero makes a signalling NaN quiet: without its low bits it would be an infinity
            values = [b.fadd(value, self.v.zero()) for value in values]
        for part in range(self.parts):
            bits = [b.bitcast(value, self.bits) for value in values]
            yield bits
            if part < self.parts - 1:
                kept = [b.bitcast(b.and_(word, self.high), self.v.type) for word in bits]
                values = [b.fsub(value, high) for value, high in zip(values, kept, strict=True)]

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

    def joined(self, first: ir.Value, second: ir.Value) -> ir.Value:
        """All lanes of the first, then of the second."""
        v, halves = self.v, ir.VectorType(I16, 2 * self.v.lanes)
        picks = [2 * i + 1 for i in range(2 * v.lanes)]
        return v.b.bitcast(v.shuffle(v.b.bitcast(first, halves), v.b.bitcast(second, halves), picks), v.type)


@emitter("amxlanes")
def lanes(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, table (byte offsets from src), count, dst, vectors, valid, panel (bytes from one to the next)."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    parts = Parts(v, PARTS[products_of(spec.variants)])
    src, table, count, dst, vectors, valid, panel = args
    src, table, dst = v.pointer(src), v.pointer(table), v.pointer(dst)
    whole, odd = b.lshr(count, integer(1)), b.icmp_signed("!=", b.and_(count, integer(1)), integer(0))
    pairs = b.lshr(b.add(count, integer(1)), integer(1))
    end = b.and_(b.add(pairs, integer(STEP // 2 - 1)), integer(-STEP // 2))
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

        with v.loop_or_none(whole, table) as (pair, (at,), moved):
            write(pair, both(*(v.offset(src, v.load_integer(v.offset(at, 8 * i))) for i in range(2))))
            moved += [v.offset(at, 16)]
        with b.if_then(odd):
            write(whole, both(v.offset(src, v.load_integer(moved[0])), None))
        with each(v, pairs, end, 1) as pair:
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


@emitter("amxrows")
def rows(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pitch, table (byte offsets of pieces), pieces, length (products of a piece), dst, row, rows.

    Rows of src, `pitch` bytes apart, become those from number `row` on of the panel.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    parts = Parts(v, PARTS[products_of(spec.variants)])
    src, pitch, table, pieces, length, dst, row, count = args
    src, table, dst = v.pointer(src), v.pointer(table), v.pointer(dst)
    with b.goto_entry_block():
        line = b.alloca(ir.ArrayType(v.type, MOST_LINE // v.lanes + 1))
    line.align = v.bytes
    line = v.pointer(b.ptrtoint(line, row.type))
    depth = b.mul(pieces, length)
    whole = b.mul(b.sdiv(depth, integer(STEP)), integer(STEP))
    alone = b.icmp_signed("==", pieces, integer(1))
    rest = v.first_lanes(b.srem(length, integer(v.lanes)))

    with v.loop_or_none(count, src, row) as (_, (from_, index), moved):
        with b.if_then(b.not_(alone)), v.loop(pieces, table, line) as (_, (at, to), on):
            piece, full = v.offset(from_, v.load_integer(at)), b.sdiv(length, integer(v.lanes))
            with v.loop_or_none(full, piece, to) as (_, (read, write), further):
                v.store(v.load(read), write)
                further += [v.offset(read, v.bytes), v.offset(write, v.bytes)]
            v.store(v.load_masked(further[0], rest), further[1])
            on += [v.offset(at, 8), v.offset(to, b.mul(length, integer(v.size)))]
        start = v.offset(from_, v.load_integer(table))
        read = b.select(alone, start, line)
        to = b.add(b.mul(b.lshr(index, integer(4)), integer(TILE_BYTES)),
                   b.mul(b.and_(index, integer(ROWS - 1)), integer(ROW_BYTES)))  # fmt: skip
        to = v.offset(dst, to)

        def cut(q, masks, read=read, to=to):
            first, second = (v.offset(read, b.add(b.mul(q, integer(v.size)), integer(i * v.bytes))) for i in range(2))
            at = v.offset(to, b.mul(b.sdiv(q, integer(STEP)), integer(parts.parts * PART_BYTES)))
            values = [
                v.load(pointer) if mask is None else v.load_masked(pointer, mask)
                for pointer, mask in zip((first, second), masks, strict=True)
            ]
            for part, bits in enumerate(parts.cut(*values)):
                v.store(parts.joined(*bits), v.offset(at, part * PART_BYTES), align=v.bytes)

        with each(v, integer(0), whole, STEP) as q:
            cut(q, (None, None))
        with b.if_then(b.icmp_signed("<", whole, depth)):
            left = b.sub(depth, whole)
            cut(whole, (v.first_lanes(left), v.first_lanes(b.sub(left, integer(v.lanes)))))
        moved += [v.offset(from_, pitch), b.add(index, integer(1))]

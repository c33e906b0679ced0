"""Matrix products on Intel's tiles: float32 as sums of bfloat16 parts, exact ones, whose products are added in float32.

A float32 number has 24 significant bits; cut off after eight, it is the sum of three bfloat16 numbers. Of the nine
products of their parts the three smallest, each 2^-22 of the whole at most and 2^-25 on average, are left out: six
remain, 2.7 times as fast as float32 multiply-adds where the tiles do 16 times as many. bfloat16 needs one product,
float16 (two exact parts) four. See G. Henry, P. T. P. Tang, A. Heinecke, "Leveraging the bfloat16 Artificial
Intelligence Datatype For Higher-Precision Computations", ARITH 2019, arXiv:1904.06376.
"""

from __future__ import annotations

import functools

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.tiles import ROW_BYTES, ROWS, TILE_BYTES, Tiles
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.amxparts import PART_BYTES, PARTS, PRODUCTS, STEP, Parts, products_of
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import each

ARGUMENTS = ("depth", "x", "w", "y", "y_pitch", "first", "bias", "residual", "residual_pitch", "activation", "rows",
             "last", "next_x", "next_w")  # fmt: skip
SUMS = ("depth", "x", "w", "z", "z_pitch", "first", "next_x", "next_w")
LEFT, RIGHT = 4, 6  # tile registers; the first four are sums


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
    _fetch(v, v.pointer(args["y"]), args["y_pitch"], args["rows"], wide)
    steps = b.sdiv(b.add(args["depth"], integer(STEP - 1)), integer(STEP))
    for tile in range(high * wide):
        tiles.zero(tile)
    _multiply(tiles, pairs, (high, wide), steps, (left, right), (next_left, next_right))
    panels = left, right
    with b.goto_entry_block():
        sums = b.alloca(ir.ArrayType(ir.IntType(8), high * wide * TILE_BYTES))
    sums.align = 64
    sums = v.pointer(b.ptrtoint(sums, operands[0].type))
    for i in range(high):
        for j in range(wide):
            tiles.store(i * wide + j, v.offset(sums, (i * ROWS * wide + j) * ROW_BYTES), wide * ROW_BYTES)
    _as_ieee_says(v, parts, wide, args, panels, steps, sums)
    _finish(v, wide, pixels, args, sums)


@emitter("amxsums")
def sums(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit one block of tiles whose sums stay what they are, whole tiles of them; see SUMS for the operands."""
    spec = parse(name)
    args = dict(zip(SUMS, operands, strict=True))
    v = Vectors(b, spec.dtype, spec.lanes)
    tiles, high, wide = Tiles(v), spec.rows // ROWS, spec.columns // spec.lanes
    x, w, z, *following = (v.pointer(args[word]) for word in ("x", "w", "z", "next_x", "next_w"))
    places = [
        v.offset(v.offset(z, b.mul(args["z_pitch"], integer(i * ROWS))), j * ROW_BYTES)
        for i in range(high)
        for j in range(wide)
    ]
    _fetch(v, z, args["z_pitch"], integer(high * ROWS), wide)
    with b.if_else(b.icmp_signed("!=", args["first"], integer(0))) as (then, otherwise):
        with then:
            for tile in range(high * wide):
                tiles.zero(tile)
        with otherwise:
            for tile, place in enumerate(places):
                tiles.load(tile, place, args["z_pitch"])
    steps = b.sdiv(b.add(args["depth"], integer(STEP - 1)), integer(STEP))
    _multiply(tiles, PRODUCTS[products_of(spec.variants)], (high, wide), steps, (x, w), following)
    for tile, place in enumerate(places):
        tiles.store(tile, place, args["z_pitch"])


def _fetch(v: Vectors, y: ir.Value, pitch: ir.Value, rows: ir.Value, wide: int) -> None:
    """Ask for the lines that sums go to: stores would wait for one after the other."""
    with each(v, integer(0), rows, 1) as row:
        at = v.offset(y, v.b.mul(row, pitch))
        for j in range(wide):
            v.prefetch(v.offset(at, j * v.bytes), write=True)


def _multiply(tiles: Tiles, pairs, sizes: tuple[int, int], steps: ir.Value, panels, after) -> None:
    """Add the products of both panels to the sums in the first tiles; the panels that come `after` are fetched."""
    v = tiles.v
    b, parts, (high, wide) = v.b, PARTS[len(pairs)], sizes
    lines = [
        (side, part * PART_BYTES + line)
        for part in range(parts)
        for side, count in enumerate(sizes)
        for line in range(0, count * TILE_BYTES, ROW_BYTES)
    ]
    with v.loop(steps, *panels) as (step, (left, right), following):
        # Loads do not pass the stores of a block's sums: they are at their start again, and find what they need in L1.
        # 2, 6 and 18 steps a block: 1.19, 1.19 and 1.06 times as fast.
        last = b.icmp_signed("==", step, b.sub(steps, integer(1)))
        beyond = [v.offset(panel, parts * PART_BYTES) for panel in (left, right)]
        soon = [b.select(last, there, at) for at, there in zip(beyond, after, strict=True)]
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

            def forward(address, step):
                """Where it goes on; 0, for nothing, stays."""
                return b.select(b.icmp_signed("!=", address, integer(0)), b.add(address, step), address)

            following += [v.offset(sums, rows * wide * v.bytes), b.add(y, b.mul(args["y_pitch"], integer(rows)))]
            following += [forward(bias, integer(rows * v.size)) if pixels else bias]
            following += [forward(residual, b.mul(args["residual_pitch"], integer(rows)))]
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

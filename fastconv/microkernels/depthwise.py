"""Depthwise stencils: lanes are channels, a tile is neighbouring pixels of one output row.

Both operands are packed: the input as [row][column][lane] with its border, the weights as [tap][lane]. For the usual
kernels (`SIZES`) and strides 1 and 2 the taps are unrolled, and a loaded pixel serves every tap it falls under; others
walk a table of taps.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.blocking import part_products
from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse
from fastconv.microkernels.parts import added, in_parts

ARGUMENTS = ("x", "x_row", "x_run", "x_pixel", "table", "taps", "w", "y", "y_run", "y_pixel", "bias", "residual",
             "activation", "last", "runs", "run", "part")  # fmt: skip
SIZES = ("3x3", "5x5", "7x7")  # unrolled kernels, without dilation of columns
MOST_PIXELS = 8


def variant(r: int, s: int, stride: int, dilation: int) -> str:
    """The unrolled variant's name for these columns, or "taps"."""
    size = f"{r}x{s}"
    return f"{size}s{stride}" if size in SIZES and stride in (1, 2) and dilation == 1 else "taps"


@emitter("depthwise")
def depthwise(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit `runs` rows of `run` >= rows pixels; the last tile of a row overlaps the one before it."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    if "parts" in spec.variants:
        v.align_stack()
    pixels, zero = spec.rows, integer(0)
    mask = v.first_lanes(args["last"])
    tiles = b.sdiv(b.add(args["run"], integer(pixels - 1)), integer(pixels))
    final = b.sub(args["run"], integer(pixels))
    there = b.icmp_signed("!=", args["residual"], zero)
    w = v.pointer(args["w"])
    start = (v.pointer(args["x"]), args["y"], args["residual"])
    with v.loop(args["runs"], *start) as (_, (x_line, y_line, r_line), after_row):
        with v.loop(tiles) as (tile, _, _):
            first = b.mul(tile, integer(pixels))
            first = b.select(b.icmp_signed("<", first, final), first, final)
            x = v.offset(x_line, b.mul(first, args["x_pixel"]))
            place = b.mul(first, args["y_pixel"])
            sums = (_taps if "taps" in spec.variants else _unrolled)(v, spec, args, x, w)
            out = {"y": b.add(y_line, place), "y_pitch": args["y_pixel"], "first": integer(1), "bias": args["bias"],
                   "residual": b.select(there, b.add(r_line, place), zero), "residual_pitch": args["y_pixel"],
                   "activation": args["activation"]}  # fmt: skip
            finish_tile(v, pixels, 1, False, mask, out, sums)
        after_row += [v.offset(x_line, args["x_run"]), b.add(y_line, args["y_run"]), b.add(r_line, args["y_run"])]


def _unrolled(v: Vectors, spec, args, x, w):
    """Sums of one tile, all taps in a row; "parts" are whole rows of the kernel."""
    size, stride = spec.variants[0].split("s")
    r, s = (int(part) for part in size.split("x"))
    stride, height = int(stride), part_products(r * s, True) // s if "parts" in spec.variants else r
    sums, parts = [v.zero()] * spec.rows, []
    for i in range(r):
        if i and i % height == 0:
            parts.append(sums)
            sums = [v.zero()] * spec.rows
        line = [v.load(v.offset(x, j * v.bytes), align=v.bytes) for j in range((spec.rows - 1) * stride + s)]
        for j in range(s):
            weight = v.load(v.offset(w, (i * s + j) * v.bytes), align=v.bytes)
            sums = [v.fma(line[p * stride + j], weight, total) for p, total in enumerate(sums)]
        x = v.offset(x, args["x_row"])
    return added(v, [*parts, sums])


def _taps(v: Vectors, spec, args, x, w):
    """Sums of one tile, tap by tap."""

    def add_up(taps, table, weights):
        with v.loop(taps, table, weights, *[v.zero()] * spec.rows) as (_, (table, weights, *sums), following):
            at, weight = v.offset(x, v.load_integer(table)), v.load(weights, align=v.bytes)
            following += [v.offset(table, 8), v.offset(weights, v.bytes)]
            for total in sums:
                following.append(v.fma(v.load(at, align=v.bytes), weight, total))
                at = v.offset(at, args["x_pixel"])
        return following

    table = v.pointer(args["table"])
    if "parts" in spec.variants:
        return in_parts(v, args["taps"], args["part"], add_up, table, w)[2:]
    return add_up(args["taps"], table, w)[2:]

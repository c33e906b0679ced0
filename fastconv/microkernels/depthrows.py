"""Depthwise stencils in place where channels are side by side: lanes are channels, a tile is some pixels of a row.

A call makes one row of y, or of dx. Tile after tile, it goes through all channels while the lines of the tile's pixels
are near: x is read in the order in which it lies, and nothing is copied. What is outside is read from `zeros`. The rows
that come next, so many bytes ahead, are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I64, Vectors, integer, least
from fastconv.microkernels.depthwise import SIZES
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse

FORWARD = ("rows", "left", "width", "zeros", "w", "y", "y_pixel", "bias", "residual", "activation", "run",
           "channels", "x_ahead", "y_ahead")  # fmt: skip
INPUT = ("rows", "left", "width", "zeros", "w", "dx", "dx_pixel", "dx_width", "channels",
         "dy_ahead", "dx_ahead")  # fmt: skip
MOST_PIXELS = 8
MOST_PAIRS = 4


def kinds() -> list[str]:
    """The variants of `depthrows`: kernel size and stride; 3x3x3 has the rows of three slices, 2x2x2 of two."""
    return [f"{size}s{stride}" for size in (*SIZES, "9x3", "4x2") for stride in (1, 2)]


def input_kinds() -> list[str]:
    """Those of `depthrowsinput`, with the even sizes of transposed convolutions."""
    return [f"{size}x{size}s2" for size in (2, 3, 4, 5, 7)]


@emitter("depthrows")
def depthrows(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit a row of `run` >= rows pixels of `channels` >= lanes; the last tile, and the last vector, overlap the ones
    before.

    For every row of the kernel `rows` has two words: where column 0 lies, and the bytes from pixel to pixel. The first
    window starts `left` columns before column 0. `w` is packed as [vector][tap][lane], the last vector as it overlaps.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    args = dict(zip(FORWARD, operands, strict=True))
    r, s, stride = _window(spec)
    pixels, zero = spec.rows, integer(0)
    lines = _Lines(v, args, r, (pixels - 1) * stride + s)
    final = b.sub(args["run"], integer(pixels))
    has_bias, has_residual = (b.icmp_signed("!=", args[word], zero) for word in ("bias", "residual"))
    with v.loop(b.sdiv(b.add(args["run"], integer(pixels - 1)), integer(pixels))) as (tile, _, _):
        first = least(b, b.mul(tile, integer(pixels)), final)
        column, to = b.sub(b.mul(first, integer(stride)), args["left"]), b.mul(first, args["y_pixel"])

        def channels(line, _, column=column, to=to):
            with _each_vector(v, args, r * s) as (vector, moved, w):
                for i in range(r - stride, r):
                    lines.ask_for(i, column, args["x_ahead"], vector, pixels * stride)
                _ask_for(v, b.add(b.add(args["y"], to), args["y_ahead"]), vector, pixels, write=True)
                sums = [None] * pixels
                for i in range(r):
                    weights = [_weight(v, w, i * s + j) for j in range(s)]
                    for at, pixel in enumerate(line(i, moved)):
                        for j, weight in enumerate(weights):
                            p, apart = divmod(at - j, stride)
                            if apart == 0 and 0 <= p < pixels:
                                sums[p] = _added(v, sums[p], pixel, weight)
                place = b.add(to, moved)
                out = {"y": b.add(args["y"], place), "y_pitch": args["y_pixel"], "first": integer(1),
                       "bias": b.select(has_bias, b.add(args["bias"], moved), zero),
                       "residual": b.select(has_residual, b.add(args["residual"], place), zero),
                       "residual_pitch": args["y_pixel"], "activation": args["activation"]}  # fmt: skip
                finish_tile(v, pixels, 1, False, None, out, sums)

        lines.meet(column, channels)


@emitter("depthrowsinput")
def depthrowsinput(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit a row of dx, of stride 2, from the rows of dy that meet the kernel's even rows, or its odd ones.

    Tiles are pairs of columns, the first starting `left` columns before column 0 or one before that; `rows` and `w` as
    above, dy in the place of x.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    args = dict(zip(INPUT, operands, strict=True))
    r, s, _ = _window(spec)
    kernel_rows = list(range(spec.variants[1] == "odd", r, 2))
    pairs, before, two = spec.rows, (s - 1) // 2, integer(2)
    lines = _Lines(v, args, len(kernel_rows), pairs + before)
    start = b.ashr(args["left"], integer(1))
    count = b.sub(
        b.add(b.ashr(b.sub(b.add(args["left"], args["dx_width"]), integer(1)), integer(1)), integer(1)), start
    )
    final = b.add(start, b.sub(count, integer(pairs)))
    with v.loop(b.sdiv(b.add(count, integer(pairs - 1)), integer(pairs))) as (tile, _, _):
        first = least(b, b.add(start, b.mul(tile, integer(pairs))), final)
        column = b.sub(b.mul(first, two), args["left"])

        def channels(line, middle, first=first, column=column):
            to = b.add(args["dx"], b.mul(column, args["dx_pixel"]))
            with _each_vector(v, args, r * s) as (vector, moved, w):
                lines.ask_for(0, first, args["dy_ahead"], vector, pairs)
                _ask_for(v, b.add(to, args["dx_ahead"]), vector, 2 * pairs, write=True)
                sums = [None] * (2 * pairs)
                for row, i in enumerate(kernel_rows):
                    weights = [_weight(v, w, i * s + j) for j in range(s)]
                    for at, pixel in enumerate(line(row, moved)):
                        for j, weight in enumerate(weights):
                            p = at - before + j // 2
                            if 0 <= p < pairs:
                                sums[2 * p + j % 2] = _added(v, sums[2 * p + j % 2], pixel, weight)
                place = v.pointer(b.add(to, moved))
                for p, total in enumerate(sums):
                    place = v.opaque(v.offset(place, args["dx_pixel"])) if p else place
                    if middle:
                        v.store(total, place)
                        continue
                    there = b.icmp_unsigned("<", b.add(column, integer(p)), args["dx_width"])
                    with b.if_then(there):
                        v.store(total, place)

        inside = b.icmp_signed("<=", b.add(column, integer(2 * pairs)), args["dx_width"])
        inside = b.and_(inside, b.icmp_signed(">=", column, integer(0)))
        lines.meet(b.sub(first, integer(before)), channels, inside)


class _Lines:
    """Reads the pixels of a tile in each row of a kernel."""

    def __init__(self, v: Vectors, args: dict, rows: int, span: int):
        self.v, self.args, self.span = v, args, span
        table = v.pointer(args["rows"])
        self.rows = [[v.load_integer(v.offset(table, 8 * (2 * i + word))) for word in range(2)] for i in range(rows)]
        with v.b.goto_entry_block():
            self.places = v.b.alloca(ir.ArrayType(I64, rows * span))

    def meet(self, column: ir.Value, channels: Callable, inside: ir.Value | None = None) -> None:
        """Emit `channels(line, middle)` twice, for a tile from `column` on in the middle of a row, where `inside` holds
        too, and at its ends; `line(i, moved)` gives the pixels of row i, `moved` bytes on."""
        b = self.v.b
        within = b.icmp_signed("<=", b.add(column, integer(self.span)), self.args["width"])
        within = b.and_(within, b.icmp_signed(">=", column, integer(0)))
        with b.if_else(within if inside is None else b.and_(within, inside), likely=True) as (middle, edge):
            with middle:
                channels(lambda i, moved: self._in_row(i, column, moved), True)
            with edge:
                self._find(column)
                channels(self._at_places, False)

    def ask_for(self, i: int, column: ir.Value, ahead: ir.Value, vector: ir.Value, pixels: int) -> None:
        """Ask for a vector's share of some pixels `ahead` of those of row i from `column` on."""
        b, (start, pitch) = self.v.b, self.rows[i]
        _ask_for(self.v, b.add(b.add(start, b.mul(column, pitch)), ahead), vector, pixels)

    def _in_row(self, i: int, column: ir.Value, moved: ir.Value) -> Iterator[ir.Value]:
        """Pixels side by side, by one address and not one each."""
        v, b, (start, pitch) = self.v, self.v.b, self.rows[i]
        at = v.pointer(b.add(b.add(start, b.mul(column, pitch)), moved))
        for j in range(self.span):
            at = v.opaque(v.offset(at, pitch)) if j else at
            yield v.load(at)

    def _find(self, column: ir.Value) -> None:
        """Write down where each pixel lies, which is `zeros` for those outside."""
        v, b = self.v, self.v.b
        for j in range(self.span):
            across = b.add(column, integer(j))
            there = b.icmp_unsigned("<", across, self.args["width"])
            for i, (start, pitch) in enumerate(self.rows):
                at = b.select(there, b.add(start, b.mul(across, pitch)), self.args["zeros"])
                b.store(at, b.bitcast(v.offset(self.places, 8 * (i * self.span + j)), I64.as_pointer()))

    def _at_places(self, i: int, moved: ir.Value) -> Iterator[ir.Value]:
        """Pixels where they were found to lie."""
        v = self.v
        for j in range(self.span):
            at = v.load_integer(v.offset(self.places, 8 * (i * self.span + j)))
            yield v.load(v.pointer(v.b.add(at, moved)))


@contextmanager
def _each_vector(v: Vectors, args: dict, taps: int):
    """A loop over the vectors of channels: gives a vector's number, how far it lies from the first, and its weights."""
    b, lanes = v.b, integer(v.lanes)
    with v.loop(b.sdiv(b.add(args["channels"], integer(v.lanes - 1)), lanes)) as (vector, _, _):
        channel = least(b, b.mul(vector, lanes), b.sub(args["channels"], lanes))
        yield (
            vector,
            b.mul(channel, integer(v.size)),
            v.pointer(b.add(args["w"], b.mul(vector, integer(taps * v.bytes)))),
        )


def _ask_for(v: Vectors, at: ir.Value, vector: ir.Value, pixels: int, write: bool = False) -> None:
    """Ask for one vector's share of the lines of all channels of some pixels."""
    v.ask_for(v.b.add(at, v.b.mul(vector, integer(pixels * v.bytes))), pixels, write)


def _window(spec) -> tuple[int, int, int]:
    """Rows and columns of the kernel, and the stride."""
    size, stride = spec.variants[0].split("s")
    r, s = size.split("x")
    return int(r), int(s), int(stride)


def _weight(v: Vectors, w: ir.Value, tap: int) -> ir.Value:
    return v.load(v.offset(w, tap * v.bytes), align=v.bytes)


def _added(v: Vectors, total: ir.Value | None, pixel: ir.Value, weight: ir.Value) -> ir.Value:
    """A product more, or the first one."""
    return v.b.fmul(pixel, weight) if total is None else v.fma(pixel, weight, total)

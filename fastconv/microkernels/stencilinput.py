"""The input gradient of depthwise stencils of stride 2: lanes are neighbouring pixels of a row of dy.

A row of dy gives pairs of rows of dx, and each of its pixels a pair of columns. A tile walks down a strip of dy: each
row is loaded once, shifted in registers, and multiplied by the taps of every row of dx that it belongs to. The even
and odd columns of a finished row are woven and stored once; only taps that meet are ever multiplied.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import woven_of
from fastconv.microkernels.stencil import Row, columns_inside, plane_weights

ARGUMENTS = ("planes", "dy", "dy_plane", "dy_row", "first", "dy_height", "dy_width", "zeros", "w", "dx", "dx_plane",
             "dx_row", "h", "height", "left", "width", "pairs", "dy_ahead",
             "dx_ahead")  # fmt: skip
EVEN_ODD = range(2)


def kinds(lanes: int) -> list[str]:
    """The variants: sizes of `stencil`, and the even ones of transposed convolutions."""
    return [f"{size}x{size}s2" for size in (2, 3, 4, 5, 7) if size - 1 <= lanes]


@emitter("stencilinput")
def stencilinput(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit `pairs` pairs of rows of dx for each of some planes, which have weights of their own, side by side.

    `dy` is where row `first` starts, and `dx` where row `h` (even when counted from the padding's start) does in the
    padding, `left` columns before column 0; rows that are not inside are not read or written.
    """
    spec = parse(name)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    r, s = (int(part) for part in spec.variants[-1].removesuffix("s2").split("x"))
    waiting, shifts, size = (r + 1) // 2, (s + 1) // 2, integer(v.size)
    one, two = integer(1), integer(2)
    start = b.ashr(args["left"], one)
    last = b.ashr(b.sub(b.add(args["left"], args["width"]), one), one)
    vectors = b.sdiv(b.add(b.sub(last, start), integer(v.lanes)), integer(v.lanes))
    above = integer(1 - waiting)  # rows of dy before the first, which reach the first pair
    with v.loop(vectors) as (part, _, _):
        pixel = b.add(start, b.mul(part, integer(v.lanes)))
        column = b.sub(pixel, integer(shifts - 1))
        read = Row(v, 1, shifts, 1, column, args["dy_width"])
        dy = b.add(b.add(args["dy"], b.mul(column, size)), b.mul(args["dy_row"], above))
        across = b.mul(pixel, two)
        to = b.sub(across, args["left"])
        masks = [columns_inside(v, to, args["width"], half * v.lanes) for half in EVEN_ODD]
        dx = b.add(args["dx"], b.mul(across, size))
        with v.loop(args["planes"], dy, args["w"], dx) as (_, (dy, w, dx), following):
            weights = plane_weights(v, w, r, s)

            def add_row(line, row, sums, pairs, weights=weights, read=read):
                """Add the row of dy at `line` to the sums of `pairs`, its own pair being number 0."""
                inside = b.icmp_unsigned("<", row, args["dy_height"])
                v.ask_for(b.add(line, args["dy_ahead"]), 1)
                taps = [tap for (tap,) in reversed(read(v.pointer(b.select(inside, line, args["zeros"]))))]
                for m in pairs:
                    for i in range(2 * m, min(2 * m + 2, r)):
                        for odd in EVEN_ODD:
                            total = _dot(v, taps, weights[i][odd::2])
                            key = m, i % 2, odd
                            sums[key] = b.fadd(sums[key], total) if key in sums else total
                return b.add(line, args["dy_row"]), b.add(row, one)

            line, row, before = dy, b.add(args["first"], above), {}
            for t in range(waiting - 1):
                line, row = add_row(line, row, before, range(waiting - 1 - t, waiting))
                before = _next(before)
            keys, flat = list(before), list(before.values())
            with v.loop(args["pairs"], line, row, args["h"], dx, *flat) as (_, (line, row, h, to, *flat), after):
                sums = dict(zip(keys, flat, strict=True))
                line, row = add_row(line, row, sums, range(waiting))
                for a in EVEN_ODD:
                    v.ask_for(b.add(to, args["dx_ahead"]), 2, write=True)
                    with b.if_then(b.icmp_unsigned("<", h, args["height"])):
                        _weave(v, [sums[0, a, odd] for odd in EVEN_ODD], to, masks)
                    h, to = b.add(h, one), b.add(to, args["dx_row"])
                sums = _next(sums)
                after += [line, row, h, to, *(sums[key] for key in keys)]
            following += [b.add(dy, args["dy_plane"]), b.add(w, integer(r * s * v.size)), b.add(dx, args["dx_plane"])]


def _dot(v: Vectors, taps: list, weights: list) -> ir.Value:
    """One kernel row's part of a sum, in every other column."""
    total = v.b.fmul(taps[0], weights[0])
    for tap, weight in zip(taps[1 : len(weights)], weights[1:], strict=True):
        total = v.fma(tap, weight, total)
    return total


def _next(sums: dict) -> dict:
    """The sums as the next row of dy sees them: their pairs are one nearer, and pair 0 is done."""
    return {(m - 1, a, odd): total for (m, a, odd), total in sums.items() if m > 0}


def _weave(v: Vectors, columns: list, to: ir.Value, masks: list) -> None:
    """Store a row of which these are the even and the odd columns."""
    for half, (woven, mask) in enumerate(zip(woven_of(v, columns), masks, strict=True)):
        v.store_masked(woven, v.offset(v.pointer(to), half * v.bytes), mask)

"""Depthwise stencils on planes: lanes are neighbouring pixels of an output row, a tile is a strip of columns.

A tile walks down its strip. Each input row is loaded once, in place, shifted in registers for the kernel's columns, and
added to every output row that it belongs to; an output row is stored when its last input row has been seen. Shifts
instead of loads, because nearly every 64-byte load crosses a cache line here, at two to three cycles.
The border costs nothing but masks: columns outside are loads' empty lanes, and a row outside is read from `zeros`.

With a dilation across (`dilated`) each kernel column has loads of its own, so that one kernel does any of them. Down
it needs none: every so many rows are a plane of their own, to the kernel as to its caller.

No processor foresees such a walk, so what lies `x_ahead` and `y_ahead` bytes farther on is asked for: 3x3 of 32
channels on eight images of 112x112 takes a third of the time.

In a volume a tile walks down all slices that a frame sees at once: `slices` says where they lie, -1 where none is.
So x and y go by once, where a walk for each tap of the depth would read y again: 3x3x3 with 64 channels on 16x56x56
takes half the time.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, Vectors, integer
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse

ARGUMENTS = ("planes", "x", "x_plane", "x_row", "top", "height", "left", "width", "zeros", "w", "y", "y_plane",
             "y_pitch", "run", "runs", "bias", "residual", "activation", "slices", "apart", "x_ahead",
             "y_ahead")  # fmt: skip
MOST_VECTORS = 2
ZEROS = 1024  # bytes that `zeros` must have: a tile's columns, at stride 2; and those between the first and last tap


def kinds(lanes: int) -> list[str]:
    """The variants, as kernel size and stride: those whose columns reach no farther than the next vector."""
    return [f"{size}x{size}s{stride}" for size in (2, 3, 5, 7) if size - 1 <= lanes for stride in (1, 2)]


def volume_kinds(lanes: int) -> list[str]:
    """The variants for volumes, with the taps along the depth first."""
    return [f"{depth}x{kind}" for kind in kinds(lanes) for depth in (2, 3, 5) if depth <= int(kind[0]) < 7]


def dilated_kinds(lanes: int) -> list[str]:
    """Those of both that are there with a dilation, too."""
    return [kind for kind in (*kinds(lanes), *volume_kinds(lanes)) if kind.endswith("s1")]


@emitter("stencil")
def stencil(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit `runs` output rows of `run` pixels, a multiple of the tile's vectors but for the last one's lanes.

    `x` is where the first window starts; `top` and `left` (it lies `left` columns before column 0) may be outside.
    Planes have weights and a bias of their own, side by side. In a volume they lie in slices: of each tap along the
    depth, `slices` has the bytes from x on. Where dilated, neighbouring kernel columns lie `apart` columns apart.
    """
    spec = parse(name)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    *depth, r, s, stride = (int(part) for part in spec.variants[0].replace("s", "x").split("x"))
    slices = _slices(v, args["slices"], *depth)
    width, zero = spec.vectors * v.lanes, integer(0)
    has_bias, has_residual = (b.icmp_signed("!=", args[word], zero) for word in ("bias", "residual"))
    bias_plane, r_plane, r_pitch = (
        b.select(there, step, zero)
        for there, step in (
            (has_bias, integer(v.size)), (has_residual, args["y_plane"]), (has_residual, args["y_pitch"]),
        )
    )  # fmt: skip

    with v.loop(b.sdiv(b.add(args["run"], integer(width - 1)), integer(width))) as (part, _, _):
        first = b.mul(part, integer(width))
        column, place = b.mul(first, integer(stride)), b.mul(first, integer(v.size))
        if "dilated" in spec.variants:
            read = DilatedRow(v, spec.vectors, s, args["apart"], b.sub(column, args["left"]), args["width"])
        else:
            read = Row(v, spec.vectors, s, stride, b.sub(column, args["left"]), args["width"])
        kept = v.first_lanes(b.sub(args["run"], b.add(first, integer(width - v.lanes))))
        x = b.add(args["x"], b.mul(column, integer(v.size)))
        y, residual = b.add(args["y"], place), b.select(has_residual, b.add(args["residual"], place), zero)
        state = (x, args["w"], args["bias"], y, residual)
        with v.loop(args["planes"], *state) as (_, (x, w, bias, y_plane, residual_plane), following):
            weights = [plane_weights(v, b.add(w, integer(t * r * s * v.size)), r, s) for t in range(len(slices))]
            start = [_bias(v, has_bias, bias, w)] * spec.vectors

            def add_row(k, line, h, sums):
                """Add the input row at `line`, row k of the window of output row 0, to all it belongs to."""
                inside, parts = b.icmp_unsigned("<", h, args["height"]), [None] * len(sums)
                for (offset, there), of_slice in zip(slices, weights, strict=True):
                    exists = inside if there is None else b.and_(inside, there)
                    at = line if offset is None else b.add(line, offset)
                    if of_slice is weights[-1]:
                        v.ask_for(b.add(at, args["x_ahead"]), spec.vectors * stride)
                    taps = read(v.pointer(b.select(exists, at, args["zeros"])))
                    for m, i in enumerate(range(k, -1, -stride)):
                        if i < r:
                            parts[m] = _dot(v, taps, of_slice[i], parts[m])
                for m, part in enumerate(parts):
                    if part is not None:
                        sums[m] = [b.fadd(t, u) for t, u in zip(sums[m], part, strict=True)]
                return b.add(line, args["x_row"]), b.add(h, integer(1))

            line, h = x, args["top"]
            before = [start] * -(-(r - stride) // stride)
            for k in range(r - stride):
                line, h = add_row(k, line, h, before)
            flat = [total for row in before for total in row]
            state = (line, h, y_plane, residual_plane, *flat)
            with v.loop(args["runs"], *state) as (_, (line, h, y, residual, *flat), after_row):
                sums = [flat[m : m + spec.vectors] for m in range(0, len(flat), spec.vectors)]
                sums += [start] * (-(-r // stride) - len(sums))
                for k in range(r - stride, r):
                    line, h = add_row(k, line, h, sums)
                v.ask_for(b.add(y, args["y_ahead"]), spec.vectors, write=True)
                out = {"y": y, "y_pitch": zero, "first": integer(1), "bias": zero, "residual": residual,
                       "residual_pitch": zero, "activation": args["activation"]}  # fmt: skip
                finish_tile(v, 1, spec.vectors, True, kept, out, sums[0])
                after_row += [line, h, b.add(y, args["y_pitch"]), b.add(residual, r_pitch)]
                after_row += [total for row in sums[1:] for total in row]
            following += [b.add(x, args["x_plane"]), b.add(w, integer(len(slices) * r * s * v.size)),
                          b.add(bias, bias_plane),
                          b.add(y_plane, args["y_plane"]), b.add(residual_plane, r_plane)]  # fmt: skip


def plane_weights(v: Vectors, w: ir.Value, r: int, s: int) -> list[list[ir.Value]]:
    """One plane's weights, each in all lanes of a vector."""
    w = v.pointer(w)
    return [[v.broadcast(v.load_scalar(v.offset(w, (i * s + j) * v.size))) for j in range(s)] for i in range(r)]


def _slices(v: Vectors, table: ir.Value, depth: int = 0) -> list[tuple[ir.Value | None, ir.Value | None]]:
    """How far from x each slice lies, and whether it is there; of a plane alone nothing is to be said."""
    if not depth:
        return [(None, None)]
    offsets = [v.load_integer(v.offset(v.pointer(table), 8 * t)) for t in range(depth)]
    return [(offset, v.b.icmp_signed("!=", offset, integer(-1))) for offset in offsets]


def _bias(v: Vectors, there: ir.Value, bias: ir.Value, readable: ir.Value) -> ir.Value:
    """The bias in all lanes, or zeros (and then some readable number is loaded and dropped)."""
    number = v.load_scalar(v.pointer(v.b.select(there, bias, readable)))
    return v.broadcast(v.b.select(there, number, ir.Constant(v.scalar, 0.0)))


def _dot(v: Vectors, taps: list[list[ir.Value]], weights: list[ir.Value], sums=None) -> list[ir.Value]:
    """One kernel row's part of a sum, by itself or added to that of slices before: only an addition waits for the row
    before."""
    for line, weight in zip(taps, weights, strict=True):
        if sums is None:
            sums = [v.b.fmul(tap, weight) for tap in line]
            continue
        sums = [v.fma(tap, weight, total) for tap, total in zip(line, sums, strict=True)]
    return sums


def columns_inside(v: Vectors, column: ir.Value, width: ir.Value, displacement: int = 0, lanes: int | None = None):
    """The mask of lanes (the first `lanes` at most) whose column, from column + displacement on, lies inside."""
    b, wide = v.b, ir.VectorType(I32, v.lanes)

    def splat(value):
        first = b.insert_element(ir.Constant(wide, ir.Undefined), b.trunc(value, I32), ir.Constant(I32, 0))
        return v.shuffle(first, None, [0] * v.lanes)

    columns = b.add(splat(column), ir.Constant(wide, [displacement + lane for lane in range(v.lanes)]))
    inside = b.icmp_unsigned("<", columns, splat(width))
    wanted = [int(lanes is None or lane < lanes) for lane in range(v.lanes)]
    return b.and_(inside, ir.Constant(v.mask_type, wanted))


class Row:
    """Reads one input row: for each kernel column, the vectors of every stride-th pixel from there on."""

    def __init__(self, v: Vectors, vectors: int, s: int, stride: int, column: ir.Value, width: ir.Value):
        self.v, self.vectors, self.s, self.stride = v, vectors, s, stride
        self.few = 1 << max(1, (s - stride - 1).bit_length())  # lanes that hold the columns beyond the whole vectors
        self.end = Vectors(v.b, v.dtype, self.few)
        wholes = vectors * stride
        self.masks = [columns_inside(v, column, width, i * v.lanes) for i in range(wholes)]
        self.masks.append(columns_inside(self.end, column, width, wholes * v.lanes, s - stride))

    def __call__(self, at: ir.Value) -> list[list[ir.Value]]:
        v, stride, bytes_ = self.v, self.stride, self.v.bytes
        wholes = [v.load_masked(v.offset(at, i * bytes_), mask) for i, mask in enumerate(self.masks[:-1])]
        end = self.end.load_masked(v.offset(at, len(wholes) * bytes_), self.masks[-1])
        series = []  # for each residue of the column, its vectors and a last one with a few lanes
        for residue in range(stride):
            picks = [stride * lane + residue for lane in range(v.lanes)]
            if stride == 1:
                lines = list(wholes)
            else:
                lines = [v.shuffle(wholes[i], wholes[i + 1], picks) for i in range(0, len(wholes), stride)]
            last = [pick % self.few for pick in picks]  # of the lanes beyond the few none is used
            series.append([*lines, v.shuffle(end, None, last)])
        return [self._shifted(series[j % stride], j // stride) for j in range(self.s)]

    def _shifted(self, line, by):
        v = self.v
        if by == 0:
            return line[:-1]
        picks = [by + lane for lane in range(v.lanes)]
        return [v.shuffle(line[i], line[i + 1], picks) for i in range(self.vectors)]


class DilatedRow:
    """Reads one input row: for each kernel column, the vectors from there on; columns lie `apart` columns apart."""

    def __init__(self, v: Vectors, vectors: int, s: int, apart: ir.Value, column: ir.Value, width: ir.Value):
        b = v.b
        self.v, starts = v, [b.mul(apart, integer(j)) for j in range(s)]
        self.places = [b.mul(start, integer(v.size)) for start in starts]
        self.masks = [
            [columns_inside(v, b.add(column, start), width, i * v.lanes) for i in range(vectors)] for start in starts
        ]

    def __call__(self, at: ir.Value) -> list[list[ir.Value]]:
        v = self.v
        return [
            [v.load_masked(v.offset(v.offset(at, place), i * v.bytes), mask) for i, mask in enumerate(masks)]
            for place, masks in zip(self.places, self.masks, strict=True)
        ]

"""Depthwise tiles: each output channel is a small stencil over one input channel, read in place.

px   lanes are pixels. A lane mask for each tap and vector says which lanes the padding leaves; masked-off lanes read
     nothing and count as zero, so the image needs no border. Written for column strides 1 and 2.
ch   lanes are channels, rows are pixels: for channels_last, where a tap is one contiguous load for any stride.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I16, Vectors, integer
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse

PX_ARGUMENTS = ("x", "x_row", "x_col", "w", "taps_r", "taps_s", "w_row", "masks", "mask_row", "mask_col", "y", "bias",
                "residual", "activation", "last", "count", "x_step", "y_step", "mask_step")  # fmt: skip
CH_ARGUMENTS = ("x", "x_row", "x_col", "x_pixel", "w", "taps_r", "taps_s", "w_row", "w_col", "y", "y_pitch", "bias",
                "residual", "residual_pitch", "activation", "count", "last")  # fmt: skip


@emitter("depthwise")
def depthwise(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit one depthwise kernel; see PX_ARGUMENTS and CH_ARGUMENTS for the operands."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    if "ch" in spec.variants:
        _channels(v, spec.rows, dict(zip(CH_ARGUMENTS, operands, strict=True)))
    else:
        stride = 2 if "s2" in spec.variants else 1
        _pixels(v, spec.vectors, stride, dict(zip(PX_ARGUMENTS, operands, strict=True)))


def _lane_mask(v, pointer):
    """A mask stored as 16 bits."""
    bits = v.b.load(v.b.bitcast(pointer, I16.as_pointer()), align=2)
    if v.lanes < 16:
        bits = v.b.trunc(bits, ir.IntType(v.lanes))
    return v.b.bitcast(bits, v.mask_type)


def _taps(v, args, moving, sums, tap):
    """Loop over kernel rows and columns; `moving` holds (pointer, row step, column step), `tap` adds one product."""
    starts = [pointer for pointer, _, _ in moving]
    with v.loop_or_none(args["taps_r"], *starts, *sums) as (_, state, after_row):
        row_starts, row_sums = state[: len(moving)], state[len(moving) :]
        with v.loop_or_none(args["taps_s"], *row_starts, *row_sums) as (_, inner, after_tap):
            pointers, current = inner[: len(moving)], inner[len(moving) :]
            after_tap += [v.offset(p, step) for p, (_, _, step) in zip(pointers, moving, strict=True)]
            after_tap += tap(pointers, current)
        after_row += [v.offset(p, step) for p, (_, step, _) in zip(row_starts, moving, strict=True)]
        after_row += after_tap[len(moving) :]
    return after_row[len(moving) :]


def _pixels(v, vectors, stride, args):
    """`count` groups of `vectors` vectors of pixels, `x_step`, `y_step`, `mask_step` bytes apart."""
    b = v.b
    has_residual = b.icmp_signed("!=", args["residual"], integer(0))
    residual_step = b.select(has_residual, args["y_step"], integer(0))
    kept = v.first_lanes(args["last"])
    starts = [v.pointer(args["x"]), v.pointer(args["masks"]), args["y"], args["residual"]]
    with v.loop(args["count"], *starts) as (_, (x, masks, y, residual), following):

        def tap(pointers, sums):
            x, masks, w = pointers
            weight = v.broadcast(v.load_scalar(w))
            out = []
            for j in range(vectors):
                at = v.offset(x, j * stride * v.bytes)
                if stride == 1:
                    pixels = v.load_masked(at, _lane_mask(v, v.offset(masks, 2 * j)))
                else:
                    low = v.load_masked(at, _lane_mask(v, v.offset(masks, 4 * j)))
                    high = v.load_masked(v.offset(at, v.bytes), _lane_mask(v, v.offset(masks, 4 * j + 2)))
                    pixels = v.shuffle(low, high, list(range(0, 2 * v.lanes, 2)))
                out.append(v.fma(pixels, weight, sums[j]))
            return out

        moving = [(x, args["x_row"], args["x_col"]), (masks, args["mask_row"], args["mask_col"]),
                  (v.pointer(args["w"]), args["w_row"], integer(v.size))]  # fmt: skip
        sums = _taps(v, args, moving, [v.zero()] * vectors, tap)
        tile = {"y": y, "y_pitch": integer(0), "first": integer(1), "bias": args["bias"], "residual": residual,
                "residual_pitch": integer(0), "activation": args["activation"]}  # fmt: skip
        finish_tile(v, 1, vectors, True, kept, tile, sums)
        following += [v.offset(x, args["x_step"]), v.offset(masks, args["mask_step"]),
                      b.add(y, args["y_step"]), b.add(residual, residual_step)]  # fmt: skip


def _channels(v, rows, args):
    """`count` vectors of channels of `rows` neighbouring pixels; the last vector has `last` lanes."""
    b = v.b

    def present(name):
        return b.icmp_signed("!=", args[name], integer(0))

    bias_step = b.select(present("bias"), integer(v.bytes), integer(0))
    residual_step = b.select(present("residual"), integer(v.bytes), integer(0))
    starts = [v.pointer(args["x"]), v.pointer(args["w"]), args["y"], args["bias"], args["residual"]]
    with v.loop(args["count"], *starts) as (i, (x, w, y, bias, residual), following):
        is_last = b.icmp_signed("==", i, b.sub(args["count"], integer(1)))
        mask = v.first_lanes(b.select(is_last, args["last"], integer(v.lanes)))

        def tap(pointers, sums):
            x, w = pointers
            weight = v.load(w, align=v.bytes)
            out = []
            for total in sums:
                out.append(v.fma(v.load_masked(x, mask), weight, total))
                x = v.offset(x, args["x_pixel"])
            return out

        moving = [(x, args["x_row"], args["x_col"]), (w, args["w_row"], args["w_col"])]
        sums = _taps(v, args, moving, [v.zero()] * rows, tap)
        tile = {"y": y, "y_pitch": args["y_pitch"], "first": integer(1), "bias": bias, "residual": residual,
                "residual_pitch": args["residual_pitch"], "activation": args["activation"]}  # fmt: skip
        finish_tile(v, rows, 1, False, mask, tile, sums)
        following += [v.offset(x, v.bytes), v.offset(w, v.bytes), b.add(y, integer(v.bytes)),
                      b.add(bias, bias_step), b.add(residual, residual_step)]  # fmt: skip

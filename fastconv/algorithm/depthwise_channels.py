"""Depthwise convolution with channels in the lanes: some at a time are packed with their border, each read once.

One pass over x and one over y: a task packs the input rows it needs as [row][column][lane] into scratch that stays in
L2, runs the stencil there, and writes y, through a transpose where y has its channels apart.
"""

from __future__ import annotations

import numpy as np

from fastconv.algorithm import output
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, move_name, names_of, sum_part
from fastconv.algorithm.lanes import LANES_FIELDS, X_C, pack_lanes, put_input
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.depthwise import MOST_PIXELS, variant
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.problem import Problem
from fastconv.target import Target

# The plan, after the words of `lanes`; steps and pitches in bytes.
(
    CHANNELS, MULTIPLIER, BLOCKS, ROW_BLOCKS, ROW_BASE, ROW_LARGER,
    STRIDE_H, TOP, ROWS, COLUMNS, LEFT,
    X_N, Y_N, Y_CHANNEL, Y_PIXEL, OW, ITEM, LANES,
    BIAS_MOVE, KERNEL, TABLE, TAPS, SUM_PART, X_ROW, X_RUN, X_PIXEL,
    AFTER, FINISH, TRANSPOSE, ACTIVATION, SLOPE, BIAS_AT, STAGE_AT, LINES_AT,
    DEPTHWISE_FIELDS,
) = range(LANES_FIELDS, LANES_FIELDS + 35)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)


@native("depthwise_channels", 4)
def depthwise_channels(plan, call, scratch, task):
    """Some output rows of one vector of channels of one image, for every multiple of the channels."""
    row_block, task = task % peek(plan, ROW_BLOCKS), task // peek(plan, ROW_BLOCKS)
    block, n = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    base, larger = peek(plan, ROW_BASE), peek(plan, ROW_LARGER)
    oh0 = row_block * base + min(row_block, larger)
    runs, ow = base + (1 if row_block < larger else 0), peek(plan, OW)
    lanes, item = peek(plan, LANES), peek(plan, ITEM)
    c0, pixel = block * lanes, lanes * item
    valid = min(lanes, peek(plan, CHANNELS) - c0)

    x = peek(call, X) + n * peek(plan, X_N) + c0 * peek(plan, X_C)
    top = oh0 * peek(plan, STRIDE_H) - peek(plan, TOP)
    pack_lanes(plan, x, scratch, peek(plan, ROWS), top, peek(plan, COLUMNS), -peek(plan, LEFT), valid)

    y_pixel, after, multiplier = peek(plan, Y_PIXEL), peek(plan, AFTER), peek(plan, MULTIPLIER)
    stage, place_of_bias = scratch + peek(plan, STAGE_AT), scratch + peek(plan, BIAS_AT)
    for copy in range(multiplier):
        k0 = c0 * multiplier + copy
        place = n * peek(plan, Y_N) + k0 * peek(plan, Y_CHANNEL) + oh0 * ow * y_pixel
        y, bias = peek(call, Y) + place, 0
        residual = peek(call, RESIDUAL) + place if peek(call, RESIDUAL) != 0 else 0
        if peek(call, BIAS) != 0:
            bias = place_of_bias
            invoke(peek(plan, BIAS_MOVE), (peek(call, BIAS) + k0 * item, multiplier * item, bias, 0, valid, 0))
        direct = after == output.NOTHING
        sums, sums_pixel = (y, y_pixel) if direct else (stage, pixel)
        invoke(
            peek(plan, KERNEL),
            (
                scratch, peek(plan, X_ROW), peek(plan, X_RUN), peek(plan, X_PIXEL), peek(plan, TABLE),
                peek(plan, TAPS), peek(call, W) + (copy * peek(plan, BLOCKS) + block) * peek(plan, TAPS) * pixel,
                sums, ow * sums_pixel, sums_pixel, bias, residual if direct else 0, peek(plan, ACTIVATION),
                valid, runs, ow, peek(plan, SUM_PART),
            ),
        )  # fmt: skip
        if not direct:
            output.finish_run(
                after, False, peek(plan, FINISH), peek(plan, SLOPE), peek(plan, TRANSPOSE), item,
                scratch + peek(plan, LINES_AT), stage, pixel, item, y, y_pixel, multiplier * peek(plan, Y_CHANNEL),
                residual, 0, valid, runs * ow,
            )  # fmt: skip


(P_CHANNELS, P_MULTIPLIER, P_BLOCKS, P_TAPS, P_SOURCE_ITEM, P_LANES, P_ITEM, P_TRANSPOSE, P_FIELDS) = range(9)


@native("depthwise_weights", 4)
def pack_taps(plan, call, scratch, task):
    """Pack (C * M, 1, R, S) weights as [multiple][vector of channels][tap][lane], one vector a task."""
    block, copy = task % peek(plan, P_BLOCKS), task // peek(plan, P_BLOCKS)
    lanes, taps, multiplier = peek(plan, P_LANES), peek(plan, P_TAPS), peek(plan, P_MULTIPLIER)
    length, c0 = taps * peek(plan, P_SOURCE_ITEM), block * lanes
    pixel = lanes * peek(plan, P_ITEM)
    invoke(peek(plan, P_TRANSPOSE), (peek(call, X) + (c0 * multiplier + copy) * length, multiplier * length,
                                     peek(call, Y) + task * taps * pixel, pixel,
                                     min(lanes, peek(plan, P_CHANNELS) - c0), taps))  # fmt: skip


def refuses(problem: Problem, x: Steps) -> str | None:
    """Why these kernels cannot do the problem, or None."""
    if problem.layout == "channels_last":
        if problem.k != problem.c:
            return "depth multiplier in channels_last"
        return None if x.c == problem.itemsize else "x's channels are not contiguous"
    return None if x.w == problem.itemsize else "x's rows are not contiguous"


def build(problem: Problem, x: Steps, target: Target, threads: int) -> Execution:
    """The execution for this problem, with packed weights."""
    _, _, item = names_of(problem)
    lanes, taps = target.lanes(item), problem.r * problem.s
    blocks, multiplier = -(-problem.c // lanes), problem.k // problem.c
    transpose = microkernel(move_name("transpose", problem, target, "rows"))
    packing = np.zeros(P_FIELDS, np.int64)
    for index, value in (
        (P_CHANNELS, problem.c), (P_MULTIPLIER, multiplier), (P_BLOCKS, blocks), (P_TAPS, taps),
        (P_SOURCE_ITEM, problem.itemsize), (P_LANES, lanes), (P_ITEM, item), (P_TRANSPOSE, transpose.address),
    ):  # fmt: skip
        packing[index] = value
    size = multiplier * blocks * taps * lanes * item
    weights = Job(pack_taps.address, packing, multiplier * blocks, 0, 8 * size)
    return Execution([_main(problem, x, target, threads)], weights, size, ("depthwise",))


def _main(problem: Problem, x: Steps, target: Target, threads: int) -> Job:
    """The launch that convolves."""
    stored, computing, item = names_of(problem)
    lanes, last = target.lanes(item), problem.layout == "channels_last"
    (sh, sw), (dh, dw), (oh, ow) = problem.stride, problem.dilation, (problem.oh, problem.ow)
    plan, keep = np.zeros(DEPTHWISE_FIELDS, np.int64), []
    pixel, blocks = lanes * item, -(-problem.c // lanes)
    columns = (ow - 1) * sw + (problem.s - 1) * dw + 1
    # Rows of a block: its input stays in a quarter of L2, and there are some blocks for each thread.
    height = max(1, target.l2 // 4 // (columns * pixel) // sh - problem.r * dh // sh)
    row_blocks = max(1, -(-oh // height), min(oh // 4, -(-4 * threads // max(1, problem.n * blocks))))
    height = -(-oh // row_blocks)
    rows = (height - 1) * sh + (problem.r - 1) * dh + 1
    tiles = min(MOST_PIXELS, ow)
    taps = problem.r * problem.s
    part = sum_part(problem, taps)
    words = variant(problem.r, problem.s, sw, dw), *["parts"] * (part < taps)
    kernel = microkernel(str(Name("depthwise", computing, computing, tiles, lanes, target.isa, words)))
    r, s = np.mgrid[: problem.r, : problem.s]
    table = np.ascontiguousarray((r * dh * columns + s * dw).ravel() * pixel, np.int64)
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep += [table, slope]

    narrow = stored != computing
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu") and not narrow
    if last:
        after = output.NOTHING if simple else output.FINISH_LINES
    else:
        after = output.TRANSPOSE_ONLY if simple and not problem.residual else output.TRANSPOSE_FINISH
    in_kernel = simple and after in (output.NOTHING, output.TRANSPOSE_ONLY)
    stage_at = rows * columns * pixel + 64
    lines_at = stage_at + height * ow * pixel
    finish = microkernel(finish_name(problem, target, problem.activation)) if not in_kernel else None
    item_stored = problem.itemsize
    put_input(plan, problem, x, target)
    for index, value in (
        (CHANNELS, problem.c), (MULTIPLIER, problem.k // problem.c), (BLOCKS, blocks), (ROW_BLOCKS, row_blocks),
        (ROW_BASE, oh // row_blocks), (ROW_LARGER, oh % row_blocks), (STRIDE_H, sh),
        (TOP, problem.padding[0][0]), (ROWS, rows), (COLUMNS, columns), (LEFT, problem.padding[1][0]), (X_N, x.n),
        (Y_N, problem.k * oh * ow * item_stored), (Y_CHANNEL, item_stored if last else oh * ow * item_stored),
        (Y_PIXEL, problem.k * item_stored if last else item_stored), (OW, ow), (ITEM, item), (LANES, lanes),
        (BIAS_MOVE, microkernel(f"row_{computing}_{target.isa}").address),
        (KERNEL, kernel.address), (TABLE, table.ctypes.data), (TAPS, taps), (SUM_PART, part),
        (X_ROW, dh * columns * pixel), (X_RUN, sh * columns * pixel), (X_PIXEL, sw * pixel),
        (AFTER, after), (FINISH, finish.address if finish else 0), (SLOPE, slope.ctypes.data),
        (TRANSPOSE, 0 if last else microkernel(f"transpose_{computing}_{target.isa}_columns").address),
        (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data) if in_kernel else 0),
        (BIAS_AT, stage_at - 64), (STAGE_AT, stage_at), (LINES_AT, lines_at),
    ):  # fmt: skip
        plan[index] = value
    scratch = lines_at + output.LINES * height * ow * item
    tasks = problem.n * blocks * row_blocks
    return Job(depthwise_channels.address, plan, tasks, scratch, 4 * problem.flops, keep)

"""Channels in the lanes: blocks of x are packed with their border, and so is dy where its channels are apart."""

from __future__ import annotations

import numpy as np

from fastconv import job, workspace
from fastconv.algorithm.common import Execution, Steps, move_name, names_of
from fastconv.algorithm.depthwise_channels import Cut
from fastconv.algorithm.depthwise_weight.segments import SEGMENT_FIELDS, Segments, images_of, rows_of, sums_of
from fastconv.algorithm.lanes import LANES_FIELDS, pack_lanes, put_input
from fastconv.algorithm.nest import tile_start
from fastconv.blocking import split
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.microkernels.tapsums import MOST_TAPS
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan, after the words of `segments`, in which INPUT is the one that `lanes` reads; steps in bytes. A task is a
# vector of channels, one of its multiples, in one segment.
(
    INPUT, CHANNELS, MULTIPLIER, BLOCKS, LANES, ITEM,
    HEIGHT, COLUMN_BLOCKS, COLUMN_BASE, COLUMN_LARGER, STRIDE_H, STRIDE_W, TOP, LEFT,
    ROWS, GROUP, GROUP_STEP, COLUMNS, X_N, X_C, X_RUN, X_PIXEL,
    OW, Y_N, Y_CHANNEL, Y_PIXEL, PACK, MOVE,
    TAPS, TABLE, TAP_BLOCKS, TAP_BASE, KERNEL, KERNEL_MORE, TAPS_LARGER, CLEAR, TRANSPOSE, STAGE_AT, SUMS_AT,
    CHANNELS_FIELDS,
) = range(SEGMENT_FIELDS, SEGMENT_FIELDS + 40)  # fmt: skip
X, DY = range(2)
# How dy comes to the kernel: transposed, its vectors copied, or in place where they are whole; else lane by lane.
TRANSPOSED, COPIED, IN_PLACE, GATHERED = range(4)


@native("depthwise_weight_channels", 4)
def depthwise_weight_channels(plan, call, scratch, task):
    """The sums of one vector of channels over one segment."""
    multiplier, blocks = peek(plan, MULTIPLIER), peek(plan, BLOCKS)
    copy, task = task % multiplier, task // multiplier
    block, segment = task % blocks, task // blocks
    lanes, item, taps = peek(plan, LANES), peek(plan, ITEM), peek(plan, TAPS)
    pixel, c0 = lanes * item, block * lanes
    valid = min(lanes, peek(plan, CHANNELS) - c0)
    n0, images = images_of(plan, segment)
    first, rows = rows_of(plan, segment)
    sums, height = scratch + peek(plan, SUMS_AT), peek(plan, HEIGHT)
    invoke(peek(plan, CLEAR), (sums, 0, sums, pixel, taps, 0))
    parts = (rows + height - 1) // height
    for n in range(n0, n0 + images):
        for part in range(parts):
            oh = first + tile_start(part, rows // parts, rows % parts)
            runs = rows // parts + (1 if part < rows % parts else 0)
            for column_block in range(peek(plan, COLUMN_BLOCKS)):
                ow = tile_start(column_block, peek(plan, COLUMN_BASE), peek(plan, COLUMN_LARGER))
                run = peek(plan, COLUMN_BASE) + (1 if column_block < peek(plan, COLUMN_LARGER) else 0)
                x = peek(call, X) + n * peek(plan, X_N) + c0 * peek(plan, X_C)
                top, left = oh * peek(plan, STRIDE_H) - peek(plan, TOP), ow * peek(plan, STRIDE_W) - peek(plan, LEFT)
                pack_lanes(peek(plan, INPUT), x, scratch, peek(plan, ROWS), top, peek(plan, GROUP),
                           peek(plan, GROUP_STEP), peek(plan, COLUMNS), left, valid, lanes)  # fmt: skip
                dy = peek(call, DY) + n * peek(plan, Y_N) + (c0 * multiplier + copy) * peek(plan, Y_CHANNEL)
                dy += (oh * peek(plan, OW) + ow) * peek(plan, Y_PIXEL)
                add_taps(plan, scratch, dy, runs, run, valid)
    to = sums_of(plan, call, segment) + (c0 * multiplier + copy) * taps * item
    invoke(peek(plan, TRANSPOSE), (sums, pixel, to, multiplier * taps * item, taps, valid))


@helper
def add_taps(plan, scratch, dy, runs, run, valid):
    """Add the products of one block of pixels, whose x is packed, to the sums of every tap."""
    pack, lanes, pixel = peek(plan, PACK), peek(plan, LANES), peek(plan, LANES) * peek(plan, ITEM)
    dy_pixel, dy_run = peek(plan, Y_PIXEL), peek(plan, OW) * peek(plan, Y_PIXEL)
    if pack != IN_PLACE or valid < lanes:
        stage = scratch + peek(plan, STAGE_AT)
        together = runs if run == peek(plan, OW) else 1  # whole rows follow one another
        for i in range(0, runs, together):
            source, to, move = dy + i * dy_run, stage + i * run * pixel, peek(plan, MOVE)
            if pack == TRANSPOSED:
                invoke(move, (source, peek(plan, MULTIPLIER) * peek(plan, Y_CHANNEL), to, pixel, valid, together * run))
            elif pack == GATHERED:
                step = peek(plan, MULTIPLIER) * peek(plan, Y_CHANNEL)
                for p in range(together * run):
                    invoke(move, (source + p * dy_pixel, step, to + p * pixel, 0, valid, lanes - valid))
            else:
                invoke(move, (source, dy_pixel, to, pixel, together * run, valid))
        dy, dy_pixel, dy_run = stage, pixel, run * pixel
    tap = 0
    for part in range(peek(plan, TAP_BLOCKS)):
        more = part < peek(plan, TAPS_LARGER)
        invoke(
            peek(plan, KERNEL_MORE) if more else peek(plan, KERNEL),
            (
                dy, dy_run, dy_pixel, scratch, peek(plan, X_RUN), peek(plan, X_PIXEL), peek(plan, TABLE) + 8 * tap,
                scratch + peek(plan, SUMS_AT) + tap * pixel, runs, run,
            ),
        )  # fmt: skip
        tap += peek(plan, TAP_BASE) + (1 if more else 0)


def _cut(problem: Problem, target: Target) -> Cut:
    """How a plane is cut into blocks; by its sizes only, because that fixes the order of sums."""
    return Cut.of(problem, target, 1, True)


def refuses(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why this form cannot do the problem, or None."""
    if problem.itemsize not in (x.w, x.c):
        return "neither x's rows nor its channels are contiguous"
    if _cut(problem, target).scratch(target) > job.share(1):
        return f"the input of a few pixels takes more than {workspace.MOST_SCRATCH_BYTES >> 20} MiB"
    return None


def _packing(problem: Problem, target: Target) -> tuple[int, str]:
    """How dy comes to the kernel, and by which other one."""
    stored, computing, _ = names_of(problem)
    if problem.layout == "channels_first":
        return TRANSPOSED, move_name("transpose", problem, target, "rows")
    if problem.k != problem.c:
        return GATHERED, move_name("row", problem, target)
    return (IN_PLACE if stored == computing else COPIED), move_name("spread", problem, target)


def build(problem: Problem, x: Steps, target: Target) -> Execution:
    """The execution for this problem."""
    _, computing, item = names_of(problem)
    (sh, sw), (dh, dw), (oh, ow), k = problem.stride, problem.dilation, (problem.oh, problem.ow), problem.k
    lanes, last, stored = target.lanes(item), problem.layout == "channels_last", problem.itemsize
    blocks, multiplier, pixel = -(-problem.c // lanes), k // problem.c, lanes * item
    cut = _cut(problem, target)
    (rows, group), columns, taps = cut.rows, cut.columns, problem.r * problem.s
    tap_row = dh if group == rows else group  # rows of the strip from one row of taps to the next
    r, s = np.mgrid[: problem.r, : problem.s]
    table = np.ascontiguousarray((r * tap_row * columns + s * dw).ravel() * pixel, np.int64)
    tap_blocks, tap_base, taps_larger = split(taps, MOST_TAPS)
    kernels = [
        microkernel(str(Name("depthweight", computing, computing, count, lanes, target.isa, ())))
        for count in (tap_base, tap_base + (1 if taps_larger else 0))
    ]
    segments = Segments.of(problem, blocks * multiplier, problem.n * oh * ow, 1, oh)
    strip, stage, _, _ = cut.parts(target)
    pack, move = _packing(problem, target)
    source, plan = np.zeros(LANES_FIELDS, np.int64), np.zeros(CHANNELS_FIELDS, np.int64)
    put_input(source, problem, x, target)
    segments.put(plan)
    for index, value in (
        (INPUT, source.ctypes.data), (CHANNELS, problem.c), (MULTIPLIER, multiplier), (BLOCKS, blocks),
        (LANES, lanes), (ITEM, item), (HEIGHT, cut.height), (COLUMN_BLOCKS, cut.column_blocks),
        (COLUMN_BASE, ow // cut.column_blocks), (COLUMN_LARGER, ow % cut.column_blocks), (STRIDE_H, sh), (STRIDE_W, sw),
        (TOP, problem.padding[0][0]), (LEFT, problem.padding[1][0]), (ROWS, rows), (GROUP, group), (GROUP_STEP, dh),
        (COLUMNS, columns), (X_N, x.n), (X_C, x.c),
        (X_RUN, sh * columns * pixel), (X_PIXEL, sw * pixel), (OW, ow), (Y_N, k * oh * ow * stored),
        (Y_CHANNEL, stored if last else oh * ow * stored), (Y_PIXEL, k * stored if last else stored), (PACK, pack),
        (MOVE, microkernel(move).address), (TAPS, taps), (TABLE, table.ctypes.data), (TAP_BLOCKS, tap_blocks),
        (TAP_BASE, tap_base), (KERNEL, kernels[0].address), (KERNEL_MORE, kernels[1].address),
        (TAPS_LARGER, taps_larger), (CLEAR, microkernel(f"spread_{computing}_{target.isa}").address),
        (TRANSPOSE, microkernel(f"transpose_{computing}_{target.isa}_columns").address),
        (STAGE_AT, strip), (SUMS_AT, strip + stage),
    ):  # fmt: skip
        plan[index] = value
    tasks = segments.count * blocks * multiplier
    scratch = strip + stage + taps * pixel
    main = Job(depthwise_weight_channels.address, plan, tasks, scratch, 4 * problem.flops, [source, table])
    return segments.execution(main, target)

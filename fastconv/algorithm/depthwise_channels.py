"""Depthwise convolution with channels in the lanes: some at a time are packed with their border, each read once.

One pass over x and one over y: a task packs the input that its block of pixels needs as [row][column][lane] into
scratch that stays in L2, runs the stencil there, and writes y, through a transpose where y has its channels apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, job, workspace
from fastconv.algorithm import output
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, move_name, names_of, sum_part
from fastconv.algorithm.lanes import LANES_FIELDS, X_C, pack_lanes, put_input
from fastconv.algorithm.nest import block_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.depthwise import MOST_PIXELS, variant
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.problem.conv import Problem
from fastconv.target import Target
from fastconv.threads import CYCLE_FLOPS

# The plan, after the words of `lanes`; steps and pitches in bytes.
(
    CHANNELS, MULTIPLIER, BLOCKS, ROW_BLOCKS, OH, COLUMN_BLOCKS, OW,
    STRIDE_H, TOP, ROWS, GROUP, GROUP_STEP, STRIDE_W, LEFT, COLUMNS,
    X_N, Y_N, Y_CHANNEL, Y_PIXEL, ITEM, LANES,
    BIAS_MOVE, KERNEL, TABLE, TAPS, SUM_PART, X_ROW, X_RUN, X_PIXEL,
    AFTER, FINISH, TRANSPOSE, ACTIVATION, SLOPE, BIAS_AT, STAGE_AT, LINES_AT,
    RAW, TAPS_AT,                                   # RAW: the plan that packs weights just before their use, or 0
    DEPTHWISE_FIELDS,
) = range(LANES_FIELDS, LANES_FIELDS + 40)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)


# The plan of packed weights.
(
    P_CHANNELS, P_MULTIPLIER, P_BLOCKS, P_TAPS, P_SOURCE_ITEM, P_LANES, P_ITEM, P_TRANSPOSE, P_LAST, P_FIELDS,
) = range(10)  # fmt: skip


@helper
def pack_taps(plan, w, to, block, copy):
    """Pack the taps of one vector of channels, one of its multiples, as [tap][lane]."""
    lanes, taps, multiplier = peek(plan, P_LANES), peek(plan, P_TAPS), peek(plan, P_MULTIPLIER)
    length, pixel = taps * peek(plan, P_SOURCE_ITEM), lanes * peek(plan, P_ITEM)
    c0 = min(block * lanes, peek(plan, P_LAST))
    valid = min(lanes, peek(plan, P_CHANNELS) - c0)
    source = w + (c0 * multiplier + copy) * length
    invoke(peek(plan, P_TRANSPOSE), (source, multiplier * length, to, pixel, valid, taps))


@native("depthwise_channels", 4)
def depthwise_channels(plan, call, scratch, task):
    """Some output rows and columns of one vector of channels of one image, for every multiple of the channels."""
    column_block, task = task % peek(plan, COLUMN_BLOCKS), task // peek(plan, COLUMN_BLOCKS)
    row_block, task = task % peek(plan, ROW_BLOCKS), task // peek(plan, ROW_BLOCKS)
    block, n = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    row_blocks, oh, column_blocks, ow = (
        peek(plan, ROW_BLOCKS), peek(plan, OH), peek(plan, COLUMN_BLOCKS), peek(plan, OW)
    )  # fmt: skip
    oh0, ow0 = block_start(row_block, row_blocks, oh), block_start(column_block, column_blocks, ow)
    runs = block_start(row_block + 1, row_blocks, oh) - oh0
    run = block_start(column_block + 1, column_blocks, ow) - ow0
    lanes, item = peek(plan, LANES), peek(plan, ITEM)
    c0, pixel = block * lanes, lanes * item
    valid = min(lanes, peek(plan, CHANNELS) - c0)

    x = peek(call, X) + n * peek(plan, X_N) + c0 * peek(plan, X_C)
    top, left = oh0 * peek(plan, STRIDE_H) - peek(plan, TOP), ow0 * peek(plan, STRIDE_W) - peek(plan, LEFT)
    group, step = peek(plan, GROUP), peek(plan, GROUP_STEP)
    pack_lanes(plan, x, scratch, peek(plan, ROWS), top, group, step, peek(plan, COLUMNS), left, valid,
               lanes)  # fmt: skip

    y_pixel, after, multiplier, raw = peek(plan, Y_PIXEL), peek(plan, AFTER), peek(plan, MULTIPLIER), peek(plan, RAW)
    stage, place_of_bias, y_row = scratch + peek(plan, STAGE_AT), scratch + peek(plan, BIAS_AT), ow * y_pixel
    for copy in range(multiplier):
        k0 = c0 * multiplier + copy
        place = n * peek(plan, Y_N) + k0 * peek(plan, Y_CHANNEL) + oh0 * y_row + ow0 * y_pixel
        y, bias = peek(call, Y) + place, 0
        residual = peek(call, RESIDUAL) + place if peek(call, RESIDUAL) != 0 else 0
        if peek(call, BIAS) != 0:
            bias = place_of_bias
            invoke(peek(plan, BIAS_MOVE), (peek(call, BIAS) + k0 * item, multiplier * item, bias, 0, valid, 0))
        taps = peek(call, W) + (copy * peek(plan, BLOCKS) + block) * peek(plan, TAPS) * pixel
        if raw != 0:
            taps = scratch + peek(plan, TAPS_AT)
            pack_taps(raw, peek(call, W), taps, block, copy)
        direct = after == output.NOTHING
        sums, sums_row, sums_pixel = (y, y_row, y_pixel) if direct else (stage, run * pixel, pixel)
        invoke(
            peek(plan, KERNEL),
            (
                scratch, peek(plan, X_ROW), peek(plan, X_RUN), peek(plan, X_PIXEL), peek(plan, TABLE),
                peek(plan, TAPS), taps, sums, sums_row, sums_pixel, bias, residual if direct else 0,
                peek(plan, ACTIVATION), valid, runs, run, peek(plan, SUM_PART),
            ),
        )  # fmt: skip
        if not direct:
            together = runs if run == ow else 1  # whole rows follow one another
            for i in range(0, runs, together):
                output.finish_run(
                    after, False, peek(plan, FINISH), peek(plan, SLOPE), peek(plan, TRANSPOSE), item,
                    scratch + peek(plan, LINES_AT), stage + i * run * pixel, pixel, item, y + i * y_row, y_pixel,
                    multiplier * peek(plan, Y_CHANNEL), residual + i * y_row if residual != 0 else 0, 0, valid,
                    together * run,
                )  # fmt: skip


@native("depthwise_weights", 4)
def pack_weights(plan, call, scratch, task):
    """Pack (C * M, 1, R, S) weights as [multiple][vector of channels][tap][lane], one vector a task."""
    block, copy = task % peek(plan, P_BLOCKS), task // peek(plan, P_BLOCKS)
    to = peek(call, Y) + task * peek(plan, P_TAPS) * peek(plan, P_LANES) * peek(plan, P_ITEM)
    pack_taps(plan, peek(call, X), to, block, copy)


def refuses(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why these kernels cannot do the problem, or None."""
    if problem.layout == "channels_last" and problem.k != problem.c:
        return "depth multiplier in channels_last"
    if problem.layout == "channels_last" and x.c != problem.itemsize:
        return "x's channels are not contiguous"
    if problem.layout == "channels_first" and x.w != problem.itemsize:
        return "x's rows are not contiguous"
    if Cut(problem, True, problem.oh, _most_columns(problem)).scratch(target) > job.share(1):
        return f"the input of a few pixels takes more than {workspace.MOST_SCRATCH_BYTES >> 20} MiB"
    return None


def build(problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
    """The execution for this problem, with weights packed beforehand, or those of a call by the tasks that use them."""
    flops = int(CYCLE_FLOPS * cost.depthwise_channels_cycles(problem, target, True))
    # More blocks than L2 asks for read more rows twice: not for a thread alone.
    cut = Cut.of(problem, target, threads if flops >= job.LIGHT_FLOPS else 1, not packed)
    weights, size = weights_job(problem, target)
    main = _main(problem, x, cut, weights.plan, flops, target)
    return Execution([main], weights, size, ("depthwise",)) if packed else Execution([main], None, 0, ())


def weights_job(problem: Problem, target: Target, last: int | None = None) -> tuple[Job, int]:
    """The launch that packs the weights, and their packed size; `last`: the last vector's first channel, if it overlaps
    the one before."""
    _, _, item = names_of(problem)
    lanes, taps = target.lanes(item), problem.r * problem.s
    blocks, multiplier = -(-problem.c // lanes), problem.k // problem.c
    transpose = microkernel(move_name("transpose", problem, target, "rows"))
    plan = np.zeros(P_FIELDS, np.int64)
    for index, value in (
        (P_CHANNELS, problem.c), (P_MULTIPLIER, multiplier), (P_BLOCKS, blocks), (P_TAPS, taps),
        (P_SOURCE_ITEM, problem.itemsize), (P_LANES, lanes), (P_ITEM, item), (P_TRANSPOSE, transpose.address),
        (P_LAST, problem.c if last is None else last),
    ):  # fmt: skip
        plan[index] = value
    size = multiplier * blocks * taps * lanes * item
    return Job(pack_weights.address, plan, multiplier * blocks, 0, 8 * size), size


@dataclass(frozen=True)
class Cut:
    """How an output plane is cut into blocks of rows and columns."""

    problem: Problem
    raw_weights: bool
    row_blocks: int
    column_blocks: int

    @property
    def height(self) -> int:
        """Output rows of the largest block."""
        return -(-self.problem.oh // self.row_blocks)

    @property
    def width(self) -> int:
        """Output columns of the largest block."""
        return -(-self.problem.ow // self.column_blocks)

    @property
    def columns(self) -> int:
        """Input columns of a block."""
        return (self.width - 1) * self.problem.stride[1] + (self.problem.s - 1) * self.problem.dilation[1] + 1

    @property
    def rows(self) -> tuple[int, int]:
        """Input rows of a block, and how many of them follow one another: all, or those of one row of taps, where
        dilation puts so much between them."""
        each = (self.height - 1) * self.problem.stride[0] + 1
        rows = each + (self.problem.r - 1) * self.problem.dilation[0]
        return (rows, rows) if rows <= self.problem.r * each else (self.problem.r * each, each)

    def parts(self, target: Target) -> tuple[int, int, int, int]:
        """Bytes of the strip, the stage, the finished lines and a vector's taps."""
        _, _, item = names_of(self.problem)
        pixels, taps = self.height * self.width, self.problem.r * self.problem.s
        strip = self.rows[0] * self.columns * target.vector_bytes
        stage, lines = pixels * target.vector_bytes, -(-pixels * output.LINES * item // 64) * 64
        return strip, stage, lines, taps * target.vector_bytes if self.raw_weights else 0

    def scratch(self, target: Target) -> int:
        """Bytes that a task needs."""
        return sum(self.parts(target)) + 64

    @classmethod
    def of(cls, problem: Problem, target: Target, threads: int, raw_weights: bool) -> Cut:
        """Blocks whose input stays in a quarter of L2, whose border is the smaller part of it, within all threads'
        share of memory; some for each thread."""
        _, _, item = names_of(problem)
        above, most_columns = (problem.r - 1) * problem.dilation[0], _most_columns(problem)
        cut, share = cls(problem, raw_weights, 1, 1), job.share(threads)
        while cut.height > 1 or cut.column_blocks < most_columns:
            over = max(cut.parts(target)[0] / (target.l2 // 4), cut.scratch(target) / max(share, 1))
            if over <= 1:
                break
            beside = cut.height * problem.stride[0] < above and cut.column_blocks < most_columns
            if cut.height > 1 and not beside:
                less = -(-cut.height // (2 if over > 3 else 8))
                cut = replace(cut, row_blocks=-(-problem.oh // (cut.height - less)))
            else:
                cut = replace(cut, column_blocks=min(2 * cut.column_blocks, most_columns))
        tasks = problem.n * -(-problem.c // target.lanes(item)) * cut.column_blocks
        # A row of the border costs as much to pack as some four taps.
        least = max(4, 4 * above // (problem.r * problem.s))
        return replace(cut, row_blocks=max(cut.row_blocks, min(problem.oh // least, -(-4 * threads // max(1, tasks)))))


def _most_columns(problem: Problem) -> int:
    """Blocks of columns that are at least one tile of the kernel wide."""
    return max(1, problem.ow // MOST_PIXELS)


def _main(problem: Problem, x: Steps, cut: Cut, packing: np.ndarray, flops: int, target: Target) -> Job:
    """The launch that convolves."""
    stored, computing, item = names_of(problem)
    lanes, last = target.lanes(item), problem.layout == "channels_last"
    (sh, sw), (dh, dw), (oh, ow) = problem.stride, problem.dilation, (problem.oh, problem.ow)
    plan, keep = np.zeros(DEPTHWISE_FIELDS, np.int64), []
    pixel, blocks, columns = lanes * item, -(-problem.c // lanes), cut.columns
    rows, group = cut.rows
    tap_row = dh if group == rows else group  # rows of the strip from one row of taps to the next
    tiles = min(MOST_PIXELS, ow)
    if problem.frames and problem.residual:
        # Tap after tap of a volume is added to y in place: tiles must not overlap, as the last of a row otherwise does.
        each = math.gcd(ow // cut.column_blocks, cut.width)
        tiles = max(size for size in range(1, tiles + 1) if each % size == 0)
    taps = problem.r * problem.s
    part = sum_part(problem, taps)
    words = variant(problem.r, problem.s, sw, dw), *["parts"] * (part < taps)
    kernel = microkernel(str(Name("depthwise", computing, computing, tiles, lanes, target.isa, words)))
    r, s = np.mgrid[: problem.r, : problem.s]
    table = np.ascontiguousarray((r * tap_row * columns + s * dw).ravel() * pixel, np.int64)
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    keep += [table, slope, packing]

    narrow = stored != computing
    simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu") and not narrow
    if last:
        after = output.NOTHING if simple else output.FINISH_LINES
    else:
        after = output.TRANSPOSE_ONLY if simple and not problem.residual else output.TRANSPOSE_FINISH
    in_kernel = simple and after in (output.NOTHING, output.TRANSPOSE_ONLY)
    strip, stage, lines, _ = cut.parts(target)
    finish = microkernel(finish_name(problem, target, problem.activation)) if not in_kernel else None
    item_stored, (image, channel) = problem.itemsize, problem.steps_between(problem.k, oh, ow)
    put_input(plan, problem, x, target)
    for index, value in (
        (CHANNELS, problem.c), (MULTIPLIER, problem.k // problem.c), (BLOCKS, blocks), (ROW_BLOCKS, cut.row_blocks),
        (OH, oh), (COLUMN_BLOCKS, cut.column_blocks), (OW, ow),
        (STRIDE_H, sh), (TOP, problem.padding[0][0]), (ROWS, rows), (GROUP, group), (GROUP_STEP, dh),
        (STRIDE_W, sw), (LEFT, problem.padding[1][0]), (COLUMNS, columns), (X_N, x.n),
        (Y_N, image * item_stored), (Y_CHANNEL, channel * item_stored),
        (Y_PIXEL, problem.k * item_stored if last else item_stored), (ITEM, item), (LANES, lanes),
        (BIAS_MOVE, microkernel(f"row_{computing}_{target.isa}").address),
        (KERNEL, kernel.address), (TABLE, table.ctypes.data), (TAPS, taps), (SUM_PART, part),
        (X_ROW, tap_row * columns * pixel), (X_RUN, sh * columns * pixel), (X_PIXEL, sw * pixel),
        (AFTER, after), (FINISH, finish.address if finish else 0), (SLOPE, slope.ctypes.data),
        (TRANSPOSE, 0 if last else microkernel(f"transpose_{computing}_{target.isa}_columns").address),
        (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data) if in_kernel else 0),
        (BIAS_AT, strip), (STAGE_AT, strip + 64), (LINES_AT, strip + 64 + stage),
        (RAW, packing.ctypes.data if cut.raw_weights else 0), (TAPS_AT, strip + 64 + stage + lines),
    ):  # fmt: skip
        plan[index] = value
    tasks = problem.n * blocks * cut.row_blocks * cut.column_blocks
    return Job(depthwise_channels.address, plan, tasks, cut.scratch(target), flops, keep)

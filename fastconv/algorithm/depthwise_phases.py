"""The input gradient of depthwise convolution of large stride: all that a pixel of dy gives to a row of dx, in lanes.

All phases of a place across are side by side in dx. So a row of one phase down is a register tile: the scalars are
pixels of dy, the lanes phases, and the next pixel's sums lie a stride farther on. dx is written once, in order: 21
planes of 70x70 by 16x16 kernels at stride 8 become 27 MB, which takes longer than the sums.

Where channels are side by side a task has some of them, and a row of dx is transposed while it is near.
"""

from __future__ import annotations

import numpy as np

from fastconv import blocking, cost
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, move_name, names_of, sum_part
from fastconv.algorithm.input_grad.merged import axes_of, ragged
from fastconv.algorithm.nest import alike, block_start, tile_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import LINE, Job
from fastconv.microkernels.inventory import gemm_name, microkernel
from fastconv.microkernels.regroup import MOVED
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan; steps and pitches in bytes. A task is some rows of places of one plane, or of some channels of an image.
(
    CHANNELS, GROUP, GROUPS, EACH, BLOCKS, PLACES, FIRST, TOP, H, W, OH, STRIDE_H, STRIDE_W, R, S,
    TAPS_H, TAPS_W, ITEM, STORED, LANES_BYTES, COLUMNS, PARTS, LAST, LEFT_ZEROS, HELD, RIGHT_ZEROS,
    X_FIRST, X_N, X_C, X_H, X_W, Y_N, Y_C, Y_H, Y_W, ROW, TABLE, KERNELS, ACTIVATION, OFF, FINISH, SLOPE, COMB,
    TRANSPOSE, PANELS_AT, BIAS_AT, ROWS_AT, LINE_AT, PHASES_FIELDS,
) = range(49)  # fmt: skip
X, WEIGHT, BIAS, Y = 0, 1, 2, 4  # of a call's arrays
MOST_ROWS = 32 << 10  # bytes of dy's rows that a task keeps beside a plane's panels; four times that of a group
MOST_SCRATCH = 1 << 20  # bytes of both


@helper
def fill_panels(plan, weight, panels):
    """The taps of one channel: for each phase down a tile's vectors, the phases across in their lanes."""
    item, stored, wide, row = peek(plan, ITEM), peek(plan, STORED), peek(plan, LANES_BYTES), peek(plan, ROW)
    sh, sw, r_, s_ = peek(plan, STRIDE_H), peek(plan, STRIDE_W), peek(plan, R), peek(plan, S)
    down, across = peek(plan, TAPS_H), peek(plan, TAPS_W)
    for a in range(sh):
        for m in range(down):
            for q in range(across):
                r = a + m * sh
                held = max(0, min(sw, s_ - q * sw)) if r < r_ else 0
                to = panels + ((a * down + m) * across + q) * wide
                at = weight + (r * s_ + q * sw) * stored if held > 0 else weight
                invoke(row, (at, stored, to, 0, held, wide // item - held))


@helper
def fill_rows(plan, source, rows, above, last):
    """Rows above..last of dy between zeros."""
    left, held, right = peek(plan, LEFT_ZEROS), peek(plan, HELD), peek(plan, RIGHT_ZEROS)
    pitch = (left + held + right) * peek(plan, ITEM)
    for i in range(above, last):
        to = rows + (i - above) * pitch
        if 0 <= i < peek(plan, OH):
            invoke(peek(plan, ROW), (source + i * peek(plan, X_H), peek(plan, X_W), to, left, held, right))
        else:
            invoke(peek(plan, ROW), (source, peek(plan, ITEM), to, left + held + right, 0, 0))
    return pitch


@helper
def sum_row(plan, pixels, panels, bias, to):
    """One row of dx: from a row of dy on upwards, by the panels of a phase down."""
    columns, parts, kernels, item = peek(plan, COLUMNS), peek(plan, PARTS), peek(plan, KERNELS), peek(plan, ITEM)
    taps, sw = peek(plan, TAPS_H) * peek(plan, TAPS_W), peek(plan, STRIDE_W)
    part, larger = 0, columns % parts
    while part < parts:
        j = tile_start(part, columns // parts, larger)
        some, together = columns // parts + (1 if part < larger else 0), alike(part, parts, larger)
        invoke(
            peek(kernels, some),
            (taps, pixels + j * item, peek(plan, TABLE), panels, 0, to + j * sw * item, sw * item, 1, bias, 0, 0,
             peek(plan, ACTIVATION), peek(plan, LAST), taps, 0, together, some * item, 0, some * sw * item, 0, 0, 0),
        )  # fmt: skip
        part += together


@native("depthwise_phases", 4)
def depthwise_phases(plan, call, scratch, task):
    """Some rows of places of some channels: panels of the weights, rows of dy between zeros, then every row of dx."""
    block, task = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    c0, n = task % peek(plan, GROUPS) * peek(plan, GROUP), task // peek(plan, GROUPS)
    channels, each = min(peek(plan, GROUP), peek(plan, CHANNELS) - c0), peek(plan, EACH)
    blocks, places = peek(plan, BLOCKS), peek(plan, PLACES)
    sh, top, h = peek(plan, STRIDE_H), peek(plan, TOP), peek(plan, H)
    first = peek(plan, FIRST) + block_start(block, blocks, places)
    last = peek(plan, FIRST) + block_start(block + 1, blocks, places)
    item, wide, w = peek(plan, ITEM), peek(plan, LANES_BYTES), peek(plan, W)
    down, across, pitch = peek(plan, TAPS_H), peek(plan, TAPS_W), 0
    above = first - down + 1
    for k in range(channels):
        own, c = scratch + k * each, c0 + k
        taps = peek(plan, R) * peek(plan, S) * peek(plan, STORED)
        fill_panels(plan, peek(call, WEIGHT) + c * taps, own + peek(plan, PANELS_AT))
        if peek(call, BIAS) != 0:
            place = own + peek(plan, BIAS_AT)
            invoke(peek(plan, COMB), (peek(call, BIAS) + c * item, 0, place, item, wide // item))
        source = peek(call, X) + n * peek(plan, X_N) + c * peek(plan, X_C) + peek(plan, X_FIRST)
        pitch = fill_rows(plan, source, own + peek(plan, ROWS_AT), above, last)

    finish, transpose, off = peek(plan, FINISH), peek(plan, TRANSPOSE), peek(plan, OFF) * item
    for t in range(max(0, first * sh - top), min(h, last * sh - top)):
        place, a = (t + top) // sh, (t + top) % sh
        dx = peek(call, Y) + n * peek(plan, Y_N) + c0 * peek(plan, Y_C) + t * peek(plan, Y_H)
        for k in range(channels):
            own = scratch + k * each
            line = own + peek(plan, LINE_AT)
            bias = own + peek(plan, BIAS_AT) if peek(call, BIAS) != 0 else 0
            to = dx if finish == 0 and transpose == 0 else line
            pixels = own + peek(plan, ROWS_AT) + (place - above) * pitch + (across - 1) * item
            sum_row(plan, pixels, own + peek(plan, PANELS_AT) + a * down * across * wide, bias, to)
            if finish != 0:
                at = line + off
                invoke(finish, (at, dx if transpose == 0 else at, 0, w, peek(plan, SLOPE)))
        if transpose != 0:
            invoke(transpose, (scratch + peek(plan, LINE_AT) + off, each, dx, peek(plan, Y_W), channels, w))


class DepthwisePhases:
    """Every row of dx at once, with the phases across in the lanes."""

    name = "depthwise_phases"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if not problem.depthwise or problem.k != problem.c:
            return "a group has more than one channel"
        if problem.layout == "channels_last" and problem.itemsize < 4:
            return "narrow dtypes, whose rows are not transposed"
        if problem.padding_mode != "zeros":
            return "a border that is folded back"
        if problem.dilation != (1, 1):
            return "dilation"
        if not 4 <= problem.stride[1] <= 4 * target.lanes(names_of(problem)[2]):
            return "phases across do not fill lanes, or too many"
        down, across = axes_of(problem)
        if down.zero or across.zero:
            return "no tap reaches a pixel"
        if problem.precision == "strict" and ragged(problem):
            # As infinity times zero is NaN.
            return "precision='strict' multiplies no zero for taps that a phase has not"
        if sum_part(problem, down.taps * across.taps) < down.taps * across.taps:
            return "precision='strict' adds up so many products in parts"
        return "a kernel too large to keep near" if _scratch(problem, target, 1)[-1] > MOST_SCRATCH else None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        down, across = axes_of(problem)
        vectors, rows = _tile(problem, target)
        taps = down.taps * across.taps
        tiles = sum(
            times * (taps * blocking.tile_cycles(size, vectors, target, True) + cost.C.tile)
            for size, times in blocking.counted(across.size, rows)
        )
        store = cost.C.transpose if problem.layout == "channels_last" else cost.C.store
        return problem.n * problem.c * (problem.h * (tiles + store * problem.w) + cost.C.task)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        stored, computing, item = names_of(problem)
        down, across = axes_of(problem)
        (sh, sw), (top, left) = problem.stride, (pads[0] for pads in problem.padding)
        vectors, most = _tile(problem, target)
        tail = sw % target.lanes(item)
        words = ("ch", "near", *["tail"] * (tail > 0))
        kernels = np.zeros(most + 2, np.int64)
        for some in blocking.sizes(across.size, most):
            kernels[some] = microkernel(gemm_name(computing, some, vectors, target, *words)).address
        last = problem.layout == "channels_last"
        group = _group(problem, target) if last else 1
        groups = -(-problem.c // group)
        held = 4 * MOST_ROWS if last else MOST_ROWS
        blocks = min(down.size, max(1, -(-down.size * group * _row_bytes(problem) // held),
                                    -(-4 * threads // (problem.n * groups))))  # fmt: skip
        places = _scratch(problem, target, -(-down.size // blocks))
        first = left // sw - across.taps + 1  # pixel of dy that the first place's last tap reads
        start, stop = max(0, first), min(problem.ow, left // sw + across.size)
        width = across.size + across.taps - 1
        off = left % sw
        direct = last or (off == 0 and problem.w == sw * across.size and stored == computing)
        direct = direct and problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu")
        transpose = microkernel(f"transpose_{computing}_{target.isa}_columns").address if last else 0
        image, channel = (step * problem.itemsize for step in problem.steps_between(problem.c, problem.h, problem.w))
        pixel = problem.c * problem.itemsize if last else problem.itemsize
        slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
        m, q = (axis.ravel() for axis in np.mgrid[: down.taps, : across.taps])
        table = np.ascontiguousarray(-(m * width + q) * item, np.int64)
        plan = np.zeros(PHASES_FIELDS, np.int64)
        for index, value in (
            (CHANNELS, problem.c), (GROUP, group), (GROUPS, groups), (EACH, places[4]), (BLOCKS, blocks),
            (PLACES, down.size), (FIRST, top // sh), (TOP, top), (H, problem.h), (W, problem.w),
            (OH, problem.oh), (STRIDE_H, sh), (STRIDE_W, sw), (R, problem.r), (S, problem.s), (TAPS_H, down.taps),
            (TAPS_W, across.taps), (ITEM, item), (STORED, problem.itemsize),
            (LANES_BYTES, vectors * target.vector_bytes), (COLUMNS, across.size), (PARTS, -(-across.size // most)),
            (LAST, tail or target.lanes(item)), (LEFT_ZEROS, start - first), (HELD, stop - start),
            (RIGHT_ZEROS, width - (stop - first)), (X_FIRST, start * x.w), (X_N, x.n), (X_C, x.c), (X_H, x.h),
            (X_W, x.w), (Y_N, image), (Y_C, channel), (Y_H, problem.w * pixel), (Y_W, pixel),
            (TRANSPOSE, transpose), (ROW, microkernel(move_name("row", problem, target)).address),
            (TABLE, table.ctypes.data),
            (KERNELS, kernels.ctypes.data), (OFF, off), (SLOPE, slope.ctypes.data),
            (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data) if direct else 0),
            (FINISH, 0 if direct else microkernel(finish_name(problem, target, problem.activation)).address),
            (COMB, microkernel(f"comb_{MOVED[computing]}_{target.isa}").address),
            (PANELS_AT, places[0]), (BIAS_AT, places[1]), (ROWS_AT, places[2]), (LINE_AT, places[3]),
        ):  # fmt: skip
            plan[index] = value
        tasks = problem.n * groups * blocks
        flops = problem.flops + 4 * problem.n * problem.c * problem.h * problem.w
        job = Job(depthwise_phases.address, plan, tasks, group * places[4], flops, [kernels, slope, table])
        return Execution([job], None, 0, ())


def _tile(problem: Problem, target: Target) -> tuple[int, int]:
    """Vectors that hold the phases of a place, and the most places of a tile."""
    vectors = -(-problem.stride[1] // target.lanes(names_of(problem)[2]))
    return vectors, max(rows for rows, widest in blocking.tile_shapes(target) if widest >= vectors)


def _row_bytes(problem: Problem) -> int:
    """What a row of dy between its zeros takes."""
    _, across = axes_of(problem)
    return (across.size + across.taps - 1) * names_of(problem)[2]


def _scratch(problem: Problem, target: Target, places: int) -> tuple[int, int, int, int, int]:
    """Where a task's panels, bias, rows of dy and line of dx lie, and the size of all."""
    item = names_of(problem)[2]
    down, across = axes_of(problem)
    wide = _tile(problem, target)[0] * target.vector_bytes
    bias = LINE + problem.stride[0] * down.taps * across.taps * wide
    rows = bias + wide
    line = rows + -(-(places + down.taps - 1) * _row_bytes(problem) // LINE) * LINE
    # An odd number of lines: rows of several channels do not fall into one set of L1.
    return LINE, bias, rows, line, line + -(-across.size * problem.stride[1] * item // LINE) * LINE | LINE


def _group(problem: Problem, target: Target) -> int:
    """Channels of a task: whole lines of dx, as far as what they take stays near."""
    most = max(1, target.l2 // 2 // _scratch(problem, target, 1)[-1])
    lanes = target.lanes(problem.itemsize)
    return problem.c if problem.c <= most else most // lanes * lanes or most

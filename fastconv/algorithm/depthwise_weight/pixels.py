"""Pixels in the lanes: planes of x and dy are read in place, and sums leave the registers once a segment."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm import depthwise_pixels
from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.depthwise_weight.segments import (
    SEGMENT_FIELDS,
    TASK_VECTORS,
    TASKS,
    Segments,
    images_of,
    rows_of,
    sums_of,
)  # fmt: skip
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.microkernels.stencil import ZEROS
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan, after the words of `segments`; steps in bytes. A task is some planes of dy in one segment.
(
    OUTPUTS, MULTIPLIER, PLANES, BLOCKS, H, W, STRIDE_H, TOP, LEFT, TAPS, OW, ITEM,
    X_N, X_C, X_H, Y_N, Y_CHANNEL, KERNEL, NO_ROW,
    PIXELS_FIELDS,
) = range(SEGMENT_FIELDS, SEGMENT_FIELDS + 20)  # fmt: skip
X, DY = range(2)


@native("depthwise_weight_pixels", 4)
def depthwise_weight_pixels(plan, call, scratch, task):
    """The sums of some planes over one segment."""
    segment, block = task // peek(plan, BLOCKS), task % peek(plan, BLOCKS)
    n, images = images_of(plan, segment)
    oh, runs = rows_of(plan, segment)
    item, run, taps = peek(plan, ITEM), peek(plan, OW), peek(plan, TAPS)
    top = oh * peek(plan, STRIDE_H) - peek(plan, TOP)
    x = peek(call, X) + n * peek(plan, X_N) + top * peek(plan, X_H) - peek(plan, LEFT) * item
    dy = peek(call, DY) + n * peek(plan, Y_N) + oh * run * item
    sums, k0 = sums_of(plan, call, segment), block * peek(plan, PLANES)
    for k in range(k0, min(k0 + peek(plan, PLANES), peek(plan, OUTPUTS))):
        invoke(
            peek(plan, KERNEL),
            (
                images, x + k // peek(plan, MULTIPLIER) * peek(plan, X_C), peek(plan, X_N), peek(plan, X_C),
                peek(plan, X_H), top, peek(plan, H), peek(plan, LEFT), peek(plan, W), peek(plan, NO_ROW),
                dy + k * peek(plan, Y_CHANNEL), peek(plan, Y_N), peek(plan, Y_CHANNEL), run * item, run, runs,
                sums + k * taps * item,
            ),
        )  # fmt: skip


def _least_rows(problem: Problem) -> int:
    """Rows of dy that the kernel needs."""
    return -(-problem.r // problem.stride[0])


def refuses(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why this kernel cannot do the problem, or None."""
    if problem.oh < _least_rows(problem):
        return "few output rows"
    if problem.dilation != (1, 1):
        return "dilation"
    return depthwise_pixels.refuses(problem, x, target)


def build(problem: Problem, x: Steps, target: Target) -> Execution:
    """The execution for this problem."""
    _, computing, item = names_of(problem)
    k, oh, ow, lanes = problem.k, problem.oh, problem.ow, target.lanes(item)
    vectors = problem.n * oh * -(-ow // lanes)
    row = (ow + problem.w * problem.stride[0]) * item
    segments = Segments.of(problem, k, vectors, _least_rows(problem), max(1, target.l2 // 4 // row))
    planes = max(1, min(TASK_VECTORS * segments.count // vectors, k * segments.count // TASKS))
    kind = f"{problem.r}x{problem.s}s{problem.stride[0]}"
    kernel = microkernel(str(Name("stencilweight", computing, computing, 1, lanes, target.isa, (kind,))))
    no_row = np.zeros(ZEROS, np.uint8)
    plan = np.zeros(PIXELS_FIELDS, np.int64)
    segments.put(plan)
    for index, value in (
        (OUTPUTS, k), (MULTIPLIER, k // problem.c), (PLANES, planes), (BLOCKS, -(-k // planes)),
        (H, problem.h), (W, problem.w), (STRIDE_H, problem.stride[0]), (TOP, problem.padding[0][0]),
        (LEFT, problem.padding[1][0]), (TAPS, problem.r * problem.s), (OW, ow), (ITEM, item),
        (X_N, x.n), (X_C, x.c), (X_H, x.h), (Y_N, k * oh * ow * item), (Y_CHANNEL, oh * ow * item),
        (KERNEL, kernel.address), (NO_ROW, no_row.ctypes.data),
    ):  # fmt: skip
        plan[index] = value
    tasks = segments.count * -(-k // planes)
    main = Job(depthwise_weight_pixels.address, plan, tasks, 0, 4 * problem.flops, [no_row])
    return segments.execution(main, target)

"""The input gradient of depthwise convolution where one pass does it: planes of dy in place, rows of dx woven."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastconv.algorithm import depthwise_input_rows
from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.depthwise import Depthwise
from fastconv.algorithm.input_grad import InputGrad
from fastconv.algorithm.nest import block_start
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.cost import depthwise_input_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.microkernels.stencil import ZEROS
from fastconv.microkernels.stencilinput import kinds
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan; steps in bytes. A task is some pairs of rows of some planes of one image.
(
    CHANNELS, PLANES, BLOCKS, ROW_BLOCKS, PAIRS, FIRST, TOP, LEFT, H, W, OH, OW, TAPS, ITEM,
    Y_N, Y_C, Y_H, KERNEL, NO_ROW, Y_AHEAD, X_AHEAD,
    STENCIL_FIELDS,
) = range(22)  # fmt: skip
DY, WEIGHT, DX = 0, 1, 4
TASK_VECTORS = 256  # of dy that make a task worth its start


@native("depthwise_input", 4)
def depthwise_input(plan, call, scratch, task):
    """Some pairs of rows of dx, of some planes of one image."""
    row_block, task = task % peek(plan, ROW_BLOCKS), task // peek(plan, ROW_BLOCKS)
    block, n = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    row_blocks = peek(plan, ROW_BLOCKS)
    start = block_start(row_block, row_blocks, peek(plan, PAIRS))
    first, pairs = peek(plan, FIRST) + start, block_start(row_block + 1, row_blocks, peek(plan, PAIRS)) - start
    item, h, width, left = peek(plan, ITEM), 2 * first - peek(plan, TOP), peek(plan, W), peek(plan, LEFT)
    c0, plane = block * peek(plan, PLANES), peek(plan, H) * width * item
    invoke(
        peek(plan, KERNEL),
        (
            min(peek(plan, PLANES), peek(plan, CHANNELS) - c0),
            peek(call, DY) + n * peek(plan, Y_N) + c0 * peek(plan, Y_C) + first * peek(plan, Y_H),
            peek(plan, Y_C), peek(plan, Y_H), first, peek(plan, OH), peek(plan, OW), peek(plan, NO_ROW),
            peek(call, WEIGHT) + c0 * peek(plan, TAPS) * item,
            peek(call, DX) + (n * peek(plan, CHANNELS) + c0) * plane + (h * width - left) * item,
            plane, width * item, h, peek(plan, H), left, width, pairs, peek(plan, Y_AHEAD),
            peek(plan, X_AHEAD),
        ),
    )  # fmt: skip


class DepthwiseInput(InputGrad):
    """One input channel a group: stride 2 in one pass where there is a kernel, else the phases' convolutions."""

    def __init__(self):
        super().__init__("depthwise", (Depthwise(),))

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        return None if one_pass(problem, x, target) else super().supports(problem, x, target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        if one_pass(problem, x, target):
            return depthwise_input_cycles(problem, target)
        return super().cost(problem, x, target, packed)

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool):
        if (form := one_pass(problem, x, target)) is not None:
            return form(problem, x, target, count)
        return super().build(problem, x, target, count, packed)


def one_pass(problem: Problem, x: Steps, target: Target) -> Callable | None:
    """What builds the problem with dy's steps, where a kernel can do it."""
    if not problem.depthwise:
        return None
    if depthwise_input_rows.refuses(problem, x, target) is None:
        return depthwise_input_rows.build
    return build if woven(problem, x, target) else None


def woven(problem: Problem, x: Steps, target: Target) -> bool:
    """Whether the kernel of planes can do the problem."""
    return (
        problem.k == problem.c
        and problem.layout == "channels_first"
        and problem.padding_mode == "zeros"
        and not problem.bias
        and problem.activation is None
        and not problem.frames
        and problem.dtype in ("float32", "float64")
        and target.isa in ("avx512", "avx2")  # which have masked loads
        and (problem.stride, problem.dilation) == ((2, 2), (1, 1))
        and f"{problem.r}x{problem.s}s2" in kinds(target.lanes(problem.itemsize))
        and x.w == problem.itemsize
    )


def build(problem: Problem, x: Steps, target: Target, threads: int) -> Execution:
    """The execution of such a problem, with weights as they are."""
    _, computing, item = names_of(problem)
    c, h, w, lanes = problem.c, problem.h, problem.w, target.lanes(item)
    top, left = problem.padding[0][0], problem.padding[1][0]
    first = top // 2
    pairs = (top + h - 1) // 2 - first + 1
    vectors = pairs * -(-(w + 1) // (2 * lanes))
    walked = pairs * (2 * w + problem.ow) * item  # bytes of a plane and of what it gives
    row_blocks = max(1, min(pairs // 8, -(-4 * threads // (problem.n * c)), vectors // TASK_VECTORS))
    row_blocks = max(row_blocks, min(pairs // 8, -(-walked // (target.l2 // 4))))
    planes = max(1, min(TASK_VECTORS // vectors, problem.n * c // (4 * threads)))
    if row_blocks > 1:
        y_ahead, x_ahead = pairs // row_blocks * x.h, 2 * (pairs // row_blocks) * w * item
    else:
        y_ahead, x_ahead = planes * x.c, planes * h * w * item
    kind = f"{problem.r}x{problem.s}s2"
    kernel = microkernel(str(Name("stencilinput", computing, computing, 1, lanes, target.isa, (kind,))))
    no_row = np.zeros(ZEROS, np.uint8)
    plan = np.zeros(STENCIL_FIELDS, np.int64)
    for index, value in (
        (CHANNELS, c), (PLANES, planes), (BLOCKS, -(-c // planes)), (ROW_BLOCKS, row_blocks),
        (PAIRS, pairs), (FIRST, first), (TOP, top), (LEFT, left),
        (H, h), (W, w), (OH, problem.oh), (OW, problem.ow), (TAPS, problem.r * problem.s), (ITEM, item),
        (Y_N, x.n), (Y_C, x.c), (Y_H, x.h), (KERNEL, kernel.address), (NO_ROW, no_row.ctypes.data),
        (Y_AHEAD, y_ahead), (X_AHEAD, x_ahead),
    ):  # fmt: skip
        plan[index] = value
    tasks = problem.n * -(-c // planes) * row_blocks
    return Execution([Job(depthwise_input.address, plan, tasks, 0, 4 * problem.flops, [no_row])], None, 0, ())

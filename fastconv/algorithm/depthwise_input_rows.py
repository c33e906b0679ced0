"""The input gradient of depthwise convolution of stride 2 where channels are side by side: rows of dx, each once."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.depthwise_channels import weights_job
from fastconv.algorithm.depthwise_rows import blocks_of, rows_of, unreadable
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.depthrows import MOST_PAIRS, input_kinds
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan; steps in bytes. A task is some rows of dx of one image.
(
    BLOCKS, ROWS,                                   # the words of `rows_of`
    TOP, LEFT, TAPS_DOWN, W, OH, OW, CHANNELS, Y_N, Y_H, Y_W, X_N, X_H, X_PIXEL,
    EVEN, ODD, NO_PIXEL,
    INPUT_FIELDS,
) = range(19)  # fmt: skip
DY, WEIGHT, DX = 0, 1, 4


@native("depthwise_input_rows", 4)
def depthwise_input_rows(plan, call, scratch, task):
    """Some rows of dx of one image."""
    n, first, stop = rows_of(plan, task)
    dy = peek(call, DY) + n * peek(plan, Y_N)
    for h in range(first, stop):
        odd = (h + peek(plan, TOP)) % 2
        for i in range(odd, peek(plan, TAPS_DOWN), 2):
            oh = (h + peek(plan, TOP) - i) // 2
            inside = 0 <= oh < peek(plan, OH)
            poke(scratch, i - odd, dy + oh * peek(plan, Y_H) if inside else peek(plan, NO_PIXEL))
            poke(scratch, i - odd + 1, peek(plan, Y_W) if inside else 0)
        invoke(
            peek(plan, ODD if odd else EVEN),
            (
                scratch, peek(plan, LEFT), peek(plan, OW), peek(plan, NO_PIXEL), peek(call, WEIGHT),
                peek(call, DX) + n * peek(plan, X_N) + h * peek(plan, X_H), peek(plan, X_PIXEL), peek(plan, W),
                peek(plan, CHANNELS), peek(plan, Y_H), peek(plan, X_H),
            ),
        )  # fmt: skip


def refuses(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why this kernel cannot do the problem, with dy's steps, or None."""
    if (reason := unreadable(problem, x, target)) is not None:
        return reason
    if (problem.stride, problem.dilation) != ((2, 2), (1, 1)) or f"{problem.r}x{problem.s}s2" not in input_kinds():
        return "no kernel for this size, stride or dilation"
    if problem.bias or problem.activation is not None:
        return "bias or activation"
    return None


def build(problem: Problem, x: Steps, target: Target, threads: int) -> Execution:
    """The execution for this problem; weights are packed by a launch of its own."""
    _, computing, item = names_of(problem)
    lanes, c, h, w, left = target.lanes(item), problem.c, problem.h, problem.w, problem.padding[1][0]
    pairs = (left + w - 1) // 2 - left // 2 + 1
    even, odd = (
        microkernel(
            str(Name("depthrowsinput", computing, computing, min(pairs, MOST_PAIRS), lanes, target.isa,
                     (f"{problem.r}x{problem.s}s2", word)))
        )
        for word in ("even", "odd")
    )  # fmt: skip
    pixel = c * item
    blocks = blocks_of(problem.n, h, w * pixel, threads)
    no_pixel = np.zeros(pixel, np.uint8)
    plan = np.zeros(INPUT_FIELDS, np.int64)
    for index, value in (
        (BLOCKS, blocks), (ROWS, h), (TOP, problem.padding[0][0]), (LEFT, left),
        (TAPS_DOWN, problem.r), (W, w), (OH, problem.oh), (OW, problem.ow), (CHANNELS, c),
        (Y_N, x.n), (Y_H, x.h), (Y_W, x.w), (X_N, h * w * pixel), (X_H, w * pixel), (X_PIXEL, pixel),
        (EVEN, even.address), (ODD, odd.address), (NO_PIXEL, no_pixel.ctypes.data),
    ):  # fmt: skip
        plan[index] = value
    weights, size = weights_job(problem, target, c - lanes)
    main = Job(depthwise_input_rows.address, plan, problem.n * blocks, 0, 4 * problem.flops, [no_pixel])
    return Execution([main], weights, size, ("depthwise", "rows"))

"""Depthwise convolution in place where channels are side by side: rows of y, one after another, nothing is copied.

Frames of volumes are images whose kernel has the rows of all its slices, one below the other.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, names_of, sum_part
from fastconv.algorithm.depthwise_channels import weights_job
from fastconv.algorithm.depthwise_pixels import slices_of
from fastconv.algorithm.nest import block_start
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.depthrows import MOST_PIXELS, kinds
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The plan; steps in bytes. A task is some rows of y of one frame of one image.
(
    BLOCKS, ROWS,                                   # the words of `rows_of`
    STRIDE_H, DILATION_H, TOP, LEFT, TAPS_DOWN, H, W, OW, CHANNELS, X_N, X_H, X_W,
    FRAMES, SLICES, TAPS_DEEP,                      # SLICES: where those that a frame reads lie, -1 in the padding
    Y_N, Y_H, Y_PIXEL, KERNEL, NO_PIXEL, ACTIVATION,
    ROWS_FIELDS,
) = range(24)  # fmt: skip
X, WEIGHT, BIAS, RESIDUAL, Y = range(5)
TASK_BYTES = 32 << 10  # of y that make a task worth its start


@helper
def rows_of(plan, task):
    """A task's image, and its first row and where its rows end."""
    blocks, rows = peek(plan, BLOCKS), peek(plan, ROWS)
    block = task % blocks
    return task // blocks, block_start(block, blocks, rows), block_start(block + 1, blocks, rows)


@native("depthwise_rows", 4)
def depthwise_rows(plan, call, scratch, task):
    """Some rows of y of one frame of one image."""
    n, first, stop = rows_of(plan, task)
    frames, deep, down = peek(plan, FRAMES), peek(plan, TAPS_DEEP), peek(plan, TAPS_DOWN)
    x, slices = peek(call, X) + n // frames * peek(plan, X_N), peek(plan, SLICES) + n % frames * deep * 8
    for oh in range(first, stop):
        top = oh * peek(plan, STRIDE_H) - peek(plan, TOP)
        for i in range(deep * down):
            h, place = top + i % down * peek(plan, DILATION_H), peek(slices, i // down)
            inside = place != -1 and 0 <= h < peek(plan, H)
            poke(scratch, 2 * i, x + place + h * peek(plan, X_H) if inside else peek(plan, NO_PIXEL))
            poke(scratch, 2 * i + 1, peek(plan, X_W) if inside else 0)
        row = n * peek(plan, Y_N) + oh * peek(plan, Y_H)
        invoke(
            peek(plan, KERNEL),
            (
                scratch, peek(plan, LEFT), peek(plan, W), peek(plan, NO_PIXEL), peek(call, WEIGHT),
                peek(call, Y) + row, peek(plan, Y_PIXEL), peek(call, BIAS),
                peek(call, RESIDUAL) + row if peek(call, RESIDUAL) != 0 else 0, peek(plan, ACTIVATION),
                peek(plan, OW), peek(plan, CHANNELS), peek(plan, STRIDE_H) * peek(plan, X_H), peek(plan, Y_H),
            ),
        )  # fmt: skip


def unreadable(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why vectors of channels cannot be read where they lie, or None."""
    if problem.layout == "channels_first":
        return "channels are not side by side"
    if problem.k != problem.c or x.c != problem.itemsize:
        return "depth multiplier, or x's channels are not contiguous"
    if problem.padding_mode != "zeros":
        return "padding mode"
    if problem.dtype not in ("float32", "float64"):
        return "narrow dtypes are widened while packing"
    if problem.c < target.lanes(problem.itemsize):
        return "channels do not fill a vector"
    if problem.frames:
        return "frames of a volume are added up in y, where tiles must not overlap"
    taps = math.prod(problem.weight_shape[2:])
    if sum_part(problem, taps) < taps:
        return "strict sums of so many taps are formed in parts"
    return None


def blocks_of(images: int, rows: int, row: int, threads: int) -> int:
    """Into how many tasks the rows of an image are cut, of `row` bytes each."""
    return max(1, min(rows, max(-(-4 * threads // max(1, images)), rows * row // TASK_BYTES)))


def refuses(problem: Problem, x: Steps, target: Target) -> str | None:
    """Why this kernel cannot do the problem, or None."""
    if (reason := unreadable(problem, x, target)) is not None:
        return reason
    if _kind(problem) not in kinds() or problem.dilation[1] != 1:
        return "no kernel for this size, stride or dilation"
    if problem.activation not in (*SIMPLE_ACTIVATIONS, "leaky_relu"):
        return "activations that kernels do not apply"
    return None


def _kind(problem: Problem) -> str:
    """The kernel's variant."""
    *down, across = problem.weight_shape[2:]
    return f"{math.prod(down)}x{across}s{problem.stride[1]}"


def tile_pixels(problem: Problem) -> int:
    """Pixels of a tile: few tiles, of one size."""
    return -(-problem.ow // -(-problem.ow // MOST_PIXELS))


def build(problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
    """The execution for this problem; weights are packed by a launch of its own."""
    _, computing, item = names_of(problem)
    lanes, (oh, ow) = target.lanes(item), (problem.oh, problem.ow)
    words = (_kind(problem),)
    kernel = microkernel(str(Name("depthrows", computing, computing, tile_pixels(problem), lanes, target.isa, words)))
    row, (frames, deep, slices) = ow * problem.c * item, slices_of(problem, x)
    images = problem.n * frames
    blocks = blocks_of(images, oh, row, threads)
    no_pixel = np.zeros(problem.c * item, np.uint8)
    slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
    plan = np.zeros(ROWS_FIELDS, np.int64)
    for index, value in (
        (BLOCKS, blocks), (ROWS, oh), (STRIDE_H, problem.stride[0]),
        (DILATION_H, problem.dilation[0]), (TOP, problem.padding[0][0]), (LEFT, problem.padding[1][0]),
        (TAPS_DOWN, problem.r), (H, problem.h), (W, problem.w), (OW, ow), (CHANNELS, problem.c),
        (X_N, x.n), (X_H, x.h), (X_W, x.w), (FRAMES, frames), (SLICES, slices.ctypes.data),
        (TAPS_DEEP, deep), (Y_N, oh * row), (Y_H, row), (Y_PIXEL, problem.c * item),
        (KERNEL, kernel.address), (NO_PIXEL, no_pixel.ctypes.data),
        (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data)),
    ):  # fmt: skip
        plan[index] = value
    kernels = replace(problem, r=deep * problem.r)  # as `w` has them
    weights, size = weights_job(kernels, target, problem.c - lanes)
    main = Job(depthwise_rows.address, plan, images * blocks, 0, 4 * problem.flops, [no_pixel, slope, slices])
    return Execution([main], weights, size, ("depthwise", "rows"))

"""Strips of one vector of channels, [row][column][lane], with the border that padding makes."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Steps, move_name
from fastconv.algorithm.strips import MODES, ZEROS, inside, source_index
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The first words of a plan say where x's elements lie; steps in bytes. The padding ends at row H_END and column W_END.
# GATHER transposes where the pixels of an image row are side by side, TOGETHER of them at a time, or one by one where
# nothing is; it is 0 where a pixel's channels are.
X_C, X_H, X_W, H, W, H_END, W_END, MODE, PIXEL, GATHER, TOGETHER, SPREAD, LANES_FIELDS = range(13)


@helper
def source_before(end, i, size, mode):
    """The input index at position i, or -1 for a zero: also past the padding, where a tile reaches but no window."""
    return source_index(i, size, mode) if i < end else -1


@helper
def pack_lanes(plan, x, strip, rows, row0, group, step, columns, column0, valid, lanes):
    """Rows from row0 and columns from column0 on of the `valid` channels from x on; the other lanes are zero.

    Rows come in groups of `group` that follow one another, and the groups `step` apart. What lay in lanes without a
    channel could be denormal numbers, with which some processors compute a hundred times more slowly.
    """
    x_c, x_h, x_w, pixel = peek(plan, X_C), peek(plan, X_H), peek(plan, X_W), peek(plan, PIXEL)
    gather, spread, mode, width = peek(plan, GATHER), peek(plan, SPREAD), peek(plan, MODE), peek(plan, W)
    together = peek(plan, TOGETHER)
    low, high = inside(columns, column0, 1, width)
    for j in range(rows):
        line = strip + j * columns * pixel
        h = source_before(peek(plan, H_END), row0 + j // group * step + j % group, peek(plan, H), mode)
        if h < 0:
            invoke(spread, (x, 0, line, pixel, columns, 0))
            continue
        row = x + h * x_h
        if gather != 0 and valid < lanes:
            invoke(spread, (x, 0, line, pixel, columns, 0))
        if mode == ZEROS:
            if low > 0:
                invoke(spread, (x, 0, line, pixel, low, 0))
            if high < columns:
                invoke(spread, (x, 0, line + high * pixel, pixel, columns - high, 0))
        else:
            for i in range(columns):
                if i < low or i >= high:
                    w = source_before(peek(plan, W_END), column0 + i, width, mode)
                    some = valid if w >= 0 else 0
                    source, to = row + max(w, 0) * x_w, line + i * pixel
                    if gather != 0 and w >= 0:
                        invoke(gather, (source, x_c, to, pixel, valid, 1))
                    else:
                        invoke(spread, (source, 0, to, pixel, 1, some))
        source, to = row + (column0 + low) * x_w, line + low * pixel
        if gather != 0:
            for i in range(0, high - low, together):
                invoke(gather, (source + i * x_w, x_c, to + i * pixel, pixel, valid, min(together, high - low)))
        else:
            invoke(spread, (source, x_w, to, pixel, high - low, valid))


def put_input(plan: np.ndarray, problem: Problem, x: Steps, target: Target) -> None:
    """Write those words."""
    item, gather = problem.itemsize, 0
    if x.w == item or x.c != item:
        gather = microkernel(move_name("transpose", problem, target, "columns")).address
    for index, value in (
        (X_C, x.c), (X_H, x.h), (X_W, x.w), (H, problem.h), (W, problem.w),
        (H_END, problem.h + problem.padding[0][1]), (W_END, problem.w + problem.padding[1][1]),
        (MODE, MODES[problem.padding_mode]),
        (PIXEL, target.vector_bytes), (GATHER, gather), (TOGETHER, problem.w if x.w == item else 1),
        (SPREAD, microkernel(move_name("spread", problem, target)).address),
    ):  # fmt: skip
        plan[index] = value

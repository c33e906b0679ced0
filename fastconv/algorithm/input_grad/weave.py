"""The channels of a merged convolution, one for each phase, put together into rows of dx."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.input_grad.phases import Axis
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import MOVED, WEAVES, WOVEN
from fastconv.problem.conv import SHORT_DTYPE, Pair, Problem
from fastconv.target import Target

X, Y = 0, 4  # of a call's arrays

# The plan; steps in bytes. Row t - SHIFT of dx is phase t % STRIDE_H of place t // STRIDE_H of the band, and column
# t - OFF likewise.
(
    CHANNELS_LAST, CHANNELS, ROW, ROWS, SHIFT, WIDTH, OFF, STRIDE_H, STRIDE_W, DOWN, ACROSS, ITEM,
    DX_N, DX_C, DX_H, COMB, WEAVE, TOGETHER, TRANSPOSE, WEAVE_FIELDS,
) = range(20)  # fmt: skip


@helper
def weave_rows(kernel, strands, a, a_pitch, b, b_pitch, c, c_pitch, d, d_pitch, to, to_row, width, rows):
    """Two to four planes, the last of these, become one."""
    if strands == 2:
        invoke(kernel, (c, c_pitch, d, d_pitch, to, to_row, width, rows))
    elif strands == 3:
        invoke(kernel, (b, b_pitch, c, c_pitch, d, d_pitch, to, to_row, width, rows))
    else:
        invoke(kernel, (a, a_pitch, b, b_pitch, c, c_pitch, d, d_pitch, to, to_row, width, rows))


def weave_address(strands: int, moved: str, target: Target) -> int:
    """The kernel that weaves so many planes, or 0."""
    return microkernel(f"{WEAVES[strands]}_{moved}_{target.isa}").address if strands in WEAVES else 0


@native("input_grad_weave", 4)
def weave_phases(plan, call, scratch, task):
    """The rows of one channel of one image, or with channels last one row of it."""
    sh, sw, item, width = peek(plan, STRIDE_H), peek(plan, STRIDE_W), peek(plan, ITEM), peek(plan, WIDTH)
    channels, down, across, off = peek(plan, CHANNELS), peek(plan, DOWN), peek(plan, ACROSS), peek(plan, OFF)
    comb, first_row, rows, shift = peek(plan, COMB), peek(plan, ROW), peek(plan, ROWS), peek(plan, SHIFT)
    if peek(plan, CHANNELS_LAST) != 0:
        n, row = task // rows, first_row + task % rows
        i, a = (row + shift) // sh, (row + shift) % sh
        pixel = channels * item
        source = peek(call, X) + ((n * down + i) * across * sh + a) * sw * pixel
        to = peek(call, Y) + n * peek(plan, DX_N) + row * peek(plan, DX_H)
        for j in range(across):
            start = j * sw - off
            low, high = max(0, start), min(width, start + sw)
            if low < high:
                at = source + (j * sh * sw + low - start) * pixel
                invoke(comb, (at, item, to + low * pixel, item, (high - low) * channels))
        return
    n, k = task // channels, task % channels
    phase = down * across * item
    # Up to stride 4 all rows of a phase go together, as far as they stay near.
    weave = peek(plan, WEAVE)
    step, end, pitch = peek(plan, TOGETHER) * sh, first_row + rows, across * item
    for top in range(first_row, end if weave != 0 else first_row, step):
        stop = min(top + step, end)
        for row in range(top, min(top + sh, stop)):
            i, a = (row + shift) // sh, (row + shift) % sh
            source = peek(call, X) + (task * sh + a) * sw * phase + i * across * item
            to = peek(call, Y) + n * peek(plan, DX_N) + k * peek(plan, DX_C) + row * peek(plan, DX_H)
            p = off + sw - 4  # plus three: the phase of the last column
            weave_rows(
                weave, sw,
                source + p % sw * phase + p // sw * item, pitch,
                source + (p + 1) % sw * phase + (p + 1) // sw * item, pitch,
                source + (p + 2) % sw * phase + (p + 2) // sw * item, pitch,
                source + (p + 3) % sw * phase + (p + 3) // sw * item, pitch,
                to, sh * peek(plan, DX_H), width, (stop - row + sh - 1) // sh,
            )  # fmt: skip
    for row in range(first_row, first_row if weave != 0 else end):
        i, a = (row + shift) // sh, (row + shift) % sh
        source = peek(call, X) + (task * sh + a) * sw * phase + i * across * item
        to = peek(call, Y) + n * peek(plan, DX_N) + k * peek(plan, DX_C) + row * peek(plan, DX_H)
        if peek(plan, TRANSPOSE) != 0:
            # Whole places at once; those at the ends may have lost some columns.
            first, last = min(off, 1), (width + off) // sw
            if first < last:
                invoke(peek(plan, TRANSPOSE), (source + first * item, phase, to + (first * sw - off) * item, sw * item,
                                               sw, last - first))  # fmt: skip
            if first > 0:
                for b in range(off, min(sw, off + width)):
                    invoke(comb, (source + b * phase, item, to + (b - off) * item, item, 1))
            if last >= first:
                for b in range(width + off - last * sw):
                    at = source + b * phase + last * item
                    invoke(comb, (at, item, to + (last * sw + b - off) * item, item, 1))
        else:
            for b in range(sw):
                j = 1 if b < off else 0
                start = j * sw + b - off
                if start < width:
                    count = (width - start + sw - 1) // sw
                    invoke(comb, (source + b * phase + j * item, item, to + start * item, sw * item, count))


def weave_job(problem: Problem, down: Axis, across: Axis, first: int, rows: Pair, target: Target) -> Job:
    """The launch that makes `rows` of dx of the places `down` by `across`; the first of them is number `first`."""
    item, last, moved = problem.itemsize, problem.layout == "channels_last", MOVED[SHORT_DTYPE[problem.dtype]]
    (sh, sw), c, h, w = problem.stride, problem.c, problem.h, problem.w
    image, channel = problem.steps_between(c, h, w)
    comb, weave = microkernel(f"comb_{moved}_{target.isa}").address, weave_address(sw, moved, target)
    transpose = 0
    if not last and not weave and sw > 1 and moved in ("f32", "f64"):
        transpose = microkernel(f"transpose_{moved}_{target.isa}_columns").address
    plan = np.zeros(WEAVE_FIELDS, np.int64)
    for index, value in (
        (CHANNELS_LAST, last), (CHANNELS, c), (ROW, rows[0]), (ROWS, rows[1] - rows[0]),
        (SHIFT, problem.padding[0][0] - first * sh), (WIDTH, w), (OFF, problem.padding[1][0] % sw), (STRIDE_H, sh),
        (STRIDE_W, sw), (DOWN, down.size), (ACROSS, across.size), (ITEM, item), (DX_N, image * item),
        (DX_C, channel * item), (DX_H, w * item * (c if last else 1)), (COMB, comb), (WEAVE, weave),
        (TOGETHER, max(1, WOVEN // w)), (TRANSPOSE, transpose),
    ):  # fmt: skip
        plan[index] = value
    count = rows[1] - rows[0]
    return Job(weave_phases.address, plan, problem.n * (count if last else c), 0, 8 * problem.n * c * count * w)

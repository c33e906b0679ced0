"""Windows of an image as columns of a matrix, moved a band of rows at a time; nothing is computed.

A unit of work is what one channel's kernel row (kd, kh) gives: its KW taps follow one another in the result, each with
an element a window. A band of the image's rows is read for all of them while it is in the first cache.
"""

from __future__ import annotations

import numpy as np

from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import MOVED
from fastconv.problem.conv import SHORT_DTYPE
from fastconv.problem.grid import Grid
from fastconv.target import Target

X, Y = 0, 4  # of a call's arrays
BAND_BYTES = 16 << 10  # of a tap's rows that are written at once: the kernel goes down them a vector wide
TASK_BYTES = 64 << 10  # that a task writes at least, if there are so many: a task costs 20 ns

(EACH, UNITS, C, X_N, X_C, X_D, X_H, X_W, D, H, W, KD, KH, KW, SD, SH, SW, PD, PH, PW, DD, DH, DW, OD, OH, OW, ITEM,
 BAND, PLANE, FIELDS) = range(30)  # fmt: skip


@helper
def first_inside(shift, stride, count):
    """The first of `count` positions with i * stride + shift >= 0."""
    return min(max(-(shift // stride), 0), count)


@helper
def end_inside(shift, stride, count, size):
    """One past the last of `count` positions with i * stride + shift < size."""
    return min(max((size - 1 - shift) // stride + 1, 0), count)


@native("unfold", 4)
def unfold_units(plan, call, scratch, task):
    """Some units; scratch holds where a band's rows lie."""
    kd_, kh_, kw_ = peek(plan, KD), peek(plan, KH), peek(plan, KW)
    oh_, ow_, item = peek(plan, OH), peek(plan, OW), peek(plan, ITEM)
    rows, band, x_w, sw = peek(plan, OD) * oh_, peek(plan, BAND), peek(plan, X_W), peek(plan, SW)
    windows = rows * ow_
    step_d, step_h = peek(plan, X_D), peek(plan, X_H)
    d_end, h_end, sd, sh = peek(plan, D), peek(plan, H), peek(plan, SD), peek(plan, SH)
    for unit in range(task * peek(plan, EACH), min((task + 1) * peek(plan, EACH), peek(plan, UNITS))):
        kh, kd, plane = unit % kh_, unit // kh_ % kd_, unit // (kh_ * kd_)
        image = peek(call, X) + plane // peek(plan, C) * peek(plan, X_N) + plane % peek(plan, C) * peek(plan, X_C)
        to = peek(call, Y) + unit * kw_ * windows * item
        d, h0 = kd * peek(plan, DD) - peek(plan, PD), kh * peek(plan, DH) - peek(plan, PH)
        h = h0
        for row0 in range(0, rows, band):
            some = min(band, rows - row0)
            for i in range(some):
                there = d >= 0 and d < d_end and h >= 0 and h < h_end
                poke(scratch, i, d * step_d + h * step_h if there else -1)
                h += sh
                if h == h0 + oh_ * sh:
                    d, h = d + sd, h0
            for kw in range(kw_):
                shift = kw * peek(plan, DW) - peek(plan, PW)
                low, high = first_inside(shift, sw, ow_), end_inside(shift, sw, ow_, peek(plan, W))
                here = to + (kw * windows + row0 * ow_) * item
                invoke(peek(plan, PLANE), (image + shift * x_w, scratch, some, sw * x_w, here, ow_, low, max(low, high),
                                           0))  # fmt: skip


def unfold(grid: Grid, steps: tuple[int, ...], target: Target) -> Job:
    """The job for x with these bytes from element to element along (n, c, d, h, w)."""
    item, (od, oh, ow), (kd, kh, kw) = grid.itemsize, grid.counts, grid.kernel
    unit = kw * grid.windows * item
    units = grid.n * grid.c * kd * kh
    each = max(1, min(TASK_BYTES // unit, units // 8))
    band = max(1, min(od * oh, BAND_BYTES // (ow * item)))
    kernel = microkernel(f"plane_{MOVED[SHORT_DTYPE[grid.dtype]]}_{target.isa}")
    fields = (
        each, units, grid.c, *steps, *grid.sizes, *grid.kernel, *grid.stride, *grid.padding, *grid.dilation,
        od, oh, ow, item, band, kernel.address,
    )  # fmt: skip
    return Job(unfold_units.address, np.array(fields, np.int64), -(-units // each), 8 * band, 32 * units * unit // item)

"""Weights of volumes brought to the order of their slices' channels, and gradients brought back."""

from __future__ import annotations

import numpy as np

from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import MOVED
from fastconv.problem.conv import SHORT_DTYPE, Problem
from fastconv.target import Target

X, Y = 0, 4  # of a call's arrays
OUTPUTS, BLOCK, TOGETHER, CHANNELS, TAPS, KERNEL, PLACES, TABLE, AREA, BYTES, BACK, PICK, REGROUP_FIELDS = range(13)


@native("volume_weights", 4)
def regroup(plan, call, scratch, task):
    """Some output channels: (K, C / groups, T, R * S) becomes [k // together][tap][k % together][c][r, s], or back."""
    channels, taps, kernel, together = peek(plan, CHANNELS), peek(plan, TAPS), peek(plan, KERNEL), peek(plan, TOGETHER)
    table, area, size = peek(plan, TABLE), peek(plan, AREA), peek(plan, BYTES)
    first = task * peek(plan, BLOCK)
    for k in range(first, min(first + peek(plan, BLOCK), peek(plan, OUTPUTS))):
        for i in range(taps):
            place = ((k // together * taps + i) * together + k % together) * channels * size
            at = (k * channels * kernel + peek(peek(plan, PLACES), i)) * size
            if peek(plan, BACK) != 0:
                invoke(peek(plan, PICK), (peek(call, X) + place, size, table, area, peek(call, Y) + at, kernel * size,
                                          channels))  # fmt: skip
            else:
                invoke(peek(plan, PICK), (peek(call, X) + at, kernel * size, table, area, peek(call, Y) + place, size,
                                          channels))  # fmt: skip


def regroup_job(
    problem: Problem, own: tuple[int, ...], together: int, target: Target, *, back: bool = False, flip: bool = False
) -> Job:
    """The launch that brings the taps `own` of weights to the order of slices, or their gradient from there to dw.

    Outputs of a tap lie side by side `together` at a time: 1 where taps belong to the channels that are summed. `flip`
    reverses rows and columns of taps.
    """
    item, (k, channels, kernel, r, s) = problem.itemsize, problem.weight_shape
    places, table = np.array(own, np.int64), np.arange(r * s, dtype=np.int64)[:: -1 if flip else 1] * item
    block = max(1, 4096 // (channels * len(own) * r * s))
    plan = np.zeros(REGROUP_FIELDS, np.int64)
    for index, value in (
        (OUTPUTS, k), (BLOCK, block), (TOGETHER, together), (CHANNELS, channels), (TAPS, len(own)), (KERNEL, kernel),
        (PLACES, places.ctypes.data), (TABLE, table.ctypes.data), (AREA, r * s), (BYTES, r * s * item), (BACK, back),
        (PICK, microkernel(f"pick_{MOVED[SHORT_DTYPE[problem.dtype]]}_{target.isa}").address),
    ):  # fmt: skip
        plan[index] = value
    return Job(regroup.address, plan, -(-k // block), 0, 32 * k * channels * len(own) * r * s, [places, table])

"""Slices copied from where they lie to where images need them, by all threads.

NumPy does that in one: of a transposed convolution's weight gradient, 64 to 32 channels 2x2x2 on 32x32x32, half of the
time was such copies.
"""

from __future__ import annotations

import functools

import numpy as np

from fastconv import target as targets
from fastconv.algorithm.volume.together import of_several
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel

X, Y = 0, 4  # of a call's arrays
TASK_BYTES = 32 << 10  # that a task moves at least, if a slice has so many
KINDS = {2: "bf16", 4: "f32", 8: "f64"}  # types of these sizes, as moves are named

# The plan; steps in bytes. A slice is `lines` lines of `columns` columns of runs of elements.
(
    PLACES, LINES, BLOCK, BLOCKS, COLUMNS, RUNS, ELEMENTS, SIZE,
    TO_SLICE, TO_LINE, TO_COLUMN, TO_RUN, FROM_LINE, FROM_COLUMN, FROM_RUN, STEP, COMB, FIELDS,
) = range(18)  # fmt: skip


@native("volume_copy", 4)
def copy_lines(plan, call, scratch, task):
    """Some lines of one slice, or zeros."""
    block, comb, size, step = peek(plan, BLOCK), peek(plan, COMB), peek(plan, SIZE), peek(plan, STEP)
    number, first = task // peek(plan, BLOCKS), task % peek(plan, BLOCKS) * block
    place = peek(peek(plan, PLACES), number)
    for line in range(first, min(first + block, peek(plan, LINES))):
        for column in range(peek(plan, COLUMNS)):
            to = peek(call, Y) + number * peek(plan, TO_SLICE) + line * peek(plan, TO_LINE)
            to += column * peek(plan, TO_COLUMN)
            source = peek(call, X) + place + line * peek(plan, FROM_LINE) + column * peek(plan, FROM_COLUMN)
            for run in range(peek(plan, RUNS)):
                at = source + run * peek(plan, FROM_RUN) if place != -1 else 0
                invoke(comb, (at, step, to + run * peek(plan, TO_RUN), size, peek(plan, ELEMENTS)))


ONE = 1, 0, 0  # volume


def copy_job(to: np.ndarray, source: np.ndarray, places: tuple[int, ...], volumes: tuple[int, int, int] = ONE) -> Job:
    """The launch of to[i] = source[places[i]], or zeros where that is -1, between any arrays of such steps.

    Slices have four axes, the last of them dense in `to`. The same of several volumes: how many, the bytes from one to
    the next in `source`, and in `to`.
    """
    return _job(to.shape, to.strides, source.strides, places, to.itemsize, volumes)


@functools.lru_cache(maxsize=512)
def _job(
    shape: tuple, to: tuple, source: tuple, places: tuple[int, ...], size: int, volumes: tuple[int, int, int]
) -> Job:
    """The launch of a copy between arrays of these shapes and steps."""
    axes = [axis for axis in zip(shape[1:], to[1:], source[1:], strict=True) if axis[0] > 1]
    merged = [axes.pop()] if axes else [(1, size, size)]
    while axes:
        (count, far, away), (inner, near, beside) = axes.pop(), merged[0]
        if far == inner * near and away == inner * beside:
            merged[0] = count * inner, near, beside
        else:
            merged.insert(0, (count, far, away))
    elements = merged.pop() if merged[-1][1] == size else (1, size, size)
    lines, columns, runs = (*merged, *((1, 0, 0),) * 3)[:3]
    block = max(1, TASK_BYTES // (columns[0] * runs[0] * elements[0] * size))
    blocks = -(-lines[0] // block)
    table = np.array([place * source[0] if place >= 0 else -1 for place in places], np.int64)
    comb = microkernel(f"comb_{KINDS[size]}_{targets.host().isa}")
    plan = np.zeros(FIELDS, np.int64)
    for index, value in (
        (PLACES, table.ctypes.data), (LINES, lines[0]), (BLOCK, block), (BLOCKS, blocks), (COLUMNS, columns[0]),
        (RUNS, runs[0]), (ELEMENTS, elements[0]), (SIZE, size), (TO_SLICE, to[0]), (TO_LINE, lines[1]),
        (TO_COLUMN, columns[1]), (TO_RUN, runs[1]), (FROM_LINE, lines[2]), (FROM_COLUMN, columns[2]),
        (FROM_RUN, runs[2]), (STEP, elements[2]), (COMB, comb.address),
    ):  # fmt: skip
        plan[index] = value
    moved = len(places) * lines[0] * columns[0] * runs[0] * elements[0]
    job = Job(copy_lines.address, plan, len(places) * blocks, 0, 16 * moved, [table])
    several, x_step, y_step = volumes
    return job if several == 1 else of_several(job, several, x_step, 0, y_step)

"""Pools of few taps, pixels in the lanes: one pass from x to y.

Every line of outputs is read from its rows of x and written at once. Where all rows of x belong to windows, and planes
follow each other, a batch is one image with all their lines. Lines that fill half a vector or less are taken two at a
time, from two planes or from two halves of some lines. Windows may begin a row or two before x, or end behind it: the
first line of outputs, or the last, then has fewer rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan, index_word, planes_contiguous, tap_indices
from fastconv.algorithm.pool.recipe import Recipe, dtypes, kernel_name, one_factor, recipe
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolpass import ALONG, BEFORE, BORDER_ROWS, PAIRED, ROWS
from fastconv.microkernels.reducer import QUICK
from fastconv.pool_cost import pool_pass_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.problem.pool_axes import ONE, Axis
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
PLANES, LINES = 1, 2  # what is taken two at a time
TASK_ELEMENTS = 1 << 14  # read by a task at least: it takes a microsecond
FLOPS = 6  # that an element counts as: a core moves more than 8 in a nanosecond, so that few are soon done
INDEXED_FLOPS = 16  # with its index
BATCH_FLOPS = 1000  # that a batch counts as besides: 20 ns

PLAN = Plan(
    "kernel units a_task batches batch channels stored depths rows width x_n x_c x_d line_step fixed factors indexed "
    "index_depth index_step pairs plane_count columns top top_step top_index bottom"
)
(
    KERNEL, UNITS, A_TASK, BATCHES, BATCH, CHANNELS, STORED, DEPTHS, ROW_COUNT, WIDTH, X_N, X_C, X_D, LINE_STEP, FIXED,
    FACTORS, INDEXED, INDEX_DEPTH, INDEX_STEP, PAIRS, PLANE_COUNT, COLUMNS, TOP, TOP_STEP, TOP_INDEX, BOTTOM,
) = range(len(PLAN.fields))  # fmt: skip


@helper
def passed(plan, call, kernel, plane, depth, row, lines, apart, outputs):
    """Some lines of a plane, and as many that lie so many bytes, and so many outputs, behind them."""
    rows, depths, width, stored = peek(plan, ROW_COUNT), peek(plan, DEPTHS), peek(plan, WIDTH), peek(plan, STORED)
    place = ((plane * depths + depth) * rows + row) * width
    channels = peek(plan, CHANNELS)
    source = peek(call, X) + plane // channels * peek(plan, X_N) + plane % channels * peek(plan, X_C)
    source += depth * peek(plan, X_D) + row * peek(plan, LINE_STEP)
    if row > 0:
        source -= peek(plan, TOP_STEP)
    to, index_to = peek(call, Y) + place * stored, peek(call, RESIDUAL) + place * 8 if peek(plan, INDEXED) != 0 else 0
    index = depth * peek(plan, INDEX_DEPTH) + row * peek(plan, INDEX_STEP) - (peek(plan, TOP_INDEX) if row > 0 else 0)
    if peek(plan, PAIRS) != 0:
        invoke(
            kernel,
            (
                source, peek(plan, FIXED), lines, peek(plan, LINE_STEP), to, width * stored, width, peek(plan, FACTORS),
                index_to, width * 8, index, peek(plan, INDEX_STEP), peek(plan, COLUMNS), apart, outputs * stored,
                outputs * 8,
            ),
        )  # fmt: skip
    else:
        invoke(
            kernel,
            (
                source, peek(plan, FIXED), lines, peek(plan, LINE_STEP), to, width * stored, width, peek(plan, FACTORS),
                index_to, width * 8, index, peek(plan, INDEX_STEP), peek(plan, COLUMNS),
            ),
        )  # fmt: skip


@native("pool_pass", 4)
def pool_pass(plan, call, scratch, task):
    """Some batches of lines."""
    start, rows, depths, pairs = task * peek(plan, A_TASK), peek(plan, ROW_COUNT), peek(plan, DEPTHS), peek(plan, PAIRS)
    batches, batch, kernel = peek(plan, BATCHES), peek(plan, BATCH), peek(plan, KERNEL)
    for unit in range(start, min(start + peek(plan, A_TASK), peek(plan, UNITS))):
        group, row = unit // batches, unit % batches * batch
        plane, depth = group // depths, group % depths
        some = min(batch, rows - row)
        if pairs == PLANES:
            both = 2 * plane + 1 < peek(plan, PLANE_COUNT)  # or the last with itself
            behind = depths * rows * peek(plan, WIDTH) if both else 0
            passed(plan, call, kernel, 2 * plane, depth, row, some, peek(plan, X_C) if both else 0, behind)
        elif pairs == LINES:
            half = some // 2
            passed(plan, call, kernel, plane, depth, row, half, half * peek(plan, LINE_STEP), half * peek(plan, WIDTH))
            if some % 2 != 0:
                passed(plan, call, kernel, plane, depth, row + 2 * half, 1, 0, 0)
        else:
            if row == 0 and peek(plan, TOP) != 0:
                passed(plan, call, peek(plan, TOP), plane, depth, 0, 1, 0, 0)
                row, some = 1, some - 1
            if row + some == rows and peek(plan, BOTTOM) != 0:
                some -= 1
                passed(plan, call, peek(plan, BOTTOM), plane, depth, rows - 1, 1, 0, 0)
            passed(plan, call, kernel, plane, depth, row, some, 0, 0)


class OnePass:
    """Few taps, next to none outside x, pixels in the lanes."""

    name = "pass"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        d, h, w = problem.axes
        if problem.layout == LAST:
            return "channels last"
        if problem.pass_ != "forward" or problem.kind == "weighted_avg":
            return "not a forward pass without weights"
        words = recipe(problem)
        if problem.in_parts or any(axis.dilation != 1 for axis in problem.axes):
            return "windows are dilated, or unlike"
        reason = None if _whole(problem) else _against_borders(problem, words)
        if reason:
            return reason
        if (w.kernel, w.stride) not in ALONG or d.kernel * h.kernel not in ROWS:
            return f"a window of {d.kernel * h.kernel} rows of {w.kernel}, stride {w.stride}"
        if words.load not in QUICK or words.finish == "powerroot":
            return "powers"
        return None

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        # Measured: comparisons take most of the time with indices, and two images share them.
        shared = problem.indices and self._pairs(problem, x, target)
        return pool_pass_cycles(problem, target) * (0.55 if shared else 1)

    def _pairs(self, problem: PoolProblem, x: PoolSteps, target: Target) -> int:
        """What is taken two at a time, if anything."""
        w, lanes = problem.axes[2], target.lanes(dtypes(problem)[1].itemsize)
        seen = (w.out - 1) * w.stride + w.kernel
        if not _whole(problem) or (w.kernel, w.stride) not in PAIRED or 2 * w.out > lanes or seen > lanes:
            return 0
        if not problem.indices:
            return LINES
        even = problem.n == 1 or x.n == problem.c * x.c
        return PLANES if even and problem.n * problem.c > 1 else 0

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words = recipe(problem)
        if all((axis.kernel, axis.stride) == (1, 1) for axis in problem.axes) and planes_contiguous(problem, x):
            # Elements as they are: a plane is one row.
            problem = replace(problem, axes=(ONE, ONE, Axis(problem.plane, problem.plane)))
        d, h, w = problem.axes
        finish, factors = one_factor(problem, words)
        # A stride along an axis with one window has no meaning, but could be huge; then planes are lines.
        line_step, depth_step = h.stride * x.h if h.out > 1 else x.c, d.stride * x.d if d.out > 1 else 0
        indices = [position for position, _ in tap_indices(problem)]
        planes, channels, depths, rows = problem.n * problem.c, problem.c, d.out, h.out
        follow = x.c == h.out * line_step and (problem.n == 1 or x.n == problem.c * x.c)
        pairs = self._pairs(problem, x, target)
        if depths == 1 and follow and not problem.indices and h.whole:
            rows, planes = planes * rows, 1
        count = planes
        if pairs == PLANES:
            channels, planes = planes, -(-planes // 2)
        read = d.kernel * h.kernel * w.size
        # A task is some planes, or some lines of one.
        lines = max(1, min(-(-planes * depths * rows // (4 * threads)), -(-TASK_ELEMENTS // read)))
        batch = max(1, min(rows, lines))  # there may be no image, and then no row
        batches = -(-rows // batch)
        units, a_task = planes * depths * batches, max(1, lines // max(1, rows))
        fixed = np.array(
            [(a * x.d + b * x.h, a * indices[0] + b * indices[1]) for a in range(d.kernel) for b in range(h.kernel)],
            np.int64,
        )

        def kernel(rows: int) -> int:
            """The kernel of windows of so many rows."""
            name = kernel_name(
                "poolpair" if pairs else "poolpass", problem, target, words.load, words.op, finish,
                index_word(problem), f"r{rows}", f"t{w.kernel}", f"s{w.stride}", f"p{w.before}" if w.before else "",
                "behind" if w.behind else "",
            )  # fmt: skip
            return microkernel(name).address

        plan = PLAN.array(
            kernel=kernel(len(fixed)), units=units, a_task=a_task, batches=batches, batch=batch,
            channels=channels, stored=problem.itemsize, depths=depths, rows=rows, width=w.out, x_n=x.n, x_c=x.c,
            x_d=depth_step, line_step=line_step, fixed=fixed, factors=factors, indexed=problem.indices,
            index_depth=d.stride * indices[0] if depths > 1 else 0,
            index_step=h.stride * indices[1] if h.out > 1 else 0, pairs=pairs, plane_count=count, columns=w.size,
            top=kernel(len(fixed) - h.before) if h.before else 0, top_step=h.before * x.h,
            top_index=h.before * indices[1],
            bottom=kernel(len(fixed) - h.behind) if h.behind else 0,
        )  # fmt: skip
        elements = problem.n * problem.c * (problem.plane + problem.outputs)
        moved = (INDEXED_FLOPS if problem.indices else FLOPS) * elements + BATCH_FLOPS * units
        return Execution([Job(pool_pass.address, plan, -(-units // a_task), 0, moved, [fixed, factors])], None, 0, ())


def _whole(problem: PoolProblem) -> bool:
    """Whether no window leaves x."""
    return all(axis.whole for axis in problem.axes)


def _against_borders(problem: PoolProblem, words: Recipe) -> str | None:
    """Why windows that leave x are not taken; those that begin little before it, or end behind it, may be."""
    d, h, w = problem.axes
    if words.factor is not None and words.factor.size > 1:
        return "windows leave x, and are divided by unlike numbers"
    if d.kernel > 1 or not d.whole:
        return "volumes whose windows leave x"
    if not {h.before, w.before} <= {0, *BEFORE} or w.before >= w.kernel:
        return f"windows begin more than {BEFORE[-1]} elements before x, or have none"
    if w.behind >= w.kernel:
        return "windows lie wholly behind x"
    if max(h.before, h.behind) > h.stride or (h.before and h.behind and h.out == 1):
        return "more than the first and the last line leave x"
    rows = {h.kernel, h.kernel - h.before, h.kernel - h.behind}
    able = BORDER_ROWS if w.before or w.behind else ROWS
    return None if rows <= set(able) else "windows of too many rows, or too few"

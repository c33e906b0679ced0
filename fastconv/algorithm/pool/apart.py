"""The gradient of an average whose windows lie side by side, pixels in the lanes: what dy has, divided and repeated.

Elements that no window covers, at the end of a row or of a plane, become zero.
"""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan
from fastconv.algorithm.pool.recipe import kernel_name, one_factor, recipe
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolapart import TIMES
from fastconv.pool_cost import pool_apart_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
TASK_ELEMENTS = 1 << 14  # written by a task at least
FLOPS = 6  # that an element counts as: a core moves more than 8 in a nanosecond

PLAN = Plan(
    "kernel clear units a_task batches batch channels depths rows width x_n x_c x_d x_h fixed fixed_count high "
    "factors plane depth_step line_step rest beyond nothing"
)
(
    KERNEL, CLEAR, UNITS, A_TASK, BATCHES, BATCH, CHANNELS, DEPTHS, ROW_COUNT, WIDTH, X_N, X_C, X_D, X_H, FIXED,
    FIXED_COUNT, HIGH, FACTORS, PLANE, DEPTH_STEP, LINE_STEP, REST, BEYOND, NOTHING,
) = range(len(PLAN.fields))  # fmt: skip


@native("pool_apart", 4)
def pool_apart(plan, call, scratch, task):
    """Some batches of lines of dy; after the last of a plane come rows that no window covers."""
    start, rows, depths = task * peek(plan, A_TASK), peek(plan, ROW_COUNT), peek(plan, DEPTHS)
    batches, batch, channels = peek(plan, BATCHES), peek(plan, BATCH), peek(plan, CHANNELS)
    fixed, count, beyond = peek(plan, FIXED), peek(plan, FIXED_COUNT), peek(plan, BEYOND)
    for unit in range(start, min(start + peek(plan, A_TASK), peek(plan, UNITS))):
        group, row = unit // batches, unit % batches * batch
        plane, depth = group // depths, group % depths
        some = min(batch, rows - row)
        source = peek(call, X) + plane // channels * peek(plan, X_N) + plane % channels * peek(plan, X_C)
        to = peek(call, Y) + plane * peek(plan, PLANE) + depth * peek(plan, DEPTH_STEP) + row * peek(plan, LINE_STEP)
        invoke(
            peek(plan, KERNEL),
            (
                source + depth * peek(plan, X_D) + row * peek(plan, X_H), peek(plan, X_H), some, peek(plan, WIDTH),
                fixed, count, to, peek(plan, LINE_STEP), peek(plan, REST), peek(plan, FACTORS),
            ),
        )  # fmt: skip
        if beyond != 0 and row + some == rows:
            behind = to + some * peek(plan, LINE_STEP)
            for i in range(0, count, peek(plan, HIGH)):
                invoke(
                    peek(plan, CLEAR),
                    (
                        0, 0, 0, peek(plan, NOTHING), 0, 1, behind + peek(fixed, 2 * i), 0, beyond, 0, 0, 0, 0, 0, 0, 0,
                        0,
                    ),
                )  # fmt: skip


class Apart:
    """Windows side by side, pixels in the lanes."""

    name = "apart"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        d, _, w = problem.axes
        if problem.layout == LAST:
            return "channels last"
        if problem.pass_ != "backward" or problem.kind != "avg":
            return "not the gradient of an average"
        if problem.in_parts or not all(
            axis.whole and axis.dilation == 1 and axis.stride == axis.kernel for axis in problem.axes
        ):
            return "windows leave x, are dilated, unlike, or do not lie side by side"
        if w.kernel not in TIMES or d.size != d.out * d.kernel:
            return f"rows of {w.kernel}, {d.kernel} deep on {d.size}"
        return None

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_apart_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, (d, h, w), item = recipe(problem), problem.axes, problem.itemsize
        finish, factors = one_factor(problem, words)
        line = w.size * item
        planes, depths, rows = problem.n * problem.c, d.out, h.out
        follow = x.c == rows * x.h and (problem.n == 1 or x.n == problem.c * x.c)
        if depths == 1 and follow and h.size == rows * h.kernel and d.kernel == 1:
            rows, planes = planes * rows, 1
        written = d.kernel * h.kernel * w.size
        # A task is some planes, or some lines of one.
        lines = max(1, min(-(-planes * depths * rows // (4 * threads)), -(-TASK_ELEMENTS // written)))
        batch = min(rows, lines)
        batches = -(-rows // batch)
        units, a_task = planes * depths * batches, max(1, lines // rows)
        fixed = np.array(
            [((a * h.size + b) * line, 0) for a in range(d.kernel) for b in range(h.kernel)], np.int64
        )  # fmt: skip
        nothing = np.zeros(2, np.int64)
        plan = PLAN.array(
            kernel=microkernel(kernel_name("poolapart", problem, target, finish, f"t{w.kernel}")).address,
            clear=microkernel(kernel_name("pooltaps", problem, target, "plain", "sum", "round")).address,
            units=units, a_task=a_task, batches=batches, batch=batch, channels=problem.c, depths=depths, rows=rows,
            width=w.out, x_n=x.n, x_c=x.c, x_d=x.d, x_h=x.h, fixed=fixed, fixed_count=len(fixed), high=h.kernel,
            factors=factors, plane=problem.plane * item, depth_step=d.kernel * h.size * line, line_step=h.kernel * line,
            rest=w.size - w.out * w.kernel, beyond=(h.size - h.out * h.kernel) * w.size, nothing=nothing,
        )  # fmt: skip
        moved = FLOPS * problem.n * problem.c * (problem.plane + problem.outputs)
        keep = [fixed, factors, nothing]
        return Execution([Job(pool_apart.address, plan, -(-units // a_task), 0, moved, keep)], None, 0, ())

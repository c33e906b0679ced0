"""Small windows that move on by one both ways, pixels in the lanes: rows are reduced along once, not once a window."""

from __future__ import annotations

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import Plan, factor_rows
from fastconv.algorithm.pool.recipe import dtypes, kernel_name, recipe, unshared
from fastconv.algorithm.pool.row import row_of
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolsweep import SIDES
from fastconv.pool_cost import pool_sweep_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
BATCH_BYTES = 16 << 10  # of x that vectors go down: other half lines of it are read from L1 then
BATCH_LINES = 8  # of outputs at least: every batch reads the rows before its first line anew
TASK_ELEMENTS = 1 << 14  # that a task has at least: it takes a microsecond

PLAN = Plan(
    "kernel units a_task batches batch channels stored rows width x_n x_c x_h first height columns before factors "
    "reciprocals"
)
(
    KERNEL, UNITS, A_TASK, BATCHES, BATCH, CHANNELS, STORED, ROW_COUNT, WIDTH, X_N, X_C, X_H, FIRST, HEIGHT, COLUMNS,
    BEFORE, FACTORS, RECIPROCALS,
) = range(len(PLAN.fields))  # fmt: skip


@native("pool_sweep", 4)
def pool_sweep(plan, call, scratch, task):
    """Some batches of lines of outputs."""
    start, batches, batch = task * peek(plan, A_TASK), peek(plan, BATCHES), peek(plan, BATCH)
    channels, stored, width, factors = peek(plan, CHANNELS), peek(plan, STORED), peek(plan, WIDTH), peek(plan, FACTORS)
    for unit in range(start, min(start + peek(plan, A_TASK), peek(plan, UNITS))):
        plane, row = unit // batches, unit % batches * batch
        source = peek(call, X) + plane // channels * peek(plan, X_N) + plane % channels * peek(plan, X_C)
        invoke(
            peek(plan, KERNEL),
            (
                source, peek(plan, X_H), peek(plan, FIRST) + row, peek(plan, HEIGHT),
                min(batch, peek(plan, ROW_COUNT) - row),
                peek(call, Y) + (plane * peek(plan, ROW_COUNT) + row) * width * stored, width * stored, width,
                peek(plan, COLUMNS), peek(plan, BEFORE), factors + 8 * row if factors != 0 else 0,
                peek(plan, RECIPROCALS),
            ),
        )  # fmt: skip


class Sweep:
    """Rows that windows share, pixels in the lanes."""

    name = "sweep"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        reason = unshared(problem, "channels_first")
        if reason:
            return reason
        backward, (_, h, w) = problem.pass_ == "backward", problem.axes
        for row in (row_of(h, backward), row_of(w, backward)):
            if (row.stride, row.step, row.spread) != (1, 1, 1) or row.kernel not in SIDES:
                return "windows that are large, dilated, or do not move on by one"
        return None

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_sweep_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, held = recipe(problem), dtypes(problem)[1]
        h, w = (row_of(axis, problem.pass_ == "backward") for axis in problem.axes[1:])
        planes = problem.n * problem.c
        batch = max(BATCH_LINES, min(h.out, BATCH_BYTES // (w.size * problem.itemsize)))
        batches = -(-h.out // batch)
        batch = -(-h.out // batches)
        units = planes * batches
        a_task = max(1, min(-(-units // (4 * threads)), -(-TASK_ELEMENTS // (batch * w.out))))
        factors = table = None
        if words.factor is not None:
            factors, table = factor_rows(words.factor, [1, h.out, w.out], held, pairs=False)
        name = kernel_name(
            "poolsweep", problem, target, words.load, words.op, words.finish, f"r{h.kernel}", f"t{w.kernel}"
        )
        plan = PLAN.array(
            kernel=microkernel(name).address, units=units, a_task=a_task, batches=batches, batch=batch,
            channels=problem.c, stored=problem.itemsize, rows=h.out, width=w.out, x_n=x.n, x_c=x.c, x_h=x.h,
            first=-h.before, height=h.size, columns=w.size, before=w.before, factors=factors,
            reciprocals=(w.out + 64) * held.itemsize,
        )  # fmt: skip
        moved = 16 * planes * (problem.plane + problem.outputs)
        return Execution([Job(pool_sweep.address, plan, -(-units // a_task), 0, moved, [factors, table])], None, 0, ())

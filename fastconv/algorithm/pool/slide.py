"""Windows of three pixels that move on by one, channels in the lanes: columns are reduced once, not three times."""

from __future__ import annotations

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import Plan, factor_rows
from fastconv.algorithm.pool.recipe import dtypes, kernel_name, recipe, unshared
from fastconv.algorithm.pool.row import row_of
from fastconv.algorithm.pool.taps import Taps, taps_of
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolslide import ROWS, TAPS
from fastconv.pool_cost import pool_taps_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
SHARE = 0.7  # of what all taps cost: measured

PLAN = Plan(
    "kernel_1 kernel_2 kernel_3 lines a_task blocks block channels stored rows width cells x_n x_w first row_begins "
    "row_taps factors"
)
(
    KERNEL_1, KERNEL_2, KERNEL_3, LINES, A_TASK, BLOCKS, BLOCK, CHANNELS, STORED, ROW_COUNT, WIDTH, CELLS, X_N, X_W,
    FIRST, ROW_BEGINS, ROW_TAPS, FACTORS,
) = range(len(PLAN.fields))  # fmt: skip


@native("pool_slide", 4)
def pool_slide(plan, call, scratch, task):
    """Some lines of outputs, some channels of them."""
    block, start = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS) * peek(plan, A_TASK)
    channels, stored, rows, cells = peek(plan, CHANNELS), peek(plan, STORED), peek(plan, ROW_COUNT), peek(plan, CELLS)
    c0 = block * peek(plan, BLOCK)
    some, factors = min(peek(plan, BLOCK), channels - c0), peek(plan, FACTORS)
    for line in range(start, min(start + peek(plan, A_TASK), peek(plan, LINES))):
        row, n = line % rows, line // rows
        begin = peek(peek(plan, ROW_BEGINS), row)
        count = peek(peek(plan, ROW_BEGINS), row + 1) - begin
        invoke(
            peek(plan, KERNEL_1 + count - 1),
            (
                peek(call, X) + n * peek(plan, X_N) + c0 * stored, peek(plan, ROW_TAPS) + 16 * begin, peek(plan, X_W),
                peek(plan, WIDTH), peek(plan, FIRST), cells, peek(call, Y) + (line * cells * channels + c0) * stored,
                channels * stored, some, peek(factors, row) if factors != 0 else 0,
            ),
        )  # fmt: skip


class Slide:
    """Columns that three windows share, channels in the lanes."""

    name = "slide"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        reason = unshared(problem)
        if reason:
            return reason
        w = row_of(problem.axes[2].trimmed(), problem.pass_ == "backward")
        if (w.kernel, w.stride, w.step, w.spread) != (TAPS, 1, 1, 1):
            return f"rows of {w.kernel}, stride {w.stride}"
        counts = set((_rows(problem, 0).begins[1:] - _rows(problem, 0).begins[:-1]).tolist())
        return None if counts <= set(ROWS) else "windows of too many rows, or of none"

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return SHARE * pool_taps_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, held, rows = recipe(problem), dtypes(problem)[1], _rows(problem, x.h)
        w = row_of(problem.axes[2].trimmed(), problem.pass_ == "backward")
        height = len(rows.begins) - 1
        factors = table = None
        if words.factor is not None:
            factors, table = factor_rows(words.factor, [1, height, w.out], held, pairs=True)
        lines, block = problem.n * height, problem.c
        # Lines too few for the threads are cut into blocks of channels, of 256 bytes at least.
        while lines * -(-problem.c // block) < 4 * threads and block > (least := 256 // problem.itemsize):
            block = max(least, -(-block // 2))
        a_task = max(1, min(-(-lines // (4 * threads)), -(-(1 << 15) // (w.out * problem.c))))
        blocks = -(-problem.c // block)
        kernels = {
            f"kernel_{count}": microkernel(
                kernel_name("poolslide", problem, target, words.load, words.op, words.finish, f"r{count}")
            ).address
            for count in ROWS
        }
        plan = PLAN.array(
            **kernels, lines=lines, a_task=a_task, blocks=blocks, block=block, channels=problem.c,
            stored=problem.itemsize, rows=height, width=w.size, cells=w.out, x_n=x.n, x_w=x.w, first=-w.before,
            row_begins=rows.begins, row_taps=rows.table, factors=factors,
        )  # fmt: skip
        moved = 32 * problem.n * problem.c * (problem.plane + problem.outputs)
        keep = [rows, factors, table]
        return Execution([Job(pool_slide.address, plan, blocks * -(-lines // a_task), 0, moved, keep)], None, 0, ())


def _rows(problem: PoolProblem, step: int) -> Taps:
    """The rows that each line of outputs has, `step` bytes apart."""
    return taps_of(problem.axes[1], problem.pass_ == "backward", step, 0, 0)

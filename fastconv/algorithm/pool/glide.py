"""Large windows of stride 1, channels in the lanes: down columns into scratch, then along rows, at any size's cost."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan, factor_rows
from fastconv.algorithm.pool.recipe import dtypes, kernel_name, recipe
from fastconv.algorithm.pool.taps import each_alone
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.cost import pool_glide_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolglide import SPACE
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
HEAD = 64
VECTORS = 2  # of channels that a task takes
HELD_BYTES = 1 << 20  # of reduced columns in scratch: they stay in L2

PLAN = Plan(
    "columns along finish chunks chunk blocks block channels stored item height width rows cells x_n x_h x_w first_row "
    "first high wide ones begins taps factors held_at line_at"
)
(
    COLUMNS, ALONG, FINISH, CHUNKS, CHUNK, BLOCKS, BLOCK, CHANNELS, STORED, ITEM, HEIGHT, WIDTH, ROW_COUNT, CELLS, X_N,
    X_H, X_W, FIRST_ROW, FIRST, HIGH, WIDE, ONES, BEGINS, TAPS, FACTORS, HELD_AT, LINE_AT,
) = range(len(PLAN.fields))  # fmt: skip


@native("pool_glide", 4)
def pool_glide(plan, call, scratch, task):
    """Some rows of outputs, some channels of them."""
    chunk, block = task % peek(plan, CHUNKS), task // peek(plan, CHUNKS) % peek(plan, BLOCKS)
    n = task // (peek(plan, CHUNKS) * peek(plan, BLOCKS))
    stored, channels, width, cells = peek(plan, STORED), peek(plan, CHANNELS), peek(plan, WIDTH), peek(plan, CELLS)
    c0, row0 = block * peek(plan, BLOCK), chunk * peek(plan, CHUNK)
    some, rows = min(peek(plan, BLOCK), channels - c0), min(peek(plan, CHUNK), peek(plan, ROW_COUNT) - row0)
    pitch = peek(plan, BLOCK) * peek(plan, ITEM)
    space, held, line = scratch + HEAD, scratch + peek(plan, HELD_AT), scratch + peek(plan, LINE_AT)
    source = peek(call, X) + n * peek(plan, X_N) + c0 * stored
    for w in range(width):
        invoke(
            peek(plan, COLUMNS),
            (
                source + w * peek(plan, X_W), peek(plan, X_H), peek(plan, HEIGHT), row0 + peek(plan, FIRST_ROW),
                peek(plan, HIGH), rows, held + w * pitch, width * pitch, some, space,
            ),
        )  # fmt: skip
    for row in range(rows):
        invoke(
            peek(plan, ALONG),
            (
                held + row * width * pitch, pitch, width, peek(plan, FIRST), peek(plan, WIDE), cells, line, pitch, some,
                space,
            ),
        )  # fmt: skip
        place = ((n * peek(plan, ROW_COUNT) + row0 + row) * cells * channels + c0) * stored
        invoke(
            peek(plan, FINISH),
            (
                line, peek(plan, ONES), 1, peek(plan, BEGINS), peek(plan, TAPS), cells, peek(call, Y) + place,
                channels * stored, some,
                peek(peek(plan, FACTORS), row0 + row) if peek(plan, FACTORS) != 0 else 0, 0, 0, 0, 0, 0, 0, 0,
            ),
        )  # fmt: skip


class Glide:
    """Windows that share their sums, channels in the lanes."""

    name = "glide"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        d, *plane = problem.axes
        if problem.layout != LAST:
            return "channels first"
        if problem.pass_ != "forward" or problem.indices or problem.kind == "weighted_avg":
            return "not a forward pass without indices and weights"
        if (
            problem.in_parts
            or d.size != 1
            or not d.whole
            or any((axis.stride, axis.dilation) != (1, 1) for axis in plane)
        ):
            return "more than a plane, or windows that step, are dilated or unlike"
        words = recipe(problem)
        if words.load not in ("plain", "abs", "square") or words.finish == "powerroot":
            return "powers"
        h, w = (axis.trimmed() for axis in plane)
        if self._chunk(problem, target) < min(h.kernel, h.out) or max(h.kernel, w.kernel) * SPACE > HELD_BYTES:
            return "too long rows, or too many in a window"
        return None

    def _chunk(self, problem: PoolProblem, target: Target) -> int:
        """Rows of reduced columns that scratch holds."""
        item = dtypes(problem)[1].itemsize
        return HELD_BYTES // (problem.axes[2].size * VECTORS * target.lanes(item) * item)

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_glide_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, held = recipe(problem), dtypes(problem)[1]
        h, w = (axis.trimmed() for axis in problem.axes[1:])
        item = held.itemsize
        block = VECTORS * target.lanes(item)
        # Blocks of windows begin at multiples of the kernel however rows are cut, so that sums are the same.
        blocks, parts, most = -(-problem.c // block), -(-h.out // h.kernel), self._chunk(problem, target) // h.kernel
        chunk = h.kernel * max(1, min(most, parts, parts * problem.n * blocks // (2 * threads)))
        if self._chunk(problem, target) >= h.out and chunk * 2 > h.out:
            chunk = h.out
        chunks = -(-h.out // chunk)
        factors = rows = None
        if words.factor is not None:
            factors, rows = factor_rows(words.factor, [1, h.out, w.out], held, pairs=True)
        alone, ones = each_alone(w.out, block * item), np.zeros(2, np.int64)
        held_at = HEAD + max(h.kernel, w.kernel) * SPACE
        line_at = held_at + chunk * w.size * block * item
        columns = kernel_name("poolglide", problem, target, words.load, words.op, "keep")
        along = kernel_name("poolglide", problem, target, "plain", words.op, "keep", "held")
        finish = kernel_name("pooltaps", problem, target, "plain", words.op, words.finish, "held")
        plan = PLAN.array(
            columns=microkernel(columns).address, along=microkernel(along).address,
            finish=microkernel(finish).address, chunks=chunks, chunk=chunk, blocks=blocks, block=block,
            channels=problem.c, stored=problem.itemsize, item=item, height=h.size, width=w.size, rows=h.out,
            cells=w.out, x_n=x.n, x_h=x.h, x_w=x.w, first_row=-h.before, first=-w.before, high=h.kernel, wide=w.kernel,
            ones=ones, begins=alone.begins, taps=alone.table, factors=factors, held_at=held_at, line_at=line_at,
        )  # fmt: skip
        scratch = line_at + w.out * block * item
        moved = 100 * problem.n * problem.c * problem.plane
        keep = [alone, ones, factors, rows]
        tasks = problem.n * blocks * chunks
        return Execution([Job(pool_glide.address, plan, tasks, scratch, moved, keep)], None, 0, ())

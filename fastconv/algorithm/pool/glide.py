"""Large windows of stride 1, channels in the lanes: along rows into scratch, then down columns, at any size's cost.

As many rows as a window has lie in scratch, each reduced along already. They are reduced towards the front; then
windows move on by a row: one is what lies there and the sum of the rows behind it, the next of which takes the place of
the one that no window needs any more. So x is read, and y written, row by row and once. Columns one after another took
1.8 times as long: every step down is to another page.
"""

from __future__ import annotations

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import Plan, factor_rows
from fastconv.algorithm.pool.recipe import dtypes, kernel_name, recipe, unshared
from fastconv.algorithm.pool.row import Row, row_of
from fastconv.algorithm.pool.taps import each_alone
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolglide import SPACE, TOGETHER
from fastconv.pool_cost import pool_glide_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
FIXED, HEAD = 64, 128  # where scratch has the places of a window's two halves, and where its rows begin
HELD_BYTES = 1 << 20  # of rows in scratch: they stay in L2
CHUNK_ROWS = 48  # of outputs that a task has, or two windows: the first rows of a window are those of a neighbour too

PLAN = Plan(
    "along halves finish segments segment chunks chunk blocks block channels stored item height width rows cells x_n "
    "x_h x_w first_row first high wide begins taps factors space_at"
)
(
    ALONG, HALVES, FINISH, SEGMENTS, SEGMENT, CHUNKS, CHUNK, BLOCKS, BLOCK, CHANNELS, STORED, ITEM, HEIGHT, WIDTH,
    ROW_COUNT, CELLS, X_N, X_H, X_W, FIRST_ROW, FIRST, HIGH, WIDE, BEGINS, TAPS, FACTORS, SPACE_AT,
) = range(len(PLAN.fields))  # fmt: skip


@helper
def reduced(plan, source, row, column, cells, to, pitch, some, space):
    """A row reduced along itself; nothing, if x has no such row."""
    inside = row >= 0 and row < peek(plan, HEIGHT)
    invoke(
        peek(plan, ALONG),
        (
            source + row * peek(plan, X_H) if inside else source, peek(plan, X_W), peek(plan, WIDTH) if inside else 0,
            column + peek(plan, FIRST), peek(plan, WIDE), cells, to, pitch, some, space,
        ),
    )  # fmt: skip


@helper
def joined(plan, fixed, count, src, apart, dst, pitch, cells, some):
    """Rows of scratch: one, and if `count` is 2 that so many bytes behind it with it."""
    poke(fixed, 0, 0)
    poke(fixed, 1, 0)
    poke(fixed, 2, apart)
    poke(fixed, 3, 0)
    whole = some == peek(plan, BLOCK)  # then the cells of a row are one
    invoke(
        peek(plan, HALVES),
        (
            src, fixed, count, peek(plan, BEGINS), peek(plan, TAPS), 1 if whole else cells, dst, pitch,
            cells * some if whole else some, 0, 0, 0, 0, 0, 0, 0, 0,
        ),
    )  # fmt: skip


@native("pool_glide", 4)
def pool_glide(plan, call, scratch, task):
    """Some rows of outputs, some columns and channels of them."""
    segment, task = task % peek(plan, SEGMENTS), task // peek(plan, SEGMENTS)
    chunk, task = task % peek(plan, CHUNKS), task // peek(plan, CHUNKS)
    block, n = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    c0, w0, row0 = block * peek(plan, BLOCK), segment * peek(plan, SEGMENT), chunk * peek(plan, CHUNK)
    stored, channels, high = peek(plan, STORED), peek(plan, CHANNELS), peek(plan, HIGH)
    some, cells = min(peek(plan, BLOCK), channels - c0), min(peek(plan, SEGMENT), peek(plan, CELLS) - w0)
    rows = min(peek(plan, CHUNK), peek(plan, ROW_COUNT) - row0)
    pitch = peek(plan, BLOCK) * peek(plan, ITEM)
    line = peek(plan, SEGMENT) * pitch
    behind, held, fixed, space = scratch + HEAD, scratch + HEAD + line, scratch + FIXED, scratch + peek(plan, SPACE_AT)
    source, top = peek(call, X) + n * peek(plan, X_N) + c0 * stored, row0 + peek(plan, FIRST_ROW)
    for q in range(high):
        reduced(plan, source, top + q, w0, cells, held + q * line, pitch, some, space)
    for row in range(rows):
        q = row % high
        if q == 0:
            for i in range(2, high + 1):
                place = held + (high - i) * line
                joined(plan, fixed, 2, place, line, place, pitch, cells, some)
        place, out = held + q * line, row0 + row
        poke(fixed, 0, 0)
        poke(fixed, 1, 0)
        poke(fixed, 2, behind - place)
        poke(fixed, 3, 0)
        to = (((n * peek(plan, ROW_COUNT) + out) * peek(plan, CELLS) + w0) * channels + c0) * stored
        factors = peek(plan, FACTORS)
        invoke(
            peek(plan, FINISH),
            (
                place, fixed, min(2, 1 + q), peek(plan, BEGINS), peek(plan, TAPS), cells, peek(call, Y) + to,
                channels * stored, some, peek(factors, out) + 2 * w0 * peek(plan, ITEM) if factors != 0 else 0,
                0, 0, 0, 0, 0, 0, 0,
            ),
        )  # fmt: skip
        if row + 1 < rows:
            reduced(plan, source, top + row + high, w0, cells, place, pitch, some, space)
            if q + 1 < high:
                joined(plan, fixed, min(2, 1 + q), place, behind - place, behind, pitch, cells, some)


class Glide:
    """Windows that share their sums, channels in the lanes."""

    name = "glide"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        reason = unshared(problem)
        if reason:
            return reason
        h, w = _plane(problem)
        if any((row.stride, row.step, row.spread) != (1, 1, 1) for row in (h, w)):
            return "windows that step, or are dilated"
        if self._segment(h, self._vectors(problem, target), target, dtypes(problem)[1].itemsize) < min(w.kernel, w.out):
            return "too many rows in a window"
        return "too long windows" if w.kernel * SPACE > HELD_BYTES else None

    def _segment(self, h: Row, vectors: int, target: Target, item: int) -> int:
        """Cells of a row that scratch holds."""
        return HELD_BYTES // ((h.kernel + 1) * vectors * target.lanes(item) * item)

    def _vectors(self, problem: PoolProblem, target: Target) -> int:
        """Vectors of channels that scratch holds, of whole rows if it can."""
        (h, w), item = _plane(problem), dtypes(problem)[1].itemsize
        vectors = min(TOGETHER, -(-problem.c // target.lanes(item)))
        while vectors > 1 and self._segment(h, vectors, target, item) < min(w.out, 2 * w.kernel):
            vectors -= 1
        return vectors

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_glide_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, held, (h, w) = recipe(problem), dtypes(problem)[1], _plane(problem)
        item, vectors = held.itemsize, self._vectors(problem, target)
        # Sums depend on where rows and columns are cut, so threads have no say in it, but may have fewer channels.
        segment = _near(w.out, self._segment(h, vectors, target, item))
        chunk = _near(h.out, max(CHUNK_ROWS, 2 * h.kernel) * 4 // 3)
        segments, chunks = -(-w.out // segment), -(-h.out // chunk)
        parts, lanes = problem.n * chunks * segments, target.lanes(item)
        while vectors > 1 and parts * -(-problem.c // (vectors * lanes)) < threads:
            vectors -= 1
        block = vectors * lanes
        blocks = -(-problem.c // block)
        factors = rows = None
        if words.factor is not None:
            factors, rows = factor_rows(words.factor, [1, h.out, w.out], held, pairs=True)
        alone = each_alone(segment, block * item)
        space_at = HEAD + (h.kernel + 1) * segment * block * item
        along = kernel_name("poolglide", problem, target, words.load, words.op, "keep")
        halves = kernel_name("pooltaps", problem, target, "plain", words.op, "keep", "held")
        finish = kernel_name("pooltaps", problem, target, "plain", words.op, words.finish, "held")
        plan = PLAN.array(
            along=microkernel(along).address, halves=microkernel(halves).address, finish=microkernel(finish).address,
            segments=segments, segment=segment, chunks=chunks, chunk=chunk, blocks=blocks, block=block,
            channels=problem.c, stored=problem.itemsize, item=item, height=h.size, width=w.size, rows=h.out,
            cells=w.out, x_n=x.n, x_h=x.h, x_w=x.w, first_row=-h.before, first=-w.before, high=h.kernel, wide=w.kernel,
            begins=alone.begins, taps=alone.table, factors=factors, space_at=space_at,
        )  # fmt: skip
        moved = 100 * problem.n * problem.c * problem.plane
        keep = [alone, factors, rows]
        job = Job(pool_glide.address, plan, parts * blocks, space_at + w.kernel * SPACE, moved, keep)
        return Execution([job], None, 0, ())


def _plane(problem: PoolProblem) -> list[Row]:
    """The windows down columns and along rows; of a gradient those on dy."""
    return [row_of(axis.trimmed(), problem.pass_ == "backward") for axis in problem.axes[1:]]


def _near(count: int, most: int) -> int:
    """The size of parts as alike as can be, none above `most`."""
    return -(-count // -(-count // most))

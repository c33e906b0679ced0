"""Pools whose lanes are pixels of a row: windows are reduced down their columns first, then along the row.

Columns go to rows in scratch, with a border of the reduction's identity on both sides, so that no window along a row
needs to be clipped. In a gradient with a stride, rows of dy are spread apart first, zeros between them.
"""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan, factor_rows, index_word, tap_indices
from fastconv.algorithm.pool.recipe import dtypes, exponents, kernel_name, recipe
from fastconv.algorithm.pool.row import HEAD, row_of, segments_of
from fastconv.algorithm.pool.taps import each_alone, stacked, taps_of
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.cost import pool_rows_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.pool_problem import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
BATCH_BYTES = 16 << 10  # of rows in scratch: they stay in L1, and are no longer in the store queue when read

PLAN = Plan(
    "down along spread units lines a_task chunks batches batch channels stored item depths rows width x_n x_c "
    "depth_begins depth_taps row_begins row_taps line_begins line_taps nothing segments pitch pitch_elements "
    "step stride tap_count index_item index_at spread_step spread_at factors reciprocals weights exponents paired "
    "beside indexed"
)
(
    DOWN, ALONG, SPREAD, UNITS, LINES, A_TASK,
    CHUNKS, BATCHES, BATCH, CHANNELS, STORED, ITEM, DEPTHS, ROWS, WIDTH, X_N, X_C,
    DEPTH_BEGINS, DEPTH_TAPS, ROW_BEGINS, ROW_TAPS, LINE_BEGINS, LINE_TAPS, NOTHING, SEGMENTS, PITCH,
    PITCH_ELEMENTS, STEP, STRIDE, TAP_COUNT, INDEX_ITEM, INDEX_AT, SPREAD_STEP, SPREAD_AT, FACTORS, RECIPROCALS,
    WEIGHTS, EXPONENTS, PAIRED, BESIDE, INDEXED,
) = range(len(PLAN.fields))  # fmt: skip
# The words of a segment of a row.
FIRST, OUTPUTS, COLUMN, COLUMNS, LEFT, SEGMENT_WORDS = range(6)


@native("pool_channels_first", 4)
def pool_channels_first(plan, call, scratch, task):
    """Some batches of rows, some segment of them."""
    segment, start = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    words = peek(plan, SEGMENTS) + 8 * SEGMENT_WORDS * segment
    first, outputs, column, columns, left = (
        peek(words, FIRST), peek(words, OUTPUTS), peek(words, COLUMN), peek(words, COLUMNS), peek(words, LEFT)
    )  # fmt: skip
    stored, item, index_item = peek(plan, STORED), peek(plan, ITEM), peek(plan, INDEX_ITEM)
    depths, rows, width, pitch = peek(plan, DEPTHS), peek(plan, ROWS), peek(plan, WIDTH), peek(plan, PITCH)
    elements, channels, spread = peek(plan, PITCH_ELEMENTS), peek(plan, CHANNELS), peek(plan, SPREAD)
    held, index_held, apart = scratch + HEAD, scratch + peek(plan, INDEX_AT), scratch + peek(plan, SPREAD_AT)
    index_pitch = elements * index_item
    if peek(scratch, 0) != segment:
        invoke(
            peek(plan, DOWN),
            (
                0, 0, 0, peek(plan, NOTHING), 0, peek(plan, BATCH), held, pitch, elements, 0, 0, 0, 0, 0, index_held,
                index_pitch, 0,
            ),
        )  # fmt: skip
        poke(scratch, 0, segment)
    # Columns go to their place among the borders, or where they are spread from.
    to, to_pitch = (apart, columns * item) if spread != 0 else (held + left * item, pitch)
    beyond = peek(call, BIAS) - peek(call, X) if peek(plan, PAIRED) != 0 else 0
    for unit in range(start, min(start + peek(plan, A_TASK), peek(plan, UNITS))):
        group, row = unit // peek(plan, BATCHES), unit % peek(plan, BATCHES) * peek(plan, BATCH)
        some = min(peek(plan, BATCH), rows - row, peek(plan, LINES) - group * rows - row)
        plane, depth = group // depths, group % depths
        n, c = plane // channels, plane % channels
        a, b = peek(peek(plan, DEPTH_BEGINS), depth), peek(peek(plan, DEPTH_BEGINS), depth + 1)
        invoke(
            peek(plan, DOWN),
            (
                peek(call, X) + n * peek(plan, X_N) + c * peek(plan, X_C) + column * stored,
                peek(plan, DEPTH_TAPS) + 16 * a, b - a, peek(plan, ROW_BEGINS) + 8 * row, peek(plan, ROW_TAPS), some,
                to, to_pitch, columns, 0, peek(plan, WEIGHTS), peek(plan, EXPONENTS), beyond, 0,
                index_held + left * index_item, index_pitch, column,
            ),
        )  # fmt: skip
        if spread != 0:
            invoke(spread, (apart, to_pitch, some, columns, held + left * item, pitch, peek(plan, SPREAD_STEP)))
        line = depth * rows + row
        place = (group * rows + row) * width + first
        factors = peek(plan, FACTORS)
        invoke(
            peek(plan, ALONG),
            (
                held, peek(plan, LINE_BEGINS), peek(plan, LINE_TAPS), some, peek(call, Y) + place * stored,
                width * stored, outputs, peek(plan, TAP_COUNT), peek(plan, STEP), peek(plan, STRIDE),
                factors + 8 * (segment * depths * rows + line) if factors != 0 else 0, peek(plan, RECIPROCALS), 0,
                peek(plan, EXPONENTS), peek(call, W) + place * stored if peek(plan, BESIDE) != 0 else 0, index_held,
                peek(call, RESIDUAL) + place * 8 if peek(plan, INDEXED) != 0 else 0, width * 8,
            ),
        )  # fmt: skip


class Rows:
    """Pixels in the lanes, down columns and then along rows."""

    name = "rows"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        if problem.layout == LAST:
            return "channels last"
        return "every tap has a weight" if problem.kind == "weighted_avg" else None

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_rows_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, backward = recipe(problem), problem.pass_ == "backward"
        _, held = dtypes(problem)
        item, lanes = held.itemsize, target.lanes(held.itemsize)
        row = row_of(problem.axes[2].trimmed(), backward)
        segments, elements = segments_of(row, lanes)
        pitch = elements * item
        depths, rows = ((a.size if backward else a.out) for a in problem.axes[:2])
        fit, planes, channels, x_c = BATCH_BYTES // pitch, problem.n * problem.c, problem.c, x.c
        lines = planes * depths * rows
        # Small planes that follow each other are a stack, one image with all their rows: 512 of 14x14 took twice as
        # long one by one.
        stack = min(planes, fit // rows) if depths == 1 and (x.n == channels * x.c or problem.n == 1) else 1
        if stack > 1:
            rows, planes, x_c = stack * rows, -(-planes // stack), stack * x.c
            channels = planes
        batch = max(1, min(rows, fit))
        batches = -(-rows // batch)
        units = planes * depths * batches
        a_task = max(1, min(-(-units // (4 * threads)), -(-(1 << 15) // (batch * elements))))
        tables = [
            taps_of(axis, backward, step, *index)
            for axis, step, index in zip(problem.axes[:2], (x.d, x.h), tap_indices(problem), strict=False)
        ]
        if stack > 1:
            tables[1] = stacked(tables[1], stack, x.c)
        alone = each_alone(batch, pitch)
        numbers = index_word(problem)
        index_item = {"": 0, "indices": 4, "far": 8}[numbers]
        factors, factor_table = factor_rows(words.factor, [depths, rows // max(1, stack), row.out], held, False) if (
            words.factor is not None) else (None, None)  # fmt: skip
        if factors is not None:
            factors = np.tile(factors, (1, max(1, stack)))
            factors = np.ascontiguousarray(factors[None] + segments[:, FIRST, None, None] * item)
        weights = None if words.weights is None else np.ascontiguousarray(words.weights, held)
        powers, nothing, segment_words = (
            exponents(problem),
            np.zeros(batch + 1, np.int64),
            np.ascontiguousarray(segments),
        )
        down = kernel_name("pooltaps", problem, target, words.load, words.op, "keep", numbers, "across",
                           "rowweights" if weights is not None else "")  # fmt: skip
        along = kernel_name("poolrow", problem, target, "plain", words.op, words.finish, "held", numbers, *row.words)
        spread = microkernel("_".join(["poolspread", dtypes(problem)[0], target.isa])) if row.spread > 1 else None
        index_at = HEAD + batch * pitch
        spread_at = index_at + batch * elements * index_item
        scratch = spread_at + (batch * int(segments[:, COLUMNS].max()) * item if spread else 0)
        (depth_begins, depth_taps), (row_begins, row_taps) = tables
        plan = PLAN.array(
            down=microkernel(down).address, along=microkernel(along).address, spread=spread.address if spread else 0,
            units=units, lines=lines, a_task=a_task,
            chunks=-(-units // a_task), batches=batches, batch=batch, channels=channels,
            stored=problem.itemsize, item=item, depths=depths, rows=rows, width=row.out, x_n=x.n, x_c=x_c,
            depth_begins=depth_begins, depth_taps=depth_taps, row_begins=row_begins, row_taps=row_taps,
            line_begins=alone.begins, line_taps=alone.table, nothing=nothing, segments=segment_words,
            pitch=pitch, pitch_elements=elements, step=row.step * item, stride=row.stride * item, tap_count=row.kernel,
            index_item=index_item, index_at=index_at, spread_step=row.spread * item, spread_at=spread_at,
            factors=factors, reciprocals=(row.out + 64) * item, weights=weights, exponents=powers,
            paired=words.load in ("ratio", "powerratio"), beside=words.finish in ("timesx", "timespower"),
            indexed=problem.indices,
        )  # fmt: skip
        keep = [tables, alone, factors, factor_table, weights, powers, nothing, segment_words]
        tasks = len(segments) * -(-units // a_task)
        moved = 32 * problem.n * problem.c * (problem.plane + problem.outputs)
        return Execution([Job(pool_channels_first.address, plan, tasks, scratch, moved, keep)], None, 0, ())

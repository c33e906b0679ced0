"""Pools whose lanes are pixels of a row: windows are reduced down their columns first, then along the row.

Columns go to rows in scratch, with a border of the reduction's identity on both sides, so that no window along a row
needs to be clipped. In a gradient with a stride, rows of dy are spread apart first, zeros between them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.parts import PartsOfRow, in_parts
from fastconv.algorithm.pool.plan import LAST, Plan, factor_rows, index_word, tap_indices
from fastconv.algorithm.pool.recipe import dtypes, exponents, kernel_name, recipe, spread_kernel
from fastconv.algorithm.pool.row import HEAD, row_of, segments_of
from fastconv.algorithm.pool.taps import each_alone, stacked, taps_of
from fastconv.algorithm.pool.wide import MANY, groups
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolglide import SPACE
from fastconv.microkernels.reducer import QUICK
from fastconv.pool_cost import pool_rows_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
BATCH_BYTES = 16 << 10  # of rows in scratch: they stay in L1, and are no longer in the store queue when read
GLIDING_BYTES = 512 << 10  # of rows in scratch at most, where windows share their rows

PLAN = Plan(
    "down along spread units lines a_task chunks batches batch channels stored item depths rows width x_n x_c "
    "depth_begins depth_taps row_begins row_taps line_begins line_taps nothing segments pitch pitch_elements "
    "step stride tap_count index_item index_at spread_step spread_at factors reciprocals weights exponents paired "
    "beside indexed glide first size x_h kernel space_at group group_count one groups_at together"
)
(
    DOWN, ALONG, SPREAD, UNITS, LINES, A_TASK,
    CHUNKS, BATCHES, BATCH, CHANNELS, STORED, ITEM, DEPTHS, ROWS, WIDTH, X_N, X_C,
    DEPTH_BEGINS, DEPTH_TAPS, ROW_BEGINS, ROW_TAPS, LINE_BEGINS, LINE_TAPS, NOTHING, SEGMENTS, PITCH,
    PITCH_ELEMENTS, STEP, STRIDE, TAP_COUNT, INDEX_ITEM, INDEX_AT, SPREAD_STEP, SPREAD_AT, FACTORS, RECIPROCALS,
    WEIGHTS, EXPONENTS, PAIRED, BESIDE, INDEXED,
    GLIDE, FIRST_ROW, SIZE, X_H, KERNEL, SPACE_AT, GROUP, GROUP_COUNT, ONE, GROUPS_AT, TOGETHER,
) = range(len(PLAN.fields))  # fmt: skip
# The words of a segment of a row.
FIRST, OUTPUTS, COLUMN, COLUMNS, LEFT, TABLE, SEGMENT_WORDS = range(7)


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
        source = peek(call, X) + n * peek(plan, X_N) + c * peek(plan, X_C) + column * stored
        if peek(plan, GLIDE) != 0:
            invoke(
                peek(plan, GLIDE),
                (
                    source, peek(plan, X_H), peek(plan, SIZE), peek(plan, FIRST_ROW) + row, peek(plan, KERNEL), some,
                    to, to_pitch, columns, scratch + peek(plan, SPACE_AT),
                ),
            )  # fmt: skip
        else:
            invoke(
                peek(plan, DOWN),
                (
                    source, peek(plan, DEPTH_TAPS) + 16 * a, b - a, peek(plan, ROW_BEGINS) + 8 * row,
                    peek(plan, ROW_TAPS), some, to, to_pitch, columns, 0, peek(plan, WEIGHTS), peek(plan, EXPONENTS),
                    beyond, 0, index_held + left * index_item, index_pitch, column,
                ),
            )  # fmt: skip
        if spread != 0:
            invoke(spread, (apart, to_pitch, some, columns, held + left * item, pitch, peek(plan, SPREAD_STEP)))
        if peek(plan, TOGETHER) != 0:
            invoke(
                peek(plan, TOGETHER),
                (
                    held, peek(plan, GROUP), peek(plan, GROUP_COUNT), peek(plan, ONE), peek(plan, ONE), 1,
                    scratch + peek(plan, GROUPS_AT), 0, some * elements, 0, 0, 0, 0, 0, 0, 0, 0,
                ),
            )  # fmt: skip
        line = depth * rows + row
        place = (group * rows + row) * width + first
        factors = peek(plan, FACTORS)
        invoke(
            peek(plan, ALONG),
            (
                held, peek(plan, LINE_BEGINS), peek(plan, LINE_TAPS), some, peek(call, Y) + place * stored,
                width * stored, outputs, peek(plan, TAP_COUNT), peek(plan, STEP) + peek(words, TABLE),
                peek(plan, STRIDE),
                factors + 8 * (segment * depths * rows + line) if factors != 0 else 0, peek(plan, RECIPROCALS), 0,
                peek(plan, EXPONENTS), peek(call, W) + place * stored if peek(plan, BESIDE) != 0 else 0, index_held,
                peek(call, RESIDUAL) + place * 8 if peek(plan, INDEXED) != 0 else 0, width * 8,
            ),
        )  # fmt: skip


class _Row(NamedTuple):
    """What the kernel that goes along rows is called with, as the plan has it."""

    op: str
    words: tuple[str, ...]
    out: int
    segments: np.ndarray
    elements: int
    tables: list[np.ndarray]
    step: int
    stride: int
    taps: int
    spread: int


def _row(problem: PoolProblem, backward: bool, lanes: int, item: int) -> _Row:
    """Windows along a row: by a table for each segment where they are not alike."""
    axis = problem.axes[2]
    if in_parts(axis, problem.op.startswith("adaptive")):
        row = PartsOfRow(axis, backward, lanes)
        segments = np.column_stack([row.segments, [table.ctypes.data for table in row.tables]])
        return _Row(row.op, (), row.out, segments, row.elements, row.tables, 0, 4 * row.outputs, row.most, 1)
    row = row_of(axis.trimmed(), backward)
    segments, elements = segments_of(row, lanes)
    segments = np.column_stack([segments, np.zeros(len(segments), np.int64)])
    step, stride = row.step * item, row.stride * item
    return _Row("poolrow", row.words, row.out, segments, elements, [], step, stride, row.kernel, row.spread)


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
        row = _row(problem, backward, lanes, item)
        segments, pitch = row.segments, row.elements * item
        depths, rows = ((a.size if backward else a.out) for a in problem.axes[:2])
        fit, planes, channels, x_c = BATCH_BYTES // pitch, problem.n * problem.c, problem.c, x.c
        lines = planes * depths * rows
        # Small planes that follow each other are a stack, one image with all their rows: 512 of 14x14 took twice as
        # long one by one.
        # Windows of many rows share what they have in common, over batches of two windows at least.
        down_row = row_of(problem.axes[1], backward)
        plain = not (problem.indices or words.weights is not None or words.load in ("ratio", "powerratio"))
        glides = (
            plain and not problem.in_parts and words.load in QUICK
            and MANY <= down_row.kernel <= rows
            and (down_row.stride, down_row.step, down_row.spread, problem.axes[0].size, problem.axes[0].whole)
            == (1, 1, 1, 1, True) and 2 * down_row.kernel * pitch <= GLIDING_BYTES and fit < 2 * rows
        )  # fmt: skip
        follow = depths == 1 and (x.n == channels * x.c or problem.n == 1)
        stack = max(1, min(planes, fit // rows)) if follow else 1
        if stack > 1:
            rows, planes, x_c = stack * rows, -(-planes // stack), stack * x.c
            channels = planes
        batch = max(1, min(rows, max(fit, 2 * down_row.kernel) if glides else fit))
        batches = -(-rows // batch)
        units = planes * depths * batches
        a_task = max(1, min(-(-units // (4 * threads)), -(-(1 << 15) // (batch * row.elements))))
        tables = [
            taps_of(axis, backward, step, *index)
            for axis, step, index in zip(problem.axes[:2], (x.d, x.h), tap_indices(problem), strict=False)
        ]
        if stack > 1:
            tables[1] = stacked(tables[1], stack, x.c)
        alone, row_words, tap_count, together = each_alone(batch, pitch), row.words, row.taps, None
        groups_at = HEAD + batch * pitch
        if plain and row.op == "poolrow" and row.taps >= MANY:
            together = groups(row.taps, row.step, words.op == "sum", batch, pitch, groups_at - HEAD)
            alone, row_words, tap_count = together.windows, (row.words[0], "t1"), 1
        numbers = index_word(problem)
        index_item = {"": 0, "indices": 4, "far": 8}[numbers]
        factors, factor_table = factor_rows(words.factor, [depths, rows // stack, row.out], held, False) if (
            words.factor is not None) else (None, None)  # fmt: skip
        if factors is not None:
            factors = np.tile(factors, (1, stack))
            factors = np.ascontiguousarray(factors[None] + segments[:, FIRST, None, None] * item)
        weights = None if words.weights is None else np.ascontiguousarray(words.weights, held)
        powers, nothing, segment_words = (
            exponents(problem),
            np.zeros(batch + 1, np.int64),
            np.ascontiguousarray(segments),
        )
        down = kernel_name("pooltaps", problem, target, words.load, words.op, "keep", numbers, "across",
                           "rowweights" if weights is not None else "")  # fmt: skip
        along = kernel_name(row.op, problem, target, "plain", words.op, words.finish, "held", numbers, *row_words)
        spread = spread_kernel(problem, row.spread, target)
        index_at = groups_at + (batch * pitch if together else 0)
        spread_at = index_at + batch * row.elements * index_item
        space_at = -(-(spread_at + (batch * int(segments[:, COLUMNS].max()) * item if spread else 0)) // 64) * 64
        scratch = space_at + (down_row.kernel * SPACE if glides else 0)
        one = np.array([0, 1], np.int64)  # where the one cell begins and ends, and its one tap, 0 bytes away
        glide = kernel_name("poolglide", problem, target, words.load, words.op, "keep")
        grouping = kernel_name("pooltaps", problem, target, "plain", words.op, "keep", "held")
        (depth_begins, depth_taps), (row_begins, row_taps) = tables
        plan = PLAN.array(
            down=microkernel(down).address, along=microkernel(along).address, spread=spread,
            units=units, lines=lines, a_task=a_task,
            chunks=-(-units // a_task), batches=batches, batch=batch, channels=channels,
            stored=problem.itemsize, item=item, depths=depths, rows=rows, width=row.out, x_n=x.n, x_c=x_c,
            depth_begins=depth_begins, depth_taps=depth_taps, row_begins=row_begins, row_taps=row_taps,
            line_begins=alone.begins, line_taps=alone.table, nothing=nothing, segments=segment_words,
            pitch=pitch, pitch_elements=row.elements, step=row.step, stride=row.stride, tap_count=tap_count,
            index_item=index_item, index_at=index_at, spread_step=row.spread * item, spread_at=spread_at,
            factors=factors, reciprocals=(row.out + 64) * item, weights=weights, exponents=powers,
            paired=words.load in ("ratio", "powerratio"), beside=words.finish in ("timesx", "timespower"),
            indexed=problem.indices, glide=microkernel(glide).address if glides else 0, first=-down_row.before,
            size=down_row.size, x_h=x.h, kernel=down_row.kernel, space_at=space_at,
            group=together and together.group, group_count=len(together.group) if together else 0, one=one,
            groups_at=groups_at, together=microkernel(grouping).address if together else 0,
        )  # fmt: skip
        keep = [
            tables,
            alone,
            factors,
            factor_table,
            weights,
            powers,
            nothing,
            segment_words,
            row.tables,
            together,
            one,
        ]
        tasks = len(segments) * -(-units // a_task)
        moved = 32 * problem.n * problem.c * (problem.plane + problem.outputs)
        return Execution([Job(pool_channels_first.address, plan, tasks, scratch, moved, keep)], None, 0, ())

"""Weighted sums of windows with pixels in the lanes: rows are copied into scratch, with borders, and read there by all
windows of a batch."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan, tap_indices
from fastconv.algorithm.pool.recipe import dtypes, kernel_name, spread_kernel
from fastconv.algorithm.pool.row import HEAD, row_of, segments_of
from fastconv.algorithm.pool.taps import each_alone, taps_of
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.pool_cost import pool_taps_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
ROW_BYTES = 128 << 10  # of copied rows, at best

PLAN = Plan(
    "copy along spread units a_task chunks batches batch channels stored item depths rows width x_n x_c x_h "
    "depth_begins depth_taps row_begins row_taps row_ranges most_rows capacity alone alone_taps nothing segments pitch "
    "pitch_elements step stride tap_count spread_step spread_at lists_at"
)
(
    COPY, ALONG, SPREAD, UNITS, A_TASK, CHUNKS, BATCHES, BATCH, CHANNELS, STORED, ITEM, DEPTHS, ROWS, WIDTH, X_N, X_C,
    X_H, DEPTH_BEGINS, DEPTH_TAPS, ROW_BEGINS, ROW_TAPS, ROW_RANGES, MOST_ROWS, CAPACITY, ALONE, ALONE_TAPS, NOTHING,
    SEGMENTS, PITCH, PITCH_ELEMENTS, STEP, STRIDE, TAP_COUNT, SPREAD_STEP, SPREAD_AT, LISTS_AT,
) = range(len(PLAN.fields))  # fmt: skip
FIRST, OUTPUTS, COLUMN, COLUMNS, LEFT, SEGMENT_WORDS = range(6)


@native("pool_weighted", 4)
def pool_weighted(plan, call, scratch, task):
    """Some batches of rows, some segment of them."""
    segment, start = task // peek(plan, CHUNKS), task % peek(plan, CHUNKS) * peek(plan, A_TASK)
    words = peek(plan, SEGMENTS) + 8 * SEGMENT_WORDS * segment
    first, outputs, column, columns, left = (
        peek(words, FIRST), peek(words, OUTPUTS), peek(words, COLUMN), peek(words, COLUMNS), peek(words, LEFT)
    )  # fmt: skip
    stored, item, pitch, spread = peek(plan, STORED), peek(plan, ITEM), peek(plan, PITCH), peek(plan, SPREAD)
    depths, rows, width, channels = peek(plan, DEPTHS), peek(plan, ROWS), peek(plan, WIDTH), peek(plan, CHANNELS)
    held, apart, lists = scratch + HEAD, scratch + peek(plan, SPREAD_AT), scratch + peek(plan, LISTS_AT)
    listed = lists + 8 * (peek(plan, BATCH) + 1)
    most, depth_taps, row_taps = peek(plan, MOST_ROWS), peek(plan, DEPTH_TAPS), peek(plan, ROW_TAPS)
    depth_begins, row_begins = peek(plan, DEPTH_BEGINS), peek(plan, ROW_BEGINS)
    if peek(scratch, 0) != segment:
        elements = peek(plan, PITCH_ELEMENTS)
        invoke(
            peek(plan, COPY),
            (0, 0, 0, peek(plan, NOTHING), 0, peek(plan, CAPACITY), held, pitch, elements, 0, 0, 0, 0, 0, 0, 0, 0),
        )
        poke(scratch, 0, segment)
    for unit in range(start, min(start + peek(plan, A_TASK), peek(plan, UNITS))):
        group, batch = unit // peek(plan, BATCHES), unit % peek(plan, BATCHES)
        row = batch * peek(plan, BATCH)
        some = min(peek(plan, BATCH), rows - row)
        plane, depth = group // depths, group % depths
        source = peek(call, X) + plane // channels * peek(plan, X_N) + plane % channels * peek(plan, X_C)
        low, high = peek(peek(plan, ROW_RANGES), 2 * batch), peek(peek(plan, ROW_RANGES), 2 * batch + 1)
        a0, a1 = peek(depth_begins, depth), peek(depth_begins, depth + 1)
        for a in range(a0, a1):
            rows_at = held + (a - a0) * most * pitch + left * item
            to, to_pitch = (apart, columns * item) if spread != 0 else (rows_at, pitch)
            invoke(
                peek(plan, COPY),
                (
                    source + peek(depth_taps, 2 * a) + low * peek(plan, X_H) + column * stored, peek(plan, ALONE_TAPS),
                    1, peek(plan, ALONE), peek(plan, ALONE_TAPS), high - low, to, to_pitch, columns, 0, 0, 0, 0, 0, 0,
                    0, 0,
                ),
            )  # fmt: skip
            if spread != 0:
                invoke(spread, (apart, to_pitch, high - low, columns, rows_at, pitch, peek(plan, SPREAD_STEP)))
        # For each row of outputs the rows of scratch that it sums, and where their weights begin.
        count = 0
        for i in range(some):
            poke(lists, i, count)
            for a in range(a0, a1):
                for b in range(peek(row_begins, row + i), peek(row_begins, row + i + 1)):
                    poke(listed, 2 * count, ((a - a0) * most + peek(row_taps, 2 * b) - low) * pitch)
                    poke(listed, 2 * count + 1, peek(depth_taps, 2 * a + 1) + peek(row_taps, 2 * b + 1))
                    count += 1
        poke(lists, some, count)
        place = (group * rows + row) * width + first
        invoke(
            peek(plan, ALONG),
            (
                held, lists, listed, some, peek(call, Y) + place * stored, width * stored, outputs,
                peek(plan, TAP_COUNT), peek(plan, STEP), peek(plan, STRIDE), 0, 0, peek(call, W), 0, 0, 0, 0, 0,
            ),
        )  # fmt: skip


class WeightedRows:
    """Pixels in the lanes, every tap by itself."""

    name = "weighted"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        if problem.layout == LAST:
            return "channels last"
        return None if problem.kind == "weighted_avg" else "taps have no weights"

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_taps_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        backward = problem.pass_ == "backward"
        _, held = dtypes(problem)
        item = held.itemsize
        row = row_of(problem.axes[2], backward)
        segments, elements = segments_of(row, target.lanes(item))
        segments, pitch = np.ascontiguousarray(segments), elements * item
        depths, rows = ((a.size if backward else a.out) for a in problem.axes[:2])
        indices = tap_indices(problem)
        depth = taps_of(problem.axes[0], backward, x.d, *indices[0])
        lines = taps_of(problem.axes[1], backward, 1, *indices[1])
        # As many rows at once as scratch has room for, beyond those that one row of outputs needs.
        slices = max(1, depth.most)
        fit = max(1, ROW_BYTES // (pitch * slices))
        batch = rows
        while batch > 1 and _ranges(lines, batch)[1] > fit:
            batch = -(-batch // 2)
        ranges, most = _ranges(lines, batch)
        batches = -(-rows // batch)
        units = problem.n * problem.c * depths * batches
        a_task = max(1, min(-(-units // (4 * threads)), -(-(1 << 13) // (batch * elements))))
        alone, nothing = each_alone(most, x.h), np.zeros(slices * most + 1, np.int64)
        spread = spread_kernel(problem, row.spread, target)
        along = kernel_name("poolrow", problem, target, "plain", "sum", "round", "held", "weights", *row.words)
        spread_at = HEAD + slices * most * pitch
        lists_at = spread_at + (-(-most * int(segments[:, COLUMNS].max()) * item // 64) * 64 if spread else 0)
        scratch = lists_at + 8 * (batch + 1) + 16 * batch * slices * max(1, lines.most)
        plan = PLAN.array(
            copy=microkernel(kernel_name("pooltaps", problem, target, "plain", "sum", "keep", "across")).address,
            along=microkernel(along).address, spread=spread, units=units, a_task=a_task,
            chunks=-(-units // a_task), batches=batches, batch=batch, channels=problem.c, stored=problem.itemsize,
            item=item, depths=depths, rows=rows, width=row.out, x_n=x.n, x_c=x.c, x_h=x.h, depth_begins=depth.begins,
            depth_taps=depth.table, row_begins=lines.begins, row_taps=lines.table, row_ranges=ranges, most_rows=most,
            capacity=slices * most, alone=alone.begins, alone_taps=alone.table, nothing=nothing, segments=segments,
            pitch=pitch, pitch_elements=elements, step=row.step * item, stride=row.stride * item, tap_count=row.kernel,
            spread_step=row.spread * item, spread_at=spread_at, lists_at=lists_at,
        )  # fmt: skip
        keep = [depth, lines, ranges, alone, nothing, segments]
        tasks = len(segments) * -(-units // a_task)
        return Execution([Job(pool_weighted.address, plan, tasks, scratch, 8 * problem.flops, keep)], None, 0, ())


def _ranges(lines, batch: int) -> tuple[np.ndarray, int]:
    """The first row that a batch of rows of outputs reads and the one after its last, and the most that any reads."""
    begins, read = lines.begins, lines.table[:, 0]
    ranges = []
    for row in range(0, len(begins) - 1, batch):
        some = read[begins[row] : begins[min(row + batch, len(begins) - 1)]]
        ranges.append((some.min(), some.max() + 1) if some.size else (0, 0))
    ranges = np.array(ranges, np.int64)
    return ranges, max(1, int((ranges[:, 1] - ranges[:, 0]).max()))

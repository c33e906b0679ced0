"""Pools whose lanes are channels: every output is the taps of its window, read in place."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan, addresses, factor_rows, index_word, tap_indices
from fastconv.algorithm.pool.recipe import dtypes, exponents, kernel_name, recipe
from fastconv.algorithm.pool.taps import taps_of
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.pool_cost import pool_taps_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
HEAD = 64  # bytes before the table of taps that each line's scratch holds

PLAN = Plan(
    "kernel lines a_task blocks block channels stored item depths rows cells x_n depth_begins depth_taps row_begins "
    "row_taps begins taps factors weights own_weights exponents paired beside indexed"
)
F = PLAN.fields
(
    KERNEL, LINES, A_TASK, BLOCKS, BLOCK, CHANNELS, STORED, ITEM, DEPTHS, ROWS, CELLS, X_N, DEPTH_BEGINS, DEPTH_TAPS,
    ROW_BEGINS, ROW_TAPS, BEGINS, TAPS, FACTORS, WEIGHTS, OWN_WEIGHTS, EXPONENTS, PAIRED, BESIDE, INDEXED,
) = range(len(F))  # fmt: skip


@native("pool_channels_last", 4)
def pool_channels_last(plan, call, scratch, task):
    """Some lines of outputs, some channels of them."""
    block, start = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS) * peek(plan, A_TASK)
    channels, stored = peek(plan, CHANNELS), peek(plan, STORED)
    c0 = block * peek(plan, BLOCK)
    some = min(peek(plan, BLOCK), channels - c0)
    rows, cells, depths = peek(plan, ROWS), peek(plan, CELLS), peek(plan, DEPTHS)
    depth_taps, row_taps = peek(plan, DEPTH_TAPS), peek(plan, ROW_TAPS)
    weights = peek(call, W) if peek(plan, OWN_WEIGHTS) != 0 else peek(plan, WEIGHTS)
    beyond = peek(call, BIAS) - peek(call, X) if peek(plan, PAIRED) != 0 else 0
    pitch, fixed = channels * stored, scratch + HEAD
    for line in range(start, min(start + peek(plan, A_TASK), peek(plan, LINES))):
        row, depth, n = line % rows, line // rows % depths, line // (rows * depths)
        count = 0
        for a in range(peek(peek(plan, DEPTH_BEGINS), depth), peek(peek(plan, DEPTH_BEGINS), depth + 1)):
            for b in range(peek(peek(plan, ROW_BEGINS), row), peek(peek(plan, ROW_BEGINS), row + 1)):
                poke(fixed, 2 * count, peek(depth_taps, 2 * a) + peek(row_taps, 2 * b))
                poke(fixed, 2 * count + 1, peek(depth_taps, 2 * a + 1) + peek(row_taps, 2 * b + 1))
                count += 1
        place = line * cells * channels + c0
        invoke(
            peek(plan, KERNEL),
            (
                peek(call, X) + n * peek(plan, X_N) + c0 * stored, fixed, count, peek(plan, BEGINS), peek(plan, TAPS),
                cells, peek(call, Y) + place * stored, pitch, some,
                peek(peek(plan, FACTORS), depth * rows + row) if peek(plan, FACTORS) != 0 else 0, weights,
                peek(plan, EXPONENTS), beyond, peek(call, W) + place * stored if peek(plan, BESIDE) != 0 else 0,
                peek(call, RESIDUAL) + place * 8 if peek(plan, INDEXED) != 0 else 0, channels * 8, 0,
            ),
        )  # fmt: skip


class Windows:
    """Channels in the lanes."""

    name = "windows"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        return None if problem.layout == LAST else "channels first"

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_taps_cycles(problem, target)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        words, backward = recipe(problem), problem.pass_ == "backward"
        _, scratch = dtypes(problem)
        weighted = problem.kind == "weighted_avg"
        cells = [axis.size if backward else axis.out for axis in problem.axes]
        tables = [
            taps_of(axis, backward, step, *index)
            for axis, step, index in zip(problem.axes, (x.d, x.h, x.w), tap_indices(problem), strict=True)
        ]
        word = kernel_name(
            "pooltaps", problem, target, words.load, words.op, words.finish,
            "weights" if weighted or words.weights is not None else "",
            index_word(problem),
        )  # fmt: skip
        keep = [*tables]
        factors = weights = None
        if words.factor is not None:
            factors, rows = factor_rows(words.factor, cells, scratch, pairs=True)
            keep += [factors, rows]
        if words.weights is not None:
            weights = np.ascontiguousarray(words.weights, scratch)
        powers = exponents(problem)
        keep += [weights, powers]
        lines, block = problem.n * cells[0] * cells[1], problem.c
        tap_count = max(1, tables[0].most) * max(1, tables[1].most)
        work = cells[2] * problem.c
        # Lines too few for the threads are cut into blocks of channels, of 256 bytes at least.
        while lines * -(-problem.c // block) < 4 * threads and block > (least := 256 // problem.itemsize):
            block = max(least, -(-block // 2))
        a_task = max(1, min(-(-lines // (4 * threads)), -(-(1 << 15) // work)))
        blocks = -(-problem.c // block)
        plan = PLAN.array(
            kernel=microkernel(word).address, lines=lines, a_task=a_task, blocks=blocks, block=block,
            channels=problem.c, stored=problem.itemsize, item=scratch.itemsize, depths=cells[0], rows=cells[1],
            cells=cells[2], x_n=x.n, **addresses(tables), factors=factors, weights=weights, own_weights=weighted,
            exponents=powers, paired=words.load in ("ratio", "powerratio"),
            beside=words.finish in ("timesx", "timespower"), indexed=problem.indices,
        )  # fmt: skip
        tasks = blocks * -(-lines // a_task)
        moved = 32 * problem.n * problem.c * (problem.plane + problem.outputs)
        job = Job(pool_channels_last.address, plan, tasks, HEAD + 16 * tap_count, max(moved, problem.flops), keep)
        return Execution([job], None, 0, ())

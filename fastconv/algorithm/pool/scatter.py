"""The gradient of a max pool: what each output had goes to where its maximum was, one plane after another.

Planes of half the size may come of windows of 2x2 side by side: then elements are chosen, and none is added to.
"""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan
from fastconv.algorithm.pool.recipe import dtypes, kernel_name
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.cost import pool_scatter_cycles
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
HEAD = 64
ELSEWHERE = 1  # the word of scratch that says whether an index lies outside its window
WIDE_BYTES = 1 << 20  # of a plane, or a part of it, that is summed in scratch before it is narrowed
CACHED = 512 << 10  # bytes of a part of channels-last planes that stay near while they are added to

PLAN = Plan(
    "clear scatter finish blocks block channels stored item plane outputs parts part apart nothing wide "
    "choose clear_stored rows width columns"
)
(
    CLEAR, SCATTER, FINISH, BLOCKS, BLOCK, CHANNELS, STORED, ITEM, PLANE, OUTPUTS, PARTS, PART, APART, NOTHING, WIDE,
    CHOOSE, CLEAR_STORED, ROWS, WIDTH, COLUMNS,
) = range(len(PLAN.fields))  # fmt: skip


@helper
def chosen(plan, call, scratch, source, to):
    """Write a plane of dx as one of windows of 2x2 side by side; whether all its indices lie in theirs."""
    stored, rows, width, columns = peek(plan, STORED), peek(plan, ROWS), peek(plan, WIDTH), peek(plan, COLUMNS)
    poke(scratch, ELSEWHERE, 0)
    invoke(
        peek(plan, CHOOSE),
        (
            peek(call, X) + source * stored, peek(call, W) + source * 8, rows, columns, to, width,
            scratch + 8 * ELSEWHERE,
        ),
    )  # fmt: skip
    covered = 2 * rows * width
    if peek(scratch, ELSEWHERE) == 0 and peek(plan, PLANE) > covered:
        invoke(
            peek(plan, CLEAR_STORED),
            (
                0, 0, 0, peek(plan, NOTHING), 0, 1, to + covered * stored, 0, peek(plan, PLANE) - covered, 0, 0, 0, 0,
                0, 0, 0, 0,
            ),
        )  # fmt: skip
    return peek(scratch, ELSEWHERE) == 0


@native("pool_scatter", 4)
def pool_scatter(plan, call, scratch, task):
    """Some positions of the planes of some channels of an image."""
    part, block, n = (
        task % peek(plan, PARTS), task // peek(plan, PARTS) % peek(plan, BLOCKS),
        task // (peek(plan, PARTS) * peek(plan, BLOCKS)),
    )  # fmt: skip
    stored, item, plane, channels = peek(plan, STORED), peek(plan, ITEM), peek(plan, PLANE), peek(plan, CHANNELS)
    c0 = block * peek(plan, BLOCK)
    some = min(peek(plan, BLOCK), channels - c0)
    first = part * peek(plan, PART)
    count = min(peek(plan, PART), plane - first)
    outputs, last = peek(plan, OUTPUTS), peek(plan, APART)
    # Channels last: elements of a pixel lie side by side. Channels first: planes do, and one is done after another.
    planes, runs, run = (1, outputs, some) if last != 0 else (some, 1, outputs)
    for p in range(planes):
        if last != 0:
            source = n * outputs * channels + c0
            to = peek(call, Y) + ((n * plane + first) * channels + c0) * stored
            cells, width, pitch, position = count, some, channels * stored, channels * item
            element = item
        else:
            source = (n * channels + c0 + p) * outputs
            to = peek(call, Y) + ((n * channels + c0 + p) * plane + first) * stored
            cells, width, pitch, position, element = 1, count, count * stored, item, 0
        if peek(plan, CHOOSE) != 0 and chosen(plan, call, scratch, source, to):
            continue
        sums, sums_pitch = to, pitch
        if peek(plan, WIDE) != 0:
            sums, sums_pitch = scratch + HEAD, width * item
            position = sums_pitch if last != 0 else item
        invoke(
            peek(plan, CLEAR), (0, 0, 0, peek(plan, NOTHING), 0, cells, sums, sums_pitch, width, 0, 0, 0, 0, 0, 0, 0, 0)
        )
        for i in range(runs):
            at = source + i * channels
            invoke(
                peek(plan, SCATTER),
                (
                    peek(call, X) + at * stored, peek(call, W) + at * 8, run, first, count, sums, position, element,
                    plane, peek(call, RESIDUAL),
                ),
            )  # fmt: skip
        if peek(plan, WIDE) != 0:
            for i in range(cells):
                invoke(peek(plan, FINISH), (sums + i * sums_pitch, to + i * pitch, 0, width, 0))


class Scatter:
    """One plane, or part of one, after another."""

    name = "scatter"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        return None

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_scatter_cycles(problem)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        _, computing = dtypes(problem)
        item, stored, last = computing.itemsize, problem.itemsize, problem.layout == LAST
        wide = item != stored
        if last:
            # As few blocks as give every thread two: positions then lie in long runs of channels.
            line, blocks = 64 // stored, -(-2 * threads // max(1, problem.n))
            block = min(problem.c, -(-problem.c // blocks // line) * line)
            part = problem.plane if not wide else max(1, min(problem.plane, WIDE_BYTES // (block * item)))
        else:
            block = max(1, min(-(-problem.n * problem.c // (4 * threads)), (1 << 15) // problem.plane, problem.c))
            part = problem.plane if not wide else min(problem.plane, WIDE_BYTES // item)
        # Few planes are cut, and every task looks for its own positions.
        blocks = -(-problem.c // block)
        if problem.n * blocks < threads and problem.plane > 1 << 14:
            part = min(part, -(-problem.plane // threads))
        parts = -(-problem.plane // part)
        d, h, w = problem.axes
        # The windows are not known, but may be guessed; indices tell whether that was right.
        choose = not last and parts == 1 and (d.size, d.out, h.size // h.out, w.size // w.out) == (1, 1, 2, 2)
        name = "_".join(["poolscatter", dtypes(problem)[0], target.isa])
        finish = microkernel("_".join(["finish", dtypes(problem)[0], target.isa, "none"])).address if wide else 0
        nothing = np.zeros(max(2, part + 1 if last else 2), np.int64)
        plan = PLAN.array(
            clear=microkernel(kernel_name("pooltaps", problem, target, "plain", "sum", "keep")).address,
            scatter=microkernel(name).address, finish=finish, blocks=blocks, block=block, channels=problem.c,
            stored=stored, item=item, plane=problem.plane, outputs=problem.outputs, parts=parts, part=part, apart=last,
            nothing=nothing, wide=wide, rows=h.out, width=w.size, columns=w.out,
            choose=microkernel("_".join(["poolchoose", dtypes(problem)[0], target.isa])).address if choose else 0,
            clear_stored=microkernel(kernel_name("pooltaps", problem, target, "plain", "sum", "round")).address,
        )  # fmt: skip
        scratch = HEAD + part * block * item if wide and last else HEAD + part * item if wide else HEAD if choose else 0
        moved = 32 * problem.n * problem.c * (problem.plane + 3 * problem.outputs)
        tasks = problem.n * blocks * parts
        return Execution([Job(pool_scatter.address, plan, tasks, scratch, moved, [nothing])], None, 0, ())

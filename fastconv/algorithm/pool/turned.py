"""Small planes, channels first: turned so that channels lie in the lanes, pooled there, and turned back.

A row of 7 fills less than half a vector, and every one starts a loop anew; 16 planes side by side fill all, whatever
their windows. So this takes what is worst for other ways: many small rows, parts of unlike sizes, indices.
"""

from __future__ import annotations

from dataclasses import replace

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.channels_last import Windows
from fastconv.algorithm.pool.plan import LAST, Plan, planes_contiguous
from fastconv.algorithm.pool.recipe import dtypes, recipe
from fastconv.algorithm.pool.slide import Slide
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.reducer import QUICK
from fastconv.pool_cost import pool_turned_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps, contiguous_steps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
FRAME, HEAD = 64, 128  # where scratch has the addresses of the inner call's arrays, and where its own begins
SCRATCH_BYTES = 512 << 10  # of turned planes at most: they stay in L2
VECTORS = 4  # of channels at most

PLAN = Plan(
    "turn turn_numbers blocks block channels item read written x_n x_c indexed turned_at numbers_at inner_at "
    "kernel plan tasks last_kernel last_plan last_tasks"
)
(
    TURN, TURN_NUMBERS, BLOCKS, BLOCK, CHANNELS, ITEM, READ, WRITTEN, X_N, X_C, INDEXED, TURNED_AT, NUMBERS_AT,
    INNER_AT, KERNEL, INNER_PLAN, TASKS, LAST_KERNEL, LAST_PLAN, LAST_TASKS,
) = range(len(PLAN.fields))  # fmt: skip


@native("pool_turned", 4)
def pool_turned(plan, call, scratch, task):
    """Some channels of an image."""
    blocks, channels, item = peek(plan, BLOCKS), peek(plan, CHANNELS), peek(plan, ITEM)
    n, c0 = task // blocks, task % blocks * peek(plan, BLOCK)
    some = min(peek(plan, BLOCK), channels - c0)
    read, written, pitch = peek(plan, READ), peek(plan, WRITTEN), some * item
    held, turned, numbers = scratch + HEAD, scratch + peek(plan, TURNED_AT), scratch + peek(plan, NUMBERS_AT)
    source = peek(call, X) + n * peek(plan, X_N) + c0 * peek(plan, X_C)
    invoke(peek(plan, TURN), (source, peek(plan, X_C), held, pitch, some, read))
    frame, inner = scratch + FRAME, scratch + peek(plan, INNER_AT)
    poke(frame, X, held)
    poke(frame, W, 0)
    poke(frame, BIAS, 0)
    poke(frame, RESIDUAL, numbers)
    poke(frame, Y, turned)
    poke(inner, 0, -1)
    whole = some == peek(plan, BLOCK)
    kernel = peek(plan, KERNEL) if whole else peek(plan, LAST_KERNEL)
    inner_plan = peek(plan, INNER_PLAN) if whole else peek(plan, LAST_PLAN)
    for i in range(peek(plan, TASKS) if whole else peek(plan, LAST_TASKS)):
        invoke(kernel, (inner_plan, frame, inner, i))
    place = (n * channels + c0) * written
    invoke(peek(plan, TURN), (turned, pitch, peek(call, Y) + place * item, written * item, written, some))
    if peek(plan, INDEXED) != 0:
        to = peek(call, RESIDUAL) + place * 8
        invoke(peek(plan, TURN_NUMBERS), (numbers, some * 8, to, written * 8, written, some))


class Turned:
    """Small planes, turned twice."""

    name = "turned"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        if problem.layout == LAST:
            return "channels last"
        if problem.dtype not in ("float32", "float64"):
            return "what is turned is as wide as what is computed with"
        if problem.kind == "weighted_avg" or recipe(problem).load not in QUICK:
            return "weights, powers, or more arrays"
        if not planes_contiguous(problem, x):
            return "planes are not contiguous"
        if self._bytes(problem, target.lanes(problem.itemsize)) > SCRATCH_BYTES:
            return f"vectors of planes take more than {SCRATCH_BYTES >> 10} KiB"
        return None

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        inner = replace(problem, n=1, layout=LAST)
        # Measured: where columns are shared.
        shared = isinstance(_inner(inner, target), Slide)
        return pool_turned_cycles(problem, target) * (0.78 if shared else 1)

    def _bytes(self, problem: PoolProblem, channels: int) -> int:
        """Scratch for planes of so many channels, and for their indices."""
        indices = 8 * problem.outputs * problem.indices
        return channels * ((problem.plane + problem.outputs) * problem.itemsize + indices)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        item, backward = problem.itemsize, problem.pass_ == "backward"
        read, written = (problem.outputs, problem.plane) if backward else (problem.plane, problem.outputs)
        # More vectors at once share what a loop costs, if every thread still has its tasks and scratch stays near.
        lanes = target.lanes(item)
        block = VECTORS * lanes
        while block > lanes and (
            problem.n * -(-problem.c // block) < 2 * threads or self._bytes(problem, block) > SCRATCH_BYTES // 4
        ):
            block -= lanes
        block = min(block, problem.c)
        blocks = -(-problem.c // block)
        last = problem.c - (blocks - 1) * block
        jobs = []
        for channels in (block, last):
            inner = replace(problem, n=1, c=channels, layout=LAST)
            jobs += _inner(inner, target).build(inner, contiguous_steps(inner), target, 1, packed).parts

        def after(at: int, size: int) -> int:
            return at + -(-size // 64) * 64

        turned_at = after(HEAD, read * block * item)
        numbers_at = after(turned_at, written * block * item)
        inner_at = after(numbers_at, 8 * written * block * problem.indices)
        words = {}
        for name, job in zip(("", "last_"), jobs, strict=True):
            words |= {f"{name}kernel": job.kernel, f"{name}plan": job.plan, f"{name}tasks": job.tasks}
        name = "_".join(["transpose", "{}", target.isa, "columns"])
        plan = PLAN.array(
            turn=microkernel(name.format(dtypes(problem)[0])).address,
            turn_numbers=microkernel(name.format("f64")).address if problem.indices else 0, blocks=blocks, block=block,
            channels=problem.c, item=item, read=read, written=written, x_n=x.n, x_c=x.c, indexed=problem.indices,
            turned_at=turned_at, numbers_at=numbers_at, inner_at=inner_at, **words,
        )  # fmt: skip
        scratch = inner_at + max(job.scratch for job in jobs)
        moved = 8 * problem.n * problem.c * (problem.plane + problem.outputs + 2 * problem.outputs * problem.indices)
        moved += problem.flops
        return Execution([Job(pool_turned.address, plan, problem.n * blocks, scratch, moved, [jobs])], None, 0, ())


def _inner(problem: PoolProblem, target: Target) -> Slide | Windows:
    """What pools the turned planes."""
    return Windows() if Slide().supports(problem, contiguous_steps(problem), target) else Slide()

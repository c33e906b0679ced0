"""The gradient of a max pool: what each output had goes to where its maximum was, one plane after another.

Planes of half the size may come of windows of 2x2 side by side: then elements are chosen, and none is added to.
"""

from __future__ import annotations

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan
from fastconv.algorithm.pool.recipe import dtypes
from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.job import LINE, Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolscatter import TOGETHER
from fastconv.pool_cost import pool_scatter_cycles
from fastconv.problem.conv import SHORT_DTYPE
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
HEAD = 64
ELSEWHERE = 1  # the word of scratch that says whether an index lies outside its window
WIDE_BYTES = 1 << 20  # of a plane, or a part of it, that is summed in scratch before it is narrowed
GROUP_ELEMENTS = 1 << 12  # of planes that are cleared at once, and are still in L1 when they are added to; or TOGETHER
SAMPLES = 32  # indices that are looked at before windows are guessed

PLAN = Plan(
    "clear scatter finish blocks block channels stored item plane outputs parts part last lined wide choose "
    "clear_stored rows width columns group"
)
(
    CLEAR, SCATTER, FINISH, BLOCKS, BLOCK, CHANNELS, STORED, ITEM, PLANE, OUTPUTS, PARTS, PART, AT_LAST, LINED, WIDE,
    CHOOSE, CLEAR_STORED, ROWS, WIDTH, COLUMNS, GROUP,
) = range(len(PLAN.fields))  # fmt: skip


@helper
def side_by_side(plan, index):
    """Whether the indices of a row in the middle of a plane lie in windows of 2x2."""
    width = peek(plan, WIDTH)
    at, corner = index + peek(plan, ROWS) // 2 * peek(plan, COLUMNS) * 8, peek(plan, ROWS) // 2 * 2 * width
    for i in range(min(SAMPLES, peek(plan, COLUMNS))):
        inside = peek(at, i) - corner - 2 * i
        if inside != 0 and inside != 1 and inside != width and inside != width + 1:
            return False
    return True


@helper
def chosen(plan, call, scratch, source, to, planes):
    """Write some planes of dx as those of windows of 2x2 side by side; whether they are."""
    stored, rows, width, plane = peek(plan, STORED), peek(plan, ROWS), peek(plan, WIDTH), peek(plan, PLANE)
    dy, index, elsewhere = peek(call, X) + source * stored, peek(call, W) + source * 8, scratch + 8 * ELSEWHERE
    poke(scratch, ELSEWHERE, 0)
    invoke(peek(plan, CHOOSE), (dy, index, planes, rows, peek(plan, COLUMNS), to, plane, width, elsewhere))
    covered = 2 * rows * width
    if covered < plane:
        invoke(peek(plan, CLEAR_STORED), (to + covered * stored, planes, plane * stored, plane - covered))
    return peek(scratch, ELSEWHERE) == 0


@native("pool_scatter", 4)
def pool_scatter(plan, call, scratch, task):
    """Some positions of the planes of some channels of an image."""
    part, block, n = (
        task % peek(plan, PARTS), task // peek(plan, PARTS) % peek(plan, BLOCKS),
        task // (peek(plan, PARTS) * peek(plan, BLOCKS)),
    )  # fmt: skip
    stored, item, plane, channels = peek(plan, STORED), peek(plan, ITEM), peek(plan, PLANE), peek(plan, CHANNELS)
    # Blocks of channels begin on cache lines, so that no two threads write to one.
    lead = -peek(call, Y) % LINE // stored if peek(plan, LINED) != 0 else 0
    c0 = block * peek(plan, BLOCK) + lead if block > 0 else 0
    some = (block + 1) * peek(plan, BLOCK) + lead - c0 if block + 1 < peek(plan, BLOCKS) else channels - c0
    first = part * peek(plan, PART)
    count = min(peek(plan, PART), plane - first)
    outputs, last, size = peek(plan, OUTPUTS), peek(plan, AT_LAST), item if peek(plan, WIDE) != 0 else stored
    # Channels last: elements of a pixel lie side by side. Channels first: planes do, and a few are done at a time.
    if last != 0:
        source = n * outputs * channels + c0
        to = peek(call, Y) + ((n * plane + first) * channels + c0) * stored
        width = some if peek(plan, WIDE) != 0 else channels
        sums = scratch + HEAD if peek(plan, WIDE) != 0 else to
        if some == width:
            invoke(peek(plan, CLEAR), (sums, 1, 0, count * width))
        else:
            invoke(peek(plan, CLEAR), (sums, count, width * size, some))
        invoke(
            peek(plan, SCATTER),
            (
                peek(call, X) + source * stored, peek(call, W) + source * 8, outputs, some, channels, first, count,
                sums, width * size, size, 0, 0, plane, peek(call, RESIDUAL),
            ),
        )  # fmt: skip
        if peek(plan, WIDE) != 0:
            for i in range(count):
                invoke(peek(plan, FINISH), (sums + i * width * size, to + i * channels * stored, 0, some, 0))
        return
    source = (n * channels + c0) * outputs
    to = peek(call, Y) + ((n * channels + c0) * plane + first) * stored
    # Looked at for the first plane only: what lies in the middle of one is far.
    choose = peek(plan, CHOOSE) != 0 and side_by_side(plan, peek(call, W) + source * 8)
    p = 0
    while p < some:
        planes, at, there = min(peek(plan, GROUP), some - p), source + p * outputs, to + p * plane * stored
        if choose and chosen(plan, call, scratch, at, there, planes):
            p += planes
            continue
        sums = scratch + HEAD if peek(plan, WIDE) != 0 else there
        invoke(peek(plan, CLEAR), (sums, 1, 0, planes * count))
        invoke(
            peek(plan, SCATTER),
            (
                peek(call, X) + at * stored, peek(call, W) + at * 8, planes, outputs, outputs, first, count, sums,
                size, 0, count * size, 0, plane, peek(call, RESIDUAL),
            ),
        )  # fmt: skip
        if peek(plan, WIDE) != 0:
            invoke(peek(plan, FINISH), (sums, there, 0, planes * count, 0))
        p += planes


def scatter_kernel(problem: PoolProblem, target: Target) -> int:
    """The kernel that adds elements, by vectors of channels where the processor has scattered stores."""
    apart = ["apart"] if problem.layout == LAST and target.isa == "avx512" else []
    return microkernel("_".join(["poolscatter", dtypes(problem)[0], target.isa, *apart])).address


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
        line = 2 * LINE // stored
        if last:
            # As few blocks as there are threads: positions then lie in long runs of channels.
            blocks = -(-threads // max(1, problem.n))
            block = min(problem.c, -(-problem.c // blocks // line) * line)
            part = problem.plane if not wide else max(1, min(problem.plane, WIDE_BYTES // (block * item)))
        else:
            block = max(TOGETHER, (1 << 15) // problem.plane)
            block = max(1, min(-(-problem.n * problem.c // (4 * threads)), block, problem.c))
            part = problem.plane if not wide else min(problem.plane, WIDE_BYTES // item)
        # Few planes are cut, and every task looks for its own positions.
        blocks = -(-problem.c // block)
        if problem.n * blocks < threads and problem.plane > 1 << 14:
            part = min(part, -(-problem.plane // threads))
        parts = -(-problem.plane // part)
        together = TOGETHER if not wide or TOGETHER * part * item <= WIDE_BYTES else 1
        group = min(block, max(together, GROUP_ELEMENTS // part)) if parts == 1 else 1
        d, h, w = problem.axes
        # The windows are not known, but may be guessed; indices tell whether that was right. Rows of less than half a
        # vector are scattered faster.
        choose = not last and parts == 1 and (d.size, d.out, h.size // h.out, w.size // w.out) == (1, 1, 2, 2)
        choose = choose and 2 * w.out > target.lanes(item)

        def kernel(op: str, there: bool = True, kind: str = dtypes(problem)[0], *words: str) -> int:
            return microkernel("_".join([op, kind, target.isa, *words])).address if there else 0

        plan = PLAN.array(
            clear=kernel("poolzero", True, SHORT_DTYPE[computing.name]), scatter=scatter_kernel(problem, target),
            finish=kernel("finish", wide, dtypes(problem)[0], "none"), blocks=blocks, block=block, channels=problem.c,
            stored=stored, item=item, plane=problem.plane, outputs=problem.outputs, parts=parts, part=part, last=last,
            lined=last and problem.c * stored % LINE == 0, wide=wide, choose=kernel("poolchoose", choose),
            clear_stored=kernel("poolzero"), rows=h.out,
            width=w.size, columns=w.out, group=group,
        )  # fmt: skip
        scratch = HEAD + part * (block + line) * item if wide and last else HEAD + group * part * item if wide else HEAD
        moved = 32 * problem.n * problem.c * (problem.plane + 3 * problem.outputs)
        tasks = problem.n * blocks * parts
        return Execution([Job(pool_scatter.address, plan, tasks, scratch, moved, [])], None, 0, ())

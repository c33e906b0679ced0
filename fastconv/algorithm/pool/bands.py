"""The gradient of a max pool, channels last: bands of rows of dx, each from the outputs near it.

The windows are not known. They are taken to lie near where the sizes say, or as far from there as some in the middle
do, and every index is looked at: if one does not lie there, a flag is left, and the job after this one, which assumes
nothing, does all again. Blocks of channels instead of bands took twice as long: threads that write to every other 128
bytes wait for each other's lines. Rows of a signal are its elements, and those of a volume its slices. A band is
cleared row by row, just before it is added to.
"""

from __future__ import annotations

from fastconv.algorithm.common import Execution
from fastconv.algorithm.pool.plan import LAST, Plan
from fastconv.algorithm.pool.recipe import dtypes
from fastconv.algorithm.pool.scatter import SAMPLES, Scatter, scatter_kernel
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.poolspot import SIDE
from fastconv.pool_cost import pool_bands_cycles
from fastconv.problem.pool import PoolProblem, PoolSteps
from fastconv.problem.pool_axes import Axis
from fastconv.target import Target

X, W, BIAS, RESIDUAL, Y = range(5)
ELSEWHERE = 1  # the word beside that for wrong indices: some index is not where it was looked for
TASK_ELEMENTS = 1 << 14  # written by a task at least
LOOKED_AT = 64  # indices that tell how large windows are

PLAN = Plan(
    "clear scatter select spot bands band channels item plane outputs height width rows columns stride step sample"
)
(
    CLEAR, SCATTER, SELECT, SPOT, BANDS, BAND, CHANNELS, ITEM, PLANE, OUTPUTS, HEIGHT, WIDTH, ROW_COUNT, COLUMNS,
    STRIDE, STEP, SAMPLE,
) = range(len(PLAN.fields))  # fmt: skip


@helper
def side_by_side(plan, index):
    """Whether the indices of an output in the middle of an image lie in its window of 2x2."""
    width = peek(plan, WIDTH)
    at, corner = index + peek(plan, SAMPLE) * 8, peek(plan, ROW_COUNT) // 2 * 2 * width + peek(plan, COLUMNS) // 2 * 2
    for c in range(min(SAMPLES, peek(plan, CHANNELS))):
        inside = peek(at, c) - corner
        if inside != 0 and inside != 1 and inside != width and inside != width + 1:
            return False
    return True


@helper
def extent(plan, index):
    """(first row, last row, first column, last column) of windows, from an output's number times the stride, as some
    in the middle have them, and three wide at least: the first of equal elements is the maximum."""
    width, channels, stride, step = peek(plan, WIDTH), peek(plan, CHANNELS), peek(plan, STRIDE), peek(plan, STEP)
    row, column = peek(plan, ROW_COUNT) // 2, peek(plan, COLUMNS) // 2
    low, high, left, right = peek(plan, HEIGHT), -peek(plan, HEIGHT), width, -width
    for i in range(min(LOOKED_AT, (peek(plan, COLUMNS) - column) * channels)):
        position = peek(index + peek(plan, SAMPLE) * 8, i)
        if position >= 0:
            r, w = position // width - row * stride, position % width - (column + i // channels) * step
            low, high, left, right = min(low, r), max(high, r), min(left, w), max(right, w)
    return low, max(high, low + SIDE - 1), left, max(right, left + SIDE - 1)


@helper
def reach(plan, low, high):
    """From where to where maxima are looked for, in rows, with room for what was not seen."""
    height, stride = peek(plan, HEIGHT), peek(plan, STRIDE)
    low, high = min(low, -stride), max(high, 2 * stride)
    if low < -stride or high > 2 * stride:  # large windows, of which none of these may be at the end
        margin = (high - low) // 4 + 1
        low, high = low - margin, high + margin
    return max(low, -height), min(high, height)


@native("pool_bands", 4)
def pool_bands(plan, call, scratch, task):
    """A band of rows of dx."""
    n, top = task // peek(plan, BANDS), task % peek(plan, BANDS) * peek(plan, BAND)
    height, width, channels, item = peek(plan, HEIGHT), peek(plan, WIDTH), peek(plan, CHANNELS), peek(plan, ITEM)
    rows, columns, stride = peek(plan, ROW_COUNT), peek(plan, COLUMNS), peek(plan, STRIDE)
    plane, pixel = peek(plan, PLANE), channels * item
    end = min(top + peek(plan, BAND), height)
    source, index = n * peek(plan, OUTPUTS) * channels, peek(call, W) + n * peek(plan, OUTPUTS) * channels * 8
    to, elsewhere = peek(call, Y) + (n * plane + top * width) * pixel, peek(call, RESIDUAL) + 8 * ELSEWHERE
    if peek(plan, SELECT) != 0 and side_by_side(plan, index):
        first, last = top // 2, min(end // 2, rows)
        at = source + first * columns * channels
        if last > first:
            invoke(
                peek(plan, SELECT),
                (
                    peek(call, X) + at * item, peek(call, W) + at * 8, last - first, columns, channels, top * width, to,
                    width, elsewhere,
                ),
            )  # fmt: skip
        if width > 2 * columns:
            invoke(peek(plan, CLEAR), (to + 2 * columns * pixel, 2 * (last - first), width * pixel, channels))
        if end > 2 * last:
            invoke(
                peek(plan, CLEAR), (to + (2 * last - top) * width * pixel, 1, 0, (end - 2 * last) * width * channels)
            )
        return
    low, high, left, right = extent(plan, index)
    spot = peek(plan, SPOT) if high - low == SIDE - 1 and right - left == SIDE - 1 else 0
    if spot == 0:
        low, high = reach(plan, low, high)
    cleared = top
    # The last band has all that are left.
    stop = rows if end == height else min(rows, (end - 1 - low) // stride + 1)
    for row in range(max(0, (top - high) // stride), stop):
        at, first = source + row * columns * channels, row * stride + low
        reached = min(end, row * stride + high + 1) if row + 1 < stop else end
        if reached > cleared:
            count = (reached - cleared) * width * channels
            invoke(peek(plan, CLEAR), (to + (cleared - top) * width * pixel, 1, 0, count))
            cleared = reached
        if spot != 0 and first < end and first + SIDE > top:
            invoke(
                spot,
                (
                    peek(call, X) + at * item, peek(call, W) + at * 8, columns, channels, to, width, height, top, end,
                    first, left, peek(plan, STEP), elsewhere,
                ),
            )  # fmt: skip
        else:
            begin = min(height, max(0, first))
            behind = max(begin, min(height, row * stride + high + 1))
            invoke(
                peek(plan, SCATTER),
                (
                    peek(call, X) + at * item, peek(call, W) + at * 8, columns, channels, channels, top * width,
                    (cleared - top) * width, to, pixel, item, 0, begin * width, (behind - begin) * width, elsewhere,
                ),
            )  # fmt: skip
    if cleared < end:
        invoke(peek(plan, CLEAR), (to + (cleared - top) * width * pixel, 1, 0, (end - cleared) * width * channels))


class Bands:
    """Bands of rows, channels in the lanes."""

    name = "bands"

    def supports(self, problem: PoolProblem, x: PoolSteps, target: Target) -> str | None:
        if problem.layout != LAST:
            return "channels first"
        if dtypes(problem)[1].itemsize != problem.itemsize:
            return f"{problem.dtype} is summed in float32"
        if any(axis.size == 1 < axis.out for axis in problem.axes):
            return "more rows of outputs than an axis of one element has places for"
        return None if problem.plane > 1 else "a single pixel"

    def cost(self, problem: PoolProblem, x: PoolSteps, target: Target, packed: bool) -> float:
        return pool_bands_cycles(problem)

    def build(self, problem: PoolProblem, x: PoolSteps, target: Target, threads: int, packed: bool) -> Execution:
        d, h, w = problem.axes
        select = (d.size, h.size // h.out, w.size // w.out) == (1, 2, 2)
        if d.size > 1 or h.size == 1:
            h, w = (d, Axis(h.size * w.size, h.out * w.out)) if d.size > 1 else (w, h)
        # Windows of a volume are no rectangles in its slices, rows of a signal have one output each, and vectors of few
        # channels have masks.
        lanes = target.lanes(problem.itemsize)
        whole = problem.c % lanes == 0 or problem.c >= 8 * lanes
        spot = whole and target.isa != "avx512" and problem.axes[0].size == 1 and w.out > 1 and problem.plane < 1 << 31
        stride, step = (max(1, round(axis.size / axis.out)) for axis in (h, w))
        # A band for each thread: outputs near a band's ends are looked at for two.
        shares, line = -(-threads // max(1, problem.n)), w.size * problem.c
        band = max(-(-h.size // shares), 4 * stride, -(-TASK_ELEMENTS // line))
        band += band % 2  # whole windows of 2x2
        bands = -(-h.size // band)
        name = "_".join(["{}", dtypes(problem)[0], target.isa])
        plan = PLAN.array(
            clear=microkernel(name.format("poolzero")).address, scatter=scatter_kernel(problem, target),
            select=microkernel(name.format("poolselect")).address if select else 0,
            spot=microkernel(name.format("poolspot")).address if spot else 0, bands=bands, band=band,
            channels=problem.c, item=problem.itemsize, plane=problem.plane, outputs=problem.outputs, height=h.size,
            width=w.size, rows=h.out, columns=w.out, stride=stride, step=step,
            sample=(h.out // 2 * w.out + w.out // 2) * problem.c,
        )  # fmt: skip
        moved = 32 * problem.n * problem.c * (problem.plane + 3 * problem.outputs)
        job = Job(pool_bands.address, plan, problem.n * bands, 0, moved)
        again = Scatter().build(problem, x, target, threads, packed)
        return Execution([job, *again.parts], None, 0, ())

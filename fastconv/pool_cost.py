"""The cost model of pools: cycles of one core."""

from __future__ import annotations

import math
from typing import NamedTuple

from fastconv.target import Target


def pool_taps_cycles(problem, target: Target) -> float:
    """A pool with channels in the lanes: every tap of a vector is loaded."""
    lanes = target.lanes(max(4, problem.itemsize))
    vectors = problem.n * problem.outputs * -(-problem.c // lanes)
    return vectors * (problem.taps + 2) + moved_cycles(problem)


def pool_glide_cycles(problem, target: Target) -> float:
    """A pool of large windows with channels in the lanes: about as much for any size of them."""
    lanes = target.lanes(max(4, problem.itemsize))
    return 30 * problem.n * problem.outputs * -(-problem.c // lanes) + moved_cycles(problem)


def pool_whole_cycles(problem, target: Target) -> float:
    """A pool of whole planes, or its gradient: every element once, and joining the lanes."""
    lanes = target.lanes(max(4, problem.itemsize))
    if problem.layout == "channels_last":
        return problem.n * problem.plane * -(-problem.c // lanes)
    return problem.n * problem.c * (-(-problem.plane // lanes) + 8)


class Rates(NamedTuple):
    """What the parts of a pool cost, in cycles; fitted to random pools."""

    line: float  # a line of `rows`
    down: tuple[float, float]  # a tap of a vector down columns, and the vector
    along: tuple[float, float]  # a tap of a vector along rows, and the vector
    plane: float  # a plane of `pass` that is not one image with those behind it
    row: float  # a vector that it reads
    pick: tuple[float, float]  # a tap that it picks out of them, and a vector
    image: float  # an image of `turned`
    turn: float  # an element of a vector of planes, there and back
    tap: float  # a vector of turned planes
    result: float
    shared: float  # the same where windows share columns
    strided: float  # how many times as much a gradient's takes whose windows do not move on by one


# Of 32 registers, an Intel server core with AVX-512; and of 16, 300 pools each on Zen 3 with AVX2. Without indices, and
# with.
LONG = (
    Rates(0, (2.2, 4.4), (2.2, 4.4), 0, 2, (2, 2), 5000, 8, 1.2, 4, 15, 1),
    Rates(0, (5.8, 11.6), (5.8, 11.6), 0, 4.5, (4.5, 4.5), 5000, 9.2, 2.5, 4.6, 0, 1),
)
SHORT = (
    Rates(40, (1.7, 2.3), (1.7, 7), 110, 1.5, (2, 1), 0, 5.6, 1.4, 9.6, 5.4, 1.4),
    Rates(53, (5.6, 3.5), (5.8, 4), 110, 6.1, (1, 0), 0, 4.3, 2.8, 30, 0, 1),
)


def _rates(problem, target: Target) -> Rates:
    return (SHORT if target.registers == 16 else LONG)[problem.indices]


def pool_rows_cycles(problem, target: Target) -> float:
    """A pool with pixels in the lanes: taps of columns, then of rows."""
    rates, lanes = _rates(problem, target), target.lanes(max(4, problem.itemsize))
    w, backward = problem.axes[2], problem.pass_ == "backward"
    read, written = (w.out, w.size) if backward else (w.size, w.out)
    lines = problem.n * problem.c * math.prod(_results(axis, backward) for axis in problem.axes[:2])
    high = math.prod(_taps(axis, backward) for axis in problem.axes[:2])
    spread = 2 * (backward and w.stride > 1)  # zeros between elements are added as they are
    down = -(-read // lanes) * (rates.down[0] * high + rates.down[1])
    along = -(-written // lanes) * (rates.along[0] * min(w.kernel, w.size) + rates.along[1] + spread)
    return lines * (rates.line + down + along) * (1.5 if problem.in_parts else 1)  # which are picked one by one


def pool_turned_cycles(problem, target: Target) -> float:
    """A pool of planes that are turned, there and back, and then has taps of whole vectors."""
    rates, lanes = _rates(problem, target), target.lanes(max(4, problem.itemsize))
    w, backward = problem.axes[2], problem.pass_ == "backward"
    moved = problem.plane + problem.outputs + 3 * problem.outputs * problem.indices
    taps = math.prod(_taps(axis, backward) for axis in problem.axes)
    shared = (w.kernel, w.stride) == (3, 1) and not problem.indices
    each = rates.shared if shared else rates.tap * taps + rates.result
    each *= rates.strided if backward and w.stride > 1 else 1
    results = math.prod(_results(axis, backward) for axis in problem.axes)
    return rates.image + problem.n * -(-problem.c // lanes) * (rates.turn * moved + each * results)


def pool_pass_cycles(problem, target: Target) -> float:
    """A pool in one pass, pixels in the lanes: every tap of the rows, and whole vectors of outputs."""
    rates, lanes = _rates(problem, target), target.lanes(max(4, problem.itemsize))
    (d, h, w), planes = problem.axes, problem.n * problem.c
    apart = problem.indices or d.out > 1 or h.size != h.out * h.stride or not h.whole
    vectors = planes * d.out * h.out * -(-w.out // lanes)
    each = d.kernel * h.kernel * w.stride * rates.row + w.kernel * rates.pick[0] + rates.pick[1]
    borders = (h.before > 0) + (h.behind > 0)  # lines with fewer rows
    calls = apart * (1 + borders) + (apart or borders) * (w.out < lanes) / 2  # whose last line has masks
    return planes * rates.plane * calls + vectors * each


def pool_sweep_cycles(problem, target: Target) -> float:
    """A pool of small windows that move on by one: every row along itself, and down the rows."""
    lanes = target.lanes(max(4, problem.itemsize))
    _, h, w = problem.axes
    long, high = (w.out, h.out) if problem.pass_ == "forward" else (w.size, h.size)
    each = (high + h.kernel) * (w.kernel + 1) + high * (h.kernel + 1)
    return problem.n * problem.c * (100 + -(-long // lanes) * (each + 30))


def pool_apart_cycles(problem, target: Target) -> float:
    """A gradient whose windows lie side by side: whole vectors are written."""
    lanes = target.lanes(max(4, problem.itemsize))
    (d, h, w), lines = problem.axes, problem.n * problem.c * problem.axes[0].out * problem.axes[1].out
    masked = 16 * d.kernel * h.kernel if w.size > w.out * w.stride else 0  # zeros behind the last window
    return lines * (2 * -(-w.out // lanes) * (d.kernel * h.kernel * w.stride + w.kernel) + masked)


def pool_scatter_cycles(problem) -> float:
    """An element after another, and the plane once."""
    return 4.0 * problem.n * problem.c * problem.outputs + moved_cycles(problem)


def pool_bands_cycles(problem) -> float:
    """An element after another; threads do not write side by side."""
    return 3.0 * problem.n * problem.c * problem.outputs + moved_cycles(problem)


def moved_cycles(problem) -> float:
    """To move what a pool must move, from memory."""
    return problem.bytes / 8


def _results(axis, backward: bool) -> int:
    """How many elements of the result lie along an axis."""
    return axis.size if backward else axis.out


def _taps(axis, backward: bool) -> int:
    """How many elements each of them has, at most: of a gradient those windows that cover it."""
    return min(-(-axis.kernel // axis.stride), axis.out) if backward else min(axis.kernel, axis.size)

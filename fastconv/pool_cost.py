"""The cost model of pools: cycles of one core. What is moved decides most of it, so there are no fitted constants."""

from __future__ import annotations

import math

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
    return problem.n * problem.c * (2 * -(-problem.plane // lanes) + 8)


def pool_rows_cycles(problem, target: Target) -> float:
    """A pool with pixels in the lanes: taps of columns, then of rows."""
    lanes = target.lanes(max(4, problem.itemsize))
    w, backward = problem.axes[2], problem.pass_ == "backward"
    read, written = (w.out, w.size) if backward else (w.size, w.out)
    lines = problem.n * problem.c * math.prod(_results(axis, backward) for axis in problem.axes[:2])
    high = math.prod(_taps(axis, backward) for axis in problem.axes[:2])
    spread = backward and w.stride > 1
    along = -(-written // lanes) * (2 * w.kernel + 4 + 2 * spread)  # zeros between elements are added as they are
    cycles = lines * (-(-read // lanes) * (2 * high + 4) + along)
    # Measured: indices are compared, and parts picked one by one.
    return cycles * (2.9 if problem.indices else 1.1) * (1.5 if problem.in_parts else 1)


def pool_turned_cycles(problem, target: Target) -> float:
    """A pool of planes that are turned: a square of vectors takes four cycles a vector, there and back; then taps of
    whole vectors, three times as long with indices."""
    # Measured: a core that does eight lanes at a time does twice as many of these in a cycle as one of sixteen.
    lanes = 64 // max(4, problem.itemsize)
    moved = problem.plane + problem.outputs + 3 * problem.outputs * problem.indices
    backward = problem.pass_ == "backward"
    taps = math.prod(_taps(axis, backward) for axis in problem.axes)
    results = math.prod(_results(axis, backward) for axis in problem.axes)
    each = results * (taps * (2.2 if problem.indices else 1.2) + 4)
    cycles = problem.n * -(-problem.c // lanes) * (4 * moved + each) + 0.25 * problem.n * problem.c * moved
    # Measured: indices take more, and an image takes 2 us however small it is.
    return 5000 + cycles * (1.15 if problem.indices else 1.0)


def pool_pass_cycles(problem, target: Target) -> float:
    """A pool in one pass, pixels in the lanes: every tap of the rows, and whole vectors of outputs."""
    lanes = target.lanes(max(4, problem.itemsize))
    (d, h, w), lines = problem.axes, problem.n * problem.c * problem.axes[0].out * problem.axes[1].out
    vectors = lines * -(-w.out // lanes)
    return vectors * (d.kernel * h.kernel * w.stride + w.kernel + 1) * (4.5 if problem.indices else 2)


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
    return 2 * lines * -(-w.out // lanes) * (d.kernel * h.kernel * w.stride + w.kernel)


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
    return -(-axis.kernel // axis.stride) if backward else axis.kernel

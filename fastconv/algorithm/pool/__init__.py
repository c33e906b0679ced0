"""Pools: windows that slide, or divide a plane, or have all of it; and the scatter of a max pool's gradient."""

from __future__ import annotations

from fastconv.algorithm.pool.apart import Apart
from fastconv.algorithm.pool.bands import Bands
from fastconv.algorithm.pool.channels_first import Rows
from fastconv.algorithm.pool.channels_last import Windows
from fastconv.algorithm.pool.glide import Glide
from fastconv.algorithm.pool.one_pass import OnePass
from fastconv.algorithm.pool.plan import LAST
from fastconv.algorithm.pool.scatter import Scatter
from fastconv.algorithm.pool.slide import Slide
from fastconv.algorithm.pool.sweep import Sweep
from fastconv.algorithm.pool.turned import Turned
from fastconv.algorithm.pool.weighted import WeightedRows
from fastconv.algorithm.pool.whole import Whole
from fastconv.problem.pool import PoolProblem, PoolSteps, contiguous_steps

__all__ = [
    "Apart",
    "Bands",
    "Glide",
    "OnePass",
    "Rows",
    "Scatter",
    "Slide",
    "Sweep",
    "Turned",
    "WeightedRows",
    "Whole",
    "Windows",
    "reads",
]


def reads(problem: PoolProblem, steps: PoolSteps) -> bool:
    """Whether kernels read a source of these steps as it is: whole vectors along a row, or along channels."""
    item, axes = problem.itemsize, problem.axes
    if any(step % item for step in (steps.n, steps.c, steps.d, steps.h, steps.w)):
        return False
    if problem.pass_ == "forward" and problem.one_window and problem.kind != "weighted_avg":
        same, other = contiguous_steps(problem), steps
        return (same.d, same.h, same.w) == (other.d, other.h, other.w) and (problem.layout != LAST or other.c == item)
    if problem.pass_ == "backward" and (problem.kind in ("max", "lp") or problem.one_window):
        return steps == contiguous_steps(problem)  # other arrays of its shape are read beside it
    if problem.layout == LAST:
        return steps.c == item or problem.c == 1
    width = axes[2].size if problem.pass_ == "forward" else axes[2].out
    return steps.w == item or width == 1

"""Images of one column are computed as images of one row, with the one column of their kernels that sees them.

Vectors of pixels then go down the image; as images of one column each pixel would have a vector of its own. The others
of a kernel's columns lie in the padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import workspace
from fastconv.algorithm.common import Execution, Steps
from fastconv.problem.conv import Problem

MOST_BYTES = (
    workspace.MOST_WEIGHT_BYTES * 2 // 5
)  # of a column of kernels, which are packed besides, for some half as large again


def as_row(problem: Problem, x: Steps) -> tuple[Problem, Steps, int | None]:
    """A convolution of images of height 1 with the same result, and the column of kernels that is their row of taps;
    None and the problem as it is if that is all of them, or if there is no such convolution."""
    same = problem, x, None
    if problem.pass_ != "forward" or problem.depth or problem.frames or problem.borrowed:
        return same
    if (problem.w, problem.ow) != (1, 1) or problem.h == 1:
        return same
    (top, (before, _)), (down, across) = problem.padding, problem.dilation
    column, rest = divmod(before, across)
    if rest or column >= problem.s:
        return same  # nothing but padding is seen
    row = replace(
        problem, h=1, w=problem.h, r=1, s=problem.r, stride=(1, problem.stride[0]), padding=((0, 0), top),
        dilation=(1, down),
    )  # fmt: skip
    steps = replace(x, h=problem.h * x.h, w=x.h)
    if problem.s == 1:
        return row, steps, None
    # Of other borders the padding is not zeros; and infinity times zero is NaN, where sums are to be strict.
    plain = problem.padding_mode == "zeros" and problem.precision != "strict"
    return (row, steps, column) if plain and _bytes(row) <= MOST_BYTES else same


def _bytes(row: Problem) -> int:
    """The size of the column of kernels that a row has."""
    return math.prod(row.weight_shape) * row.itemsize


@dataclass
class Column:
    """A convolution by one column of kernels, ready to run; see `Execution`."""

    inner: Execution
    problem: Problem  # of rows
    column: int

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "column", self.column, *self.inner.packing

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return _bytes(self.problem) + self.inner.workspace(count)

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """What to run with as `packed` in place of this weight; it may be kept and used again."""
        return self.inner.pack(np.ascontiguousarray(weight[..., self.column]))

    def run(self, x, weight, bias, residual, y, packed=None) -> None:
        """Convolve into `y`."""
        if packed is not None:
            self.inner.run(x, None, bias, residual, y, packed)
            return
        size = _bytes(self.problem)
        block = workspace.take(size)
        try:
            own = block.memory[:size].view(weight.dtype).reshape(weight.shape[:-1])
            np.copyto(own, weight[..., self.column])
            self.inner.run(x, own, bias, residual, y)
        finally:
            workspace.give(block)

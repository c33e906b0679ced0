"""Images of one column are computed as images of one row, with the one column of their kernels that sees them.

Vectors of pixels then go down the image; as images of one column each pixel would have a vector of its own. The others
of a kernel's columns lie in the padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastconv.algorithm.common import Execution, Steps
from fastconv.problem.conv import Problem


def as_row(problem: Problem, x: Steps) -> tuple[Problem, Steps, int | None]:
    """A convolution of images of height 1 with the same result, and the column of kernels that is their row of taps;
    None and the problem as it is if that is all of them, or if there is no such convolution."""
    known = isinstance(problem, Problem) and problem.pass_ == "forward"  # neither a pool nor a gradient
    known = known and problem.depth is None and problem.frames is None and problem.borrowed is None
    if not known or (problem.w, problem.ow) != (1, 1) or problem.h == 1:
        return problem, x, None
    (top, (before, _)), (down, across) = problem.padding, problem.dilation
    column, rest = divmod(before, across)
    # Of other borders the padding is not zeros; and infinity times zero is NaN, where sums are to be strict.
    plain = problem.padding_mode == "zeros" and problem.precision != "strict"
    if rest or column >= problem.s or (problem.s > 1 and not plain):
        return problem, x, None
    row = replace(
        problem, h=1, w=problem.h, r=1, s=problem.r, stride=(1, problem.stride[0]), padding=((0, 0), top),
        dilation=(1, down),
    )  # fmt: skip
    return row, replace(x, h=problem.h * x.h, w=x.h), column if problem.s > 1 else None


@dataclass
class Column:
    """A convolution by one column of kernels, ready to run; see `Execution`."""

    inner: Execution
    column: int
    nbytes: int  # of that column

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "column", self.column, *self.inner.packing

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self.nbytes + self.inner.workspace(count)

    def _own(self, weight: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(weight[..., self.column])

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """What to run with as `packed` in place of this weight; it may be kept and used again."""
        return self.inner.pack(self._own(weight))

    def run(self, x, weight, bias, residual, y, packed=None) -> None:
        """Convolve into `y`."""
        self.inner.run(x, None if packed is not None else self._own(weight), bias, residual, y, packed)

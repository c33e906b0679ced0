"""What plans of pools have in common: named fields, and the factors of outputs as kernels read them."""

from __future__ import annotations

import math

import numpy as np

from fastconv.algorithm.pool.taps import Taps
from fastconv.problem.pool import PoolProblem, PoolSteps, contiguous_steps

LAST = "channels_last"


class Plan:
    """An array of integers whose fields have names; an array among them stands for its address."""

    def __init__(self, names: str):
        self.fields = names.split()

    def array(self, **values) -> np.ndarray:
        """The plan with these values."""
        if set(values) != set(self.fields):
            raise TypeError(f"plan: {set(values) ^ set(self.fields)}")
        return np.array([_integer(values[name]) for name in self.fields], np.int64)


def _integer(value) -> int:
    if value is None:
        return 0
    return value.ctypes.data if isinstance(value, np.ndarray) else int(value)


def addresses(tables: list[Taps]) -> dict[str, np.ndarray]:
    """The plan's fields of the three axes' tables."""
    (depth_begins, depth_taps), (row_begins, row_taps), (begins, taps) = tables
    return {
        "depth_begins": depth_begins, "depth_taps": depth_taps, "row_begins": row_begins, "row_taps": row_taps,
        "begins": begins, "taps": taps,
    }  # fmt: skip


def tap_indices(problem: PoolProblem) -> list[tuple[int, int]]:
    """(by how much a position's index grows, by how much a tap's) along each axis.

    Indices are positions in x's plane; of a weighted pool numbers of taps, and in gradients positions in y's plane.
    """
    if problem.kind == "weighted_avg":
        sizes = [axis.kernel for axis in problem.axes]
        return [(0, math.prod(sizes[i + 1 :])) for i in range(3)]
    sizes = [axis.size if problem.pass_ == "forward" else axis.out for axis in problem.axes]
    return [(math.prod(sizes[i + 1 :]), 0) for i in range(3)]


def index_word(problem: PoolProblem) -> str:
    """The word of a kernel that carries indices."""
    if not problem.indices:
        return ""
    return "indices" if problem.plane < 2**31 else "far"


def factor_rows(factor: np.ndarray, cells: list[int], dtype: np.dtype, pairs: bool) -> tuple[np.ndarray, np.ndarray]:
    """The address of every line's factors, and the rows there: (divisor, reciprocal) a cell, or all divisors first.

    Rows have 64 elements of slack, so that whole vectors may be read.
    """
    depths, rows, width = cells
    lines, which = np.unique(np.broadcast_to(factor, (*factor.shape[:2], width)).reshape(-1, width), axis=0,
                             return_inverse=True)  # fmt: skip
    numbers = np.ones((len(lines), 2, width + 64))
    numbers[:, 0, :width] = lines
    numbers[:, 1] = 1 / numbers[:, 0]
    numbers = np.ascontiguousarray(numbers.transpose(0, 2, 1) if pairs else numbers, dtype)
    places = numbers.ctypes.data + which.reshape(factor.shape[:2]).astype(np.int64) * numbers.strides[0]
    return np.ascontiguousarray(np.broadcast_to(places, (depths, rows)), np.int64), numbers


def planes_contiguous(problem: PoolProblem, x: PoolSteps) -> bool:
    """Whether a plane's elements follow each other."""
    same = contiguous_steps(problem)
    return (x.d, x.h, x.w) == (same.d, same.h, same.w)

"""Tables of taps: for every cell of an axis the elements that its window covers, or the windows that cover it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastconv.problem.pool_axes import Axis


class Taps(NamedTuple):
    """Cells begin at `begins`; `table` has a byte offset and an index for each tap."""

    begins: np.ndarray
    table: np.ndarray

    @property
    def most(self) -> int:
        """Taps of the cell that has most."""
        return int(np.diff(self.begins).max(initial=0))


def windows(axis: Axis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(window, element, tap) of every tap inside the axis, window by window."""
    first, count = axis.first_tap(), axis.inside()
    window = np.repeat(np.arange(axis.out), count)
    tap = np.arange(window.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return window, axis.starts()[window] + tap * axis.dilation, tap


def taps_of(axis: Axis, backward: bool, step: int, position: int, tap: int) -> Taps:
    """A table of the axis: `step` bytes to the next element read, whose index grows by `position`; by `tap` a tap."""
    cell, read, number = windows(axis)
    cells = axis.out
    if backward:
        order = np.argsort(read, kind="stable")
        cell, read, number, cells = read[order], cell[order], number[order], axis.size
    begins = np.zeros(cells + 1, np.int64)
    begins[1:] = np.cumsum(np.bincount(cell, minlength=cells))
    return Taps(begins, np.stack([read * step, read * position + number * tap], 1).astype(np.int64))


def each_alone(count: int, step: int, index: int = 0) -> Taps:
    """Cells of one tap each, `step` bytes apart."""
    numbers = np.arange(count + 1, dtype=np.int64)
    return Taps(numbers, np.stack([numbers[:-1] * step, numbers[:-1] * index], 1))


def stacked(taps: Taps, count: int, step: int) -> Taps:
    """The cells of `count` images, `step` bytes apart, one after another."""
    begins, table = taps
    every = np.concatenate([begins[:-1] + i * len(table) for i in range(count)] + [[count * len(table)]])
    return Taps(every.astype(np.int64), np.concatenate([table + np.array((i * step, 0)) for i in range(count)]))

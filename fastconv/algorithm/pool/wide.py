"""Many taps along a row in two steps: groups of neighbours first, then groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastconv.algorithm.pool.taps import Taps

MANY = 8  # taps from which on two steps, or blocks of rows, are faster


class Groups(NamedTuple):
    """The taps of a group, and for every line those of a window: groups, which lie `apart` bytes away, and elements."""

    group: np.ndarray
    windows: Taps


def groups(kernel: int, step: int, whole: bool, lines: int, pitch: int, apart: int) -> Groups:
    """The tables of rows `pitch` bytes apart, their taps `step`; `whole`: no element is in two groups of a window."""

    def count(size: int) -> int:
        """How many groups of this size a window has."""
        return kernel // size if whole else -(-kernel // size)

    size = min(range(2, kernel), key=lambda size: size + count(size) + max(0, kernel - count(size) * size))
    starts = [min(i * size, kernel - size) for i in range(count(size))]
    single = list(range(count(size) * size, kernel))  # the elements in none
    offsets = np.array([apart + at * step for at in starts] + [at * step for at in single])
    table = (np.arange(lines)[:, None] * pitch + offsets).reshape(-1)
    begins = np.arange(lines + 1, dtype=np.int64) * len(offsets)
    group = np.arange(size) * step
    return Groups(_pairs(group), Taps(begins, _pairs(table)))


def _pairs(offsets: np.ndarray) -> np.ndarray:
    return np.stack([offsets, np.zeros_like(offsets)], 1).astype(np.int64)

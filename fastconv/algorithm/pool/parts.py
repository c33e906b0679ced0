"""The axis along a row in scratch whose windows are not alike: which places each reads, or where it begins and ends."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.pool.row import SEGMENT_OUTPUTS
from fastconv.algorithm.pool.taps import windows
from fastconv.problem.pool_axes import Axis, Parts

LONG = 16  # elements of a window, on average, from which on a window is read by whole vectors
PLAIN_STRIDE = 4  # up to which `poolrow` has kernels that read whole vectors


def in_parts(axis: Axis, adaptive: bool) -> bool:
    """Whether a row of an adaptive pool is read by a table."""
    return isinstance(axis, Parts) or (adaptive and axis.stride > PLAIN_STRIDE)


class PartsOfRow:
    """A row cut into segments, with a table for each."""

    def __init__(self, axis: Axis, backward: bool, lanes: int):
        window, element, _ = windows(axis)
        if backward:
            order = np.argsort(element, kind="stable")
            window, element = element[order], window[order]
        self.out = axis.size if backward else axis.out
        self.size = axis.out if backward else axis.size
        counts = np.bincount(window, minlength=self.out)
        first = element[np.cumsum(counts) - counts]
        self.spans = not backward and counts.mean() >= LONG
        self.op = "poolspans" if self.spans else "poolpicks"
        self.most = int(counts.max())
        # A segment reads no more elements than it has outputs, or but one window.
        each = max(1, min(self.out, int(SEGMENT_OUTPUTS * min(1, self.out / self.size))))
        words, tables = [], []
        for start in range(0, self.out, each):
            stop = min(self.out, start + each)
            column, end = first[start], int((first + counts)[start:stop].max())
            begins, some = first[start:stop] - column, counts[start:stop]
            words.append((start, stop - start, column, end - column, 0))
            tables.append((begins, some, end - column))
        self.segments = np.array(words, np.int64)
        self.elements = -(-(int(self.segments[:, 3].max()) + 1) // 16) * 16
        self.outputs = -(-each // lanes) * lanes
        self.tables = [self._spans(*table) if self.spans else self._picks(*table) for table in tables]

    def _spans(self, begins, counts, columns) -> np.ndarray:
        """(first element, elements) of each window."""
        return np.ascontiguousarray(np.stack([begins, counts], 1), np.int64)

    def _picks(self, begins, counts, columns) -> np.ndarray:
        """The place of each window's every tap; one beyond the columns, where nothing is, for taps that it lacks."""
        table = np.full((self.most, self.outputs), columns, np.int32)
        for tap in range(self.most):
            there = tap < counts
            table[tap, : len(begins)][there] = begins[there] + tap
        return table

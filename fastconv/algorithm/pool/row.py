"""The axis along a row in scratch: where its elements lie, and how it is cut into segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastconv.microkernels.pool import UNROLLED
from fastconv.problem.pool_axes import Axis

HEAD = 64  # bytes before the rows
SEGMENT_OUTPUTS = 2048  # that a row has at most: longer ones are cut, so that scratch stays small


@dataclass(frozen=True)
class Row:
    """`out` windows along a row of `size` elements, `spread` places apart, the first of which lies at `before`."""

    size: int
    out: int
    kernel: int
    stride: int
    step: int
    before: int
    spread: int = 1

    @property
    def words(self) -> tuple[str, str]:
        """The stride in a kernel's name, and the taps if they are few."""
        few = self.kernel <= UNROLLED
        return f"s{self.stride}" if self.stride <= 4 else "any", f"t{self.kernel}" if few else ""


def row_of(axis: Axis, backward: bool) -> Row:
    """The row of a pool, or of its gradient: there windows of the result's elements lie on rows of dy, spread apart."""
    if not backward:
        # The stride of one window has no meaning, but could be huge.
        stride, before = _side_by_side(axis) if axis.out > 1 else (1, axis.before)
        return Row(axis.size, axis.out, axis.kernel, stride, axis.dilation, before)
    before = (axis.kernel - 1) * axis.dilation - axis.before
    return Row(axis.out, axis.size, axis.kernel, 1, axis.dilation, before, axis.stride if axis.out > 1 else 1)


def _side_by_side(axis: Axis) -> tuple[int, int]:
    """(stride, before) of windows that see the same elements, but lie no farther apart than is needed for that: the
    border between them is in scratch."""
    span = (axis.kernel - 1) * axis.dilation + 1
    apart = axis.size + span
    if axis.stride <= apart:
        return axis.stride, axis.before
    # One window at most sees any: the first that does not end before the axis, unless it begins behind it.
    seen = max(0, -(-(axis.before - span + 1) // axis.stride))
    return apart, seen * apart - min(seen * axis.stride - axis.before, axis.size)


def segments_of(row: Row, lanes: int) -> tuple[np.ndarray, int]:
    """(first output, outputs, first element read, elements read, elements before them in scratch) of every segment,
    and the elements of a row in scratch, with what whole vectors read beyond its end."""
    most = max(lanes, SEGMENT_OUTPUTS // row.stride // lanes * lanes)
    words = []
    for first in range(0, row.out, most):
        outputs = min(most, row.out - first)
        start = first * row.stride - row.before
        stop = start + (outputs - 1) * row.stride + (row.kernel - 1) * row.step + 1
        column = -(-max(start, 0) // row.spread)
        last = min(row.size - 1, (stop - 1) // row.spread)
        # Where the border is all that a segment sees, its place does not matter.
        columns = max(0, last - column + 1)
        words.append((first, outputs, column, columns, column * row.spread - start if columns else 0))
    outputs = min(most, row.out)
    reach = -(-outputs // lanes) * lanes * row.stride if row.stride <= 4 else (outputs - 1) * row.stride + 1
    elements = reach + (row.kernel - 1) * row.step
    return np.array(words, np.int64), -(-elements // 16) * 16

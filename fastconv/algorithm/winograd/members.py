"""The family F(mh x mw, r x s), and for which precision each member's errors are small enough."""

from __future__ import annotations

from dataclasses import dataclass

from fastconv.microkernels.winograd import tiles
from fastconv.problem.conv import Problem

# The most values that a tile may have along its two axes together, m + taps - 1 each: errors grow with both;
# docs/accuracy.md has them measured.
MOST_VALUES = {"strict": 0, "default": 14, "fast": 16}
# With fewer input channels plain sums are so short that they hardly err, which the bounds are multiples of.
LEAST_CHANNELS = 4
# Matrix tiles add up all channels in a row, where register tiles have chunks of 64: errors grow on.
MOST_MATRIX_CHANNELS = 512


@dataclass(frozen=True)
class Member:
    """F(mh x mw, r x s)."""

    mh: int
    mw: int
    r: int
    s: int
    matrix: bool = False  # its products on matrix tiles

    @property
    def products(self) -> int:
        """Multiplications of a tile."""
        return (self.mh + self.r - 1) * (self.mw + self.s - 1)

    @property
    def variant(self) -> str:
        """Its word in the names of microkernels."""
        return f"{self.mh}x{self.mw}k{self.r}x{self.s}"

    def windows(self, problem: Problem) -> tuple[int, int]:
        """Rows and columns of windows: one tile for each of the dilation's sub-grids."""
        (dh, dw), (oh, ow) = problem.dilation, (problem.oh, problem.ow)
        return -(-oh // (self.mh * dh)), -(-ow // (self.mw * dw))


def family(r: int, s: int, precision: str) -> tuple[Member, ...]:
    """The members for r x s taps within a precision."""
    most = MOST_VALUES[precision]
    return tuple(Member(mh, mw, r, s) for mh, mw in tiles(r, s) if mh + r + mw + s - 2 <= most)

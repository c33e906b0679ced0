"""The family F(mh x mw, r x s), at stride 1 or 2, and for which precision each member's errors are small enough."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from fastconv.microkernels import toomcook
from fastconv.microkernels.winograd import tiles, word
from fastconv.problem.conv import Problem

# The most values that a tile's first phase may have along its two axes together, m + taps - 1 each: errors grow with
# both; docs/accuracy.md has them measured.
MOST_VALUES = {"strict": 0, "default": 14, "fast": 16}
# With fewer input channels plain sums are so short that they hardly err, which the bounds are multiples of.
LEAST_CHANNELS = 4
# Matrix tiles add up all channels in a row, where register tiles have chunks of 64: errors grow on.
MOST_MATRIX_CHANNELS = 512


@dataclass(frozen=True)
class Member:
    """F(mh x mw, r x s) at stride sh x sw."""

    mh: int
    mw: int
    r: int
    s: int
    sh: int = 1
    sw: int = 1
    matrix: bool = False  # its products on matrix tiles

    @functools.cached_property
    def products(self) -> int:
        """Multiplications of a tile."""
        return toomcook.products(self.mh, self.r, self.sh) * toomcook.products(self.mw, self.s, self.sw)

    @functools.cached_property
    def weights(self) -> int:
        """Different values of transformed weights that its products take."""
        down, across = toomcook.weights(self.mh, self.r, self.sh), toomcook.weights(self.mw, self.s, self.sw)
        return (down[-1] + 1) * (across[-1] + 1)

    @property
    def variant(self) -> str:
        """Its word in the names of microkernels."""
        return word(self.mh, self.mw, self.r, self.s, self.sh, self.sw)

    def order(self) -> list[tuple[int, int]]:
        """(product, its value of transformed weights), those that share a value one after the other."""
        down, across = toomcook.weights(self.mh, self.r, self.sh), toomcook.weights(self.mw, self.s, self.sw)
        wide = across[-1] + 1
        weights = (i * wide + j for i, j in itertools.product(down, across))
        return sorted(enumerate(weights), key=lambda both: both[1])

    def windows(self, problem: Problem) -> tuple[int, int]:
        """Rows and columns of windows: one tile for each of the dilation's sub-grids."""
        (dh, dw), (oh, ow) = problem.dilation, (problem.oh, problem.ow)
        return -(-oh // (self.mh * dh)), -(-ow // (self.mw * dw))

    def strip(self, problem: Problem, cut) -> tuple[int, int]:
        """Rows and columns of the strip that a block of `cut` reads."""
        rows = (cut.high * self.mh * self.sh + problem.r - self.sh) * cut.classes
        columns = (cut.wide * self.mw * self.sw + problem.s - self.sw - 1) * problem.dilation[1] + cut.column_classes
        return rows, columns


def strided(problem: Problem) -> str | None:
    """Why no member can have a problem's stride."""
    if problem.stride != (1, 1) and problem.dilation != (1, 1):
        return "stride with dilation"
    return None if problem.stride == (2, 2) or problem.stride[0] == 1 else "stride"


def no_member(problem: Problem) -> str:
    """That a family is empty."""
    kernel = f"{problem.r}x{problem.s}"
    if problem.stride != (1, 1):
        kernel += " at stride {}x{}".format(*problem.stride)
    return f"no member for a kernel of {kernel} within precision={problem.precision!r}"


@functools.cache
def family(r: int, s: int, precision: str, stride: tuple[int, int] = (1, 1)) -> tuple[Member, ...]:
    """The members for r x s taps at a stride within a precision."""
    most = MOST_VALUES[precision]
    members = (Member(mh, mw, r, s, *stride) for mh, mw in tiles(r, s, *stride))
    return tuple(m for m in members if m.mh - (-r // m.sh) + m.mw - (-s // m.sw) - 2 <= most)

"""The family F(mh x mw, r x s), and who may be used: how far a member's errors go decides for which precision."""

from __future__ import annotations

from dataclasses import dataclass

from fastconv.problem import Problem

# Output pixels of a tile along an axis, by the kernel's taps along it. Errors grow with m + taps; docs/accuracy.md has
# them measured. "fast" adds tiles to what "default" has.
DEFAULT = {1: (1,), 2: (2, 4), 3: (2, 3, 4), 4: (2, 3), 5: (2,)}
FAST = {1: (1,), 2: (2, 4), 3: (2, 3, 4, 5, 6), 4: (2, 3, 4), 5: (2, 4), 7: (2,)}
ALLOWED: dict[str, dict[int, tuple[int, ...]]] = {"strict": {}, "default": DEFAULT, "fast": FAST}


@dataclass(frozen=True)
class Member:
    """F(mh x mw, r x s)."""

    mh: int
    mw: int
    r: int
    s: int

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
    """The members for r x s taps within a precision; for square kernels square tiles only."""
    heights, widths = ALLOWED[precision].get(r, ()), ALLOWED[precision].get(s, ())
    if (r, s) == (1, 1):
        return ()
    return tuple(Member(mh, mw, r, s) for mh in heights for mw in widths if r != s or mh == mw)

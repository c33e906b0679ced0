"""The input gradient as convolutions of stride 1: its phases. Pure Python.

With stride s, inputs i = a + s j of one phase a meet only the taps r for which s divides a + before - r dilation, and
these are evenly spaced. So a phase is a convolution of dy of stride 1, with its taps in reverse order:

    dx[a + s j] = sum over m of w[first + m step] dy[j + shift - m dilation / g],   g = gcd(dilation, s), step = s / g

V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, chapter 4.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

from fastconv.problem.conv import Borrowed, Pair, Problem


@dataclass(frozen=True)
class Axis:
    """One phase along one axis: how many inputs it has, its evenly spaced taps, and what it reads of dy."""

    size: int
    first: int  # tap
    step: int
    taps: int
    dilation: int
    above: int  # outputs that its windows reach beyond dy; those they leave out, if negative
    below: int
    outputs: int

    @property
    def crop(self) -> Pair:
        """The part of dy that windows reach."""
        return max(0, -self.above), self.outputs - max(0, -self.below)

    @property
    def pads(self) -> Pair:
        """The padding of that part."""
        return max(0, self.above), max(0, self.below)

    @property
    def zero(self) -> bool:
        """Whether no output ever saw these inputs."""
        return self.taps == 0 or self.crop[0] >= self.crop[1]

    def part(self, start: int, stop: int) -> Axis:
        """Some of the inputs only."""
        below = self.below - (self.size - stop)
        return replace(self, size=stop - start, above=self.above - start, below=below)


def axis_phases(size: int, kernel: int, stride: int, dilation: int, before: int, outputs: int) -> list[Axis]:
    """The phases along one axis of `size` inputs, padded by `before`, that gave `outputs` outputs."""
    common = math.gcd(dilation, stride)
    step, spread = stride // common, dilation // common
    found = []
    for start in range(min(stride, size)):
        inputs = -(-(size - start) // stride)
        first = next((r for r in range(min(step, kernel)) if (start + before - r * dilation) % stride == 0), kernel)
        taps = -(-(kernel - first) // step)
        shift = (start + before - first * dilation) // stride
        above, below = (taps - 1) * spread - shift, inputs + shift - outputs
        found.append(Axis(inputs, first, step, taps, spread, above, below, outputs))
    return found


@dataclass(frozen=True)
class Phase:
    """Every stride-th input along both axes, and the convolution of dy that gives their gradient; None: it is zero."""

    rows: Axis
    columns: Axis
    problem: Problem | None

    @property
    def taps(self) -> list[tuple[int, int]]:
        """The taps of w, in the order in which the convolution has them."""
        across, down = self.columns, self.rows
        return [
            (down.first + i * down.step, across.first + j * across.step)
            for i in reversed(range(down.taps))
            for j in reversed(range(across.taps))
        ]


@functools.lru_cache(maxsize=8)
def phases_of(problem: Problem, band: Pair | None = None) -> tuple[Phase, ...]:
    """All phases of an input gradient with zero padding, row by row; `band`: of some rows of dx only, which start at a
    multiple of the stride."""
    (sh, sw), (dh, dw), ((top, _), (left, _)) = problem.stride, problem.dilation, problem.padding
    down = axis_phases(problem.h, problem.r, sh, dh, top, problem.oh)
    across = axis_phases(problem.w, problem.s, sw, dw, left, problem.ow)
    if band is not None:
        start, stop = band
        down = [axis.part(start // sh, -(-(stop - a) // sh)) for a, axis in enumerate(down) if a < stop - start]
    return tuple(Phase(rows, columns, _convolution(problem, rows, columns)) for rows in down for columns in across)


def _convolution(problem: Problem, rows: Axis, columns: Axis) -> Problem | None:
    """The convolution of (a part of) dy by the taps of one phase."""
    if rows.zero or columns.zero:
        return None
    return replace(
        problem, c=problem.k, k=problem.c, h=rows.crop[1] - rows.crop[0], w=columns.crop[1] - columns.crop[0],
        r=rows.taps, s=columns.taps, stride=(1, 1), padding=(rows.pads, columns.pads),
        dilation=(rows.dilation, columns.dilation), pass_="forward",
        frames=problem.frames if problem.stride == (1, 1) else None,  # else results wait to be put together
    )  # fmt: skip


def as_w_lies(problem: Problem, phase: Phase) -> Problem:
    """The convolution of a phase by weights as they lie."""
    axes = phase.rows, phase.columns
    first = tuple(axis.first + (axis.taps - 1) * axis.step for axis in axes)
    return replace(phase.problem, borrowed=Borrowed(problem.r, problem.s, first, tuple(-axis.step for axis in axes)))

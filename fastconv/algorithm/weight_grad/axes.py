"""The lines of a strip along one axis, and problems whose pixels are one row. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastconv.algorithm.common import Steps
from fastconv.problem.conv import Problem


@dataclass(frozen=True)
class Axis:
    """Input lines of a strip along one axis, in parts that are packed one by one."""

    parts: int
    lines: int  # of a part
    step: int  # input lines from one line to the next
    part_step: int  # and from one part to the next
    output: int  # lines from one output to the next
    tap: int  # from one tap to the next

    @property
    def total(self) -> int:
        """Lines of all parts."""
        return self.parts * self.lines


def axis_of(outputs: int, taps: int, stride: int, dilation: int, *, steps: bool) -> Axis:
    """All lines between the first tap and the last, or each tap's own where that is less; `steps`: lines may be left
    out between those of a part."""
    together = (outputs - 1) * stride + (taps - 1) * dilation + 1
    each, step = (outputs, stride) if steps else ((outputs - 1) * stride + 1, 1)
    if taps * each < together:
        return Axis(taps, each, step, dilation, stride // step, each)
    return Axis(1, together, 1, 0, stride, dilation)


def flattened(problem: Problem, x: Steps) -> tuple[Problem, Steps]:
    """The same problem with its pixels in one row, and all images in one where that is so, if a kernel of one tap
    allows it."""
    if (problem.r, problem.s, problem.stride) != (1, 1, (1, 1)) or not problem.padding_zero or problem.n == 0:
        return problem, x
    if problem.h > 1:
        if x.h != problem.w * x.w:
            return problem, x
        problem, x = replace(problem, h=1, w=problem.h * problem.w), replace(x, h=problem.h * problem.w * x.w)
    if problem.n > 1 and problem.layout == "channels_last" and x.n == problem.w * x.w:
        problem, x = replace(problem, n=1, w=problem.n * problem.w), replace(x, n=problem.n * x.n)
    return problem, x

"""Fused Winograd convolution: fewer multiplications for kernels of 2 to 7 taps at stride 1, of 3 to 7 at stride 2.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016): every tile of outputs is transformed,
multiplied point by point, which over channels is a matrix product for each point, and transformed back. All three steps
follow one another in blocks (`tasks`); nothing but u, the transformed weights, ever has the size of a whole tensor.
Products are formed in register tiles ("winograd") or on matrix tiles ("winograd_amx").
"""

from __future__ import annotations

from dataclasses import replace

from fastconv import workspace
from fastconv.algorithm.amx import refusal
from fastconv.algorithm.common import Execution, Steps
from fastconv.algorithm.winograd import jobs, plan
from fastconv.algorithm.winograd.members import LEAST_CHANNELS, MOST_MATRIX_CHANNELS, Member, family, no_member, strided
from fastconv.problem.conv import Problem
from fastconv.target import Target


class Winograd:
    """Stride 1, any padding, any dilation, or stride 2; kernels as `members` lists them."""

    def __init__(self, only: Member | None = None, images: int = 1, matrix: bool = False):
        self.matrix = only.matrix if only else matrix  # products on matrix tiles
        self.name = "winograd_amx" if self.matrix else "winograd"
        self.only = only  # for tests and the table of errors: this member, whatever the precision
        # The member decides the bits, which must not depend on how a batch is split: it is that of so many images.
        self.images = images

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if self.matrix and (reason := refusal(problem, target)) is not None:
            return reason
        if self.matrix and problem.stride != (1, 1):
            return "stride on matrix tiles"
        if (reason := strided(problem)) is not None:
            return reason
        if problem.precision == "strict":
            return "precision='strict' keeps to plain sums"
        if not self._family(problem):
            return no_member(problem)
        if not self._members(problem, target):
            return f"the tiles of one window take more than {workspace.MOST_SCRATCH_BYTES >> 20} MiB"
        if not self.only and problem.c // problem.groups < LEAST_CHANNELS:
            return f"a group has fewer than {LEAST_CHANNELS} input channels"
        if self.matrix and not self.only and problem.c // problem.groups > MOST_MATRIX_CHANNELS:
            return f"a group has more than {MOST_MATRIX_CHANNELS} input channels, which matrix tiles add up in a row"
        if problem.itemsize not in (x.w, x.c):
            return "neither x's rows nor its channels are contiguous"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return _cycles(problem, self._member(problem, target, packed), target, packed)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        return jobs.execution(problem, x, self._member(problem, target, packed), target, threads, packed)

    def _member(self, problem: Problem, target: Target, packed: bool) -> Member:
        """The member to compute with."""
        batch = replace(problem, n=self.images)
        return min(self._members(problem, target), key=lambda member: _cycles(batch, member, target, packed))

    def _family(self, problem: Problem) -> tuple[Member, ...]:
        if self.only:  # images of one column are computed as rows, by a kernel of another size
            own = self.only.r, self.only.s, self.only.sh, self.only.sw
            members = (self.only,) * (own == (problem.r, problem.s, *problem.stride))
        else:
            members = family(problem.r, problem.s, problem.precision, problem.stride)
        return tuple(replace(member, matrix=True) for member in members) if self.matrix else members

    def _members(self, problem: Problem, target: Target) -> tuple[Member, ...]:
        return tuple(m for m in self._family(problem) if plan.fits(problem, m, target))


def _cycles(problem: Problem, member: Member, target: Target, packed: bool) -> float:
    """What one member costs on one core."""
    return plan.Cut.of(problem, member, target, 1, packed).cycles(problem, member, target, 1, packed)

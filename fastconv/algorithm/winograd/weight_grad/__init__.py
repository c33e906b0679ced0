"""The weight's gradient by Winograd's algorithm: the forward member's transforms, transposed.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016). F(4x4, 3x3) takes 36 products for the 144 of a
tile and a pair of channels, as the forward convolution does, but adds them up over all tiles before its one transform
back. See `tasks`.
"""

from __future__ import annotations

from fastconv.algorithm.common import Execution, Steps
from fastconv.algorithm.winograd.members import Member, family, no_member, strided
from fastconv.algorithm.winograd.weight_grad import plan
from fastconv.cost import winograd_weight_grad_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target

# Shorter sums hardly err when they are added plainly, which the bounds are multiples of.
LEAST_PRODUCTS = 64


class WinogradWeightGrad:
    """Stride 1, any padding, any dilation, or stride 2; kernels as `members` lists them."""

    name = "winograd"

    def __init__(self, only: Member | None = None):
        self.only = only  # for tests: this member, whatever the precision

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if (reason := strided(problem)) is not None:
            return reason
        if problem.precision == "strict":
            return "precision='strict' keeps to plain sums"
        if x.g:
            return "groups do not follow one another"
        if not self._family(problem):
            return no_member(problem)
        if not self.only and problem.n * problem.oh * problem.ow < LEAST_PRODUCTS:
            return f"sums have fewer than {LEAST_PRODUCTS} products"
        if problem.itemsize not in (x.w, x.c):
            return "neither x's rows nor its channels are contiguous"
        if not self._cuts(problem, target):
            return "the tiles of one window take too much memory"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return min(cycles for cycles, _, _ in self._cuts(problem, target))

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        _, member, cut = min(self._cuts(problem, target), key=lambda found: found[0])
        return plan.execution(problem, x, member, cut, target)

    def _family(self, problem: Problem) -> tuple[Member, ...]:
        return (self.only,) if self.only else family(problem.r, problem.s, problem.precision, problem.stride)

    def _cuts(self, problem: Problem, target: Target) -> list[tuple[float, Member, plan.Cut]]:
        """What each member costs, and its cut."""
        cuts = ((member, plan.Cut.of(problem, member, target)) for member in self._family(problem))
        return [(winograd_weight_grad_cycles(problem, m, cut, target), m, cut) for m, cut in cuts if cut is not None]

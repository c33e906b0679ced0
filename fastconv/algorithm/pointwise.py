"""1x1 convolution as a matrix product on x itself: no packing of the input at any stride."""

from __future__ import annotations

from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.im2col import best_shape, execution
from fastconv.cost import dense_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


class Pointwise:
    """1x1 kernels without padding, on input whose pixels are evenly spaced."""

    name = "pointwise"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if (problem.r, problem.s) != (1, 1):
            return "the kernel is not 1x1"
        if not problem.padding_zero:
            return "the input is padded"
        _, _, item = names_of(problem)
        if item != problem.itemsize:
            return "narrow dtypes are widened while packing"
        if problem.borrowed and (problem.borrowed.r, problem.borrowed.s) != (1, 1):
            return "some taps of another convolution's kernels"
        if problem.layout == "channels_first" and x.w != item:
            return "x's rows are not contiguous"
        if problem.layout == "channels_last" and x.c % item:
            return "x's channels are not aligned"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return dense_cycles(problem, best_shape(problem, x, target, True, packed), target, packed)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        return execution(problem, x, best_shape(problem, x, target, True, packed), target, threads)

"""Depthwise convolution, in two forms: pixels in the lanes where planes allow it, channels in the lanes elsewhere."""

from __future__ import annotations

from fastconv.algorithm import depthwise_channels, depthwise_pixels
from fastconv.algorithm.common import Execution, Steps
from fastconv.cost import depthwise_channels_cycles, depthwise_pixels_cycles
from fastconv.problem import Problem
from fastconv.target import Target


class Depthwise:
    """One input channel a group, zeros for padding."""

    name = "depthwise"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if not problem.depthwise:
            return "a group has more than one input channel"
        if problem.padding_mode != "zeros" and not problem.padding_zero:
            return "padding mode"
        return depthwise_channels.refuses(problem, x)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        costs = [depthwise_channels_cycles(problem, target)]
        if depthwise_pixels.refuses(problem, x, target) is None:
            costs.append(depthwise_pixels_cycles(problem, target))
        return min(costs)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        if depthwise_pixels.refuses(problem, x, target) is None and (
            depthwise_pixels_cycles(problem, target) <= depthwise_channels_cycles(problem, target)
        ):
            return depthwise_pixels.build(problem, x, target, threads)
        return depthwise_channels.build(problem, x, target, threads)

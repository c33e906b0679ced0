"""Depthwise convolution, in two forms: pixels in the lanes where planes allow it, channels in the lanes elsewhere."""

from __future__ import annotations

from fastconv.algorithm import depthwise_channels, depthwise_pixels
from fastconv.algorithm.common import Execution, Steps
from fastconv.cost import depthwise_channels_cycles, depthwise_pixels_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


class Depthwise:
    """One input channel a group."""

    name = "depthwise"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if not problem.depthwise:
            return "a group has more than one input channel"
        if problem.borrowed:
            return "the weights are another convolution's"
        return depthwise_channels.refuses(problem, x, target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return self._best(problem, x, target, packed)[0]

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        return self._best(problem, x, target, packed)[1].build(problem, x, target, threads, packed)

    def _best(self, problem: Problem, x: Steps, target: Target, packed: bool):
        """The cheaper form that can do the problem, after its cycles; pixels in the lanes if equal."""
        channels = depthwise_channels_cycles(problem, target, packed), depthwise_channels
        if depthwise_pixels.refuses(problem, x, target):
            return channels
        pixels = depthwise_pixels_cycles(problem, target), depthwise_pixels
        return min(pixels, channels, key=lambda form: form[0])

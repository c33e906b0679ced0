"""The weight gradient of depthwise convolution: one pass over x and dy, pixels or channels in the lanes.

A task sums for some channels over one segment of the pixels: some rows of some images. How these are cut depends on
the sizes only, and so does the order in which the sums of segments are added up, by a second launch where there are
several: results are bitwise the same for any number of threads.
"""

from __future__ import annotations

from fastconv.algorithm.common import Execution, Steps
from fastconv.algorithm.depthwise_weight import channels, pixels
from fastconv.cost import depthwise_weight_channels_cycles, depthwise_weight_pixels_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


class DepthwiseWeight:
    """One input channel a group."""

    name = "depthwise"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if not problem.depthwise:
            return "a group has more than one input channel"
        return channels.refuses(problem, x, target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return self._best(problem, x, target)[0]

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        return self._best(problem, x, target)[1].build(problem, x, target)

    def _best(self, problem: Problem, x: Steps, target: Target):
        """The cheaper form that can do the problem, after its cycles."""
        forms = [(depthwise_weight_channels_cycles(problem, target), channels)]
        if pixels.refuses(problem, x, target) is None:
            forms.append((depthwise_weight_pixels_cycles(problem, target), pixels))
        return min(forms, key=lambda form: form[0])

"""Depthwise convolution, in three forms: pixels in the lanes of planes, else channels, in place or packed."""

from __future__ import annotations

from dataclasses import replace

from fastconv.algorithm import depthwise_channels, depthwise_pixels, depthwise_rows
from fastconv.algorithm.common import Execution, Steps
from fastconv.cost import depthwise_channels_cycles, depthwise_pixels_cycles, depthwise_rows_cycles
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
        """The cheapest form that can do the problem, after its cycles; the same for any number of images."""
        one, images = replace(problem, n=1), max(1, problem.n)
        forms = [
            (images * cycles, form)
            for cycles, form in (
                (depthwise_pixels_cycles(one, target), depthwise_pixels),
                (depthwise_rows_cycles(one, target), depthwise_rows),
                (depthwise_channels_cycles(one, target, packed), depthwise_channels),
            )
            if form.refuses(problem, x, target) is None
        ]
        return min(forms, key=lambda form: form[0])

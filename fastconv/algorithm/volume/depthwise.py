"""Depthwise convolution of volumes: in one pass where there are kernels with all slices of a window, else tap by tap.

In planes they have pixels in the lanes, where channels are side by side these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastconv.algorithm import depthwise_pixels, depthwise_rows
from fastconv.algorithm.common import Execution, Steps
from fastconv.algorithm.depthwise import Depthwise
from fastconv.algorithm.volume.taps import TapByTap, convolution, refuses
from fastconv.cost import depthwise_pixels_cycles, depthwise_rows_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


class DepthwiseVolume:
    """One input channel a group."""

    name = "depthwise"

    def __init__(self):
        self._apart = TapByTap(self.name, (Depthwise(),))

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        return None if _in_one_pass(problem, x, target) else self._apart.supports(problem, x, target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        found = _in_one_pass(problem, x, target)
        if found is None:
            return self._apart.cost(problem, x, target, packed)
        last = problem.layout == "channels_last"
        return (depthwise_rows_cycles if last else depthwise_pixels_cycles)(found, target)

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool):
        found = _in_one_pass(problem, x, target)
        if found is None:
            return self._apart.build(problem, x, target, count, packed)
        made = _form(problem).build(found, x, target, count, packed)
        return made if problem.pass_ == "forward" else Reversed(made, problem)


def _in_one_pass(problem: Problem, x: Steps, target: Target) -> Problem | None:
    """The convolution, which a gradient with respect to the input is as well, that kernels do in one pass, or None."""
    if not problem.depthwise:
        return None
    if problem.pass_ == "input_grad":
        if refuses(problem):
            return None
        problem = convolution(problem)
    return None if _form(problem).refuses(problem, x, target) else problem


def _form(problem: Problem) -> ModuleType:
    """The one whose kernels read such arrays in place."""
    return depthwise_rows if problem.layout == "channels_last" else depthwise_pixels


@dataclass
class Reversed:
    """The convolution of dy by reversed taps, ready to run; see `Execution`."""

    inner: Execution
    problem: Problem
    packing: tuple = ("reversed",)

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self.inner.workspace(count) + math.prod(self.problem.weight_shape) * self.problem.itemsize

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights with their taps reversed."""
        return np.ascontiguousarray(weight[..., ::-1, ::-1, ::-1])

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`."""
        self.inner.run(dy, self.pack(weight) if packed is None else packed, bias, residual, dx)

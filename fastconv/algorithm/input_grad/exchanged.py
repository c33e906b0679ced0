"""The input gradient of one pixel: its weights, as they lie, are the image, and the pixels of all images the weights.

dx[n, c, r, s] = sum over k of dy[n, k] w[k, c, r, s]: a 1x1 convolution of w, whose pixels are (c, r, s). So w is read
once and never regrouped, which is all that there is to do: a DCGAN's first layer, 100 to 1024 channels of 4x4, has 64
multiply-adds for each of 100 pixels' channels but 6.5 MB of weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps
from fastconv.problem.conv import Problem
from fastconv.target import Target


class Exchanged:
    """One pixel of dy an image, whose windows are all of dx."""

    name = "exchanged"

    def __init__(self, pointwise: Algorithm):
        self._pointwise = pointwise

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if (problem.oh, problem.ow) != (1, 1) or (problem.h, problem.w) != (problem.r, problem.s):
            return "more than one pixel, or not all of its window"
        if not problem.padding_zero:
            return "padding"
        if problem.groups > 1:
            return "groups"
        if problem.layout == "channels_last" and problem.r * problem.s > 1:
            return "a pixel's channels are not side by side in w"
        if problem.precision == "strict":
            return "precision='strict' cuts sums by the number of outputs, which are images here"
        inner = _product(problem)
        return self._pointwise.supports(inner, contiguous_steps(inner), target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        inner = _product(problem)
        return self._pointwise.cost(inner, contiguous_steps(inner), target, False)

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Product:
        inner = _product(problem)
        return Product(inner, self._pointwise.build(inner, contiguous_steps(inner), target, count, False))


def _product(problem: Problem) -> Problem:
    """The convolution of w by dy."""
    return replace(
        problem, op="conv2d", n=1, c=problem.k, h=1, w=problem.c * problem.r * problem.s, k=problem.n, r=1, s=1,
        stride=(1, 1), dilation=(1, 1), layout="channels_first", bias=False, residual=problem.bias, pass_="forward",
        frames=None,
    )  # fmt: skip


@dataclass
class Product:
    """Such a gradient, ready to run; see `Execution`."""

    problem: Problem
    execution: Execution
    packing: tuple = ("as they are",)

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self.execution.workspace(count)

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights, as they are."""
        return weight

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        image = (weight if packed is None else packed).reshape(self.problem.x_shape)
        pixels = np.ascontiguousarray(dy).reshape(self.problem.weight_shape)
        result = dx.reshape(self.problem.y_shape)
        if bias is not None:  # one for each plane of r by s: what sums are added to
            dx.reshape(len(dx), len(bias), -1)[:] = bias[:, None]
        self.execution.run(image, pixels, None, result if bias is not None else None, result)

"""The input gradient of one pixel: its weights, as they lie, are the image, and the pixels of all images the weights.

dx[n, c, r, s] = sum over k of dy[n, k] w[k, c, r, s]: a 1x1 convolution of w, whose pixels are (c, r, s). So w is read
once and never regrouped, which is all that there is to do: a DCGAN's first layer, 100 to 1024 channels of 4x4, has 64
multiply-adds for each of 100 pixels' channels but 6.5 MB of weights. Its planes are turned into pixels, if channels are
last: 0.2 ms for all, where regrouping w took 2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, threads, workspace
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps
from fastconv.algorithm.input_grad.columns import transpose_job
from fastconv.job import Job
from fastconv.problem.conv import SHORT_DTYPE, Problem
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
        if _turned(problem) and SHORT_DTYPE[problem.dtype] not in ("f32", "f64"):
            return "no kernel turns planes of this type into pixels"
        if problem.precision == "strict":
            return "precision='strict' cuts sums by the number of outputs, which are images here"
        inner = _product(problem)
        return self._pointwise.supports(inner, contiguous_steps(inner), target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        inner = _product(problem)
        moved = cost.C.join * math.prod(inner.y_shape) if _turned(problem) else 0.0
        # Python takes 4 us more than for a convolution alone.
        return self._pointwise.cost(inner, contiguous_steps(inner), target, False) + moved + 1.5 * cost.C.launch

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Product:
        inner, item = _product(problem), problem.itemsize
        execution = self._pointwise.build(inner, contiguous_steps(inner), target, count, False)
        turn = None
        if _turned(problem):
            turn = transpose_job(problem.n, problem.c, problem.h * problem.w, SHORT_DTYPE[problem.dtype], item, target)
        return Product(inner, execution, turn)


def _turned(problem: Problem) -> bool:
    """Whether the product gives planes where pixels are asked for."""
    return problem.layout == "channels_last" and problem.h * problem.w > 1


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
    turn: Job | None = None  # brings the channels of a pixel side by side
    packing: tuple = ("as they are",)

    def _size(self) -> int:
        """Bytes of planes that are turned."""
        return math.prod(self.problem.y_shape) * self.problem.itemsize if self.turn else 0

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self._size() + self.execution.workspace(count)

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights, as they are."""
        return weight

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        image = (weight if packed is None else packed).reshape(self.problem.x_shape)
        pixels = np.ascontiguousarray(dy).reshape(self.problem.weight_shape)
        block = workspace.take(self._size()) if self.turn else None
        try:
            planes = block.memory[: self._size()].view(dx.dtype) if self.turn else dx
            result = planes.reshape(self.problem.y_shape)
            if bias is not None:  # one for each plane of r by s: what sums are added to
                result.reshape(len(dx), len(bias), -1)[:] = bias[:, None]
            self.execution.run(image, pixels, None, result if bias is not None else None, result)
            if self.turn is not None:
                threads.run(self.turn, result, y=dx)
        finally:
            if block is not None:
                workspace.give(block)

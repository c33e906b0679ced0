"""What every algorithm hands to the dispatcher, and the names of the kernels they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fastconv import threads, workspace
from fastconv.blocking import part_products
from fastconv.job import Job
from fastconv.problem.conv import SHORT_DTYPE, Problem
from fastconv.target import Target

SIMPLE_ACTIVATIONS = {None: 0, "relu": 1, "relu6": 2}


@dataclass(frozen=True)
class Steps:
    """Bytes from one element of x to the next along each axis; `d` for volumes, `g` where groups are not one after the
    other."""

    n: int
    c: int
    h: int
    w: int
    d: int = 0
    g: int = 0

    def group(self, channels: int) -> int:
        """Bytes from one group of `channels` channels to the next."""
        return self.g or channels * self.c

    @classmethod
    def of(cls, problem: Problem, strides: Sequence[int]) -> Steps:
        """Those of the images that this pass reads, from an array's strides."""
        n, *rest = strides
        *spatial, c = rest if problem.layout == "channels_last" else (*rest[1:], rest[0])
        if len(spatial) == 1:  # the one row of a signal is a whole plane
            spatial.insert(0, spatial[0] * (problem.ow if problem.pass_ == "input_grad" else problem.w))
        *depth, h, w = spatial
        return cls(n, c, h, w, *depth)


def contiguous_steps(problem: Problem) -> Steps:
    """The steps of C-contiguous images as this pass reads them."""
    return Steps.of(problem, np.cumprod((problem.itemsize, *problem.source_shape[:0:-1]))[::-1].tolist())


def names_of(problem: Problem) -> tuple[str, str, int]:
    """(stored type, computing type, bytes of the computing type)."""
    stored = SHORT_DTYPE[problem.dtype]
    computing = "f64" if stored == "f64" else "f32"
    return stored, computing, 8 if computing == "f64" else 4


def sum_part(problem: Problem, products: int) -> int:
    """How many of `products` are added up before their sum is added to the rest: all, unless sums are to be strict."""
    if problem.precision != "strict":
        return products
    return part_products(products, problem.k < 4 * problem.groups or problem.oh * problem.ow == 1)


def move_name(kind: str, problem: Problem, target: Target, *variants: str) -> str:
    """The kernel that moves this problem's stored type to the computing type."""
    stored, computing, _ = names_of(problem)
    return "_".join([kind, ("" if stored == computing else stored) + computing, target.isa, *variants])


def finish_name(problem: Problem, target: Target, activation: str | None, *, past: bool = False) -> str:
    """The `finish` kernel that writes this problem's stored type, `past` the caches."""
    act = {None: "none", "leaky_relu": "leaky"}.get(activation, activation)
    return move_name("finish", problem, target, act, *["past"] * past)


@dataclass
class Execution:
    """A convolution ready to run: the launches of its parts, and the one that packs weights for them (or None).

    For the weight gradient dy stands in the place of the weights, and dw in that of y.
    """

    parts: list[Job]
    weights: Job | None
    weight_bytes: int
    packing: tuple  # equal for executions that can share packed weights
    shared_bytes: int = 0  # memory that all tasks of all parts see in place of a residual

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return max(part.workspace(count) for part in self.parts) + self.weight_bytes + self.shared_bytes

    def pack(self, weight: np.ndarray, memory: Callable[[int], np.ndarray] | None = None) -> np.ndarray:
        """What to run with as `packed` in place of this weight; it may be used again, and kept unless it is made in
        `memory`."""
        if self.weights is None:
            return weight
        packed = (memory or workspace.aligned)(self.weight_bytes)
        threads.run(self.weights, weight, y=packed)
        return packed

    def run(self, x, weight, bias, residual, y, packed=None) -> None:
        """Convolve into `y`; all arrays but x are contiguous, and `packed` is what `pack` made, or None."""
        blocks = []

        def memory(size):
            blocks.append(workspace.take(size))
            return blocks[-1].memory

        try:
            if packed is not None:
                weight = packed
            elif self.weights is not None:
                raw, weight = weight, memory(self.weight_bytes)
                threads.run(self.weights, raw, y=weight)
            if self.shared_bytes:
                residual = memory(self.shared_bytes)
            for part in self.parts:
                threads.run(part, x, weight, bias, residual, y)
        finally:
            for block in blocks:
                workspace.give(block)


class Algorithm(Protocol):
    """One way to convolve."""

    name: str

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        """None, or why not."""

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        """Estimated cycles of one core; `packed`: weights are prepared beforehand."""

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        """The execution for this problem."""

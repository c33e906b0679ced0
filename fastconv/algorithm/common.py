"""What every algorithm hands to the dispatcher, and the names of the kernels they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fastconv.blocking import part_products
from fastconv.job import Job
from fastconv.problem import SHORT_DTYPE, Problem
from fastconv.target import Target

SIMPLE_ACTIVATIONS = {None: 0, "relu": 1, "relu6": 2}


@dataclass(frozen=True)
class Steps:
    """Bytes from one element of x to the next along each axis."""

    n: int
    c: int
    h: int
    w: int


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


def finish_name(problem: Problem, target: Target, activation: str | None) -> str:
    """The `finish` kernel that writes this problem's stored type."""
    act = {None: "none", "leaky_relu": "leaky"}.get(activation, activation)
    return move_name("finish", problem, target, act)


@dataclass
class Execution:
    """A convolution ready to run: the launches of its parts, and the one that packs weights for them (or None)."""

    parts: list[Job]
    weights: Job | None
    weight_bytes: int
    packing: tuple  # equal for executions that can share packed weights


class Algorithm(Protocol):
    """One way to convolve."""

    name: str

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        """None, or why not."""

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        """Estimated cycles of one core; `packed`: weights are prepared beforehand."""

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        """The execution for this problem."""

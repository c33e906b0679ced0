"""What a pool's kernels do with an element, with two, and with the result: words of their names, and their factors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.pool import STRIDES
from fastconv.microkernels.reducer import QUICK
from fastconv.problem.conv import SHORT_DTYPE
from fastconv.problem.pool import PoolProblem
from fastconv.target import Target


@dataclass(frozen=True)
class Recipe:
    """Words of kernel names, and what belongs to them."""

    load: str
    op: str
    finish: str
    factor: np.ndarray | None = None  # what each output is divided by: (OD, OH, OW), or all alike (1, 1, 1)
    weights: np.ndarray | None = None  # of each output, that its gradient is multiplied by first


def recipe(problem: PoolProblem) -> Recipe:
    """The words for this problem."""
    return (_forward if problem.pass_ == "forward" else _gradient)(problem)


def _forward(problem: PoolProblem) -> Recipe:
    if problem.kind == "max":
        return Recipe("plain", "max", "round")
    if problem.kind == "weighted_avg":
        return Recipe("plain", "sum", "round")
    if problem.kind == "avg":
        return Recipe("plain", "sum", "divide", divisors(problem))
    norm, onnx, share = problem.norm, problem.convention == "onnx", shares(problem)
    if math.isinf(norm):
        return Recipe("abs", "max", "round")
    if norm == 1:
        return Recipe("abs" if onnx else "plain", "sum", "scale", share)
    if norm == 2:
        return Recipe("square", "sum", "root", share)
    return Recipe("abspower" if onnx else "power", "sum", "powerroot", share)


def _gradient(problem: PoolProblem) -> Recipe:
    if problem.kind == "weighted_avg":
        return Recipe("plain", "sum", "round")
    if problem.kind == "avg":
        divisor = divisors(problem)
        if divisor.size == 1:
            return Recipe("plain", "sum", "divide", divisor)
        return Recipe("plain", "sum", "round", weights=1 / divisor)
    share, norm = shares(problem), problem.norm
    load, finish = {1: ("plain", "round"), 2: ("ratio", "timesx")}.get(norm, ("powerratio", "timespower"))
    return Recipe(load, "sum", finish, weights=None if (share == 1).all() else _full(problem, 1 / share))


def divisors(problem: PoolProblem) -> np.ndarray:
    """What each sum is divided by; 1 where no element was summed."""
    if problem.divisor is not None:
        return np.full((1, 1, 1), float(problem.divisor))
    counts = _products([axis.counted() if problem.include_pad else axis.inside() for axis in problem.axes])
    counts[counts == 0] = 1
    return _alike(counts)


def shares(problem: PoolProblem) -> np.ndarray:
    """How much of each window there is: PyTorch divides by it, as if the rest were like what is there."""
    if problem.convention == "onnx":
        return np.ones((1, 1, 1))
    return _alike(_products([axis.inside() for axis in problem.axes]) / problem.taps)


def _products(counts: list[np.ndarray]) -> np.ndarray:
    d, h, w = (count.astype(np.float64) for count in counts)
    return d[:, None, None] * h[:, None] * w


def _full(problem: PoolProblem, numbers: np.ndarray) -> np.ndarray:
    """A number for every output."""
    return np.broadcast_to(numbers, [axis.out for axis in problem.axes])


def _alike(numbers: np.ndarray) -> np.ndarray:
    """One number if they are all the same."""
    return numbers[:1, :1, :1] if (numbers == numbers.flat[0]).all() else numbers


def unshared(problem: PoolProblem, layout: str = "channels_last") -> str | None:
    """Why windows do not share what they have in common, in this layout: they do in planes, if all are alike, of
    elements that take an instruction at most."""
    d, backward = problem.axes[0], problem.pass_ == "backward"
    if problem.layout != layout:
        return problem.layout.replace("_", " ")
    if problem.indices or problem.kind == "weighted_avg" or (backward and problem.kind != "avg"):
        return "indices, weights, or more arrays"
    if problem.in_parts or (d.size, d.out) != (1, 1) or not d.whole:
        return "more than a plane, or windows that are unlike"
    words = recipe(problem)
    if words.load not in QUICK or words.finish == "powerroot" or words.weights is not None:
        return "powers, or outputs that are divided by unlike numbers"
    return None


def one_factor(problem: PoolProblem, words: Recipe) -> tuple[str, np.ndarray | None]:
    """The word for what becomes of a sum that is divided as all are, and its pair of factors."""
    if words.factor is None:
        return words.finish, None
    divisor = words.factor.item()
    # Times a power of two is as exact as a division by one.
    exact = words.finish == "divide" and abs(math.frexp(divisor)[0]) == 0.5
    return "scale" if exact else words.finish, np.array([divisor, 1 / divisor], dtypes(problem)[1])


WIDE = {"float16": ("f32", np.float32), "bfloat16": ("f32", np.float32), "int8": ("i32", np.int32),
        "uint8": ("i32", np.int32)}  # fmt: skip


def dtypes(problem: PoolProblem) -> tuple[str, np.dtype]:
    """The types in a kernel's name, and that of its scratch: narrow ones are widened."""
    stored = SHORT_DTYPE[problem.dtype]
    word, wide = WIDE.get(problem.dtype, ("", problem.dtype))
    return stored + word, np.dtype(wide)


def kernel_name(op: str, problem: PoolProblem, target: Target, *words: str) -> str:
    """A pool kernel's name."""
    return "_".join([op, dtypes(problem)[0], target.isa, *filter(None, words)])


def spread_kernel(problem: PoolProblem, places: int, target: Target) -> int:
    """The kernel that spreads a row's elements so many places apart; 0 where they lie side by side."""
    stride = f"s{places}" if f"s{places}" in STRIDES else "any"
    return microkernel("_".join(["poolspread", dtypes(problem)[0], target.isa, stride])).address if places > 1 else 0


def exponents(problem: PoolProblem) -> np.ndarray:
    """p, 1 / p, 1 - p, p - 1, as kernels read them."""
    p = problem.norm
    if p == 0 or math.isinf(p):
        return np.zeros(4)
    with np.errstate(over="ignore"):  # a norm beyond float32
        return np.array([p, 1 / p, 1 - p, p - 1]).astype(np.float64 if problem.dtype == "float64" else np.float32)

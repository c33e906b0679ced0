"""Implicit GEMM on matrix tiles (Intel AMX): float32 as three bfloat16 parts, about as exact as multiply-adds."""

from __future__ import annotations

from fastconv import blocking, workspace
from fastconv.algorithm.common import Execution, Steps, names_of
from fastconv.algorithm.cut import Shape
from fastconv.algorithm.im2col import execution
from fastconv.algorithm.matrix import BLOCK
from fastconv.algorithm.matrix_plan import PRODUCTS, packed_bytes
from fastconv.cost import matrix_cycles
from fastconv.problem.conv import Problem
from fastconv.target import Target


class Amx:
    """Any dense convolution of 16 and 32-bit numbers, for those who do not ask for plain sums."""

    name = "amx"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if (reason := refusal(problem, target)) is not None:
            return reason
        if problem.borrowed and (reason := _lies_apart(problem)) is not None:
            return reason
        if packed_bytes(problem, PRODUCTS[problem.dtype]) > workspace.MOST_WEIGHT_BYTES:
            return "the weights in parts take too much memory"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return matrix_cycles(problem, shape_of(problem, x), target, packed)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        return execution(problem, x, shape_of(problem, x), target, threads)


def refusal(problem: Problem, target: Target) -> str | None:
    """Why products of parts are out, or None."""
    if not target.amx:
        return "this processor has no matrix tiles (Intel AMX)"
    if problem.dtype not in PRODUCTS:
        return "float64 numbers are not sums of bfloat16 ones"
    if problem.precision == "strict":
        return 'products of parts are not a plain sum (precision="strict")'
    return None


def _lies_apart(problem: Problem) -> str | None:
    """Why weights that are another convolution's cannot be packed."""
    if problem.itemsize == 2:
        return "another convolution's weights are not widened"
    if (problem.borrowed.r, problem.borrowed.s) != (problem.r, problem.s):
        return "some taps of another convolution's kernels"
    chunk = blocking.chunk_of(problem.c // problem.groups, problem.r, problem.s)
    if (chunk.rows, chunk.columns) != (problem.r, problem.s):
        return "parts of another convolution's kernels"
    return None


def shape_of(problem: Problem, x: Steps) -> Shape:
    """Lanes are what lies side by side in y; 1x1 kernels read x in place where it does in x, too."""
    _, _, item = names_of(problem)
    first = problem.layout == "channels_first"
    in_place = (problem.r, problem.s) == (1, 1) and problem.padding_zero and problem.itemsize == item
    in_place = in_place and (x.w == item and problem.stride[1] == 1 if first else x.c == item)
    lanes = "pixels" if first else "channels"
    return Shape(lanes, in_place, False, BLOCK, 2, PRODUCTS[problem.dtype])

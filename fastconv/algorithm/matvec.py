"""1x1 convolution of a 1x1 image: a matrix times a vector, the weights read once, as they are."""

from __future__ import annotations

import numpy as np

from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, finish_name, names_of
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.cost import matvec_cycles
from fastconv.job import Job
from fastconv.microkernels.dot import most_rows
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.names import Name
from fastconv.problem.conv import Problem
from fastconv.target import Target

(
    OUTPUTS, CHANNELS, BLOCK, BLOCKS, IMAGES, BATCH, ROWS, ITEM, X_N, KERNELS, ACTIVATION, FINISH, SLOPE,
    MATVEC_FIELDS,
) = range(14)  # fmt: skip
X, W, BIAS, RESIDUAL, Y = range(5)


@native("matvec", 4)
def matvec(plan, call, scratch, task):
    """Some output channels of some images: a few rows of weights for all images, then the next."""
    block, part = task % peek(plan, BLOCKS), task // peek(plan, BLOCKS)
    outputs, channels, item = peek(plan, OUTPUTS), peek(plan, CHANNELS), peek(plan, ITEM)
    first = block * peek(plan, BLOCK)
    last = min(first + peek(plan, BLOCK), outputs)
    n0 = part * peek(plan, IMAGES)
    n1 = min(n0 + peek(plan, IMAGES), peek(plan, BATCH))
    x, y, w, bias, residual = (
        peek(call, X), peek(call, Y), peek(call, W), peek(call, BIAS), peek(call, RESIDUAL)
    )  # fmt: skip
    kernels, rows, x_n = peek(plan, KERNELS), peek(plan, ROWS), peek(plan, X_N)
    for k in range(first, last, rows):
        kernel = peek(kernels, min(rows, last - k))
        for n in range(n0, n1):
            place = (n * outputs + k) * item
            invoke(
                kernel,
                (
                    w + k * channels * item, channels * item, x + n * x_n, channels, y + place,
                    bias + k * item if bias != 0 else 0, residual + place if residual != 0 else 0,
                    peek(plan, ACTIVATION),
                ),
            )  # fmt: skip
    if peek(plan, FINISH) != 0:
        for n in range(n0, n1):
            start = y + (n * outputs + first) * item
            invoke(peek(plan, FINISH), (start, start, 0, last - first, peek(plan, SLOPE)))


class Matvec:
    """One pixel in, one pixel out."""

    name = "matvec"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        _, _, item = names_of(problem)
        if (problem.r, problem.s, problem.h, problem.w) != (1, 1, 1, 1) or not problem.padding_zero:
            return "more than one pixel"
        if problem.borrowed:
            return "the weights are another convolution's"
        if problem.groups > 1:
            return "groups"
        if problem.frames:
            return "images are frames of a volume"
        if item != problem.itemsize:
            return "narrow dtypes are widened while packing"
        return None if x.c == item else "x's channels are not contiguous"

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        return matvec_cycles(problem, target)

    def build(self, problem: Problem, x: Steps, target: Target, threads: int, packed: bool) -> Execution:
        _, computing, item = names_of(problem)
        lanes = target.lanes(item)
        rows = most_rows(lanes)
        kernels = np.zeros(rows + 1, np.int64)
        for some in {min(rows, problem.k), problem.k % rows} - {0}:
            name = Name("dot", computing, computing, some, lanes, target.isa, ())
            kernels[some] = microkernel(str(name)).address
        slope = np.full(1, problem.slope, np.float64 if computing == "f64" else np.float32)
        simple = problem.activation in (*SIMPLE_ACTIVATIONS, "leaky_relu")
        block = max(rows, -(-problem.k // threads // rows) * rows)
        blocks = -(-problem.k // block)
        images = max(1, -(-problem.n // max(1, threads // blocks)))
        plan = np.zeros(MATVEC_FIELDS, np.int64)
        for index, value in (
            (OUTPUTS, problem.k), (CHANNELS, problem.c), (BLOCK, block), (BLOCKS, blocks),
            (IMAGES, images), (BATCH, problem.n),
            (ROWS, rows), (ITEM, item), (X_N, x.n), (KERNELS, kernels.ctypes.data), (SLOPE, slope.ctypes.data),
            (ACTIVATION, SIMPLE_ACTIVATIONS.get(problem.activation, slope.ctypes.data) if simple else 0),
            (FINISH, 0 if simple else microkernel(finish_name(problem, target, problem.activation)).address),
        ):  # fmt: skip
            plan[index] = value
        tasks = blocks * -(-problem.n // images)
        return Execution([Job(matvec.address, plan, tasks, 0, problem.flops, [kernels, slope])], None, 0, ())

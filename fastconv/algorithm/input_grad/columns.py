"""The input gradient through columns: all products of all taps in one matrix product, then added up where they belong.

cols[c, r, s][pixel] = sum over k of w[k, c, r, s] dy[k][pixel] is a 1x1 convolution of w as it lies, whose pixels are
(c, r, s) and whose outputs are the pixels of dy. So w is read once, neither regrouped nor packed, as is best for layers
of few pixels and many weights: of a DCGAN's second layer, 1024 to 512 channels of 4x4 from 4x4 pixels, regrouping
took three quarters of the time. Bringing columns back to the image costs little, for there are few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, threads, workspace
from fastconv.algorithm.common import Algorithm, Execution, Steps, contiguous_steps, finish_name, names_of
from fastconv.algorithm.fold import fold
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.job import LINE, Job
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Problem
from fastconv.problem.grid import Grid
from fastconv.target import Target

MOST_COLUMNS = 16 << 20  # bytes of them, twice
X, BIAS, Y = 0, 2, 4  # of a call's arrays

# A matrix transposed, or some one after the other; a task is some columns of one.
T_ROWS, T_COLUMNS, T_BLOCK, T_BLOCKS, T_ITEM, T_KERNEL, T_FIELDS = range(7)


@native("columns_transpose", 4)
def transpose_matrix(plan, call, scratch, task):
    """Some columns of a matrix become rows."""
    blocks, block, item = peek(plan, T_BLOCKS), peek(plan, T_BLOCK), peek(plan, T_ITEM)
    rows, columns, first = peek(plan, T_ROWS), peek(plan, T_COLUMNS), task % blocks * block
    matrix = task // blocks * rows * columns * item
    invoke(
        peek(plan, T_KERNEL),
        (peek(call, X) + matrix + first * item, columns * item, peek(call, Y) + matrix + first * rows * item,
         rows * item, rows, min(block, columns - first)),
    )  # fmt: skip


def transpose_job(count: int, rows: int, columns: int, dtype: str, item: int, target: Target) -> Job:
    """The launch that transposes `count` matrices."""
    block = max(64, 16384 // rows)
    blocks = -(-columns // block)
    kernel = microkernel(f"transpose_{dtype}_{target.isa}_columns")
    plan = np.array([rows, columns, block, blocks, item, kernel.address], np.int64)
    return Job(transpose_matrix.address, plan, count * blocks, 0, 16 * count * rows * columns)


# Bias and activation: a task is a plane.
F_CHANNELS, F_PLANE, F_PIECE, F_ITEM, F_COMB, F_FINISH, F_SLOPE, F_FIELDS = range(8)
PIECE = 2048  # elements that are finished at a time


@native("columns_finish", 4)
def finish_planes(plan, call, scratch, task):
    """One plane of dx, a piece at a time; scratch holds a piece's worth of the bias."""
    item, plane, piece, bias = peek(plan, F_ITEM), peek(plan, F_PLANE), peek(plan, F_PIECE), 0
    if peek(call, BIAS) != 0:
        bias = scratch + LINE
        invoke(peek(plan, F_COMB), (peek(call, BIAS) + task % peek(plan, F_CHANNELS) * item, 0, bias, item, piece))
    for first in range(0, plane, piece):
        y = peek(call, Y) + (task * plane + first) * item
        invoke(peek(plan, F_FINISH), (y, y, bias, min(piece, plane - first), peek(plan, F_SLOPE)))


def finish_job(problem: Problem, plane: int, target: Target) -> Job:
    """The launch that adds bias and applies the activation."""
    _, dtype, item = names_of(problem)
    slope, piece = np.full(1, problem.slope, problem.dtype), min(PIECE, plane)
    comb, finish = (
        microkernel(n) for n in (f"comb_{dtype}_{target.isa}", finish_name(problem, target, problem.activation))
    )
    plan = np.array([problem.c, plane, piece, item, comb.address, finish.address, slope.ctypes.data], np.int64)
    tasks = problem.n * problem.c
    return Job(finish_planes.address, plan, tasks, LINE + piece * item, 8 * tasks * plane, [slope])


class Columns:
    """A gradient, or a transposed convolution, of few pixels."""

    name = "columns"

    def __init__(self, pointwise: Algorithm):
        self._pointwise = pointwise

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if problem.layout == "channels_last":
            return "columns are rows of pixels"
        if problem.groups > 1:
            return "groups"
        if problem.padding_mode != "zeros":
            return "a border that is folded back"
        if problem.itemsize < 4:
            return "columns are rounded, which narrow dtypes may be once"
        if 2 * _elements(problem) * problem.itemsize > MOST_COLUMNS:
            return f"columns take more than {MOST_COLUMNS >> 20} MiB"
        inner = _product(problem, 1)
        return self._pointwise.supports(inner, contiguous_steps(inner), target)

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        inner = _product(problem, 1)
        each = self._pointwise.cost(inner, contiguous_steps(inner), target, False) + 3 * cost.C.launch
        moved = 3 * _elements(problem) + problem.k * _pixels(problem)
        return problem.n * (each + moved * cost.C.join)

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Folding:
        bytes_ = 2 * _elements(problem) * problem.itemsize
        # A strict sum is cut by the number of outputs, which are the pixels of all images.
        images = 1 if problem.precision == "strict" else max(1, min(problem.n, MOST_COLUMNS // bytes_))
        found = Folding(problem, images, {})
        for n in {min(images, problem.n - first) for first in range(0, problem.n, images)}:
            found.batches[n] = self._batch(replace(problem, n=n), target, count)
        return found

    def _batch(self, problem: Problem, target: Target, count: int) -> Batch:
        inner, pixels = _product(problem, problem.n), _pixels(problem)
        _, dtype, item = names_of(problem)
        columns = _elements(problem) // pixels
        grid = _grid(problem)
        plane = math.prod(grid.sizes)
        return Batch(
            transpose_job(problem.n, problem.k, pixels, dtype, item, target),
            self._pointwise.build(inner, contiguous_steps(inner), target, count, False),
            transpose_job(problem.n, pixels, columns, dtype, item, target),
            fold(grid, (columns * pixels * item, pixels * item), target),
            finish_job(problem, plane, target) if problem.bias or problem.activation else None,
        )  # fmt: skip


def _pixels(problem: Problem) -> int:
    """Pixels of an image of dy."""
    return problem.od * problem.oh * problem.ow


def _elements(problem: Problem) -> int:
    """Elements of an image's columns."""
    return math.prod(problem.weight_shape[1:]) * _pixels(problem)


def _product(problem: Problem, images: int) -> Problem:
    """The convolution of w by dy."""
    return replace(
        problem, op="conv2d", n=1, c=problem.k, h=1, w=math.prod(problem.weight_shape[1:]), k=images * _pixels(problem),
        r=1, s=1, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), bias=False, activation=None,
        pass_="forward", depth=None, frames=None,
    )  # fmt: skip


def _grid(problem: Problem) -> Grid:
    """Where the taps of each pixel of dy lie on dx."""
    d = problem.depth
    depth = (d.size, d.kernel, d.stride, d.padding[0], d.dilation, d.outputs) if d else (1, 1, 1, 0, 1, 1)
    (top, _), (left, _) = problem.padding
    plane = (
        (problem.h, problem.w), (problem.r, problem.s), problem.stride, (top, left), problem.dilation,
        (problem.oh, problem.ow),
    )  # fmt: skip
    sizes, kernel, stride, padding, dilation, outputs = ((a, *b) for a, b in zip(depth, plane, strict=True))
    return Grid(problem.n, problem.c, sizes, kernel, stride, padding, dilation, problem.dtype, 3, outputs)


@dataclass
class Batch:
    """The launches for some images."""

    pixels: Job  # dy, its channels side by side
    product: Execution
    columns: Job  # pixels side by side
    fold: Job
    finish: Job | None


@dataclass
class Folding:
    """Such a gradient, ready to run; see `Execution`."""

    problem: Problem
    images: int  # at a time
    batches: dict[int, Batch]  # by number of images
    packing: tuple = ("as they are",)

    def _sizes(self) -> tuple[int, int]:
        """Bytes of the pixels and of the columns of all images of a batch."""
        each = self.images * self.problem.itemsize
        return self.problem.k * _pixels(self.problem) * each, _elements(self.problem) * each

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        pixels, columns = self._sizes()
        jobs = max(
            max(batch.product.workspace(count), batch.fold.workspace(count),
                batch.finish.workspace(count) if batch.finish else 0)
            for batch in self.batches.values()
        )  # fmt: skip
        return pixels + 2 * columns + jobs

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights, as they are."""
        return weight

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        if packed is not None:
            weight = packed
        blocks = [workspace.take(size) for size in (*self._sizes(), self._sizes()[1])]
        pixels, products, columns = (block.memory for block in blocks)
        try:
            for first in range(0, self.problem.n, self.images):
                images = slice(first, min(first + self.images, self.problem.n))
                batch, to = self.batches[images.stop - first], dx[images]
                threads.run(batch.pixels, np.ascontiguousarray(dy[images]), y=pixels)
                batch.product.run(weight, pixels, None, None, products)
                threads.run(batch.columns, products, y=columns)
                threads.run(batch.fold, columns, y=to)
                if batch.finish is not None:
                    threads.run(batch.finish, bias=bias, y=to)
        finally:
            for block in blocks:
                workspace.give(block)

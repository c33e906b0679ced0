"""The input gradient through columns: all products of all taps in one matrix product, then added up where they belong.

cols[c, r, s][pixel] = sum over k of w[k, c, r, s] dy[k][pixel] is a 1x1 convolution of w as it lies, whose pixels are
(c, r, s) and whose outputs are the pixels of dy. So w is read once, neither regrouped nor packed, as is best for layers
of few pixels and many weights: of a DCGAN's second layer, 1024 to 512 channels of 4x4 from 4x4 pixels, regrouping
took three quarters of the time. Where pixels are more it is a 1x1 convolution of dy by w transposed. Bringing columns
back to the image costs little while there are few.
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

MOST_COLUMNS = 24 << 20  # bytes of columns; where w is the image, of them twice and of dy
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
        if (reason := unfit(problem)) is not None:
            return reason
        if problem.groups > 1:
            return "groups"
        flat = not problem.depth or problem.depth.stride == 1
        if flat and problem.stride == (1, 1) and _columns(problem) == problem.c:
            return "a 1x1 kernel is one product as it is"
        if not self._ways(problem):
            return f"columns take more than {MOST_COLUMNS >> 20} MiB, or weights to transpose too much"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        each = min(self._cycles(problem, target, packed, exchanged) for exchanged in self._ways(problem))
        # Three launches an image, and what Python does around: 10 us.
        return problem.n * (each + 3 * cost.C.launch) + 4 * cost.C.launch

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Folding:
        exchanged = min(self._ways(problem), key=lambda way: self._cycles(problem, target, packed, way))
        # A strict sum is cut by the number of outputs, which may be the pixels of all images.
        most = 1 if problem.precision == "strict" else MOST_COLUMNS // _bytes(problem, exchanged)
        images = max(1, min(problem.n, most))
        sizes = {min(images, problem.n - first) for first in range(0, problem.n, images)}
        found = {n: self._batch(replace(problem, n=n), exchanged, target, count) for n in sizes}
        _, dtype, item = names_of(problem)
        weights = None if exchanged else transpose_job(1, problem.k, _columns(problem), dtype, item, target)
        return Folding(problem, images, found, weights)

    def _ways(self, problem: Problem) -> list[bool]:
        """Whether w is the image and dy the weights, or the other way round with w transposed: those for which there is
        room."""
        room = [way for way in (True, False) if _bytes(problem, way) <= MOST_COLUMNS]
        if problem.k * _columns(problem) * problem.itemsize > workspace.MOST_WEIGHT_BYTES:
            room = [way for way in room if way]
        return room

    def _cycles(self, problem: Problem, target: Target, packed: bool, exchanged: bool) -> float:
        """What one image costs."""
        inner = _product(replace(problem, n=1), exchanged)
        if exchanged:
            moved = 4 * _elements(problem) + problem.k * _pixels(problem)
        else:
            moved = 2 * _elements(problem) + (0 if packed else problem.k * _columns(problem))
        rows = problem.c * problem.h * (problem.depth.size if problem.depth else 1)
        added = rows * (cost.C.fold_row + cost.C.fold_phase * problem.stride[1])
        held = packed and not exchanged
        if packed and exchanged:  # others read their weights packed, in a row
            size = problem.k * _columns(problem) * problem.itemsize
            added += cost.C.columns_weight * max(0, size - target.l2)
        return self._pointwise.cost(inner, contiguous_steps(inner), target, held) + moved * cost.C.join + added

    def _batch(self, problem: Problem, exchanged: bool, target: Target, count: int) -> Batch:
        inner, pixels, columns = _product(problem, exchanged), _pixels(problem), _columns(problem)
        _, dtype, item = names_of(problem)
        grid = grid_of(problem)
        product = self._pointwise.build(inner, contiguous_steps(inner), target, count, False)
        joined = fold(grid, (columns * pixels * item, pixels * item), target)
        finish = None
        if problem.bias or problem.activation:
            finish = finish_job(problem, math.prod(grid.sizes), target)
        if not exchanged:
            return Batch(product, joined, finish)
        before = transpose_job(problem.n, problem.k, pixels, dtype, item, target)
        return Batch(product, joined, finish, before, transpose_job(problem.n, pixels, columns, dtype, item, target))


def _pixels(problem: Problem) -> int:
    """Pixels of an image of dy."""
    return problem.od * problem.oh * problem.ow


def _elements(problem: Problem) -> int:
    """Elements of an image's columns."""
    return _columns(problem) * _pixels(problem)


def _columns(problem: Problem) -> int:
    """How many numbers a pixel of dy gives."""
    return math.prod(problem.weight_shape[1:])


def _bytes(problem: Problem, exchanged: bool) -> int:
    """What an image takes: columns, and where w is the image, these once more and its pixels."""
    columns = _elements(problem)
    return problem.itemsize * (2 * columns + problem.k * _pixels(problem) if exchanged else columns)


def _product(problem: Problem, exchanged: bool) -> Problem:
    """The convolution of w by dy, or of dy by w."""
    pixels, columns = _pixels(problem), _columns(problem)
    n, w, k = (1, columns, problem.n * pixels) if exchanged else (problem.n, pixels, columns)
    return replace(
        problem, op="conv2d", n=n, c=problem.k, h=1, w=w, k=k, r=1, s=1, stride=(1, 1), padding=((0, 0), (0, 0)),
        dilation=(1, 1), bias=False, activation=None, pass_="forward", depth=None, frames=None,
    )  # fmt: skip


def unfit(problem: Problem) -> str | None:
    """Why no single product of planes is made of all taps, or None."""
    if problem.layout == "channels_last":
        return "columns are rows of pixels"
    if problem.padding_mode != "zeros":
        return "a border that is folded back"
    if problem.itemsize < 4:
        return "columns are rounded, which narrow dtypes may be once"
    return None


def grid_of(problem: Problem) -> Grid:
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
    """The launches for some images; the last two where w is the image."""

    product: Execution
    fold: Job
    finish: Job | None
    pixels: Job | None = None  # brings dy's channels side by side
    columns: Job | None = None  # brings a column's pixels side by side

    def workspace(self, count: int) -> int:
        """Bytes that its launches take."""
        jobs = (job.workspace(count) for job in (self.fold, self.finish) if job)
        return max(self.product.workspace(count), *jobs)

    def run(self, dy, w, bias, dx, memory: list[np.ndarray]) -> None:
        """Write some images."""
        columns, *more = memory
        if self.pixels is None:
            self.product.run(dy, w, None, None, columns)
        else:
            products, pixels = more
            threads.run(self.pixels, dy, y=pixels)
            self.product.run(w, pixels, None, None, products)
            threads.run(self.columns, products, y=columns)
        threads.run(self.fold, columns, y=dx)
        if self.finish is not None:
            threads.run(self.finish, bias=bias, y=dx)


@dataclass
class Folding:
    """Such a gradient, ready to run; see `Execution`."""

    problem: Problem
    images: int  # at a time
    batches: dict[int, Batch]  # by number of images
    weights: Job | None  # transposes w; None: it is the image

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "columns", self.weights is None

    def _sizes(self) -> list[int]:
        """Bytes of the columns of a batch, and where w is the image once more, and of dy."""
        each = self.images * self.problem.itemsize
        columns = _elements(self.problem) * each
        return [columns] if self.weights else [columns, columns, self.problem.k * _pixels(self.problem) * each]

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        weights = self.problem.k * _columns(self.problem) * self.problem.itemsize if self.weights else 0
        return weights + sum(self._sizes()) + max(batch.workspace(count) for batch in self.batches.values())

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights as they are, or transposed."""
        if self.weights is None:
            return weight
        packed = workspace.aligned(weight.nbytes)
        threads.run(self.weights, weight, y=packed)
        return packed

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        blocks = [workspace.take(size) for size in self._sizes()]
        memory = [block.memory for block in blocks]
        try:
            if packed is None:
                packed = weight
                if self.weights is not None:
                    blocks.append(workspace.take(weight.nbytes))
                    packed = blocks[-1].memory
                    threads.run(self.weights, weight, y=packed)
            for first in range(0, self.problem.n, self.images):
                images = slice(first, min(first + self.images, self.problem.n))
                batch, source = self.batches[images.stop - first], np.ascontiguousarray(dy[images])
                batch.run(source, packed, bias, dx[images], memory)
        finally:
            for block in blocks:
                workspace.give(block)

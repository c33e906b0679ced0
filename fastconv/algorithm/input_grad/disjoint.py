"""The input gradient whose windows lie side by side: one matrix product, woven into dx while its sums are near.

Where the kernel is as large as the stride every pixel of dy has a block of dx of its own, and

    dx[c, stride j + r] = sum over k of w[k, c, r] dy[k, j]

is a product of w, whose columns (c, r) are in order as they lie, with the pixels j of an image or a volume. A task
makes sums of some pixels in L2 and writes them where they belong: 128 to 64 channels 2x2x2 on 16x16x16 took 2.1 ms,
where two convolutions, one for every other slice, and their weaving took 2.8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastconv import blocking, cost, job, workspace
from fastconv.algorithm.amx import refusal, shape_of
from fastconv.algorithm.common import SIMPLE_ACTIVATIONS, Execution, Steps, contiguous_steps, finish_name
from fastconv.algorithm.cut import Cut, Shape, whole
from fastconv.algorithm.dense import Handed, dense, dense_weights
from fastconv.algorithm.input_grad.columns import unfit
from fastconv.algorithm.input_grad.weave import weave_address, weave_rows
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import native
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.regroup import MOVED, WOVEN
from fastconv.problem.conv import SHORT_DTYPE, Borrowed, Problem
from fastconv.target import Target

X, Y = 0, 4  # of a call's arrays

# Sums: steps of dx in bytes. A column is (c, a, b, t): channel, slice, row and place in the row of a pixel's block.
(
    STRIDE_D, STRIDE_H, STRIDE_W, HEIGHT, WIDTH, ITEM, DX_C, DX_D, DX_H, TOGETHER, WEAVE, COMB, TRANSPOSE, FINISH,
    SLOPE, WEAVE_FIELDS,
) = range(16)  # fmt: skip


@native("disjoint_weave", 8)
def weave_block(plan, sums, channel, dx, k0, k1, first, pixels):
    """Write columns k0..k1 of some pixels, in order from `first` on; a column's sums lie side by side."""
    sd, sh, sw, item = peek(plan, STRIDE_D), peek(plan, STRIDE_H), peek(plan, STRIDE_W), peek(plan, ITEM)
    height, width, to_h, transpose = peek(plan, HEIGHT), peek(plan, WIDTH), peek(plan, DX_H), peek(plan, TRANSPOSE)
    weave = peek(plan, WEAVE)
    if peek(plan, FINISH) != 0:
        for k in range(k0, k1):
            at = sums + k * channel
            invoke(peek(plan, FINISH), (at, at, 0, pixels, peek(plan, SLOPE)))
    row = width * item
    k = k0
    while k < k1:
        t, line = k % sw, k // sw
        some = min(sw - t, k1 - k)
        to = dx + line // (sh * sd) * peek(plan, DX_C) + line // sh % sd * peek(plan, DX_D) + line % sh * to_h
        done = 0
        while done < pixels:
            j, above = (first + done) % width, (first + done) // width
            count, rows = min(width - j, pixels - done), 1
            if count == width:  # whole rows of a slice go together, as far as they stay near
                rows = min((pixels - done) // width, height - above % height, peek(plan, TOGETHER))
            at = sums + k * channel + done * item
            place = to + above // height * sd * peek(plan, DX_D) + above % height * sh * to_h + (j * sw + t) * item
            if weave != 0 and some == sw:
                a = at + (sw - 4) * channel
                weave_rows(weave, sw, a, row, a + channel, row, a + 2 * channel, row, a + 3 * channel, row,
                           place, sh * to_h, sw * count, rows)  # fmt: skip
            else:
                for i in range(rows):
                    if transpose != 0 and some == sw:
                        invoke(transpose, (at + i * row, channel, place + i * sh * to_h, sw * item, sw, count))
                        continue
                    for part in range(some):
                        invoke(peek(plan, COMB), (at + i * row + part * channel, item,
                                                  place + i * sh * to_h + part * item, sw * item, count))  # fmt: skip
            done += rows * count
        k += some


class Disjoint:
    """A gradient, or a transposed convolution, of windows that neither overlap nor leave anything out."""

    name = "disjoint"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        sizes, kernel, stride, pads, outputs = _axes(problem)
        if kernel != stride or any(map(any, pads)):
            return "windows overlap, or are cut off"
        if math.prod(kernel) == 1:
            return "windows are one pixel"
        if sizes != tuple(a * b for a, b in zip(outputs, stride, strict=True)):
            return "pixels between windows"
        if (reason := unfit(problem)) is not None:
            return reason
        if math.prod(problem.weight_shape) * problem.itemsize > workspace.MOST_WEIGHT_BYTES:
            return f"weights to pack take more than {workspace.MOST_WEIGHT_BYTES >> 20} MiB"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        inner = product_of(problem)
        cycles = _cycles(inner, _shape(inner, target, packed), target, packed)
        return cycles + cost.C.launch + problem.n * inner.k * inner.w * cost.C.join * 0.6

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Apart:
        inner = product_of(problem)
        shape, steps = _shape(inner, target, packed), contiguous_steps(inner)
        cut = _cut(Cut.of(inner, steps, shape, target, 1, whole(inner)), count)
        main = dense(inner, steps, shape, target, count, None, cut, _handed(problem, target))
        weights, size = dense_weights(replace(inner, borrowed=Borrowed(1, 1, (0, 0), (1, 1))), shape, target)
        return Apart(math.prod(_axes(problem)[1]), Execution([main], weights, size, (shape.rows, shape.products)))


def _axes(problem: Problem) -> tuple[tuple, ...]:
    """Sizes of dx, of kernels and steps, padding, and sizes of dy, along depth, height and width."""
    d = problem.depth
    depth = (d.size, d.kernel, d.stride, d.padding, d.outputs) if d else (1, 1, 1, (0, 0), 1)
    plane = (problem.h, problem.w), (problem.r, problem.s), problem.stride, problem.padding, (problem.oh, problem.ow)
    return tuple((a, *b) for a, b in zip(depth, plane, strict=True))


def product_of(problem: Problem) -> Problem:
    """The 1x1 convolution of dy with an output for each column of w."""
    columns = math.prod(problem.weight_shape[1:]) * problem.groups
    return replace(
        problem, op="conv2d", c=problem.k, h=1, w=problem.od * problem.oh * problem.ow, k=columns, r=1, s=1,
        stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), pass_="forward", depth=None, frames=None,
    )  # fmt: skip


def _shape(inner: Problem, target: Target, packed: bool) -> Shape:
    """Pixels in the lanes, as y's are side by side: of vectors or of matrix tiles, whichever is cheaper."""
    vectors = -(-inner.w // target.lanes(inner.itemsize))
    tile = blocking.choose_tile(inner.k // inner.groups, vectors, target)[:2]
    found = [Shape("pixels", True, False, *tile, panels=True)]
    if refusal(inner, target) is None:
        found.append(shape_of(inner, contiguous_steps(inner)))
    return min(found, key=lambda shape: _cycles(inner, shape, target, packed))


def _cycles(inner: Problem, shape: Shape, target: Target, packed: bool) -> float:
    """What the product costs."""
    if shape.products:
        return cost.matrix_cycles(inner, shape, target, packed)
    cycles = cost.dense_cycles(inner, shape, target, True)
    if not packed:
        cycles += inner.k * inner.c // inner.groups * cost.C.pack_panel * 2 + cost.C.packing
    return cycles


def _cut(cut: Cut, count: int) -> Cut:
    """The cut that leaves the busiest thread the fewest cycles: blocks of pixels read the weights again, and blocks of
    columns the pixels. Sums take a quarter of L2."""
    pixels, unit, item = cut.run, cut.shape.vectors * cut.lanes, cut.item
    planes, limit = cut.problem.n * cut.problem.groups, job.share(count)
    best = None
    for blocks in range(1, cut.tiles + 1):
        tiles = -(-cut.tiles // blocks)
        if -(-cut.tiles // tiles) != blocks:
            continue
        wide = -(-cut.outputs // cut.tiles) * tiles
        fit = max(1, cut.target.l2 // 4 // (wide * item) // unit)
        fewest = -(-pixels // (fit * unit))
        for pieces in {fewest, min(-(-pixels // unit), -(-fewest // count) * count)}:
            tried = replace(cut, tiles_a_block=tiles, row_blocks=1, column_blocks=pieces, stages=True)
            if best is not None and tried.scratch > limit:
                continue
            tasks = planes * blocks * pieces
            share = -(-tasks // count) * count / tasks
            read = cut.outputs * cut.channels * pieces + pixels * cut.channels * blocks
            steps = cut.outputs * pixels * cut.channels / (cut.target.multiply_adds * cut.lanes)
            cycles = planes * (steps * share + read * item * cost.C.weight_byte) + tasks * cost.C.task
            if best is None or cycles < best[0]:
                best = cycles, tried
    return best[1]


def _handed(problem: Problem, target: Target) -> Handed:
    """What weaves sums into dx."""
    (_, h, w), _, (sd, sh, sw), _, (_, oh, ow) = _axes(problem)
    item, dtype = problem.itemsize, SHORT_DTYPE[problem.dtype]
    plane = h * w * item
    channel = plane * (problem.depth.size if problem.depth else 1)
    slope, finish = np.full(1, problem.slope, problem.dtype), 0
    if problem.activation not in (*SIMPLE_ACTIVATIONS, "leaky_relu"):
        finish = microkernel(finish_name(problem, target, problem.activation)).address
    comb, weave = microkernel(f"comb_{MOVED[dtype]}_{target.isa}").address, weave_address(sw, MOVED[dtype], target)
    transpose = 0 if weave or sw == 1 else microkernel(f"transpose_{dtype}_{target.isa}_columns").address
    plan = np.zeros(WEAVE_FIELDS, np.int64)
    for index, value in (
        (STRIDE_D, sd), (STRIDE_H, sh), (STRIDE_W, sw), (HEIGHT, oh), (WIDTH, ow), (ITEM, item), (DX_C, channel),
        (DX_D, plane), (DX_H, w * item), (TOGETHER, max(1, WOVEN // w)), (WEAVE, weave), (COMB, comb),
        (TRANSPOSE, transpose), (FINISH, finish), (SLOPE, slope.ctypes.data),
    ):  # fmt: skip
        plan[index] = value
    return Handed(weave_block.address, plan, problem.c * channel, problem.c // problem.groups * channel, slope)


@dataclass
class Apart:
    """Such a gradient, ready to run; see `Execution`."""

    block: int  # pixels of dx for one of dy
    execution: Execution

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return "disjoint", *self.execution.packing

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self.execution.workspace(count)

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights in panels."""
        return self.execution.pack(weight)

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        bias = None if bias is None else np.repeat(bias, self.block)
        self.execution.run(np.ascontiguousarray(dy), weight, bias, None, dx, packed)

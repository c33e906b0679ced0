"""The input gradient through columns that never leave the cache: some rows of dx and some channels at a time.

All products of all taps are one matrix product, as in `columns`:

    cols[c, r, s][pixel] = sum over k of w[k, c, r, s] dy[k][pixel]

Here a task makes the columns of some channels for the rows of dy that reach its rows of dx, in half of L2, on matrix
tiles, and adds them up into dx. Each pixel of dy is cut into parts once for all taps, where convolutions of phases cut
it for each tap; rows between two bands are multiplied twice.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from fastconv import cost, job, workspace
from fastconv.algorithm import nest as n_
from fastconv.algorithm.amx import refusal, shape_of
from fastconv.algorithm.common import Execution, Steps, contiguous_steps, finish_name
from fastconv.algorithm.cut import Cut, whole
from fastconv.algorithm.dense import dense, dense_weights
from fastconv.algorithm.fold import fold, fold_lines
from fastconv.algorithm.input_grad.columns import grid_of, unfit
from fastconv.algorithm.input_grad.disjoint import product_of
from fastconv.algorithm.matrix import BLOCK, run_blocks
from fastconv.algorithm.matrix_plan import PRODUCTS, packed_bytes
from fastconv.codegen.emit import invoke, peek
from fastconv.codegen.jit import helper, native
from fastconv.job import LINE, Job
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Borrowed, Problem
from fastconv.problem.grid import Grid
from fastconv.target import Target

PIECE = 2048  # elements that bias and activation finish at a time

# Along the outermost axis, of slices or rows, steps have PLANE rows of dx, and LINE_PIXELS pixels of dy.
(
    PRODUCT, FOLD, GROUPS, CHANNELS, CHANNEL_BLOCKS, BANDS, SIZE, PLANE, LINE_PIXELS, OUTPUTS, KERNEL, STRIDE, PAD,
    DILATION, TAPS, PITCH, ROW, DX_C, DX_N, STAGE_AT, PANEL_AT, FINISH, COMB, SLOPE, ITEM, FIELDS,
) = range(26)  # fmt: skip


@helper
def finish_rows(plan, bias, channel, dx, elements, scratch):
    """Bias and activation of what lies side by side."""
    item, line = peek(plan, ITEM), 0
    if bias != 0:
        line = scratch + peek(plan, PANEL_AT)
        invoke(peek(plan, COMB), (bias + channel * item, 0, line, item, min(PIECE, elements)))
    for done in range(0, elements, PIECE):
        at = dx + done * item
        invoke(peek(plan, FINISH), (at, at, line, min(PIECE, elements - done), peek(plan, SLOPE)))


@native("banded", 4)
def banded(plan, call, scratch, task):
    """Some channels of some rows of one image."""
    product, taps, item = peek(plan, PRODUCT), peek(plan, TAPS), peek(plan, ITEM)
    blocks, bands = peek(plan, CHANNEL_BLOCKS), peek(plan, BANDS)
    block, task = task % blocks, task // blocks
    band, task = task % bands, task // bands
    g, n = task % peek(plan, GROUPS), task // peek(plan, GROUPS)
    channels, size, pitch = peek(plan, CHANNELS), peek(plan, SIZE), peek(plan, PITCH)
    c0, c1 = channels * block // blocks, channels * (block + 1) // blocks
    first, stop = size * band // bands, size * (band + 1) // bands
    stride, pad, pixels = peek(plan, STRIDE), peek(plan, PAD), peek(plan, LINE_PIXELS)
    low = max(0, -(((peek(plan, KERNEL) - 1) * peek(plan, DILATION) - first - pad) // stride))
    high = min(peek(plan, OUTPUTS), (stop - 1 + pad) // stride + 1)
    tile0, tile1 = c0 * taps // BLOCK, (c1 * taps + BLOCK - 1) // BLOCK
    stage = scratch + peek(plan, STAGE_AT)
    if low < high:
        x = peek(call, n_.X) + n * peek(product, n_.X_N) + g * peek(product, n_.X_G) + low * pixels * item
        w = peek(call, n_.W) + g * peek(product, n_.W_G)
        sums, inner = stage - tile0 * BLOCK * pitch, peek(product, n_.CHANNELS)
        invoke(peek(product, n_.STATE), (1,))
        for k in range(0, inner, peek(product, n_.CHUNK)):
            some = min(peek(product, n_.CHUNK), inner - k)
            run_blocks(product, some, some, x + k * peek(product, n_.X_C), w, 0, sums, 0, item, pitch,
                       1 if k == 0 else 0, 0, 0, 0, tile0, tile1, 1, (high - low) * pixels,
                       scratch + peek(plan, PANEL_AT), 0)  # fmt: skip
            w += peek(product, n_.W_CHUNK)
        invoke(peek(product, n_.STATE), (0,))
    plane, width = peek(plan, PLANE), peek(plan, ROW)
    for c in range(c0, c1):
        channel = g * channels + c
        dx = peek(call, n_.Y) + n * peek(plan, DX_N) + channel * peek(plan, DX_C) + first * plane * width
        columns = stage + (c * taps - tile0 * BLOCK) * pitch - low * pixels * item
        fold_lines(peek(plan, FOLD), columns, first * plane, stop * plane, dx, scratch)
        if peek(plan, FINISH) != 0:
            finish_rows(plan, peek(call, n_.BIAS), channel, dx, (stop - first) * plane * width // item, scratch)


class Banded:
    """A gradient, or a transposed convolution, whose columns are added up while they are near."""

    name = "banded"

    def supports(self, problem: Problem, x: Steps, target: Target) -> str | None:
        if (reason := unfit(problem) or refusal(problem, target)) is not None:
            return reason
        if packed_bytes(product_of(problem), PRODUCTS[problem.dtype]) > workspace.MOST_WEIGHT_BYTES:
            return "the weights in parts take too much memory"
        rows = problem.depth.size if problem.depth else problem.h
        if Pieces(problem, target, problem.c // problem.groups, rows).stage > target.l2:
            return "columns of one channel's row take more than L2"
        return None

    def cost(self, problem: Problem, x: Steps, target: Target, packed: bool) -> float:
        pieces = Pieces.best(problem, target, 1)
        cycles = pieces.cycles(1) + cost.C.matrix_start
        if not packed:
            cycles += min(pieces.packing)
        grid = pieces.grid
        rows, elements = problem.n * problem.c * math.prod(grid.sizes[:2]), problem.n * grid.rows * grid.windows
        cycles += rows * (cost.C.fold_row + cost.C.fold_phase * min(problem.stride[1], problem.w))
        return cycles + elements * cost.C.fold_element

    def build(self, problem: Problem, x: Steps, target: Target, count: int, packed: bool) -> Near:
        pieces, inner = Pieces.best(problem, target, count), product_of(problem)
        raw = not packed and pieces.raw
        steps = contiguous_steps(inner)
        shape = shape_of(inner, steps)
        cut = Cut.of(inner, steps, shape, target, 1, whole(inner))
        cut = replace(cut, tiles_a_block=cut.tiles, row_blocks=1, column_blocks=pieces.bands)
        product = dense(inner, steps, shape, target, count, None, cut)
        if raw:
            _put_raw(product.plan, inner, cut, target)
        main = _job(pieces, product, cut, target)
        if raw:
            return Near(Execution([main], None, 0, ()))
        weights, size = dense_weights(replace(inner, borrowed=Borrowed(1, 1, (0, 0), (1, 1))), shape, target)
        return Near(Execution([main], weights, size, ("banded", shape.vectors, shape.products)))


@dataclass(frozen=True)
class Pieces:
    """The tasks of one problem: blocks of channels, and bands along the outermost axis, of slices or rows."""

    problem: Problem
    target: Target
    blocks: int
    bands: int

    @classmethod
    def best(cls, problem: Problem, target: Target, count: int) -> Pieces:
        """Those that leave the busiest thread the fewest cycles, with columns in half of L2 if they can be."""
        channels, size = problem.c // problem.groups, grid_of(problem).sizes[0 if problem.depth else 1]
        room, tried = min(target.l2, job.share(count)) // 2, []
        for blocks in {min(channels, 1 << power) for power in range(channels.bit_length() + 1)}:
            fewest = cls(problem, target, blocks, 1)
            while fewest.stage > room and fewest.bands < size:
                more = max(fewest.bands * 9 // 8 + 1, fewest.bands * fewest.stage // room)
                fewest = replace(fewest, bands=min(size, more))
            even = count // math.gcd(count, problem.n * problem.groups * blocks)
            tried += [fewest, replace(fewest, bands=min(size, -(-fewest.bands // even) * even))]
        fit = [pieces for pieces in tried if pieces.stage <= room] or [min(tried, key=lambda p: p.stage)]
        return min(fit, key=lambda p: (p.cycles(count), p.blocks, p.bands))

    @functools.cached_property
    def axis(self) -> int:
        """That of slices or rows."""
        return 0 if self.problem.depth else 1

    @functools.cached_property
    def grid(self) -> Grid:
        """Where windows lie."""
        return grid_of(self.problem)

    @functools.cached_property
    def lines(self) -> list[int]:
        """How many slices or rows of dy each band reads."""
        grid, axis = self.grid, self.axis
        size, step, pad = grid.sizes[axis], grid.stride[axis], grid.padding[axis]
        reach, found = (grid.kernel[axis] - 1) * grid.dilation[axis], []
        for band in range(self.bands):
            first, stop = size * band // self.bands, size * (band + 1) // self.bands
            low = max(0, -((reach - first - pad) // step))
            found.append(max(0, min(grid.counts[axis], (stop - 1 + pad) // step + 1) - low))
        return found

    @property
    def line_pixels(self) -> int:
        """Pixels of one of them."""
        return math.prod(self.grid.counts[self.axis + 1 :])

    @functools.cached_property
    def tiles(self) -> list[int]:
        """How many tiles of columns each block of channels has; a tile that two blocks share is made twice."""
        channels, taps, blocks = self.problem.c // self.problem.groups, self.grid.taps, self.blocks
        ends = [channels * block // blocks * taps for block in range(blocks + 1)]
        return [-(-stop // BLOCK) - start // BLOCK for start, stop in itertools.pairwise(ends)]

    @property
    def pitch(self) -> int:
        """Bytes from column to column: an odd number of lines, so that a tile's do not fall into one set of L1."""
        return -(-max(self.lines) * self.line_pixels * self.grid.itemsize // LINE) * LINE | LINE

    @property
    def stage(self) -> int:
        """Bytes of columns."""
        return max(self.tiles) * BLOCK * self.pitch

    @property
    def packing(self) -> tuple[float, float]:
        """What weights cost that are cut for every band, just before their use, and beforehand."""
        weights = math.prod(self.problem.weight_shape)
        again = self.problem.n * self.bands * weights * cost.C.matrix_turn
        return again, weights * cost.C.matrix_pack + cost.C.packing

    @property
    def raw(self) -> bool:
        """Whether weights that are new are cut just before their use."""
        return self.packing[0] < self.packing[1]

    @property
    def tasks(self) -> int:
        """How many there are."""
        return self.problem.n * self.problem.groups * self.blocks * self.bands

    def cycles(self, count: int) -> float:
        """What all columns cost, if the busiest of so many threads sets the time."""
        problem, products = self.problem, PRODUCTS[self.problem.dtype]
        total = math.prod(problem.weight_shape)
        each = sum(
            times * again
            * cost.banded_task_cycles(tiles * BLOCK, lines * self.line_pixels, problem.k // problem.groups, products,
                                      total, self.target)
            for tiles, times in Counter(self.tiles).items()
            for lines, again in Counter(self.lines).items()
            if lines > 0
        )  # fmt: skip
        share = -(-self.tasks // count) * count / self.tasks
        return problem.n * problem.groups * each * share


def _put_raw(plan: np.ndarray, inner: Problem, cut: Cut, target: Target) -> None:
    """Have weights read as they lie, (C, K/groups), and tiles of them cut just before their use."""
    line = cut.outputs * cut.item
    plan[n_.W_TURN], plan[n_.W_CHUNK], plan[n_.W_G] = line, cut.chunk.channels * line, cut.channels * line
    plan[n_.W_PACK] = microkernel(f"amxturned_f32_{target.isa}_x{cut.shape.products}").address


def _job(pieces: Pieces, product: Job, cut: Cut, target: Target) -> Job:
    """The launch of the tasks whose product has this plan."""
    problem, grid, axis, item = pieces.problem, pieces.grid, pieces.axis, pieces.grid.itemsize
    d, h, w = grid.sizes
    added = fold(grid, (0, pieces.pitch), target)
    stage_at = -(-added.scratch // LINE) * LINE
    slope, finish = np.full(1, problem.slope, problem.dtype), 0
    if problem.bias or problem.activation:
        finish = microkernel(finish_name(problem, target, problem.activation)).address
    plan = np.zeros(FIELDS, np.int64)
    for index, value in (
        (PRODUCT, product.plan.ctypes.data), (FOLD, added.plan.ctypes.data), (GROUPS, problem.groups),
        (CHANNELS, problem.c // problem.groups), (CHANNEL_BLOCKS, pieces.blocks), (BANDS, pieces.bands),
        (SIZE, grid.sizes[axis]), (PLANE, math.prod(grid.sizes[axis + 1 : 2])), (LINE_PIXELS, pieces.line_pixels),
        (OUTPUTS, grid.counts[axis]), (KERNEL, grid.kernel[axis]), (STRIDE, grid.stride[axis]),
        (PAD, grid.padding[axis]), (DILATION, grid.dilation[axis]), (TAPS, grid.taps), (PITCH, pieces.pitch),
        (ROW, w * item), (DX_C, d * h * w * item), (DX_N, problem.c * d * h * w * item),
        (STAGE_AT, stage_at), (PANEL_AT, stage_at + pieces.stage), (FINISH, finish),
        (COMB, microkernel(f"comb_f32_{target.isa}").address), (SLOPE, slope.ctypes.data), (ITEM, item),
    ):  # fmt: skip
        plan[index] = value
    scratch = stage_at + pieces.stage + max(cut.panel_bytes // cut.block_tiles * (cut.block_tiles + 1), PIECE * item)
    return Job(banded.address, plan, pieces.tasks, scratch, problem.flops, [product, added, slope])


@dataclass
class Near:
    """Such a gradient, ready to run; see `Execution`."""

    execution: Execution

    @property
    def packing(self) -> tuple:
        """Equal for executions that can share packed weights."""
        return self.execution.packing

    def workspace(self, count: int) -> int:
        """Bytes that a call on `count` threads takes besides its arrays."""
        return self.execution.workspace(count)

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """The weights in panels."""
        return self.execution.pack(weight)

    def run(self, dy, weight, bias, residual, dx, packed=None) -> None:
        """Write the gradient of `weight`'s convolution into `dx`; bias is that of a transposed convolution."""
        self.execution.run(np.ascontiguousarray(dy), weight, bias, None, dx, packed)
